//! On the real clock, with sockets and a resolver that hangs, by a loop that does what `conn_deadline_ms` says and no more.

use std::time::{Duration, Instant};

use pgpoll::conn::{Connection, Readiness};

use crate::standstill::{Point, Stand, Where, connecting, every};
use crate::{TIMEOUT, check, sleep};

/// Sleeps as a caller's loop does; the time from the beginning to the end, and how often it woke.
fn until_over(conn: &mut Connection, begun: Instant) -> (Duration, u32) {
    for wakes in 0.. {
        let ready = conn.poll();
        while conn.take().is_some() {}
        if ready.is_failed() {
            return (begun.elapsed(), wakes);
        }
        let told = conn.deadline_ms();
        let told = told.unwrap_or_else(|| panic!("no deadline: {}", conn.inspect()));
        assert!(u128::from(told) <= TIMEOUT.as_millis(), "{told} ms");
        assert!(ready.has(Readiness::WANT_READ | Readiness::WANT_WRITE));
        sleep(conn.socket(), ready.wants_read(), ready.wants_write(), told);
    }
    unreachable!("the loop has no end")
}

fn black_hole(point: &'static Point) {
    let mut stand = Stand::at(point, "connect_timeout=1");
    let (took, wakes) = until_over(&mut stand.conn, stand.begun);
    let error = stand.conn.error().unwrap();
    assert!(error.message().ends_with(": timeout expired"), "{error}");
    check(point.name, took, wakes);
}

#[test]
fn connecting_ends_at_its_deadline() {
    std::thread::scope(|scope| {
        for point in connecting() {
            scope.spawn(|| black_hole(point));
        }
    });
}

/// Without a deadline nothing ends by itself, and the loop is not woken for nothing.
#[test]
fn without_a_deadline_it_waits_quietly() {
    // A request to cancel always has one.
    let quiet = every()
        .iter()
        .filter(|point| point.place != Where::Cancelling);
    for point in quiet {
        let mut stand = Stand::at(point, "");
        assert_eq!(stand.conn.deadline_ms(), None, "{}", point.name);
        let begun = Instant::now();
        let ready = stand.conn.poll();
        sleep(
            stand.conn.socket(),
            ready.wants_read(),
            ready.wants_write(),
            20,
        );
        assert!(
            begun.elapsed() >= Duration::from_millis(20),
            "{}",
            point.name
        );
        assert!(stand.conn.error().is_none());
    }
}

/// The standstill itself is no loss: what was under way at each point ends well when the peer goes on.
#[test]
fn a_peer_that_goes_on_is_as_good_as_before() {
    std::thread::scope(|scope| {
        for point in every() {
            scope.spawn(|| {
                let played = Stand::at(point, "connect_timeout=20").end_well();
                assert!(played.is_over, "{}", point.name);
            });
        }
    });
}
