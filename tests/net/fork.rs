//! Processes: what a forked child may do to its parent's connection (nothing), and that SIGPIPE kills nobody.

use std::io::{Read, Write};

use pgpoll::link::{Answer, Ask, LinkErrorKind};
use pgpoll::net::{Alive, Net, Received, Sent};

use crate::{connected, drive, ready, resolve, tcp};

/// Runs `child` in a forked process; the status it ended with.
pub(crate) fn in_child(child: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child works on what is its own and leaves by _exit, without running the test harness twice.
    unsafe {
        let pid = libc::fork();
        if pid == 0 {
            let good =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
            libc::_exit(i32::from(!good));
        }
        assert!(pid > 0);
        let mut status = 0;
        while libc::waitpid(pid, &raw mut status, 0) != pid {}
        status
    }
}

fn is_forked(answer: Option<(u64, Answer)>) -> bool {
    matches!(answer, Some((_, Answer::Failed(error))) if error.kind == LinkErrorKind::Forked)
}

/// Trap 21, fork: descriptors are shared with the child, which may only free.
#[test]
fn a_forked_child_may_only_free() {
    let (mut net, mut server) = connected();
    server.write_all(b"for the parent").unwrap();
    ready(net.fd().unwrap(), libc::POLLIN, 5000);
    let status = in_child(|| {
        let received = matches!(net.receive(&mut [0; 64]), Received::Failed(e) if e.kind == LinkErrorKind::Forked);
        let sent = matches!(net.send(b"from the child"), Sent::Failed(e) if e.kind == LinkErrorKind::Forked);
        let alive = matches!(net.is_alive(), Alive::Failed(e) if e.kind == LinkErrorKind::Forked);
        let generation = net.generation();
        net.ask(2, resolve("localhost"));
        let asked = is_forked(net.answer()) && net.generation() > generation && net.fd().is_none();
        net.ask(3, Ask::Hangup);
        net.release_retired();
        drop(net);
        received && sent && alive && asked
    });
    assert_eq!(status, 0);
}

#[test]
fn the_parents_connection_outlives_the_child_that_freed_it() {
    let (net, mut server) = connected();
    let mut slot = Some(net);
    let status = in_child(|| {
        drop(slot.take());
        true
    });
    assert_eq!(status, 0);
    let mut net = slot.unwrap();
    assert_eq!(net.send(b"still here"), Sent::Bytes(10));
    let mut room = [0; 10];
    server.read_exact(&mut room).unwrap();
    assert_eq!(&room, b"still here");
    server.write_all(b"yes").unwrap();
    ready(net.fd().unwrap(), libc::POLLIN, 5000);
    assert_eq!(net.receive(&mut room), Received::Bytes(3));
}

#[test]
fn a_child_is_told_that_an_ask_of_its_parent_is_not_its_own() {
    let mut net = Net::new();
    net.ask(1, resolve("localhost"));
    assert_eq!(in_child(|| is_forked(net.answer())), 0);
    assert!(matches!(drive(&mut net), (1, Answer::Resolved(_))));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    net.ask(2, tcp(listener.local_addr().unwrap()));
    assert_eq!(in_child(|| is_forked(net.answer())), 0);
    assert!(matches!(drive(&mut net), (2, Answer::Dialled(_))));
}

/// The child holds copies of the helper's descriptors: the end must be told, it cannot be left to a close.
#[test]
fn a_resolution_is_heard_of_while_a_child_holds_its_descriptors() {
    let mut net = Net::new();
    net.ask(1, resolve("localhost"));
    let (mut hold, release) = std::os::unix::net::UnixStream::pair().unwrap();
    // SAFETY: the child only waits and leaves by _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(release);
        let _ = hold.read(&mut [0]);
        // SAFETY: leaves without running the harness twice.
        unsafe { libc::_exit(0) };
    }
    assert!(matches!(drive(&mut net), (1, Answer::Resolved(_))));
    drop((hold, release));
    // SAFETY: `child` is ours to wait for.
    let ended = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    assert_eq!(ended, child);
}

#[test]
fn the_peer_hears_of_the_end_though_a_child_holds_a_copy() {
    let (net, mut server) = connected();
    let (mut hold, release) = std::os::unix::net::UnixStream::pair().unwrap();
    // SAFETY: the child only waits and leaves by _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        drop(release);
        let _ = hold.read(&mut [0]);
        // SAFETY: leaves without running the harness twice.
        unsafe { libc::_exit(0) };
    }
    drop(net);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    drop((hold, release));
    // SAFETY: `child` is ours to wait for.
    let ended = unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    assert_eq!(ended, child);
}

#[test]
fn a_child_opens_connections_of_its_own() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let status = in_child(|| {
        let mut net = Net::new();
        net.ask(1, resolve("localhost"));
        let resolved = matches!(drive(&mut net), (1, Answer::Resolved(_)));
        net.ask(2, tcp(addr));
        resolved && matches!(drive(&mut net), (2, Answer::Dialled(_)))
    });
    assert_eq!(status, 0);
}

/// Trap 23, SIGPIPE, with the disposition that programs in C have.
#[test]
fn a_closed_peer_is_an_error_and_no_sigpipe() {
    let status = in_child(|| {
        // SAFETY: the disposition of this process alone.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let Ok(mut net) = Net::adopt(ours.into()) else {
            return false;
        };
        drop(theirs);
        matches!(net.send(b"x"), Sent::Failed(error) if error.errno == libc::EPIPE)
    });
    assert_eq!(status, 0, "a signal would be in the low bits");

    let status = in_child(|| {
        // SAFETY: the disposition of this process alone.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let (mut net, server) = connected();
        drop(server);
        (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            matches!(net.send(b"x"), Sent::Failed(error) if error.errno == libc::EPIPE)
        })
    });
    assert_eq!(status, 0);
}

/// The helper's byte must not kill either, when nobody is left to hear it.
#[test]
fn a_dropped_resolution_raises_no_sigpipe() {
    let status = in_child(|| {
        // SAFETY: the disposition of this process alone.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        for _ in 0..20 {
            let mut net = Net::new();
            net.ask(1, resolve("no-such-host.invalid"));
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
        true
    });
    assert_eq!(status, 0);
}
