//! Three ways to drive a connection: level-triggered, edge-triggered, and over bytes that the program carries.

use std::time::{Duration, Instant};

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::Reply;

use crate::memory::welcome;
use crate::peer::Peer;
use crate::work::{SQL, Work};

/// Nothing here takes longer, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is up and has its statement.
fn connect(conninfo: &str) -> Connection {
    let mut conn = Connection::open(conninfo);
    while !conn.wait(Some(PATIENCE)).is_idle() {
        assert!(conn.error().is_none(), "{:?}", conn.error());
    }
    conn.start_prepare("echo", SQL, &[]).unwrap();
    while !is_prepared(&mut conn) {
        conn.wait(Some(PATIENCE));
    }
    conn
}

fn is_prepared(conn: &mut Connection) -> bool {
    let mut done = false;
    while let Some(item) = conn.take() {
        assert!(!matches!(item.reply, Reply::Error(_)), "{item:?}");
        done |= matches!(item.reply, Reply::Done(_));
    }
    done
}

pub(crate) fn level(conninfo: &str, work: &mut Work) {
    let mut conn = connect(conninfo);
    while !work.is_done() {
        work.start(&mut conn);
        let ready = conn.wait(Some(PATIENCE));
        assert!(ready.is_something(), "a hang: {}", conn.inspect());
        assert!(!ready.is_failed(), "{:?}", conn.error());
        work.room |= ready.has(Readiness::ROOM);
        work.take(&mut conn);
    }
}

/// Each descriptor is watched once, for both directions, and the loop sleeps only when it has nothing left to do.
#[cfg(target_os = "linux")]
pub(crate) fn edge(conninfo: &str, work: &mut Work) {
    let mut conn = connect(conninfo);
    let mut events = crate::epoll::Epoll::new();
    let both = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32;
    events.watch(true, conn.socket().unwrap(), both, 0);
    while !work.is_done() {
        work.start(&mut conn);
        let ready = conn.poll();
        assert!(!ready.is_failed(), "{:?}", conn.error());
        assert!(!ready.has(Readiness::SOCKET_CHANGED));
        work.room |= ready.has(Readiness::ROOM);
        if work.take(&mut conn) || ready.is_runnable() || ready.has(Readiness::ROOM) {
            continue;
        }
        let until = Instant::now() + PATIENCE;
        while events.wait(until).is_empty() {
            assert!(Instant::now() < until, "a hang: {}", conn.inspect());
        }
    }
}

/// The peer takes little before it is listened to, and says little before it is taken from.
pub(crate) fn in_memory(work: &mut Work) {
    let mut conn = Connection::open_stream("user=tester sslmode=disable");
    conn.poll();
    conn.taken(conn.output().len());
    assert_eq!(conn.feed(&welcome()), welcome().len());
    assert!(conn.poll().is_idle());
    conn.start_prepare("echo", SQL, &[]).unwrap();
    let mut peer = Peer::default();
    let mut prepared = false;
    while !work.is_done() {
        if prepared {
            work.start(&mut conn);
        }
        let ready = conn.poll();
        assert!(!ready.is_failed(), "{:?}", conn.error());
        work.room |= ready.has(Readiness::ROOM);
        let taken = match prepared {
            true => work.take(&mut conn),
            false => {
                prepared = is_prepared(&mut conn);
                prepared
            }
        };
        let carried = peer.take(conn.output());
        conn.taken(carried);
        peer.work();
        let said = conn.feed(peer.output());
        peer.sent(said);
        let goes_on = taken || ready.is_runnable() || ready.has(Readiness::ROOM);
        assert!(
            goes_on || carried + said > 0,
            "a hang: {} {peer:?}",
            conn.inspect()
        );
    }
}
