//! Requests to cancel, one after the other, with either form of the backend's key.

use std::ptr;

use pgpoll_capi::*;

use crate::session::{Session, c};
use crate::{in_database, said};

/// Starts a statement that sleeps, and waits until it does.
fn asleep(session: &Session, monitor: &Session) -> u64 {
    let (sql, value, none) = (c("SELECT pg_sleep($1)"), c("180"), ptr::null());
    let (types, values) = ([23], [value.as_ptr()]);
    // SAFETY: an open connection, C strings, arrays of one.
    let operation = unsafe {
        let (types, values) = (types.as_ptr(), values.as_ptr());
        conn_start_query_params(
            session.0,
            sql.as_ptr(),
            1,
            types,
            values,
            none,
            none,
            0,
            0,
            0,
        )
    };
    assert_ne!(operation, 0, "{:?}", session.error());
    // SAFETY: an open connection.
    let pid = unsafe {
        conn_poll(session.0);
        conn_backend_pid(session.0)
    };
    let sleeps = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND wait_event = 'PgSleep'"
    );
    while monitor.query(&sleeps)[0] != "count: 1" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    operation
}

/// Carries a request to its end.
fn tell(session: &Session) {
    // SAFETY: open handles; one descriptor.
    unsafe {
        let cancel = conn_cancel_open(session.0);
        assert!(!cancel.is_null(), "{:?}", session.error());
        loop {
            let bits = conn_cancel_poll(cancel);
            assert_eq!(bits & CONN_FAILED, 0, "{:?}", said(session.0));
            if bits & CONN_IDLE != 0 {
                break;
            }
            let write = bits & CONN_WANT_WRITE != 0;
            let mut socket = libc::pollfd {
                fd: conn_cancel_socket(cancel),
                events: if write { libc::POLLOUT } else { libc::POLLIN },
                revents: 0,
            };
            assert_eq!(libc::poll(&mut socket, 1, 60_000), 1, "a minute is over");
        }
        conn_cancel_close(cancel);
    }
}

pub(crate) fn cancel(_: &Session) {
    let monitor = Session::open();
    for version in ["latest", "3.0"] {
        let conninfo = format!("{} max_protocol_version={version}", in_database("cancel"));
        let session = Session::begin(&conninfo);
        session.wait_until_idle();
        // Each request is good for one operation, and for no later one.
        for _ in 0..3 {
            let operation = asleep(&session, &monitor);
            tell(&session);
            assert_eq!(
                session.finish_in_words(operation),
                [
                    "57014 canceling statement due to user request",
                    "done 2 1 1"
                ]
            );
        }
        // What is given up is cancelled without being asked for.
        let operation = asleep(&session, &monitor);
        // SAFETY: an open connection.
        assert_eq!(unsafe { conn_abandon(session.0, operation) }, 1);
        assert_eq!(session.finish_in_words(operation), ["done 2 1 1"]);
        assert_eq!(session.query("select 1 as n")[0], "n: 1");
    }
}
