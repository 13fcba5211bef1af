//! Cancel requests.

use std::ptr;

use pgpoll_capi::*;

use crate::session::{Session, said, text};

/// Polls and waits, as a caller's loop does, until the server has the request or cannot be told.
unsafe fn finish(cancel: *mut ConnCancel) -> u32 {
    let mut told = -1;
    loop {
        // SAFETY: the request is open.
        let (bits, fd) = unsafe { (conn_cancel_poll(cancel), conn_cancel_socket(cancel)) };
        assert_eq!(bits & CONN_SOCKET_CHANGED != 0, fd != told);
        told = fd;
        if bits & (CONN_IDLE | CONN_FAILED | CONN_MISUSE) != 0 {
            return bits & !CONN_SOCKET_CHANGED;
        }
        let events = if bits & CONN_WANT_WRITE != 0 {
            libc::POLLOUT
        } else {
            libc::POLLIN
        };
        let revents = 0;
        let mut socket = libc::pollfd {
            fd,
            events,
            revents,
        };
        // SAFETY: one descriptor.
        let ready = unsafe { libc::poll(&mut socket, 1, 10_000) };
        assert_eq!(ready, 1, "ten seconds are over");
    }
}

#[test]
fn a_running_query_is_cancelled() {
    let session = Session::open();
    let operation = session.start("select pg_sleep(100)");
    // SAFETY: open handles.
    unsafe {
        conn_poll(session.0);
        // A request that comes before the query has begun is lost.
        let (watcher, pid) = (Session::open(), conn_backend_pid(session.0));
        let asleep = format!(
            "select count(*) as n from pg_stat_activity where pid = {pid} and wait_event = 'PgSleep'"
        );
        while watcher.query(&asleep)[0] != "n: 1" {
            std::thread::yield_now();
        }
        let cancel = conn_cancel_open(session.0);
        assert!(!cancel.is_null(), "{:?}", session.error());
        assert_eq!(conn_cancel_deadline_ms(cancel), -1);
        assert_eq!(finish(cancel), CONN_IDLE);
        assert_eq!(finish(cancel), CONN_IDLE, "again and again");
        assert!(conn_cancel_error(cancel).is_null());
        conn_cancel_close(cancel);
    }
    assert_eq!(
        session.finish_in_words(operation),
        [
            "57014 canceling statement due to user request",
            "done 2 1 1"
        ]
    );
    assert_eq!(session.query("select 1 as n")[0], "n: 1");
}

#[test]
fn a_request_that_cannot_be_made_or_sent_says_why() {
    let session = Session::begin("host=/nowhere");
    // SAFETY: NULL is allowed; open handles.
    unsafe {
        assert!(conn_cancel_open(session.0).is_null());
        assert_eq!(session.error().unwrap().0, CONN_ERROR_MISUSE);
        assert!(conn_cancel_open(ptr::null()).is_null());
        let none = ptr::null_mut();
        assert_eq!(conn_cancel_poll(none), CONN_MISUSE);
        assert!(
            said(ptr::null())
                .unwrap()
                .1
                .starts_with("the cancel request is NULL")
        );
        assert_eq!(conn_cancel_socket(none), -1);
        assert_eq!(conn_cancel_deadline_ms(none), -1);
        assert!(conn_cancel_error(none).is_null());
        conn_cancel_close(none);
    }
    let server = testkit::Cluster::start(testkit::ClusterOptions::new());
    let session = Session::begin(&server.conninfo());
    session.wait_until_idle();
    server.stop();
    // SAFETY: open handles.
    unsafe {
        let cancel = conn_cancel_open(session.0);
        assert!(!cancel.is_null());
        assert_eq!(finish(cancel), CONN_FAILED);
        let error = conn_cancel_error(cancel);
        assert_eq!(conn_error_kind(error), CONN_ERROR_TRANSPORT);
        assert!(!text(conn_error_message(error)).unwrap().is_empty());
        assert_eq!(conn_cancel_error(cancel), error);
        conn_cancel_close(cancel);
    }
}
