//! Cancel requests.

use std::ffi::c_void;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ptr;

use pgpoll_capi::*;
use testkit::shared;

use crate::session::{Session, c, said, text};
use crate::stream;

/// Polls and waits, as a caller's loop does, until the server has the request or cannot be told.
unsafe fn finish(cancel: *mut ConnCancel) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { finish_from(cancel, -1) }
}

/// The same for a request whose descriptor is known already.
unsafe fn finish_from(cancel: *mut ConnCancel, mut told: i32) -> u32 {
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

/// Polls and carries the bytes of a request over a socket of its own, until the server has it or cannot be told.
fn carry(cancel: *mut ConnCancel, port: u16) -> u32 {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut room = [0_u8; 300];
    loop {
        // SAFETY: an open request, and room of the size that is said.
        unsafe {
            let said = conn_cancel_poll(cancel);
            assert_eq!(conn_cancel_socket(cancel), -1);
            if said & (CONN_IDLE | CONN_FAILED | CONN_MISUSE) != 0 {
                return said;
            }
            assert_ne!(said & CONN_WANT_READ, 0, "there is room");
            let count = conn_cancel_take_output(cancel, room.as_mut_ptr().cast(), room.len());
            assert_eq!(said & CONN_WANT_WRITE != 0, count > 0);
            if count > 0 {
                socket.write_all(&room[..count]).unwrap();
                continue;
            }
            match socket.read(&mut room).unwrap() {
                0 => conn_cancel_feed_eof(cancel),
                count => {
                    let taken = conn_cancel_feed(cancel, room.as_ptr().cast(), count);
                    assert_eq!(taken, count);
                }
            }
        }
    }
}

#[test]
fn a_request_over_bytes_is_carried() {
    let options = testkit::ClusterOptions::new().tls(testkit::ServerTls::default());
    let server = testkit::Cluster::start(options);
    let port = server.port();
    for conninfo in [server.conninfo_tls(), server.conninfo_tcp()] {
        let plain = if conninfo.contains("sslmode") {
            ""
        } else {
            "sslmode=disable"
        };
        let conninfo = c(&format!("{conninfo} {plain}"));
        let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // SAFETY: a C string; open handles.
        unsafe {
            let session = Session(conn_open_stream(conninfo.as_ptr()));
            stream::carry(session.0, &mut socket, CONN_IDLE | CONN_FAILED);
            assert_eq!(conn_is_encrypted(session.0), i32::from(plain.is_empty()));
            session.start("select pg_sleep(600)");
            while conn_poll(session.0) & CONN_WANT_WRITE != 0 {
                let mut room = [0_u8; 300];
                let into = room.as_mut_ptr().cast();
                let count = conn_take_output(session.0, into, room.len());
                socket.write_all(&room[..count]).unwrap();
            }
            server.until_busy(conn_backend_pid(session.0) as u32);
            // Closed in the middle of it one has no effect.
            let given_up = conn_cancel_open(session.0);
            conn_cancel_poll(given_up);
            conn_cancel_close(given_up);
            let cancel = conn_cancel_open(session.0);
            assert!(!cancel.is_null(), "{:?}", session.error());
            assert_eq!(carry(cancel, port), CONN_IDLE);
            assert_eq!(conn_cancel_feed(cancel, c"late".as_ptr().cast(), 4), 0);
            assert!(conn_cancel_error(cancel).is_null());
            conn_cancel_close(cancel);
            let mut item = std::mem::zeroed();
            stream::carry(session.0, &mut socket, CONN_RESULT);
            assert_eq!(conn_get_result(session.0, &raw mut item), 1);
            let state = text(conn_error_sqlstate(item.error)).unwrap();
            assert_eq!(state, "57014");
            conn_error_free(item.error);
        }
    }
}

#[test]
fn only_a_request_over_bytes_is_fed() {
    let session = Session::open();
    let mut room = [0_u8; 8];
    // SAFETY: open handles; NULL is allowed and refused.
    unsafe {
        let into: *mut c_void = room.as_mut_ptr().cast();
        let cancel = conn_cancel_open(session.0);
        let words = |cancel| text(conn_error_message(conn_cancel_error(cancel))).unwrap();
        let own = "the request has a descriptor of its own";
        for call in 0..3 {
            match call {
                0 => assert_eq!(conn_cancel_feed(cancel, c"x".as_ptr().cast(), 1), 0),
                1 => conn_cancel_feed_eof(cancel),
                _ => assert_eq!(conn_cancel_take_output(cancel, into, 8), 0),
            }
            assert!(words(cancel).starts_with(own), "{}", words(cancel));
            let error = conn_cancel_error(cancel);
            assert_eq!(conn_error_kind(error), CONN_ERROR_MISUSE);
            conn_cancel_poll(cancel);
            assert!(conn_cancel_error(cancel).is_null(), "it goes on");
        }
        assert_eq!(finish_from(cancel, conn_cancel_socket(cancel)), CONN_IDLE);
        conn_cancel_close(cancel);

        let none = ptr::null_mut();
        assert_eq!(conn_cancel_feed(none, c"x".as_ptr().cast(), 1), 0);
        conn_cancel_feed_eof(none);
        assert_eq!(conn_cancel_take_output(none, into, 8), 0);
        let said = said(ptr::null()).unwrap().1;
        assert!(said.starts_with("the cancel request is NULL"), "{said}");

        let mut socket = TcpStream::connect(("127.0.0.1", shared().port())).unwrap();
        let conninfo = c(&shared().conninfo_tcp());
        let stream = Session(conn_open_stream(conninfo.as_ptr()));
        assert!(conn_cancel_open(stream.0).is_null(), "it is not up");
        stream::carry(stream.0, &mut socket, CONN_IDLE | CONN_FAILED);
        let cancel = conn_cancel_open(stream.0);
        assert_eq!(conn_cancel_feed(cancel, ptr::null(), 1), 0);
        assert!(words(cancel).starts_with("bytes is NULL"));
        assert_eq!(conn_cancel_take_output(cancel, ptr::null_mut(), 1), 0);
        assert!(words(cancel).starts_with("into is NULL"));
        assert_eq!(conn_cancel_feed(cancel, ptr::null(), 0), 0);
        conn_cancel_feed_eof(cancel);
        let bits = conn_cancel_poll(cancel);
        assert_eq!(bits, CONN_FAILED, "nothing was carried, and it is over");
        assert!(words(cancel).contains("server closed the connection"));
        assert_eq!(conn_cancel_take_output(cancel, ptr::null_mut(), 1), 0);
        assert!(words(cancel).starts_with("into is NULL"), "the last call's");
        assert_eq!(conn_cancel_poll(cancel), CONN_FAILED);
        assert!(words(cancel).contains("server closed the connection"));
        conn_cancel_close(cancel);
    }
}
