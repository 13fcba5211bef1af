//! Panics and second entries.

use super::*;
use crate::drive::{
    CONN_FAILED, CONN_IDLE, CONN_MISUSE, CONN_RESULT, CONN_RUNNABLE, CONN_WANT_READ, conn_poll,
    conn_socket,
};
use crate::error::{CONN_ERROR_MISUSE, CONN_ERROR_TRANSPORT, conn_error};
use crate::fields::{conn_error_kind, conn_error_message};
use crate::group::{
    ConnReady, conn_group_add, conn_group_close, conn_group_get_ready, conn_group_open,
    conn_group_poll, conn_group_remove,
};
use crate::open::{conn_close, conn_open};
use crate::start::conn_start_query;
use crate::stream::conn_open_fd;

/// The connection's last error: its kind and message.
fn last_error(conn: *const Conn) -> (i32, String) {
    // SAFETY: NULL or a connection of these tests.
    unsafe {
        let error = conn_error(conn);
        let message = std::ffi::CStr::from_ptr(conn_error_message(error));
        (
            conn_error_kind(error),
            message.to_string_lossy().into_owned(),
        )
    }
}

/// Trap 24, a panic across extern "C": it is caught, and its connection is over.
#[test]
#[allow(clippy::panic)]
fn a_panic_ends_the_connection_and_nothing_else() {
    // SAFETY: the connection is alive up to the last line.
    unsafe {
        let conn = conn_open(c"host=/nowhere".as_ptr());
        let fallback = inside(conn, 7, |_, _| panic!("this message is expected"));
        assert_eq!(fallback, 7);
        for _ in 0..3 {
            assert_eq!(conn_poll(conn), CONN_FAILED);
            let (kind, message) = last_error(conn);
            assert_eq!(kind, CONN_ERROR_TRANSPORT);
            assert!(message.starts_with("internal error: the library panicked"));
            assert_eq!(conn_start_query(conn, c"select 1".as_ptr()), 0);
            assert_eq!(last_error(conn).0, CONN_ERROR_MISUSE);
            assert_eq!(conn_socket(conn), -1);
        }
        conn_close(conn);
    }
    assert_eq!(guard(7, || panic!("this message is expected")), 7);
}

/// The same of a member: its group goes on, tells of it once, and lets it go.
#[test]
#[allow(clippy::panic)]
fn a_panic_ends_one_member_and_not_its_group() {
    // SAFETY: all is open up to the last lines.
    unsafe {
        let group = conn_group_open();
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap_or_else(|_| panic!());
        let fd = std::os::fd::IntoRawFd::into_raw_fd(ours);
        let conn = conn_open_fd(fd, c"user=x sslmode=disable".as_ptr());
        assert_eq!(conn_group_add(group, conn, std::ptr::null_mut()), 1);
        assert_eq!(conn_group_poll(group), CONN_WANT_READ);
        inside(conn, 7, |_, _| panic!("this message is expected"));
        let bits = conn_group_poll(group);
        assert_eq!(bits, CONN_WANT_READ | CONN_RESULT | CONN_IDLE | CONN_FAILED);
        let mut ready = std::mem::MaybeUninit::<ConnReady>::uninit();
        assert_eq!(conn_group_get_ready(group, ready.as_mut_ptr()), 1);
        let ready = ready.assume_init();
        assert_eq!((ready.conn, ready.bits), (conn, CONN_FAILED));
        assert!(
            last_error(conn)
                .1
                .starts_with("internal error: the library panicked")
        );
        conn_group_poll(group);
        assert_eq!(conn_group_poll(group) & CONN_RESULT, 0);
        conn_close(conn);
        assert_eq!(conn_group_poll(group) & CONN_WANT_READ, 0, "nobody is left");
        conn_group_close(group);
    }
}

/// A call into a group from inside one of its members' calls, and the other way round, is served or refused.
#[test]
fn groups_and_members_are_entered_one_at_a_time() {
    // SAFETY: all is open up to the last lines.
    unsafe {
        let group = conn_group_open();
        let conn = conn_open(c"host=/nowhere".as_ptr());
        assert_eq!(conn_group_add(group, conn, std::ptr::null_mut()), 1);
        inside(conn, (), |_, _| {
            // Its member is being used: it is polled when that is over.
            assert_ne!(conn_group_poll(group) & CONN_RUNNABLE, 0);
            assert_eq!(conn_group_remove(group, conn), 0);
            conn_group_close(group); // refused, or the member would know a group that is gone
            assert!(
                last_error(std::ptr::null())
                    .1
                    .starts_with("another call is inside a connection")
            );
            Some(())
        });
        let refused = membership::within(group, false, |_| {
            conn_close(conn);
            let closed = last_error(std::ptr::null()).1;
            assert!(closed.starts_with("another call is inside this group"));
            Some(conn_group_poll(group) == CONN_MISUSE && conn_group_remove(group, conn) == 0)
        });
        assert!(refused);
        assert_ne!(
            conn_group_poll(group) & CONN_FAILED,
            0,
            "there is no such host"
        );
        conn_group_close(group);
        conn_close(conn);
    }
}

#[test]
fn a_second_entry_is_refused() {
    // SAFETY: the connection is alive up to the last line.
    unsafe {
        let conn = conn_open(c"host=/nowhere".as_ptr());
        let seen = inside(conn, None, |_, _| {
            conn_close(conn);
            Some(Some((conn_poll(conn), last_error(conn), conn_socket(conn))))
        });
        let (bits, (kind, message), socket) = seen.unwrap_or_default();
        assert_eq!((bits, kind, socket), (CONN_MISUSE, CONN_ERROR_MISUSE, -1));
        assert!(message.starts_with("another call is inside this connection"));
        assert_ne!(conn_poll(conn), CONN_MISUSE, "the first has left");
        conn_close(conn);
    }
}

#[test]
fn panics_print_nothing_in_the_library_that_is_shipped() {
    // The hook is the process's: it is set in a process of its own, which runs this test and sees the variable.
    if std::env::var_os("PGPOLL_SILENCED").is_some() {
        silence_now();
        assert_eq!(guard(7, || [7][std::hint::black_box(1)]), 7);
        return;
    }
    let program = std::env::current_exe().unwrap_or_default();
    let name = "border::tests::panics_print_nothing_in_the_library_that_is_shipped";
    let said = std::process::Command::new(program)
        .args(["--exact", name, "--nocapture"])
        .env("PGPOLL_SILENCED", "1")
        .output();
    let said = said.map(|said| (said.status.success(), said.stderr));
    assert_eq!(said.ok(), Some((true, Vec::new())));
}
