//! Calls that cannot be done: each says why, and does nothing else.

use std::ffi::{c_char, c_int};
use std::net::TcpListener;
use std::ptr;
use std::time::{Duration, Instant};

use pgpoll_capi::*;

use crate::session::{Session, c, said};

/// The call was refused with these words at the beginning.
#[track_caller]
fn refused(session: &Session, returned: u64, words: &str) {
    assert_eq!(returned, 0);
    let (kind, message) = session.error().unwrap();
    assert_eq!(kind, CONN_ERROR_MISUSE);
    assert!(message.starts_with(words), "{message}");
}

#[test]
fn a_null_connection_is_refused_everywhere() {
    let (conn, text): (*mut Conn, _) = (ptr::null_mut(), c"x".as_ptr());
    // SAFETY: NULL is allowed.
    unsafe {
        assert_eq!(conn_poll(conn), CONN_MISUSE);
        let words = "the connection is NULL: pass what conn_open returned".to_owned();
        assert_eq!(said(conn).unwrap(), (CONN_ERROR_MISUSE, words));
        assert_eq!(conn_poll_state(conn, ptr::null_mut()), CONN_MISUSE);
        assert_eq!(conn_wait(conn, -1), CONN_MISUSE);
        assert_eq!(conn_state(conn, ptr::null_mut()), 0);
        assert_eq!(conn_socket(conn), -1);
        assert_eq!(conn_deadline_ms(conn), -1);
        assert_eq!(conn_start_query(conn, text), 0);
        assert_eq!(conn_start_describe_portal(conn, text, 0), 0);
        assert_eq!(conn_sync(conn), 0);
        assert_eq!(conn_continue(conn, 0), 0);
        assert_eq!(conn_flush_request(conn), 0);
        assert_eq!(conn_get_result(conn, ptr::null_mut()), 0);
        assert!(conn_get_notice(conn).is_null());
        assert!(conn_get_notification(conn).is_null());
        assert_eq!(conn_status(conn), -1);
        assert!(conn_parameter(conn, text).is_null());
        assert_eq!(conn_backend_pid(conn), 0);
        assert_eq!(conn_transaction_status(conn), CONN_TRANSACTION_UNKNOWN);
        assert_eq!(conn_server_version(conn), 0);
        assert!(conn_host(conn).is_null());
        assert!(conn_hostaddr(conn).is_null());
        assert_eq!(conn_password_needed(conn), 0);
        assert_eq!(conn_password_used(conn), 0);
        assert_eq!(conn_is_encrypted(conn), 0);
        assert!(conn_tls_attribute(conn, text).is_null());
        assert!(conn_inspect(conn).is_null());
        conn_set_batch(conn, 1, 1);
        conn_reset(conn);
        conn_close(conn);
        conn_result_free(ptr::null_mut());
        conn_free_string(ptr::null_mut());
    }
}

#[test]
fn a_connection_string_that_makes_no_sense_gives_a_connection_that_is_over() {
    for (conninfo, words) in [
        (
            c("nonsense"),
            "missing \"=\" after \"nonsense\" in connection info string",
        ),
        (c("hots=x"), "invalid connection option \"hots\""),
        (c("port=1,2"), "could not match 2 port numbers to 1 hosts"),
    ] {
        // SAFETY: a C string; the connection is closed at the end.
        let session = Session(unsafe { conn_open(conninfo.as_ptr()) });
        for _ in 0..2 {
            // SAFETY: an open connection.
            unsafe {
                assert_eq!(conn_poll(session.0) & CONN_FAILED, CONN_FAILED);
                assert_eq!(
                    session.error().unwrap(),
                    (CONN_ERROR_MISUSE, words.to_owned())
                );
                conn_reset(session.0);
            }
        }
    }
    // SAFETY: NULL is allowed.
    let sessions = unsafe {
        let keywords = [c"host".as_ptr(), ptr::null()];
        [
            Session(conn_open(ptr::null())),
            Session(conn_open_params(ptr::null(), ptr::null(), 0)),
            Session(conn_open_params(keywords.as_ptr(), ptr::null(), 0)),
        ]
    };
    for session in sessions {
        // SAFETY: an open connection.
        let bits = unsafe { conn_wait(session.0, -1) };
        assert_eq!(bits & CONN_FAILED, CONN_FAILED);
        assert_eq!(session.error().unwrap().0, CONN_ERROR_MISUSE);
    }
}

#[test]
fn an_operation_before_the_connection_is_up_is_refused() {
    let session = Session::begin("host=/nowhere");
    // SAFETY: an open connection.
    unsafe {
        let words = "the connection is not up";
        refused(
            &session,
            conn_start_query(session.0, c"select 1".as_ptr()),
            words,
        );
        refused(&session, conn_sync(session.0), words);
        refused(&session, conn_flush_request(session.0) as u64, words);
    }
}

#[test]
fn wrong_arguments_are_refused_and_harm_nothing() {
    let session = Session::open();
    let conn = session.0;
    let (text, none): (*const c_char, _) = (c"select $1".as_ptr(), ptr::null());
    let value = [c"1".as_ptr()];
    // SAFETY: an open connection, C strings, arrays of one; wrong counts are refused before an array is read.
    unsafe {
        refused(&session, conn_start_query(conn, ptr::null()), "sql is NULL");
        let params = |sql,
                      n,
                      values: *const *const c_char,
                      lengths: &[c_int],
                      formats: &[c_int],
                      format,
                      rows,
                      flags| {
            let lengths = if lengths.is_empty() {
                none
            } else {
                lengths.as_ptr()
            };
            let formats = if formats.is_empty() {
                none
            } else {
                formats.as_ptr()
            };
            conn_start_query_params(
                conn,
                sql,
                n,
                ptr::null(),
                values,
                lengths,
                formats,
                format,
                rows,
                flags,
            )
        };
        let values = value.as_ptr();
        refused(
            &session,
            params(ptr::null(), 1, values, &[], &[], 0, 0, 0),
            "sql is NULL",
        );
        refused(
            &session,
            params(text, -1, values, &[], &[], 0, 0, 0),
            "n is negative",
        );
        refused(
            &session,
            params(text, 65_536, values, &[], &[], 0, 0, 0),
            "n is too large",
        );
        refused(
            &session,
            params(text, 1, ptr::null(), &[], &[], 0, 0, 0),
            "values is NULL",
        );
        refused(
            &session,
            params(text, 1, values, &[], &[2], 0, 0, 0),
            "a format is neither",
        );
        refused(
            &session,
            params(text, 1, values, &[], &[1], 0, 0, 0),
            "a value is binary",
        );
        refused(
            &session,
            params(text, 1, values, &[-1], &[1], 0, 0, 0),
            "the length of a binary",
        );
        refused(
            &session,
            params(text, 1, values, &[], &[], -1, 0, 0),
            "a format is neither",
        );
        refused(
            &session,
            params(text, 1, values, &[], &[], 0, -1, 0),
            "max_rows is negative",
        );
        refused(
            &session,
            params(text, 1, values, &[], &[], 0, 0, 2),
            "flags has unknown bits",
        );
        let prepare = |name, sql, n, types| conn_start_prepare(conn, name, sql, n, types, 0);
        refused(
            &session,
            prepare(ptr::null(), text, 0, ptr::null()),
            "name is NULL",
        );
        refused(
            &session,
            prepare(text, ptr::null(), 0, ptr::null()),
            "sql is NULL",
        );
        refused(
            &session,
            prepare(text, text, 1, ptr::null()),
            "types is NULL",
        );
        refused(
            &session,
            conn_start_close_statement(conn, ptr::null(), 0),
            "name is NULL",
        );
        refused(
            &session,
            conn_start_close_portal(conn, text, 4),
            "flags has unknown bits",
        );
        refused(
            &session,
            conn_continue(conn, 0) as u64,
            "no suspended portal",
        );
        refused(
            &session,
            conn_get_result(conn, ptr::null_mut()) as u64,
            "item is NULL",
        );
        refused(
            &session,
            conn_state(conn, ptr::null_mut()) as u64,
            "state is NULL",
        );
        assert!(conn_parameter(conn, ptr::null()).is_null());
        refused(&session, 0, "name is NULL");
        conn_poll(conn);
        assert_eq!(session.error(), None, "a poll forgets what was refused");
    }
    assert_eq!(
        session.query("select 1 as n"),
        ["n: 1", "SELECT 1 1", "done 1 1 1"]
    );
    let operation = session.start_params("select $1 as n", &[Some("1")], 0, 0, 0);
    assert_eq!(operation, 2, "what was refused took no number");
    assert_eq!(session.finish_in_words(operation)[0], "n: 1");
}

#[test]
fn a_simple_query_inside_a_group_is_refused() {
    let session = Session::open();
    let open = session.start_params("select 1", &[], 0, 0, CONN_MORE);
    // SAFETY: an open connection.
    unsafe {
        let started = conn_start_query(session.0, c"select 1".as_ptr());
        refused(&session, started, "a group of operations is open");
        conn_sync(session.0);
    }
    session.finish(open);
}

/// Trap 28, thread rules: one call at a time, which is checked.
#[test]
fn a_second_thread_is_refused_while_the_first_waits() {
    // A server that accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let session = Session::begin(&format!("host=127.0.0.1 port={port} user=me"));
    let shared = session.0.expose_provenance();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(move || {
            let conn = ptr::with_exposed_provenance_mut::<Conn>(shared);
            loop {
                // SAFETY: the connection is open until the threads have ended.
                let bits = unsafe { conn_wait(conn, 500) };
                if bits != CONN_MISUSE {
                    return bits;
                }
            }
        });
        let conn = ptr::with_exposed_provenance_mut::<Conn>(shared);
        let begun = Instant::now();
        // SAFETY: as above.
        unsafe {
            while conn_poll(conn) != CONN_MISUSE {
                assert!(begun.elapsed() < Duration::from_secs(10));
                std::thread::yield_now();
            }
            let (kind, message) = said(conn).unwrap();
            assert_eq!(kind, CONN_ERROR_MISUSE);
            assert!(
                message.starts_with("another call is inside this connection"),
                "{message}"
            );
            assert_eq!(said(ptr::null()).unwrap().1, message);
            assert_eq!(conn_sync(conn), 0);
            assert_eq!(conn_status(conn), -1);
            conn_close(conn);
            // These are for everybody at any time.
            conn_socket(conn);
            conn_backend_pid(conn);
            conn_deadline_ms(conn);
        }
        assert_eq!(waiter.join().unwrap() & CONN_MISUSE, 0);
    });
    // SAFETY: the connection is still open, and nobody is inside.
    unsafe { assert_eq!(conn_poll(session.0) & (CONN_MISUSE | CONN_FAILED), 0) };
}
