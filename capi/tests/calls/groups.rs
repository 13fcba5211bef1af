//! Operations in groups, and portals with a row limit.

use std::ptr;

use pgpoll_capi::*;

use crate::session::{Session, c};

#[test]
fn a_group_ends_with_its_sync_which_tells_of_the_commit() {
    let session = Session::open();
    session.query("create temp table once (n int unique deferrable initially deferred)");
    let first = session.start_params(
        "insert into once values ($1)",
        &[Some("1")],
        0,
        0,
        CONN_MORE,
    );
    let second = session.start_params("insert into once values (1)", &[], 0, 0, CONN_MORE);
    // SAFETY: an open connection.
    let sync = unsafe { conn_sync(session.0) };
    assert_eq!(
        session.finish_in_words(first),
        ["INSERT 0 1 1", "done 1 1 2"]
    );
    assert_eq!(
        session.finish_in_words(second),
        ["INSERT 0 1 1", "done 1 1 2"]
    );
    let words = session.finish_in_words(sync);
    assert!(
        words[0].starts_with("23505 duplicate key value"),
        "{words:?}"
    );
    assert_eq!(words[1], "done 2 1 1");
}

#[test]
fn what_follows_a_failure_in_a_group_is_skipped() {
    let session = Session::open();
    let failed = session.start_params("select 1/0", &[], 0, 0, CONN_MORE);
    let skipped = session.start_params("select 2", &[], 0, 0, CONN_MORE);
    // SAFETY: an open connection.
    let sync = unsafe { conn_sync(session.0) };
    let after = session.start_params("select 3 as n", &[], 0, 0, 0);
    assert_eq!(
        session.finish_in_words(failed),
        ["22012 division by zero", "done 2 1 2"]
    );
    assert_eq!(
        session.finish_in_words(skipped),
        ["(skipped)", "done 3 1 2"]
    );
    assert_eq!(session.finish_in_words(sync), ["done 1 1 1"]);
    assert_eq!(
        session.finish_in_words(after),
        ["n: 3", "SELECT 1 1", "done 1 1 1"]
    );
}

#[test]
fn an_open_group_answers_without_its_sync() {
    let session = Session::open();
    let open = session.start_params("select 1 as n", &[], 0, 0, CONN_MORE);
    assert_eq!(session.finish_in_words(open)[0], "n: 1");
    let open = session.start_params("select 2 as n", &[], 0, 0, CONN_MORE);
    // SAFETY: an open connection.
    unsafe { assert_eq!(conn_flush_request(session.0), 1) };
    assert_eq!(session.finish_in_words(open)[0], "n: 2");
    // SAFETY: as above.
    let sync = unsafe { conn_sync(session.0) };
    assert_eq!(session.finish_in_words(sync), ["done 1 1 1"]);
}

#[test]
fn a_full_queue_says_so_and_goes_on_after_polls() {
    let session = Session::open();
    let long = c(&"x".repeat(1 << 20));
    let values = [long.as_ptr()];
    let start = || {
        let (sql, none) = (c"select length($1)", ptr::null());
        // SAFETY: an open connection, C strings, an array of one.
        unsafe {
            conn_start_query_params(
                session.0,
                sql.as_ptr(),
                1,
                ptr::null(),
                values.as_ptr(),
                none,
                none,
                0,
                0,
                0,
            )
        }
    };
    let mut last = 0;
    let refused = loop {
        match start() {
            0 => break session.error().unwrap(),
            operation => last = operation,
        }
        assert!(last < 40, "the queue has no end");
    };
    assert_eq!(refused.0, CONN_ERROR_WOULD_BLOCK);
    assert!(last >= 16, "{last}");
    for operation in 1..=last {
        assert_eq!(session.finish_in_words(operation)[0], "length: 1048576");
    }
    let after = start();
    assert_eq!(after, last + 1);
    assert_eq!(session.finish_in_words(after)[0], "length: 1048576");
}

#[test]
fn a_row_limit_suspends_and_continues() {
    let session = Session::open();
    let series = "select n from generate_series(1, $1::int) n";
    let operation = session.start_params(series, &[Some("5")], 0, 2, 0);
    assert_eq!(session.next().words(), "n: 1 / 2");
    assert_eq!(session.next().words(), "(suspended)");
    // SAFETY: an open connection.
    unsafe {
        assert_eq!(conn_start_query(session.0, c"select 1".as_ptr()), 0);
        let (kind, message) = session.error().unwrap();
        assert_eq!(kind, CONN_ERROR_MISUSE);
        assert!(
            message.starts_with("a portal with a row limit is open"),
            "{message}"
        );
        assert_eq!(conn_continue(session.0, -1), 0);
        assert_eq!(conn_continue(session.0, 1), 1);
    }
    assert_eq!(session.next().words(), "n: 3");
    assert_eq!(session.next().words(), "(suspended)");
    // SAFETY: an open connection.
    unsafe { assert_eq!(conn_continue(session.0, 0), 1) };
    assert_eq!(
        session.finish_in_words(operation),
        ["n: 4 / 5", "SELECT 2 2", "done 1 1 2"]
    );
    // SAFETY: an open connection.
    let sync = unsafe { conn_sync(session.0) };
    assert_eq!(session.finish_in_words(sync), ["done 1 1 1"]);
}

#[test]
fn a_sync_ends_a_suspended_operation() {
    let session = Session::open();
    // SAFETY: C strings, and no parameters.
    unsafe {
        let (name, sql) = (c("many"), c("select n from generate_series(1, 1000) n"));
        let prepared =
            conn_start_prepare(session.0, name.as_ptr(), sql.as_ptr(), 0, ptr::null(), 0);
        assert_eq!(session.finish_in_words(prepared)[0], "() -> n");
        let none = ptr::null();
        let operation = conn_start_prepared(
            session.0,
            name.as_ptr(),
            0,
            ptr::null(),
            none,
            none,
            0,
            1,
            0,
        );
        assert_eq!(session.next().words(), "n: 1");
        assert_eq!(session.next().words(), "(suspended)");
        let sync = conn_sync(session.0);
        assert_eq!(session.finish_in_words(operation), ["done 1 1 2"]);
        assert_eq!(session.finish_in_words(sync), ["done 1 1 1"]);
    }
}
