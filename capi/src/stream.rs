//! Connections over a transport that the caller has made: a connected descriptor, or bytes that the caller carries.

use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use pgpoll::conn::Connection;
use pgpoll::error::Error;

use crate::border::{guard, inside};
use crate::open::{Conn, give};
use crate::text;

const NO_CONNINFO: &str = "the connection string is NULL: pass \"\" to connect with the defaults";

const NO_STREAM: &str = "the connection has a descriptor of its own: only one of conn_open_stream is fed and gives output";

/// Begins to connect over a stream socket that is connected already: a tunnel, a socket of systemd's, one end of a
/// socketpair. Nothing is resolved and nothing dialled; all else is done as conninfo says, TLS and authentication included.
///
/// fd: a connected stream socket, blocking or not. It is the connection's from now on, is closed with it, and becomes
///   close-on-exec; also when conninfo makes no sense. Only what is no descriptor at all is left alone.
/// conninfo: as for conn_open, with one host at most: what the socket leads to. Its name is what the server's certificate
///   has to have (sslmode=verify-full) and, with the port, what the password file is searched for. Not needed after the call.
/// Returns a connection, as conn_open does.
/// Yours until conn_close.
/// Next: conn_poll until it says CONN_IDLE or CONN_FAILED. It cannot be reset, and requests to cancel are yours to
///   carry: conn_cancel_packet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_open_fd(fd: c_int, conninfo: *const c_char) -> *mut Conn {
    guard(ptr::null_mut(), || {
        // SAFETY: takes integers alone; a negative or closed descriptor is an error.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
            return give(Connection::failed(Error::misuse(format!(
                "fd is {fd}, which is no open descriptor: pass a connected stream socket"
            ))));
        }
        // SAFETY: it is open, and the caller gives it away.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: the caller's promise.
        give(match unsafe { text::bytes(conninfo) } {
            Some(conninfo) => Connection::open_fd(socket, conninfo),
            None => Connection::failed(Error::misuse(NO_CONNINFO)),
        })
    })
}

/// Begins to connect over bytes that you carry, by whatever means: conn_feed brings what the server has sent,
/// conn_take_output gives what it is to be sent. There is no descriptor: conn_socket is -1. CONN_WANT_READ means that the
/// connection waits for the server, CONN_WANT_WRITE that there is output to take. conn_wait does not wait.
///
/// conninfo: as for conn_open_fd.
/// Returns a connection, as conn_open does.
/// Yours until conn_close.
/// Next: the loop is conn_poll, conn_take_output until there is none, conn_feed with what has arrived, conn_poll …: poll after
///   each of them. conn_deadline_ms and all that is not about descriptors is as ever. It cannot be reset, and requests to cancel
///   are yours to carry: conn_cancel_packet. An operation whose deadline has passed is only waited for, as long as
///   conn_set_cancel_timeout_ms says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_open_stream(conninfo: *const c_char) -> *mut Conn {
    guard(ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        give(match unsafe { text::bytes(conninfo) } {
            Some(conninfo) => Connection::open_stream(conninfo),
            None => Connection::failed(Error::misuse(NO_CONNINFO)),
        })
    })
}

/// Brings bytes that the server has sent. Copies them and does nothing else: conn_poll works on them.
///
/// conn: a connection of conn_open_stream. bytes: what has arrived, len bytes, in order. Not needed after the call.
/// Returns how many were taken, the first ones; fewer than len, perhaps 0, when there is no room: poll, take results, and
///   bring the others again. 0 also when the connection is over, and when it is refused.
/// Next: conn_poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_feed(conn: *mut Conn, bytes: *const c_void, len: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            if !inner.connection.is_stream() {
                return inner.misuse(NO_STREAM);
            }
            if bytes.is_null() && len > 0 {
                return inner.misuse("bytes is NULL: pass what the server has sent");
            }
            let bytes = text::array(bytes.cast(), len);
            Some(inner.connection.feed(bytes))
        })
    }
}

/// Says that the server has closed the transport: nothing comes after what was fed.
///
/// conn: a connection of conn_open_stream.
/// Next: conn_poll. What was fed before is still worked through; then the connection is over.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_feed_eof(conn: *mut Conn) {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, (), |inner, _| {
            if !inner.connection.is_stream() {
                return inner.misuse(NO_STREAM);
            }
            inner.connection.feed_eof();
            Some(())
        });
    }
}

/// Takes bytes that are to be carried to the server, in order. What is taken is yours to carry, all of it.
///
/// conn: a connection of conn_open_stream. into: where they are put. size: the room there, in bytes.
/// Returns how many there were, at most size; 0 when there are none now, and when it is refused.
/// Next: the same again until it is 0, then conn_poll: there may be more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_take_output(
    conn: *mut Conn,
    into: *mut c_void,
    size: usize,
) -> usize {
    // SAFETY: the caller's promise; the connection's output is not the caller's memory.
    unsafe {
        inside(conn, 0, |inner, _| {
            if !inner.connection.is_stream() {
                return inner.misuse(NO_STREAM);
            }
            if into.is_null() && size > 0 {
                return inner.misuse("into is NULL: pass room for the output");
            }
            let output = inner.connection.output();
            let count = output.len().min(size);
            if count > 0 {
                ptr::copy_nonoverlapping(output.as_ptr(), into.cast(), count);
            }
            inner.connection.taken(count);
            Some(count)
        })
    }
}
