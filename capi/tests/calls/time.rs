//! Time limits of operations, giving them up, and the end in good order.

use std::ptr;

use pgpoll_capi::*;

use crate::session::{Session, text};

/// The error of the operation's timeout, then its done in words.
fn finish_late(session: &Session, operation: u64) -> (String, Vec<String>) {
    let words = session.finish_in_words(operation);
    (words[0].clone(), words[1..].to_vec())
}

#[test]
fn what_is_late_is_cancelled_and_the_verdict_says_what_is_left() {
    let session = Session::open();
    // SAFETY: an open connection.
    unsafe {
        conn_set_timeout_ms(session.0, 100);
        let operation = session.start("select pg_sleep(100)");
        assert_eq!(
            conn_deadline_ms(session.0),
            -1,
            "it counts from the first poll"
        );
        conn_poll(session.0);
        assert!((0..=100).contains(&conn_deadline_ms(session.0)));
        let (error, done) = finish_late(&session, operation);
        assert_eq!(
            error,
            "57014 timeout expired: query not done within 100 ms; it is being cancelled"
        );
        assert_eq!(done, ["done 2 1 1"]);
        conn_set_timeout_ms(session.0, 0);
        session.query("begin");
        conn_set_timeout_ms(session.0, 100);
        let operation = session.start("select pg_sleep(100)");
        assert_eq!(finish_late(&session, operation).1, ["done 2 3 2"]);
        conn_set_timeout_ms(session.0, -1);
        session.query("rollback");
        assert_eq!(session.query("select 1 as n")[0], "n: 1");
    }
}

#[test]
fn a_server_that_does_not_stop_in_time_is_given_up() {
    let session = Session::open();
    // SAFETY: an open connection.
    unsafe {
        conn_set_timeout_ms(session.0, 50);
        conn_set_cancel_timeout_ms(session.0, 300);
        // It takes no notice of a cancel before it is over.
        let operation = session.start(
            "do $$ begin begin perform pg_sleep(2); exception when query_canceled then perform pg_sleep(2); end; end $$",
        );
        assert_eq!(finish_late(&session, operation).1, ["done 2 1 3"]);
        assert_ne!(conn_wait(session.0, 10_000) & CONN_FAILED, 0);
        let error = text(conn_error_message(conn_error(session.0))).unwrap();
        assert!(
            error.starts_with("timeout expired: the server did not end"),
            "{error}"
        );
        conn_set_cancel_timeout_ms(session.0, -1);
    }
}

/// What has arrived and was not taken is dropped with it, and the done says so: an empty result would be taken for the answer.
#[test]
fn what_is_abandoned_after_the_server_has_done_it_is_discarded() {
    let session = Session::open();
    for sql in ["select 1", "begin; commit", "select 1/0"] {
        let operation = session.start(sql);
        // SAFETY: the connection is open.
        unsafe {
            while conn_poll(session.0) & CONN_RESULT == 0 {}
            assert_eq!(conn_abandon(session.0, operation), 1);
        }
        let outcome = if sql == "select 1/0" { 2 } else { 4 };
        assert_eq!(
            session.finish_in_words(operation),
            [format!("done {outcome} 1 1")]
        );
    }
    assert_eq!(session.query("select 1 as n")[0], "n: 1");
}

#[test]
fn abandoned_operations_give_their_done_alone() {
    let session = Session::open();
    let first = session.start("select pg_sleep(100)");
    let second = session.start("select 1");
    // SAFETY: an open connection; NULL is allowed.
    unsafe {
        conn_poll(session.0);
        assert_eq!(conn_abandon(session.0, 0), 1);
        assert_eq!(conn_deadline_ms(session.0), 0, "there is something to do");
        assert_eq!(session.finish_in_words(first), ["done 2 1 1"]);
        let second = session.finish_in_words(second);
        assert!(
            ["done 2 1 1", "done 4 1 1"].contains(&second[0].as_str()),
            "{second:?}"
        );
        assert_eq!(conn_abandon(session.0, first), 0, "its done was taken");
        assert_eq!(conn_abandon(ptr::null_mut(), 1), 0);
    }
    assert_eq!(session.query("select 1 as n")[0], "n: 1");
}

#[test]
fn a_shutdown_is_an_operation() {
    let session = Session::open();
    let query = session.start("select 1 as n");
    // SAFETY: an open connection.
    unsafe {
        let shutdown = conn_start_shutdown(session.0, 10_000);
        assert_ne!(shutdown, 0);
        assert_eq!(conn_start_shutdown(session.0, -1), 0);
        assert_eq!(session.error().unwrap().0, CONN_ERROR_MISUSE);
        assert_eq!(session.finish_in_words(query)[0], "n: 1");
        assert_eq!(session.finish_in_words(shutdown), ["done 1 1 3"]);
        assert_ne!(conn_wait(session.0, 10_000) & CONN_FAILED, 0);
    }
}

#[test]
fn the_request_to_cancel_can_be_carried_by_hand() {
    let session = Session::open();
    // SAFETY: open handles.
    unsafe {
        let cancel = conn_cancel_open(session.0);
        let mut len = 0;
        let packet = conn_cancel_packet(cancel, &mut len).cast::<u8>();
        let packet = std::slice::from_raw_parts(packet, len);
        assert_eq!(packet[..8], [0, 0, 0, len as u8, 4, 210, 22, 46]);
        let pid = conn_backend_pid(session.0) as u32;
        assert_eq!(packet[8..12], pid.to_be_bytes());
        assert!(conn_cancel_packet(cancel, ptr::null_mut()).is_null());
        assert!(!conn_cancel_error(cancel).is_null());
        conn_cancel_close(cancel);
    }
}
