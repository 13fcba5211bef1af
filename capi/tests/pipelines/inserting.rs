//! More operations than fit into the socket, in one group, started while the answers to the first ones are read.

use std::collections::VecDeque;
use std::ptr;

use pgpoll_capi::*;

use crate::session::{Session, c};
use crate::{more, sync};

const ROWS: i32 = 700;
/// Small, so that it is full again and again.
const QUEUE: usize = 4096;

/// Starts an execution with two values in the open group; `None` when too much is queued.
fn insert(session: &Session, name: &str, values: [String; 2]) -> Option<u64> {
    let values = values.map(|value| c(&value));
    let pointers = [values[0].as_ptr(), values[1].as_ptr()];
    let (name, none) = (c(name), ptr::null());
    // SAFETY: an open connection, C strings, arrays of two.
    let operation = unsafe {
        conn_start_prepared(
            session.0,
            name.as_ptr(),
            2,
            pointers.as_ptr(),
            none,
            none,
            0,
            0,
            CONN_MORE,
        )
    };
    if operation == 0 {
        assert_eq!(session.error().unwrap().0, CONN_ERROR_WOULD_BLOCK);
        return None;
    }
    Some(operation)
}

fn prepare(session: &Session, name: &str, sql: &str, types: [u32; 2], flags: u32) -> u64 {
    let (name, sql) = (c(name), c(sql));
    // SAFETY: an open connection, C strings, an array of two.
    unsafe {
        let (name, sql) = (name.as_ptr(), sql.as_ptr());
        conn_start_prepare(session.0, name, sql, 2, types.as_ptr(), flags)
    }
}

/// A turn of the loop: polls, and waits for whatever there is; whether there is room for more.
fn turn(session: &Session) -> bool {
    // SAFETY: an open connection.
    let bits = unsafe { conn_wait(session.0, 60_000) };
    assert_eq!(bits & CONN_FAILED, 0, "{:?}", session.error());
    assert_ne!(bits & (CONN_RESULT | CONN_ROOM | CONN_IDLE), 0, "a hang");
    bits & CONN_ROOM != 0
}

pub(crate) fn pipelined_insert(session: &Session) {
    // SAFETY: an open connection.
    unsafe { conn_set_send_queue(session.0, QUEUE) };
    let mut expected = VecDeque::from([
        (more(session, "BEGIN TRANSACTION"), "BEGIN 0"),
        (
            more(session, "DROP TABLE IF EXISTS pq_pipeline_demo"),
            "DROP TABLE 0",
        ),
        (
            more(
                session,
                "CREATE UNLOGGED TABLE pq_pipeline_demo(id serial primary key, itemno integer,int8filler int8);",
            ),
            "CREATE TABLE 0",
        ),
    ]);
    let sql = "INSERT INTO pq_pipeline_demo(itemno,int8filler) VALUES ($1, $2)";
    let prepared = prepare(session, "my_insert", sql, [23, 20], CONN_MORE);
    expected.push_back((prepared, "(23,20) -> "));
    let (mut to_send, mut refusals, mut room) = (ROWS, 0, true);
    let mut end = None;
    loop {
        while room && to_send > 0 {
            let values = [to_send.to_string(), (1_i64 << 62).to_string()];
            match insert(session, "my_insert", values) {
                Some(operation) => {
                    expected.push_back((operation, "INSERT 0 1 1"));
                    to_send -= 1;
                }
                None => (refusals, room) = (refusals + 1, false),
            }
        }
        if to_send == 0 && end.is_none() {
            // SAFETY: as above.
            unsafe { conn_set_send_queue(session.0, 0) };
            expected.push_back((more(session, "COMMIT"), "COMMIT 0"));
            end = Some(sync(session));
        }
        while let Some(item) = session.try_next() {
            if end == Some(item.operation) {
                assert_eq!(item.words(), "done 1 1 1");
                assert!(expected.is_empty(), "{expected:?}");
                assert!(refusals > 3, "the queue was never full");
                let count = "select count(*) from pq_pipeline_demo";
                assert_eq!(session.query(count)[0], format!("count: {ROWS}"));
                return;
            }
            let &(operation, words) = expected.front().unwrap();
            assert_eq!(item.operation, operation);
            if item.kind == CONN_ITEM_DONE {
                assert_eq!(item.outcome, CONN_OUTCOME_OK);
                expected.pop_front();
            } else {
                assert_eq!(item.words(), words);
            }
        }
        room |= turn(session);
    }
}

/// One of many fails: those before it give their rows, those behind it say that they were skipped, also those that are
/// started when the error is known.
pub(crate) fn unique_violation(session: &Session) {
    session.query(
        "drop table if exists ppln_uniqviol;create table ppln_uniqviol(id bigint primary key, idata bigint)",
    );
    session.query("begin");
    let sql = "insert into ppln_uniqviol values ($1, $2) returning id";
    let prepared = prepare(session, "insertion", sql, [20, 20], 0);
    session.finish(prepared);
    // SAFETY: an open connection.
    unsafe { conn_set_send_queue(session.0, QUEUE) };
    let mut started = VecDeque::new();
    let (mut number, mut rounds, mut wrong, mut room) = (0, 0, None, true);
    let (mut rows, mut errors, mut skipped, mut late) = (0, 0, 0, None);
    loop {
        while room && late.is_none() {
            let id = match (rounds, wrong) {
                (3, None) => number / 2,
                _ => number,
            };
            match insert(session, "insertion", [id.to_string(), "42".into()]) {
                Some(operation) => {
                    if id != number {
                        wrong = Some(operation);
                    }
                    if errors > 0 {
                        late = Some(operation);
                    }
                    number += i32::from(id == number);
                    started.push_back((operation, id));
                }
                None => (rounds, room) = (rounds + 1, false),
            }
        }
        while let Some(item) = session.try_next() {
            let &(operation, id) = started.front().unwrap();
            assert_eq!(item.operation, operation);
            match item.kind {
                CONN_ITEM_ROWS => {
                    assert_eq!(item.words(), format!("id: {id}"));
                    rows += 1;
                }
                CONN_ITEM_ERROR => {
                    assert_eq!(Some(operation), wrong);
                    assert!(item.words().starts_with("23505 "), "{}", item.words());
                    errors += 1;
                }
                CONN_ITEM_SKIPPED => skipped += 1,
                CONN_ITEM_COMPLETE => assert_eq!(item.words(), "INSERT 0 1 1"),
                CONN_ITEM_DONE => {
                    let outcome = match wrong {
                        Some(wrong) if operation > wrong => CONN_OUTCOME_SKIPPED,
                        Some(wrong) if operation == wrong => CONN_OUTCOME_FAILED,
                        _ => CONN_OUTCOME_OK,
                    };
                    assert_eq!(item.outcome, outcome);
                    started.pop_front();
                }
                _ => panic!("{}", item.words()),
            }
        }
        if late.is_some() && started.is_empty() {
            break;
        }
        room |= turn(session);
    }
    let wrong = started.len() as u64 + wrong.unwrap();
    assert_eq!(errors, 1);
    assert_eq!(skipped, late.unwrap() - wrong);
    assert_eq!(rows, wrong - prepared - 1);
    let end = sync(session);
    assert_eq!(session.finish_in_words(end), ["done 1 3 2"]);
    assert_eq!(session.query("rollback"), ["ROLLBACK 0", "done 1 1 1"]);
}
