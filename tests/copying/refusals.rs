//! What cannot be done in a COPY, or without one: refused in words that say what to do.

use pgpoll::engine::{Command, CopyWay, End, Engine};
use pgpoll::error::{Error, Family};
use testkit::script::{complete, copy_done, error, ready};

use crate::memory::{VAST, take_all, up};
use crate::{copying, messages, says, start};

#[track_caller]
fn misuse<T: std::fmt::Debug>(refused: Result<T, Error>) -> String {
    let refused = refused.unwrap_err();
    assert_eq!(refused.family(), Family::Misuse);
    assert!(!refused.is_would_block());
    refused.message().to_owned()
}

/// Nothing is started while there is a COPY, and nothing has changed after the refusals.
#[track_caller]
fn is_a_barrier(engine: &mut Engine) {
    let before = messages(engine);
    let why = "a COPY is under way: nothing can be started before it is done; end it, take its data, or abandon it";
    let sql = b"SELECT 1";
    for (command, end) in [
        (Command::Query { sql }, End::Sync),
        (Command::Copy { sql }, End::Sync),
        (Command::DescribeStatement { name: b"s" }, End::Sync),
        (Command::DescribeStatement { name: b"s" }, End::More),
        (Command::Sync, End::Sync),
    ] {
        assert_eq!(misuse(engine.start(command, end)), why);
    }
    assert_eq!(misuse(engine.start_shutdown(None)), why);
    assert_eq!(misuse(engine.flush_request()), why);
    assert_eq!(messages(engine), before);
    assert_eq!(engine.queued(), 1);
}

const NONE: &str =
    "no COPY takes data: start one, and put its data once the item has come that says it has begun";

#[test]
fn nothing_else_until_it_is_done() {
    let mut engine = up(VAST);
    assert_eq!(misuse(engine.copy_put(b"1")), NONE);
    assert_eq!(misuse(engine.copy_end(None)), NONE);
    assert!(engine.copy_get(9).next().is_none());
    start(&mut engine);
    assert_eq!(misuse(engine.copy_put(b"1")), NONE);
    is_a_barrier(&mut engine);
    for way in [CopyWay::In, CopyWay::Out, CopyWay::Both] {
        let mut engine = copying(way);
        is_a_barrier(&mut engine);
        if way != CopyWay::Out {
            engine.copy_end(None).unwrap();
            is_a_barrier(&mut engine);
        }
        if way != CopyWay::In {
            says(&mut engine, &copy_done());
        }
        says(&mut engine, &complete("COPY 0"));
        is_a_barrier(&mut engine);
        says(&mut engine, &ready(b'I'));
        start(&mut engine);
    }
    // An abandoned one is one until its done.
    let mut engine = copying(CopyWay::In);
    engine.abandon(0);
    is_a_barrier(&mut engine);
}

#[test]
fn a_copy_behind_an_open_group_is_refused() {
    let mut engine = up(VAST);
    let statement = Command::DescribeStatement { name: b"s" };
    engine.start(statement, End::More).unwrap();
    let refused = misuse(engine.start(Command::Copy { sql: b"COPY t" }, End::Sync));
    assert!(
        refused.starts_with("a group of operations is open: "),
        "{refused}"
    );
}

#[test]
fn what_is_put_out_of_turn() {
    let ended = "the COPY was ended: no data can be put behind its end";
    let failed = "the server has ended the COPY with an error, which is an item: take it, and put no more data";
    let given_up = "the COPY was given up: put no more data, and start it anew";

    let mut engine = copying(CopyWay::In);
    engine.copy_end(None).unwrap();
    assert_eq!(misuse(engine.copy_put(b"1")), ended);
    assert_eq!(misuse(engine.copy_end(None)), ended);
    assert_eq!(messages(&engine), [('c', 0)]);

    // Its error is an item at once, whatever is still queued; also after the done it is said to be why.
    let mut engine = copying(CopyWay::In);
    engine.copy_put(b"one\n").unwrap();
    says(&mut engine, &error("ERROR", "22P02", "no number"));
    assert_eq!(take_all(&mut engine).len(), 1);
    assert_eq!(misuse(engine.copy_put(b"1")), failed);
    says(&mut engine, &ready(b'I'));
    assert_eq!(misuse(engine.copy_put(b"1")), failed);
    assert_eq!(misuse(engine.copy_end(Some(b"why"))), failed);
    assert_eq!(messages(&engine), [('d', 4)]);

    let mut engine = copying(CopyWay::In);
    engine.abandon(0);
    assert_eq!(misuse(engine.copy_put(b"1")), given_up);
    assert_eq!(messages(&engine)[0].0, 'f');

    let mut engine = copying(CopyWay::Out);
    assert_eq!(
        misuse(engine.copy_put(b"1")),
        "the COPY is one TO STDOUT: its data is taken, and none can be put"
    );
    assert_eq!(
        misuse(engine.copy_end(None)),
        "a COPY TO STDOUT ends with its data: take all of it, or abandon the operation (conn_abandon)"
    );

    let mut engine = copying(CopyWay::Both);
    assert_eq!(
        misuse(engine.copy_end(Some(b"why"))),
        "a COPY in both directions has no end with an error: end it without one, or abandon the operation (conn_abandon)"
    );
    says(&mut engine, &copy_done());
    assert_eq!(
        misuse(engine.copy_put(b"1")),
        "the server has ended the COPY: take its items, and put no more data"
    );
    assert_eq!(messages(&engine), [('c', 0)]);

    let mut engine = copying(CopyWay::In);
    engine.end(Error::transport("the cable was cut"));
    let over = "the connection is over: the cable was cut; open or reset one";
    assert_eq!(misuse(engine.copy_put(b"1")), over);
    assert_eq!(misuse(engine.copy_end(None)), over);
}

#[test]
fn a_reason_is_a_text_without_nul() {
    let mut engine = copying(CopyWay::In);
    let refused = misuse(engine.copy_end(Some(b"a\0b")));
    assert_eq!(
        refused,
        "cannot send CopyFail message: reason: contains a NUL byte"
    );
    assert!(messages(&engine).is_empty());
    engine.copy_put(b"1\n").unwrap();
    engine.copy_end(Some(b"a b")).unwrap();
    assert_eq!(messages(&engine), [('d', 2), ('f', 4)]);
}
