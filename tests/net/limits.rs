//! A process that has run out of descriptors: one error, no crash. In a child, whose limits are its own.

use std::net::SocketAddr;

use pgpoll::link::{Answer, Ask, LinkErrorKind};
use pgpoll::net::Net;

use crate::fork::in_child;
use crate::{resolve, tcp};

/// What comes of an ask in a process that may have no more descriptors.
fn fails_with(ask: Ask, kind: LinkErrorKind, text: &str) -> bool {
    let mut net = Net::new();
    // SAFETY: changes the limits of this process alone.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = 0;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
    net.ask(1, ask);
    let answer = net.answer();
    matches!(answer, Some((1, Answer::Failed(error))) if error.kind == kind && error.text == text)
}

#[test]
fn without_descriptors_nothing_is_dialled_or_resolved() {
    let addr = SocketAddr::from(([127, 0, 0, 1], 1));
    let text = "could not create socket: Too many open files";
    assert_eq!(
        in_child(|| fails_with(tcp(addr), LinkErrorKind::Socket, text)),
        0
    );
    let text = "could not start the resolver thread: Too many open files";
    assert_eq!(
        in_child(|| fails_with(resolve("localhost"), LinkErrorKind::Resolve, text)),
        0
    );
}
