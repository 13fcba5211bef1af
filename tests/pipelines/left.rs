//! Answers that are left in the input until they are taken: what comes behind them comes behind them, and nothing of it is lost.

use pgpoll::conn::Connection;
use pgpoll::engine::{Item, Reply, Verdict};
use testkit::script::{
    auth_ok, backend_key, columns, complete, error, notice, notification, parameter, ready, row,
};

const INT4: u32 = 23;

/// A connection whose operations were all answered, except that what follows them is still to come.
fn answered(operations: usize) -> Connection {
    let mut connection = Connection::open_stream("host=localhost user=u sslmode=disable");
    connection.engine_mut().leave_answers(true);
    connection.poll();
    let greeting = [
        auth_ok(),
        parameter("server_version", "18.6"),
        backend_key(1, b"key!"),
        ready(b'I'),
    ];
    say(&mut connection, &greeting.concat());
    for number in 0..operations {
        connection.start_query(format!("select {number}")).unwrap();
    }
    connection.poll();
    connection.taken(connection.output().len());
    for number in 0..operations {
        feed(&mut connection, &answer(number));
    }
    connection
}

fn answer(number: usize) -> Vec<u8> {
    let value = number.to_string();
    let messages = [
        columns(&[("n", INT4)]),
        row(&[Some(&value)]),
        complete("SELECT 1"),
        ready(b'I'),
    ];
    messages.concat()
}

fn feed(connection: &mut Connection, bytes: &[u8]) {
    assert_eq!(connection.feed(bytes), bytes.len());
}

fn say(connection: &mut Connection, bytes: &[u8]) {
    connection.taken(connection.output().len());
    feed(connection, bytes);
    connection.poll();
}

/// What is taken now: of rows their first value.
fn taken(connection: &mut Connection) -> Vec<(u64, String)> {
    let word = |item: &Item| match &item.reply {
        Reply::Rows(batch) => String::from_utf8_lossy(batch.value(0, 0).unwrap()).into_owned(),
        Reply::Complete(tag) => String::from_utf8_lossy(tag.as_bytes()).into_owned(),
        Reply::Done(done) => format!("{:?} {:?}", done.outcome, done.verdict),
        Reply::Error(error) => error.message().to_owned(),
        other => format!("{other:?}"),
    };
    std::iter::from_fn(|| connection.take())
        .map(|item| (item.operation, word(&item)))
        .collect()
}

fn whole(operations: std::ops::Range<u64>) -> Vec<(u64, String)> {
    let of = |id: u64| {
        let words = [(id - 1).to_string(), "SELECT 1".into(), "Ok Clean".into()];
        words.map(|word| (id, word))
    };
    operations.flat_map(of).collect()
}

#[test]
fn the_loss_of_the_connection_comes_behind_them() {
    let mut connection = answered(20);
    feed(&mut connection, &error("FATAL", "57P01", "going down"));
    connection.feed_eof();
    for _ in 0..3 {
        assert!(!connection.poll().is_failed());
    }
    assert_eq!(taken(&mut connection), whole(1..21));
    connection.poll();
    let why = connection.error().unwrap();
    assert!(why.message().contains("going down"), "{why}");
}

#[test]
fn an_operation_that_is_not_answered_is_lost_behind_them() {
    let mut connection = answered(5);
    let last = connection.start_query("select 'never'").unwrap();
    connection.poll();
    connection.taken(connection.output().len());
    connection.feed_eof();
    connection.poll();
    let mut seen = taken(&mut connection);
    connection.poll();
    seen.extend(taken(&mut connection));
    let lost = seen.split_off(15);
    assert_eq!(seen, whole(1..6));
    assert_eq!(lost.last().unwrap().0, last);
    assert!(
        lost.last()
            .unwrap()
            .1
            .ends_with(&format!("{:?}", Verdict::Lost)),
        "{lost:?}"
    );
}

#[test]
fn notices_and_notifications_come_behind_them() {
    let mut connection = answered(20);
    feed(&mut connection, &notice("mind the gap"));
    feed(&mut connection, &notification(7, "news", "now"));
    connection.poll();
    assert_eq!(taken(&mut connection), whole(1..21));
    let ready = connection.poll();
    assert!(ready.is_idle(), "{ready:?}");
    let notification = connection.take_notification().unwrap();
    assert_eq!(notification.channel(), b"news");
    assert!(connection.take_notice().is_some());
}

#[test]
fn one_that_is_given_up_gives_its_done_alone() {
    let mut connection = answered(20);
    connection.poll();
    assert!(connection.engine().queued() > 10, "they are left there");
    assert!(connection.abandon(15));
    let mut seen = taken(&mut connection);
    connection.poll();
    seen.extend(taken(&mut connection));
    assert!(connection.poll().is_idle());
    let of_it: Vec<_> = seen.iter().filter(|(id, _)| *id == 15).collect();
    assert_eq!(of_it.len(), 1, "{seen:?}");
    seen.retain(|(id, _)| *id != 15);
    assert_eq!(seen, [whole(1..15), whole(16..21)].concat());
}

#[test]
fn a_deadline_that_is_set_later_is_that_of_later_operations() {
    let mut connection = answered(20);
    connection.poll();
    connection.set_timeout(Some(std::time::Duration::from_nanos(1)));
    connection.poll();
    assert_eq!(taken(&mut connection), whole(1..21));
}
