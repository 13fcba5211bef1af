//! The traps that need no socket, each by its number and title.

use pgpoll::engine::{Command, End};
use testkit::script::{
    Script, columns, complete, framed, notification, oid, ready, row, sessions, with_length,
};
use testkit::sim::{Act, Bench, Chunks, Pace, Session, What, closed};

use super::{is_done, one_row, start};

/// Trap 8, Pending without any registered interest: the bench asserts after every advance of every replay that there is
/// something to wait for, to do or to take; here at every byte of a session with the smallest budget.
#[test]
fn trap_8_pending_without_any_registered_interest() {
    let session = sessions::named("a group with an error in the middle, interrupted");
    let seen = session.replay(Pace {
        inbound: Chunks::Of(1),
        outbound: Chunks::Of(1),
        budget: 1,
        lazy: true,
        ..Pace::default()
    });
    assert!(seen.finished, "{}", seen.place);
}

/// Trap 10, state changed before a yield runs twice on re-entry: entering four times at every byte gives what entering once
/// gives.
#[test]
fn trap_10_state_changed_before_a_yield_runs_twice_on_re_entry() {
    for session in sessions::all() {
        let whole = session.replay(Pace::default());
        if whole.received > 4000 {
            continue;
        }
        for budget in [1, 512 * 1024] {
            let seen = session.replay(Pace {
                inbound: Chunks::Of(1),
                budget,
                spurious: 3,
                ..Pace::default()
            });
            assert_eq!(seen.seen(), whole.seen(), "{}", session.name);
        }
    }
}

/// Trap 15, head-of-line stall by an unread stream: the second operation waits for the rows of the first; the poll says
/// RESULT and no READ, so nobody sleeps.
#[test]
fn trap_15_head_of_line_stall_by_an_unread_stream() {
    let mut script = Script::trusting()
        .query("TABLE many")
        .query("SELECT 1")
        .send(columns(&[("a", oid::TEXT)]));
    for _ in 0..3000 {
        script = script.send(row(&[Some("value")]));
    }
    let script = script
        .send(complete("SELECT 3000"))
        .send(ready(b'I'))
        .send(one_row());
    let mut bench = Bench::connected(&script);
    bench.engine.set_limits(pgpoll::rows::Limits {
        rows: 1,
        bytes: usize::MAX,
    });
    start(&mut bench, "TABLE many");
    start(&mut bench, "SELECT 1");
    for _ in 0..10 {
        let need = bench.poll();
        assert!(!need.read && !need.runnable, "{need:?}");
        assert!(bench.engine.has_item());
    }
    assert!(
        bench
            .engine
            .inspect(bench.now)
            .contains("results to be taken")
    );
    let mut done = 0;
    while done < 2 {
        bench.poll();
        let item = bench.engine.take().unwrap();
        done += usize::from(is_done(&item));
    }
}

/// Trap 25, a hostile server with negative or huge lengths: more of these are in the tests of hostile servers.
#[test]
fn trap_25_negative_or_huge_lengths() {
    for length in [0, 3, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        let script = Script::trusting()
            .query("SELECT 1")
            .send(with_length(b'D', length, b""));
        let acts = vec![Act::Start(What::Query(String::from("SELECT 1"))), Act::Wait];
        let seen = Session::new("lengths", script, acts).replay(Pace::default());
        let error = seen.error.unwrap();
        assert!(
            error
                .message()
                .starts_with("lost synchronization with server"),
            "{error}"
        );
    }
}

/// Trap 29, a message is already buffered when the host starts to watch: a notification in the same packet as
/// ReadyForQuery is there after the same poll.
#[test]
fn trap_29_a_message_is_already_buffered_when_the_host_starts_to_watch() {
    let script = Script::trusting()
        .query("LISTEN channel")
        .send(
            [
                complete("LISTEN"),
                ready(b'I'),
                notification(9, "channel", ""),
            ]
            .concat(),
        )
        .query("SELECT 1")
        .send(
            [
                one_row(),
                notification(9, "channel", ""),
                framed(b'A', b"\0\0\0\x09c\0p\0"),
            ]
            .concat(),
        );
    let mut bench = Bench::connected(&script);
    for (sql, notifications) in [("LISTEN channel", 1), ("SELECT 1", 2)] {
        start(&mut bench, sql);
        bench.poll();
        while bench.engine.take().is_some() {}
        assert!(bench.engine.has_mail().1);
        let count = std::iter::from_fn(|| bench.engine.notification()).count();
        assert_eq!(count, notifications);
    }
}

/// Trap 31, a rollback is queued but never sent: what is queued wants WRITE until the last byte has gone, and goes with
/// the next poll, whoever waits for what.
#[test]
fn trap_31_a_rollback_is_queued_but_never_sent() {
    let script = Script::trusting()
        .query("ROLLBACK")
        .send(complete("ROLLBACK"))
        .send(ready(b'I'));
    let mut bench = Bench::connected(&script);
    let rollback = Command::Query { sql: b"ROLLBACK" };
    bench.pace.outbound = Chunks::Of(0);
    bench.engine.start(rollback, End::Sync).unwrap();
    assert!(bench.engine.need().write);
    assert!(bench.poll().write);
    bench.pace.outbound = Chunks::Of(1);
    bench.poll();
    assert!(!bench.engine.need().write);
    assert!(
        std::iter::from_fn(|| bench.engine.take())
            .last()
            .is_some_and(|item| is_done(&item))
    );
    // Lost, it wants nothing any more.
    bench.pace.outbound = Chunks::Of(0);
    bench.engine.start(rollback, End::Sync).unwrap();
    bench.engine.lost(closed());
    bench.poll();
    assert_eq!(bench.engine.need(), pgpoll::engine::Need::default());
}
