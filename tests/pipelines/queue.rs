//! The send queue: what is refused when too much is queued, and when there is room again. Bytes are carried by the test.

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::{Command, End, Reply};
use pgpoll::error::Family;
use pgpoll::wire::Parameters;
use testkit::script::{columns, parameters, parse_complete};

use crate::memory::{complete, ready, welcome};

/// A query of so many bytes on the wire.
fn query(bytes: usize) -> String {
    "x".repeat(bytes - 6)
}

/// A connection that is up, over bytes.
fn up() -> Connection {
    let mut connection = Connection::open_stream("user=tester sslmode=disable");
    connection.poll();
    carry(&mut connection, usize::MAX);
    assert_eq!(connection.feed(&welcome()), welcome().len());
    assert!(connection.poll().is_idle());
    connection
}

/// Carries up to `most` bytes away, with the polls between; what the last poll said, and how often one spoke of room.
fn carry(connection: &mut Connection, most: usize) -> (Readiness, usize) {
    let (mut carried, mut told) = (0, 0);
    loop {
        let here = connection.output().len().min(most - carried);
        connection.taken(here);
        carried += here;
        let ready = connection.poll();
        told += usize::from(ready.has(Readiness::ROOM));
        if carried == most || connection.output().is_empty() {
            return (ready, told);
        }
    }
}

#[test]
fn what_is_too_much_is_refused_and_room_is_told_once() {
    let mut connection = up();
    connection.set_send_queue(1_000_000);
    for _ in 0..10 {
        connection.start_query(query(100_000)).unwrap();
    }
    for _ in 0..3 {
        let error = connection.start_query("select 1").unwrap_err();
        assert!(error.is_would_block() && error.is_safe_to_retry());
        assert_eq!(
            error.message(),
            "too much is queued and not sent: poll until some of it is sent, then start more"
        );
        assert!(connection.sync().unwrap_err().is_would_block());
    }
    // Something is sent, and one more fits; it is told of when half of it is free.
    let (ready, told) = carry(&mut connection, 100_000);
    assert_eq!((ready.has(Readiness::ROOM), told), (false, 0));
    connection.start_query(query(100_000)).unwrap();
    let mut told = 0;
    while told == 0 {
        assert!(connection.engine().unsent() > 500_000);
        told += carry(&mut connection, 10_000).1;
    }
    assert!(connection.engine().unsent() <= 500_000);
    assert_eq!(carry(&mut connection, usize::MAX).1, 0, "told twice");
    assert_eq!(connection.engine().unsent(), 0);
    // Nothing is refused, nothing is told.
    connection.start_query(query(900_000)).unwrap();
    assert_eq!(carry(&mut connection, usize::MAX).1, 0);
}

#[test]
fn one_operation_may_be_larger_than_the_queue() {
    let mut connection = up();
    connection.set_send_queue(1000);
    connection.start_query(query(999)).unwrap();
    connection.start_query(query(1_000_000)).unwrap();
    assert!(connection.start_query(query(7)).is_err());
    assert_eq!(connection.engine().unsent(), 1_000_999);
    assert_eq!(carry(&mut connection, usize::MAX).1, 1);
}

#[test]
fn a_queue_of_one_byte_takes_one_operation_at_a_time() {
    let mut connection = up();
    connection.set_send_queue(1);
    for _ in 0..5 {
        connection.start_query("select 1").unwrap();
        assert!(connection.start_query("select 2").is_err());
        assert_eq!(carry(&mut connection, usize::MAX).1, 1);
    }
    // The default is a queue that takes many.
    connection.set_send_queue(0);
    for _ in 0..160 {
        connection.start_query(query(100_000)).unwrap();
    }
}

/// Operations cost memory until they are done, whether they are sent or not.
#[test]
fn operations_started_and_not_done_are_counted() {
    const MOST: usize = 256 * 1024;
    let mut connection = up();
    for _ in 0..MOST {
        connection.sync().unwrap();
    }
    let error = connection.sync().unwrap_err();
    assert!(error.is_would_block());
    assert!(error.message().starts_with("too many operations"));
    // All of it is sent, and still nothing is done.
    assert_eq!(carry(&mut connection, usize::MAX).1, 0);
    assert!(connection.sync().unwrap_err().is_would_block());
    let mut answer = Vec::new();
    ready(&mut answer);
    let (mut done, mut told) = (0, 0);
    while done < MOST {
        if done + connection.engine().queued() == MOST {
            connection.feed(&answer.repeat(256));
        }
        told += usize::from(connection.poll().has(Readiness::ROOM));
        while let Some(item) = connection.take() {
            assert!(matches!(item.reply, Reply::Done(_)));
            done += 1;
        }
        assert_eq!(told, usize::from(connection.engine().queued() <= MOST / 2));
    }
    assert_eq!(told, 1);
}

/// Whoever starts is told; what was refused has left nothing behind.
#[test]
fn what_was_refused_has_left_nothing_behind() {
    let mut connection = up();
    connection.set_send_queue(100);
    let first = connection.start_query(query(200)).unwrap();
    let command = Command::Params {
        sql: b"select $1",
        types: &[],
        params: &[Some(&b"value"[..])],
        format: 0,
        max_rows: 0,
    };
    let error = connection.start(command, End::More).unwrap_err();
    assert_eq!(error.family(), Family::Misuse);
    assert!(!connection.engine().has_open_group());
    carry(&mut connection, usize::MAX);
    let mut answer = Vec::new();
    complete(&mut answer, "SELECT 0");
    ready(&mut answer);
    connection.feed(&answer);
    assert!(connection.poll().has_result());
    assert_eq!(connection.take().unwrap().operation, first);
    assert_eq!(connection.take().unwrap().operation, first);
    assert!(connection.poll().is_idle());
    assert_eq!(connection.start_query("select 1").unwrap(), first + 1);
}

/// The caller's own parameters, of which there are none from the fourth execution on.
struct Number(usize);

impl Parameters for Number {
    fn len(&self) -> usize {
        1
    }

    fn value(&self, _: usize) -> Option<&[u8]> {
        Some([&b"1"[..], b"2", b"3"][self.0])
    }
}

/// A panic among many executions leaves those before it started, in a group that is open, and nothing of its own.
#[test]
fn a_panic_among_many_leaves_those_before_it() {
    let mut connection = up();
    connection
        .start_prepare("s", "select $1::int", &[])
        .unwrap();
    carry(&mut connection, usize::MAX);
    let described = [parse_complete(), parameters(&[23]), columns(&[("n", 23)])];
    let mut replies = described.concat();
    ready(&mut replies);
    assert_eq!(connection.feed(&replies), replies.len());
    connection.poll();
    let first = std::iter::from_fn(|| connection.take())
        .last()
        .unwrap()
        .operation
        + 1;
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        connection.start_prepared_many(b"s", 10, Number, 0, End::Sync, false)
    }));
    assert!(panicked.is_err());
    assert_eq!(connection.sync().unwrap(), first + 3);
    connection.poll();
    let sent = connection.output().to_vec();
    let tags = |tag: u8| sent.iter().filter(|&&byte| byte == tag).count();
    assert_eq!((tags(b'B'), tags(b'E'), tags(b'S')), (3, 3, 1), "{sent:?}");
    assert_eq!(sent.last_chunk(), Some(b"S\0\0\0\x04"));
}
