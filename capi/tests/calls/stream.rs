//! Connections over transports of the caller's: fed and emptied as C does it, and the calls that make no sense.

use std::io::{Read, Write};
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;

use pgpoll_capi::*;
use testkit::shared;

use crate::session::{Session, said};

fn server() -> UnixStream {
    let name = format!(".s.PGSQL.{}", shared().port());
    UnixStream::connect(shared().socket_dir().join(name)).unwrap()
}

/// Polls and carries until a poll says one of `bits`.
pub(crate) fn carry(conn: *mut Conn, socket: &mut (impl Read + Write), bits: u32) -> u32 {
    let mut room = [0_u8; 300];
    loop {
        // SAFETY: an open connection, and room of the size that is said.
        unsafe {
            let said = conn_poll(conn);
            assert_eq!(conn_socket(conn), -1);
            if said & bits != 0 {
                return said;
            }
            let count = conn_take_output(conn, room.as_mut_ptr().cast(), room.len());
            if count > 0 {
                assert_ne!(said & CONN_WANT_WRITE, 0);
                socket.write_all(&room[..count]).unwrap();
                continue;
            }
            assert_ne!(said & CONN_WANT_READ, 0);
            let count = socket.read(&mut room).unwrap();
            match count {
                0 => conn_feed_eof(conn),
                _ => assert_eq!(conn_feed(conn, room.as_ptr().cast(), count), count),
            }
        }
    }
}

#[test]
fn a_stream_is_fed_and_emptied() {
    let mut socket = server();
    // SAFETY: C strings and an open connection throughout.
    unsafe {
        let session = Session(conn_open_stream(
            c"user=user_trust dbname=postgres".as_ptr(),
        ));
        let bits = carry(session.0, &mut socket, CONN_IDLE | CONN_FAILED);
        assert_eq!(bits & CONN_FAILED, 0, "{:?}", session.error());
        session.start("select 6 * 7");
        let mut item = std::mem::zeroed();
        carry(session.0, &mut socket, CONN_RESULT);
        assert_eq!(conn_get_result(session.0, &raw mut item), 1);
        let value = conn_result_value(item.result, 0, 0);
        assert_eq!(crate::session::text(value).unwrap(), "42");
        conn_result_free(item.result);
        // Nobody carries anything meanwhile: it does not wait.
        let bits = conn_wait(session.0, -1);
        assert_ne!(bits & (CONN_RESULT | CONN_IDLE | CONN_WANT_READ), 0);
        socket.shutdown(std::net::Shutdown::Both).unwrap();
        conn_feed_eof(session.0);
        while conn_poll(session.0) & CONN_FAILED == 0 {
            conn_get_result(session.0, &raw mut item);
        }
        assert!(
            session
                .error()
                .unwrap()
                .1
                .starts_with("server closed the connection")
        );
        assert_eq!(conn_feed(session.0, c"late".as_ptr().cast(), 4), 0);
        conn_reset(session.0);
        conn_poll(session.0);
        assert!(session.error().unwrap().1.contains("cannot be reset"));
    }
}

#[test]
fn a_descriptor_is_adopted_and_what_is_none_is_left_alone() {
    let fd = server().into_raw_fd();
    // SAFETY: the descriptor is given away; C strings.
    unsafe {
        let session = Session(conn_open_fd(
            fd,
            c"user=user_trust dbname=postgres".as_ptr(),
        ));
        session.wait_until_idle();
        assert_eq!(conn_socket(session.0), fd);
        for (fd, conninfo, words) in [
            (-1, c"".as_ptr(), "fd is -1, which is no open descriptor"),
            (1_000_000, c"".as_ptr(), "fd is 1000000, which is no"),
            (
                server().into_raw_fd(),
                ptr::null(),
                "the connection string is NULL",
            ),
            (
                server().into_raw_fd(),
                c"host=a,b".as_ptr(),
                "a transport that is given leads",
            ),
        ] {
            let session = Session(conn_open_fd(fd, conninfo));
            assert_ne!(conn_poll(session.0) & CONN_FAILED, 0);
            let (kind, message) = session.error().unwrap();
            assert_eq!(kind, CONN_ERROR_MISUSE);
            assert!(message.starts_with(words), "{message}");
        }
        let none = Session(conn_open_stream(ptr::null()));
        assert_ne!(conn_poll(none.0) & CONN_FAILED, 0);
    }
}

#[test]
fn only_a_stream_is_fed() {
    let session = Session::open();
    let mut room = [0_u8; 8];
    // SAFETY: an open connection; NULL is allowed and refused.
    unsafe {
        let words = "the connection has a descriptor of its own";
        let refused = || session.error().unwrap().1.starts_with(words);
        assert_eq!(conn_feed(session.0, c"x".as_ptr().cast(), 1), 0);
        assert!(refused());
        conn_poll(session.0);
        conn_feed_eof(session.0);
        assert!(refused());
        conn_poll(session.0);
        assert_eq!(conn_take_output(session.0, room.as_mut_ptr().cast(), 8), 0);
        assert!(refused());
        let stream = Session(conn_open_stream(c"".as_ptr()));
        assert_eq!(conn_feed(stream.0, ptr::null(), 1), 0);
        assert!(said(stream.0).unwrap().1.starts_with("bytes is NULL"));
        assert_eq!(conn_take_output(stream.0, ptr::null_mut(), 1), 0);
        assert!(said(stream.0).unwrap().1.starts_with("into is NULL"));
        let none = ptr::null_mut::<Conn>();
        assert_eq!(conn_feed(none, ptr::null(), 0), 0);
        assert_eq!(conn_take_output(none, ptr::null_mut(), 0), 0);
        conn_feed_eof(none);
    }
}
