//! Calls that come out of turn: each is refused in words that say what to do instead, and leaves nothing behind.

use std::ptr;

use pgpoll_capi::*;
use testkit::shared;

use crate::session::{Session, c};
use crate::{OK, OPEN, more, sync};

/// Every call that starts, continues or ends operations but some is refused in these words.
fn refused(session: &Session, but: &[&str], words: &str) {
    let (sql, name) = (c("select 1 as n"), c("s"));
    let (conn, sql, name) = (session.0, sql.as_ptr(), name.as_ptr());
    let (none, nothing, types) = (ptr::null(), ptr::null(), ptr::null());
    // SAFETY: an open connection, C strings, no parameters.
    let call = |call: &str| unsafe {
        match call {
            "query" => conn_start_query(conn, sql),
            "copy" => conn_start_copy(conn, sql),
            "params" => conn_start_query_params(conn, sql, 0, types, nothing, none, none, 0, 0, 0),
            "more" => {
                conn_start_query_params(conn, sql, 0, types, nothing, none, none, 0, 0, CONN_MORE)
            }
            "prepare" => conn_start_prepare(conn, name, sql, 0, types, 0),
            "prepared" => conn_start_prepared(conn, name, 0, nothing, none, none, 0, 0, 0),
            "describe" => conn_start_describe_statement(conn, name, 0),
            "describe portal" => conn_start_describe_portal(conn, name, 0),
            "close" => conn_start_close_statement(conn, name, 0),
            "close portal" => conn_start_close_portal(conn, name, 0),
            "shutdown" => conn_start_shutdown(conn, 0),
            "sync" => conn_sync(conn),
            "flush" => conn_flush_request(conn) as u64,
            "continue" => conn_continue(conn, 0) as u64,
            other => panic!("{other}"),
        }
    };
    for name in [
        "query",
        "copy",
        "params",
        "more",
        "prepare",
        "prepared",
        "describe",
        "describe portal",
        "close",
        "close portal",
        "shutdown",
        "sync",
        "flush",
        "continue",
    ] {
        if but.contains(&name) {
            continue;
        }
        assert_eq!(call(name), 0, "{name} where {words}");
        let (kind, message) = session.error().unwrap();
        assert_eq!(kind, CONN_ERROR_MISUSE, "{name}: {message}");
        let not_suspended = name == "continue" && message.starts_with("no suspended portal");
        assert!(
            not_suspended || message.starts_with(words),
            "{name}: {message}"
        );
    }
}

#[test]
fn before_the_connection_is_up() {
    let session = Session::begin(&shared().conninfo());
    refused(&session, &[], "the connection is not up");
    session.wait_until_idle();
    assert_eq!(session.query("select 1 as n")[0], "n: 1");
}

#[test]
fn in_an_open_group() {
    let session = Session::open();
    let one = more(&session, "select 1 as n");
    let words = "a group of operations is open: end it with a sync before a simple query";
    let fine = [
        "params",
        "more",
        "prepare",
        "prepared",
        "describe",
        "describe portal",
        "close",
        "close portal",
        "shutdown",
        "sync",
        "flush",
    ];
    refused(&session, &fine, words);
    assert_eq!(session.finish_in_words(one), ["n: 1", "SELECT 1 1", OPEN]);
    // It is as open as before when everything in it is done.
    refused(&session, &fine, words);
    let end = sync(&session);
    assert_eq!(end, one + 1, "what was refused took no number");
    assert_eq!(session.finish_in_words(end), [OK]);
    assert_eq!(session.query("select 2 as n")[0], "n: 2");
}

#[test]
fn while_a_portal_is_open() {
    let session = Session::open();
    let series = "select n from generate_series(1, 5) n";
    let operation = session.start_params(series, &[], 0, 2, 0);
    let words = "a portal with a row limit is open: continue it, or end it with a sync, first";
    // Before its rows are here it cannot be continued either.
    refused(&session, &["shutdown", "sync", "flush"], words);
    assert_eq!(session.next().words(), "n: 1 / 2");
    assert_eq!(session.next().words(), "(suspended)");
    refused(&session, &["shutdown", "sync", "flush", "continue"], words);
    // SAFETY: an open connection.
    unsafe {
        assert_eq!(conn_continue(session.0, 1), 1);
        assert_eq!(conn_continue(session.0, 1), 0);
    }
    assert!(
        session
            .error()
            .unwrap()
            .1
            .starts_with("no suspended portal")
    );
    assert_eq!(session.next().words(), "n: 3");
    assert_eq!(session.next().words(), "(suspended)");
    let end = sync(&session);
    // SAFETY: as above.
    assert_eq!(unsafe { conn_continue(session.0, 1) }, 0);
    assert!(
        session
            .error()
            .unwrap()
            .1
            .starts_with("no suspended portal")
    );
    assert_eq!(session.finish_in_words(operation), [OPEN]);
    assert_eq!(session.finish_in_words(end), [OK]);
    assert_eq!(session.query("select 2 as n")[0], "n: 2");
}

#[test]
fn while_a_copy_is_under_way() {
    let session = Session::open();
    session.query("create temp table copied (n int)");
    // SAFETY: an open connection and C strings.
    let copy = unsafe { conn_start_copy(session.0, c("copy copied from stdin").as_ptr()) };
    assert_ne!(copy, 0);
    let words = "a COPY is under way";
    refused(&session, &["shutdown"], words);
    assert_eq!(session.next().kind, CONN_ITEM_COPY);
    refused(&session, &["shutdown"], words);
    // SAFETY: as above.
    unsafe { assert_eq!(conn_copy_end(session.0, ptr::null()), 1) };
    assert_eq!(session.finish_in_words(copy), ["COPY 0 0", OK]);
}

#[test]
fn behind_a_shutdown_and_after_the_end() {
    let session = Session::open();
    let last = session.start("select 1 as n");
    // SAFETY: an open connection.
    let end = unsafe { conn_start_shutdown(session.0, 60_000) };
    refused(&session, &[], "the connection is being shut down");
    assert_eq!(session.finish_in_words(last)[0], "n: 1");
    assert_eq!(session.finish_in_words(end), ["done 1 1 3"]);
    refused(&session, &[], "the connection is over");
}

/// Syncs and requests to flush that nothing needs do no harm.
#[test]
fn what_nobody_needs_is_harmless() {
    let session = Session::open();
    // SAFETY: an open connection.
    unsafe {
        assert_eq!(conn_flush_request(session.0), 1);
        let ends = [sync(&session), sync(&session)];
        assert_eq!(conn_flush_request(session.0), 1);
        for end in ends {
            assert_eq!(session.finish_in_words(end), [OK]);
        }
        assert_eq!(conn_abandon(session.0, 77), 0);
        assert_eq!(conn_abandon(session.0, 1), 0, "its done is taken");
    }
    assert_eq!(session.query("select 1 as n")[0], "n: 1");
}
