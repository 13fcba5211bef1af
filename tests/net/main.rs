//! The net on real sockets: loopback TCP and Unix sockets in temporary folders. Knows no protocol.
#![allow(clippy::unwrap_used, clippy::panic)]

mod dial;
mod fork;
mod limits;
mod resolve;
mod transfer;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use pgpoll::conninfo::TcpOptions;
use pgpoll::link::{Addr, Answer, Ask, AskId, LinkError, Peer};
use pgpoll::net::{Interest, Net};

fn tcp(addr: SocketAddr) -> Ask {
    Ask::Dial {
        addr: Addr::Tcp(addr),
        tcp: TcpOptions::default(),
        want_peer: false,
    }
}

fn unix(path: &[u8]) -> Ask {
    Ask::Dial {
        addr: Addr::Unix(path.to_vec()),
        tcp: TcpOptions::default(),
        want_peer: false,
    }
}

fn resolve(host: &str) -> Ask {
    Ask::Resolve {
        host: host.into(),
        port: 5432,
    }
}

/// Sleeps until the descriptor is ready for one of `events`; what it is ready for, 0 after `ms`.
fn ready(fd: RawFd, events: i16, ms: i32) -> i16 {
    let mut entry = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    loop {
        // SAFETY: one entry, on the stack.
        let n = unsafe { libc::poll(&raw mut entry, 1, ms) };
        if n >= 0 {
            return entry.revents;
        }
        assert_eq!(
            std::io::Error::last_os_error().raw_os_error(),
            Some(libc::EINTR)
        );
    }
}

/// Does what a caller's loop does: sleeps only on what the net says.
fn drive(net: &mut Net) -> (AskId, Answer) {
    loop {
        net.release_retired();
        if let Some(answer) = net.answer() {
            return answer;
        }
        let events = match net.pending().unwrap() {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
        };
        let fd = net.fd().unwrap();
        assert_ne!(ready(fd, events, 60_000), 0, "asleep: {net:?}");
    }
}

fn failure(net: &mut Net, ask: Ask) -> LinkError {
    net.ask(1, ask);
    match drive(net) {
        (1, Answer::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A connected net and the other end.
fn connected() -> (Net, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut net = Net::new();
    net.ask(1, tcp(listener.local_addr().unwrap()));
    assert_eq!(drive(&mut net), (1, Answer::Dialled(Peer::default())));
    (net, listener.accept().unwrap().0)
}

/// Device and inode of an open descriptor: its number may be another file's by now.
fn file(fd: RawFd) -> Option<(u64, u64)> {
    // SAFETY: all zeroes is a value of stat, and fstat writes to it alone.
    unsafe {
        let mut stat: libc::stat = std::mem::zeroed();
        (libc::fstat(fd, &raw mut stat) == 0).then_some((stat.st_dev as u64, stat.st_ino as u64))
    }
}

fn is_cloexec(fd: RawFd) -> bool {
    // SAFETY: takes integers alone.
    unsafe { libc::fcntl(fd, libc::F_GETFD) == libc::FD_CLOEXEC }
}

fn option(fd: RawFd, level: i32, name: i32) -> i32 {
    let (mut value, mut size) = (0, 4);
    // SAFETY: `size` bytes go to `value`, which has them.
    let done = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut size) };
    assert_eq!(done, 0);
    value
}

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("pgpoll-net-{}-{n}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
