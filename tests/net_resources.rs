//! What the net leaves behind: no descriptor, no heap, no signal mask. One test alone in its process, because it counts what the process has.
#![cfg(target_os = "linux")] // it reads /proc
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::TcpListener;
use std::time::{Duration, Instant};

use pgpoll::conninfo::TcpOptions;
use pgpoll::link::{Addr, Answer, Ask, LinkErrorKind, Peer};
use pgpoll::net::{Net, Received, Sent};

#[global_allocator]
static COUNTING: testkit::Counting = testkit::Counting;

fn resolve(host: &str) -> Ask {
    Ask::Resolve {
        host: host.into(),
        port: 1,
    }
}

fn entries(of: &str) -> usize {
    std::fs::read_dir(of).unwrap().count()
}

fn mask() -> Vec<u8> {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    status
        .lines()
        .find(|line| line.starts_with("SigBlk"))
        .unwrap_or_default()
        .into()
}

/// Waits until only this process's own threads are left, then counts its descriptors.
fn settled(threads: usize) -> usize {
    let begun = Instant::now();
    while entries("/proc/self/task") > threads {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "helper threads live on"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    entries("/proc/self/fd")
}

/// Runs `f` while the process may not have more memory than it has: no new stack.
fn without_memory<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: all zeroes is a value of rlimit; the calls read and write it alone.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_AS, &raw mut limit);
        let low = libc::rlimit {
            rlim_cur: 1,
            ..limit
        };
        libc::setrlimit(libc::RLIMIT_AS, &raw const low);
        let result = f();
        libc::setrlimit(libc::RLIMIT_AS, &raw const limit);
        result
    }
}

fn dial(net: &mut Net, listener: &TcpListener) {
    let addr = Addr::Tcp(listener.local_addr().unwrap());
    net.ask(
        1,
        Ask::Dial {
            addr,
            tcp: TcpOptions::default(),
            want_peer: false,
        },
    );
    let answer = loop {
        if let Some((_, answer)) = net.answer() {
            break answer;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(answer, Answer::Dialled(Peer::default()));
}

#[test]
fn nothing_is_left_behind() {
    let threads = entries("/proc/self/task");
    let descriptors = settled(threads);
    let blocked = mask();

    // A thread that cannot be started. First, because later there are stacks to use again.
    let mut net = Net::new();
    let answer = without_memory(|| {
        net.ask(1, resolve("localhost"));
        net.answer()
    });
    let Some((1, Answer::Failed(error))) = answer else {
        panic!("{answer:?}");
    };
    let text = "could not start the resolver thread: Resource temporarily unavailable";
    assert_eq!(
        (error.kind, error.text.as_str()),
        (LinkErrorKind::Resolve, text)
    );
    net.release_retired();
    assert_eq!(settled(threads), descriptors);

    // Resolutions: finished, replaced, dropped.
    for turn in 0..100 {
        let mut net = Net::new();
        net.ask(1, resolve("no..host"));
        net.ask(2, resolve("localhost"));
        while turn % 2 == 0 && net.answer().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(settled(threads), descriptors);
    assert_eq!(mask(), blocked, "signal masks are never touched");

    // A connected net has no heap, and moving bytes makes none.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let before = testkit::alloc::thread();
    let mut net = Net::new();
    dial(&mut net, &listener);
    assert_eq!((testkit::alloc::thread() - before).held, 0);
    let (mut server, _) = listener.accept().unwrap();
    let before = testkit::alloc::thread();
    let mut room = [0; 64];
    for _ in 0..100 {
        assert_eq!(net.send(b"ping"), Sent::Bytes(4));
        std::io::Read::read_exact(&mut server, &mut room[..4]).unwrap();
        std::io::Write::write_all(&mut server, &room[..4]).unwrap();
        while net.receive(&mut room) == Received::Wait {}
        net.release_retired();
    }
    assert_eq!((testkit::alloc::thread() - before).allocations, 0);

    // Redialling, adopting, hanging up.
    for _ in 0..100 {
        dial(&mut net, &listener);
        drop(listener.accept().unwrap());
        net.release_retired();
    }
    net.hangup();
    net.release_retired();
    drop((server, net, listener));
    assert_eq!(settled(threads), descriptors);
}
