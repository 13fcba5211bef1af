//! Trap 28, threads: a connection goes from one thread to another between any two calls.

use std::thread;

use crate::standstill::{Stand, every};

/// Does something with a value in a thread of its own, and hands the value back.
fn elsewhere<T: Send, U: Send>(value: T, work: impl FnOnce(T) -> U + Send) -> U {
    thread::scope(|scope| scope.spawn(move || work(value)).join().unwrap())
}

#[test]
fn a_connection_moves_between_threads_at_every_point() {
    thread::scope(|scope| {
        for point in every() {
            scope.spawn(move || {
                let stand = elsewhere(point, |point| Stand::at(point, ""));
                let stand = elsewhere(stand, |mut stand| {
                    stand.conn.poll();
                    stand
                });
                let stand = elsewhere(stand, |mut stand| {
                    assert!(!stand.conn.poll().is_failed());
                    assert_eq!(stand.conn.facts().phase(), stand.point.phase);
                    stand
                });
                let played = elsewhere(stand, Stand::end_well);
                assert!(played.is_over, "{}", point.name);
            });
        }
    });
}

/// One thread connects, another polls once, and so on: no thread sees two polls in a row.
#[test]
fn every_poll_in_another_thread() {
    for point in every() {
        let mut stand = Stand::at(point, "");
        stand.peer.go_on();
        let mut polls = 0;
        loop {
            stand = elsewhere(stand, |mut stand| {
                stand.conn.poll();
                while let Some(item) = stand.conn.take() {
                    drop(item);
                }
                stand
            });
            polls += 1;
            assert!(stand.conn.error().is_none(), "{:?}", stand.conn.error());
            assert!(polls < 100_000, "asleep: {}", stand.conn.inspect());
            if stand.conn.facts().is_ready() && stand.conn.engine().queued() == 0 {
                break;
            }
            stand.conn.wait_for(0, Some(std::time::Duration::ZERO));
        }
        let played = elsewhere(stand, Stand::finish_well);
        assert!(played.is_over, "{}", point.name);
    }
}
