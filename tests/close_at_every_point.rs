//! Trap 14, unbounded teardown: closing and dropping at any point, at once, and nothing is left behind. One test alone in its process,
//! because it counts what the process has.
#![cfg(target_os = "linux")] // it reads /proc
#![allow(clippy::unwrap_used, clippy::panic)]

mod standstill;

use std::time::{Duration, Instant};

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::Phase;
use testkit::{alloc, process};

use standstill::{Act, Peer, Point, Stand, Where, every};

#[global_allocator]
static COUNTING: testkit::Counting = testkit::Counting;

/// No wait of any kind; a busy machine may take the processor away for a while.
const AT_ONCE: Duration = Duration::from_millis(250);

/// What a pooled buffer has.
const CHUNK: i64 = 16 * 1024;

/// What a server hears last of a client that leaves in good order.
const TERMINATE: &[u8] = b"X\0\0\0\x04";

/// What the process has besides its memory.
#[derive(Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    threads: usize,
}

impl Holdings {
    fn now() -> Holdings {
        Holdings {
            descriptors: process::descriptors().len(),
            threads: process::threads(),
        }
    }

    /// Threads that have nothing more to do need a moment to end.
    fn come_back(&self, what: &str) {
        let back = process::eventually(|| Holdings::now() == *self);
        assert!(back, "{what}: {:?} after {self:?}", Holdings::now());
    }
}

/// Ends a connection at a point and looks at what is left. The time that it took.
fn end(point: &'static Point, how: fn(Connection)) -> Duration {
    let before = Holdings::now();
    let peer = Peer::to_be_left(point);
    let memory = alloc::thread();
    // Without a look for tickets: what a helper thread gives back is not counted here.
    let Stand { conn, mut peer, .. } = Stand::over(peer, point, "gssencmode=disable");
    let begun = Instant::now();
    how(conn);
    let took = begun.elapsed();
    let held = (alloc::thread() - memory).held;
    // A name under way belongs to its thread, which gives its memory back when the resolver answers. Whole buffers are in this
    // thread's pool now, or no longer.
    // The one who takes a request to cancel is made at the point, and is this test's.
    if !matches!(point.place, Where::Resolving | Where::Cancelling) {
        assert_eq!(held % CHUNK, 0, "{}: {held} bytes are left", point.name);
    }
    peer.go_on();
    if point.place == Where::Server {
        let played = peer.finish();
        let goodbye = played.heard.ends_with(TERMINATE);
        // Before it is up there is nobody to say it to, and in the middle of a message no room for it.
        let middle = point.act == Some(Act::Parameter);
        let due = point.phase == Phase::Ready && !middle;
        assert_eq!(goodbye, due, "{}", point.name);
        if middle {
            assert!(played.heard.ends_with(b"pppp"), "{}", point.name);
        }
    } else {
        drop(peer);
    }
    before.come_back(point.name);
    took
}

fn close_and_drop_are_instant_and_leave_nothing_behind() {
    for point in every() {
        // First what is made once: how TLS is done with these options is kept.
        let before = Holdings::now();
        drop(Stand::over(Peer::to_be_left(point), point, ""));
        before.come_back(point.name);
        let dropped = end(point, drop);
        let closed = end(point, |mut conn| {
            conn.close();
            let ready = conn.poll();
            assert!(!ready.has(Readiness::WANT_READ | Readiness::WANT_WRITE));
            assert_eq!((conn.socket(), conn.deadline_ns()), (None, None));
            while conn.take().is_some() {}
            assert!(conn.poll().is_failed());
        });
        println!(
            "closed at: {:32} drop {dropped:9.1?}, close {closed:9.1?}",
            point.name
        );
        assert!(dropped < AT_ONCE && closed < AT_ONCE, "{}", point.name);
    }
}

/// A connection that begins anew at any point leaves nothing of the first one behind, and is as good.
fn reset_at_every_point_begins_anew() {
    for point in every() {
        let before = Holdings::now();
        let peer = Peer::to_be_left(point);
        let Stand { mut conn, peer, .. } = Stand::over(peer, point, "");
        let begun = Instant::now();
        conn.reset();
        assert!(begun.elapsed() < AT_ONCE, "{}", point.name);
        assert!(!conn.facts().is_ready());
        conn.poll();
        drop((conn, peer));
        before.come_back(point.name);
    }
}

#[test]
fn nothing_is_left_behind_at_any_point() {
    close_and_drop_are_instant_and_leave_nothing_behind();
    reset_at_every_point_begins_anew();
}
