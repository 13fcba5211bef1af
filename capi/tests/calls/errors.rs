//! What errors tell.

use pgpoll_capi::*;

use crate::session::{Session, said, text};

#[test]
fn every_field_of_a_server_error_is_there() {
    let session = Session::open();
    session.query("create temp table parent (id int constraint parent_pkey primary key)");
    session.query("insert into parent values (1)");
    let operation = session.start("insert into parent values (1)");
    let items = session.finish(operation);
    let error = items[0].error;
    // SAFETY: the error is alive.
    unsafe {
        assert_eq!(conn_error_kind(error), CONN_ERROR_SERVER);
        let field = |code| text(conn_error_field(error, code));
        assert_eq!(text(conn_error_sqlstate(error)).unwrap(), "23505");
        assert_eq!(text(conn_error_severity(error)).unwrap(), "ERROR");
        let message = "duplicate key value violates unique constraint \"parent_pkey\"";
        assert_eq!(text(conn_error_message(error)).unwrap(), message);
        let detail = "Key (id)=(1) already exists.";
        assert_eq!(text(conn_error_detail(error)).unwrap(), detail);
        assert!(conn_error_hint(error).is_null());
        assert_eq!(conn_error_position(error), 0);
        assert_eq!(field(i32::from(b't')).unwrap(), "parent");
        assert_eq!(field(i32::from(b'n')).unwrap(), "parent_pkey");
        for nothing in [0, -1, 256, i32::from(b'?'), i32::MAX] {
            assert_eq!(field(nothing), None);
        }
        assert_eq!(conn_error_errno(error), 0);
        assert_eq!(conn_error_safe_to_retry(error), 0);
        let whole = format!("ERROR:  {message}\nDETAIL:  {detail}");
        assert_eq!(text(conn_error_text(error)).unwrap(), whole);
        assert_eq!(conn_error_text(error), conn_error_text(error), "made once");
    }
    assert_eq!(
        session.error(),
        None,
        "the error of an operation is its item"
    );
}

#[test]
fn the_position_the_hint_and_the_context_are_shown() {
    let session = Session::open();
    let operation = session.start("select nam from (select 1 as name) s");
    let items = session.finish(operation);
    // SAFETY: the error is alive.
    unsafe {
        let error = items[0].error;
        assert_eq!(conn_error_position(error), 8);
        assert_eq!(
            text(conn_error_text(error)).unwrap(),
            "ERROR:  column \"nam\" does not exist at character 8\n\
             HINT:  Perhaps you meant to reference the column \"s.name\"."
        );
    }
    let operation = session.start("do $$ begin perform 1/0; end $$");
    let items = session.finish(operation);
    // SAFETY: the error is alive.
    let whole = text(unsafe { conn_error_text(items[0].error) }).unwrap();
    assert!(
        whole.starts_with("ERROR:  division by zero\nCONTEXT:  SQL "),
        "{whole}"
    );
}

#[test]
fn a_message_that_is_not_utf_8_is_not_changed() {
    let session = Session::open();
    session.query("set client_encoding = latin1");
    let operation = session.start("do $$ begin raise exception 'caf%', chr(233); end $$");
    let items = session.finish(operation);
    // SAFETY: the error is alive.
    unsafe {
        let message = std::ffi::CStr::from_ptr(conn_error_message(items[0].error));
        assert_eq!(message.to_bytes(), b"caf\xe9");
        let whole = std::ffi::CStr::from_ptr(conn_error_text(items[0].error));
        assert!(whole.to_bytes().starts_with(b"ERROR:  caf\xe9\n"));
    }
}

#[test]
fn a_lost_connection_says_why_again_and_again() {
    let session = Session::open();
    let killer = Session::open();
    // SAFETY: open connections.
    unsafe {
        let pid = conn_backend_pid(session.0);
        killer.query(&format!("select pg_terminate_backend({pid})"));
        let bits = loop {
            let bits = conn_wait(session.0, 10_000);
            if bits & CONN_FAILED != 0 {
                break bits;
            }
            assert_ne!(
                bits & (CONN_NOTICE | CONN_RESULT),
                0,
                "ten seconds are over"
            );
            conn_error_free(conn_get_notice(session.0));
        };
        assert_eq!(bits & (CONN_WANT_READ | CONN_WANT_WRITE | CONN_IDLE), 0);
        let why = session.error().unwrap();
        assert_eq!(why.0, CONN_ERROR_SERVER);
        assert!(
            why.1
                .contains("terminating connection due to administrator command"),
            "{why:?}"
        );
        assert_eq!(
            text(conn_error_sqlstate(conn_error(session.0))).unwrap(),
            "57P01"
        );
        assert_eq!(conn_start_query(session.0, c"select 1".as_ptr()), 0);
        assert_eq!(session.error().unwrap().0, CONN_ERROR_MISUSE);
        assert_ne!(conn_poll(session.0) & CONN_FAILED, 0);
        assert_eq!(session.error().unwrap(), why);
        assert_eq!(conn_status(session.0), CONN_STATUS_OVER);
    }
}

#[test]
fn a_server_that_is_not_there_is_a_failure_of_the_transport() {
    let session = Session::begin("host=/nowhere port=1 user=me");
    // SAFETY: an open connection.
    unsafe {
        assert_ne!(conn_wait(session.0, 10_000) & CONN_FAILED, 0);
        let error = conn_error(session.0);
        assert_eq!(conn_error_kind(error), CONN_ERROR_TRANSPORT);
        assert_eq!(text(conn_error_sqlstate(error)).unwrap(), "08006");
        assert!(conn_error_severity(error).is_null());
        let message = text(conn_error_message(error)).unwrap();
        assert!(message.contains("/nowhere/.s.PGSQL.1"), "{message}");
        assert_eq!(text(conn_error_text(error)).unwrap(), message);
    }
}

#[test]
fn a_refusal_while_connecting_names_the_server() {
    let server = testkit::shared();
    let session = Session::begin(&format!("{} dbname=missing", server.conninfo()));
    // SAFETY: an open connection.
    unsafe {
        assert_ne!(conn_wait(session.0, 10_000) & CONN_FAILED, 0);
        let error = conn_error(session.0);
        assert_eq!(conn_error_kind(error), CONN_ERROR_SERVER);
        assert_eq!(text(conn_error_sqlstate(error)).unwrap(), "3D000");
        let message = text(conn_error_message(error)).unwrap();
        assert!(
            message.starts_with("connection to server on socket"),
            "{message}"
        );
        assert!(
            message.contains("FATAL:  database \"missing\" does not exist"),
            "{message}"
        );
        let raw = text(conn_error_field(error, i32::from(b'M'))).unwrap();
        assert_eq!(raw, "database \"missing\" does not exist");
    }
    assert_eq!(said(session.0).unwrap().0, CONN_ERROR_SERVER);
}

#[test]
fn nothing_is_known_of_no_error() {
    let none = std::ptr::null();
    // SAFETY: NULL is allowed.
    unsafe {
        assert_eq!(conn_error_kind(none), 0);
        assert_eq!(conn_error_position(none), 0);
        assert_eq!(conn_error_errno(none), 0);
        assert_eq!(conn_error_safe_to_retry(none), 0);
        for read in [
            conn_error_message,
            conn_error_sqlstate,
            conn_error_severity,
            conn_error_detail,
            conn_error_hint,
            conn_error_text,
        ] {
            assert!(read(none).is_null());
        }
        assert!(conn_error_field(none, 77).is_null());
        conn_error_free(std::ptr::null_mut());
    }
}
