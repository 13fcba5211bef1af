//! Moving bytes over a connected socket.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pgpoll::link::LinkErrorKind;
use pgpoll::net::{Alive, Net, Received, Sent};

use crate::{connected, file, is_cloexec, ready};

fn kind(received: Received) -> (LinkErrorKind, String) {
    match received {
        Received::Failed(error) => (error.kind, error.text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_go_both_ways_and_the_end_is_closed() {
    let (mut net, mut server) = connected();
    let mut room = [0; 8];
    assert_eq!(net.receive(&mut room), Received::Wait);
    assert_eq!(net.receive(&mut []), Received::Bytes(0));
    assert_eq!(net.send(b"hello"), Sent::Bytes(5));
    server.read_exact(&mut room[..5]).unwrap();
    assert_eq!(&room[..5], b"hello");
    server.write_all(b"back").unwrap();
    ready(net.fd().unwrap(), libc::POLLIN, 5000);
    assert_eq!(net.is_alive(), Alive::Data);
    assert_eq!(net.receive(&mut room), Received::Bytes(4));
    assert_eq!(&room[..4], b"back");
    assert_eq!(net.is_alive(), Alive::Quiet);
    drop(server);
    ready(net.fd().unwrap(), libc::POLLIN, 5000);
    assert_eq!(net.is_alive(), Alive::Closed);
    for _ in 0..3 {
        assert_eq!(kind(net.receive(&mut room)).0, LinkErrorKind::Closed);
    }
}

#[test]
fn a_net_without_a_socket_says_so() {
    let mut net = Net::new();
    assert_eq!(
        kind(net.receive(&mut [0; 8])),
        (LinkErrorKind::Closed, "connection not open".into())
    );
    assert!(matches!(net.send(b"x"), Sent::Failed(_)));
    assert!(matches!(net.is_alive(), Alive::Failed(_)));
    assert_eq!((net.fd(), net.pending(), net.answer()), (None, None, None));
}

#[test]
fn a_peer_that_does_not_read_makes_us_wait_and_a_reset_is_an_error() {
    let (mut net, server) = connected();
    let chunk = vec![0; 1 << 16];
    let mut sent = 0;
    loop {
        match net.send(&chunk) {
            Sent::Bytes(n) => sent += n,
            Sent::Wait => break,
            Sent::Failed(error) => panic!("{error:?}"),
        }
        assert!(sent < 1 << 30, "nobody reads");
    }
    drop(server); // with unread bytes: a reset
    ready(net.fd().unwrap(), libc::POLLIN, 5000);
    let (kind, text) = kind(net.receive(&mut [0; 8]));
    assert_eq!(
        (kind, text.as_str()),
        (LinkErrorKind::Receive, "Connection reset by peer")
    );
    match net.send(b"x") {
        Sent::Failed(error) => assert_eq!(
            (error.kind, error.errno),
            (LinkErrorKind::Send, libc::EPIPE)
        ),
        other => panic!("{other:?}"),
    }
}

static INTERRUPTED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn interrupted(_: i32) {
    INTERRUPTED.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn signals_in_the_middle_lose_nothing() {
    // SAFETY: the handler does nothing but count; without SA_RESTART, so that system calls are interrupted.
    let me = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = interrupted as *const () as usize;
        libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut());
        libc::pthread_self()
    };
    let stop = AtomicBool::new(false);
    let (mut net, mut server) = connected();
    let data: Vec<u8> = (0..4u32 << 20).map(|i| (i % 251) as u8).collect();
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // SAFETY: the thread lives until this scope ends.
                unsafe { libc::pthread_kill(me, libc::SIGUSR1) };
                std::thread::sleep(std::time::Duration::from_micros(50));
            }
        });
        threads.spawn(|| server.write_all(&data));
        let mut got = Vec::new();
        let mut room = vec![0; 10_000];
        while got.len() < data.len() {
            match net.receive(&mut room) {
                Received::Bytes(n) => got.extend_from_slice(&room[..n]),
                Received::Wait => drop(ready(net.fd().unwrap(), libc::POLLIN, 5000)),
                Received::Failed(error) => panic!("{error:?}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(got == data);
    });
    assert_ne!(INTERRUPTED.load(Ordering::Relaxed), 0);
}

#[test]
fn a_descriptor_of_the_callers_is_adopted() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let mut net = Net::adopt(OwnedFd::from(ours)).unwrap();
    let fd = net.fd().unwrap();
    assert!(is_cloexec(fd));
    assert_eq!(
        net.receive(&mut [0; 8]),
        Received::Wait,
        "it is a blocking socket, and we do not block"
    );
    assert_eq!(net.send(b"hi"), Sent::Bytes(2));
    let mut room = [0; 2];
    theirs.read_exact(&mut room).unwrap();
    assert_eq!(&room, b"hi");
    let inode = file(fd);
    drop(net);
    assert_ne!(file(fd), inode);

    let (datagrams, _other) = UnixDatagram::pair().unwrap();
    assert!(Net::adopt(datagrams.into()).is_err());
    assert!(Net::adopt(std::fs::File::open("/dev/null").unwrap().into()).is_err());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(Net::adopt(listener.into()).is_err());
}

#[test]
fn a_connected_net_is_small_and_may_move_to_another_thread() {
    fn moves<T: Send>() {}
    moves::<Net>();
    assert!(size_of::<Net>() < 120, "{}", size_of::<Net>());
}
