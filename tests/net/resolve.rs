//! Resolving: what is found, how it is heard of, and that nothing is left behind.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use pgpoll::link::{Answer, LinkErrorKind};
use pgpoll::net::{Interest, Net, Received};

use crate::{drive, failure, is_cloexec, ready, resolve, tcp};

#[test]
fn localhost_is_found_in_the_systems_order_each_address_once() {
    let mut net = Net::new();
    net.ask(4, resolve("localhost"));
    assert!(is_cloexec(net.fd().unwrap()));
    let (4, Answer::Resolved(found)) = drive(&mut net) else {
        panic!("localhost has no address");
    };
    let mut expected: Vec<SocketAddr> = Vec::new();
    for addr in ("localhost", 5432).to_socket_addrs().unwrap() {
        if !expected.contains(&addr) {
            expected.push(addr);
        }
    }
    assert_eq!(found, expected);
    assert_eq!((net.fd(), net.pending()), (None, None));
}

#[test]
fn a_numeric_address_is_answered_at_once() {
    let mut net = Net::new();
    net.ask(1, resolve("127.0.0.1"));
    assert_eq!(net.fd(), None);
    let addr = SocketAddr::from(([127, 0, 0, 1], 5432));
    assert_eq!(net.answer(), Some((1, Answer::Resolved(vec![addr]))));
    net.ask(2, resolve("::1"));
    let addr = "[::1]:5432".parse().unwrap();
    assert_eq!(net.answer(), Some((2, Answer::Resolved(vec![addr]))));
}

#[test]
fn a_name_that_is_none_fails_in_the_resolvers_words() {
    let name = "no-such-host.invalid";
    let error = failure(&mut Net::new(), resolve(name));
    assert_eq!(error.kind, LinkErrorKind::Resolve);
    let theirs = (name, 1).to_socket_addrs().unwrap_err().to_string();
    assert!(
        theirs.ends_with(&error.text) && error.text.len() > 10,
        "{theirs} / {}",
        error.text
    );

    for name in ["", "a..b", "with\0nul"] {
        let error = failure(&mut Net::new(), resolve(name));
        assert_eq!(error.kind, LinkErrorKind::Resolve);
        assert_eq!(error.text, "Name or service not known", "{name:?}");
    }
    let long = failure(&mut Net::new(), resolve(&"x".repeat(1 << 20)));
    assert_eq!(long.kind, LinkErrorKind::Resolve);
}

/// `PQconnectStart`'s callers wait for "writable", whatever is going on.
#[test]
fn the_end_of_a_resolution_is_seen_by_those_who_wait_for_writing_too() {
    for events in [libc::POLLIN, libc::POLLOUT] {
        let mut net = Net::new();
        net.ask(1, resolve("localhost"));
        assert_eq!(net.pending(), Some(Interest::Read));
        assert_eq!(ready(net.fd().unwrap(), events, 60_000) & events, events);
        assert!(matches!(net.answer(), Some((1, Answer::Resolved(_)))));
    }
}

#[test]
fn a_newer_ask_replaces_an_older_one_and_its_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut net = Net::new();
    let mut generation = net.generation();
    for id in 1..20 {
        net.ask(id, resolve("no-such-host.invalid"));
        assert!(net.generation() > generation);
        generation = net.generation();
    }
    net.ask(20, tcp(listener.local_addr().unwrap()));
    assert!(matches!(drive(&mut net), (20, Answer::Dialled(_))));
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(net.answer(), None);
    assert_eq!(
        net.receive(&mut [0; 8]),
        Received::Wait,
        "the answers of old do not reach the new socket"
    );
}

#[test]
fn spurious_calls_while_resolving_do_no_harm() {
    let mut net = Net::new();
    net.ask(1, resolve("no-such-host.invalid"));
    while net.answer().is_none() {
        assert_eq!(net.receive(&mut [0; 8]), Received::Wait);
        net.release_retired();
    }
    assert_eq!(net.answer(), None);
}

/// Trap 22, the DNS helper thread: it owns what it touches, and nobody waits for it.
#[test]
fn a_net_may_go_while_it_resolves() {
    for _ in 0..50 {
        let mut net = Net::new();
        net.ask(1, resolve("no-such-host.invalid"));
        drop(net);
    }
}
