//! Calls in orders that nobody expects, and callers who leave things untaken.

use std::time::Duration;

use pgpoll::conn::Readiness;
use pgpoll::engine::{Command, End, Item, Outcome, Reply};
use pgpoll::error::Family;
use testkit::script::{
    Script, Scripted, bind_complete, columns, error, notice, notification, oid, parse_complete,
    ready, row, suspended,
};
use testkit::sim::{Bench, ROOM};

use super::{LONG, answering, connected, readable, take_all};

fn params(max_rows: u32) -> Command<'static> {
    Command::Params {
        sql: b"SELECT 1",
        types: &[],
        params: &(),
        format: 0,
        max_rows,
    }
}

/// The server is asked what Parse, Bind, Describe and Execute come to.
fn asked() -> Script {
    let tags = b"PBDEH".iter();
    tags.fold(Script::new(), |script, &tag| script.expect_tag(tag))
}

/// The portal of `SELECT 1`, suspended after its first row.
fn one_row_of_a_portal() -> Vec<u8> {
    [
        parse_complete(),
        bind_complete(),
        columns(&[("?column?", oid::INT4)]),
        row(&[Some("1")]),
        suspended(),
    ]
    .concat()
}

fn outcomes(items: &[Item]) -> Vec<Outcome> {
    let done = items.iter().filter_map(|item| match &item.reply {
        Reply::Done(done) => Some(done.outcome),
        _ => None,
    });
    done.collect()
}

/// The server says nothing to what is started in a group that has failed: its end is known without a word.
#[test]
fn an_operation_in_a_group_that_has_failed_already_ends_by_itself() {
    let script = Script::trusting()
        .and(&asked())
        .send(error("ERROR", "42601", "no"));
    let server = Scripted::tcp(&[script]);
    let mut connection = connected(&server);
    connection.start(params(0), End::More).unwrap();
    connection.wait_for(Readiness::RESULT, LONG);
    assert_eq!(outcomes(&take_all(&mut connection)), [Outcome::Failed]);
    connection.start(params(0), End::More).unwrap();
    let ready = connection.wait_for(Readiness::RESULT, Some(Duration::from_secs(5)));
    assert!(ready.has_result(), "it hangs: {}", connection.inspect());
    assert_eq!(outcomes(&take_all(&mut connection)), [Outcome::Skipped]);
}

/// A portal whose group is ended already has no more rows to ask for.
#[test]
fn a_portal_is_not_continued_behind_its_sync() {
    let script = Script::trusting()
        .and(&asked())
        .send(one_row_of_a_portal())
        .expect_tag(b'S')
        .send(ready(b'I'));
    let mut bench = Bench::connected(&script);
    bench.engine.start(params(1), End::Sync).unwrap();
    bench.poll();
    while bench.engine.take().is_some() {}
    bench.engine.start(Command::Sync, End::Sync).unwrap();
    let refused = bench.engine.continue_portal(1).unwrap_err();
    assert_eq!(refused.family(), Family::Misuse);
    // Nor if another portal is begun behind the sync.
    bench.engine.start(params(1), End::Sync).unwrap();
    let refused = bench.engine.continue_portal(1).unwrap_err();
    assert_eq!(refused.family(), Family::Misuse);
    bench.poll();
    assert!(bench.engine.error().is_none(), "{}", bench.place());
}

/// A connection that is over takes nothing, and says so.
#[test]
fn a_portal_of_a_connection_that_is_over_is_not_continued() {
    let script = Script::trusting()
        .and(&asked())
        .send(one_row_of_a_portal())
        .close();
    let mut bench = Bench::connected(&script);
    bench.engine.start(params(1), End::Sync).unwrap();
    bench.poll();
    assert!(bench.engine.error().is_some());
    let refused = bench.engine.continue_portal(1).unwrap_err();
    assert!(refused.message().contains("is over"), "{refused}");
    bench.engine.flush_open_group().unwrap();
    assert!(bench.engine.output().is_empty());
}

/// What is taken makes room, whatever else is left: a notice that nobody looks at does not end the reading of
/// notifications.
#[test]
fn what_is_taken_makes_room_though_something_else_is_left() {
    let payload = "x".repeat(1000);
    let flood = notification(7, "channel", &payload).repeat(4 * ROOM.inbox / 1000);
    let script = Script::trusting().send(notice("left")).send(flood);
    let mut bench = Bench::connected(&script);
    let mut count = 0;
    loop {
        let need = bench.poll();
        let taken = std::iter::from_fn(|| bench.engine.notification()).count();
        count += taken;
        if taken == 0 {
            assert!(need.read, "reading has stopped: {}", bench.place());
            break;
        }
    }
    assert_eq!(count, 4 * ROOM.inbox / 1000);
    assert!(bench.engine.notice().is_some());
}

/// What was received by itself is not forgotten by the poll that follows: neither a result nor the end.
#[test]
fn a_poll_sees_what_was_received_before_it() {
    let server = Scripted::tcp(&[answering(1).expect_any().close()]);
    let mut connection = connected(&server);
    connection.start_query("SELECT 1").unwrap();
    connection.flush();
    readable(&connection);
    assert!(connection.consume_input() > 0);
    assert!(connection.poll().has_result(), "{}", connection.inspect());
    take_all(&mut connection);
    connection.start_query("SELECT 2").unwrap();
    connection.flush();
    readable(&connection);
    connection.consume_input();
    connection.poll();
    take_all(&mut connection);
    let error = connection.error().unwrap();
    assert!(error.message().starts_with("server closed"), "{error}");
}

/// Whoever waits for something else than what stopped the reading is not left asleep.
#[test]
fn a_wait_ends_when_nothing_can_come_before_something_is_taken() {
    let flood = notification(7, "channel", &"x".repeat(1000)).repeat(3000);
    let server = Scripted::tcp(&[Script::trusting().send(flood)]);
    let mut connection = connected(&server);
    let ready = connection.wait_for(Readiness::RESULT | Readiness::FAILED, LONG);
    assert!(
        ready.has(Readiness::NOTIFY) && !ready.wants_read(),
        "{ready:?}"
    );
    assert!(std::iter::from_fn(|| connection.take_notification()).count() > 500);
    assert!(
        connection
            .poll()
            .has(Readiness::NOTIFY | Readiness::WANT_READ)
    );
}
