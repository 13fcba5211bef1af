//! Connections over a transport that the caller has made: a connected descriptor, or bytes that the caller carries, those of a
//! request to cancel among them.

use std::ffi::{c_char, c_int, c_void};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use pgpoll::conn::Connection;
use pgpoll::error::Error;

use crate::border::{guard, inside};
use crate::cancel::{ConnCancel, within};
use crate::open::{Conn, give};
use crate::text;

const NO_CONNINFO: &str = "the connection string is NULL: pass \"\" to connect with the defaults";

const NO_STREAM: &str = "the connection has a descriptor of its own: only one of conn_open_stream is fed and gives output";

const NO_STREAM_TO_CANCEL: &str = "the request has a descriptor of its own: only one about a connection over a transport of yours is fed and gives output";

const NO_BYTES: &str = "bytes is NULL: pass what the server has sent";

const NO_PLACE: &str = "into is NULL: pass room for the output";

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
///   carry: conn_cancel_open.
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
///   are yours to carry: conn_cancel_open. An operation whose deadline has passed is only waited for, as long as
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
                return inner.misuse(NO_BYTES);
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
                return inner.misuse(NO_PLACE);
            }
            let count = copy(inner.connection.output(), into, size);
            inner.connection.taken(count);
            Some(count)
        })
    }
}

/// Brings bytes that the server has sent over the request's own transport. Copies them and does nothing else.
///
/// cancel: a request about a connection over a transport of yours. bytes: what has arrived, len bytes, in order. Not needed
///   after the call.
/// Returns how many were taken, the first ones; fewer than len when there is no room: poll, and bring the others again. 0
///   also when the request is over, and when it is refused: conn_cancel_error says why.
/// Next: conn_cancel_poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_cancel_feed(
    cancel: *mut ConnCancel,
    bytes: *const c_void,
    len: usize,
) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        within(cancel, 0, |inner| match &mut inner.cancel {
            Some(cancel) if !cancel.is_stream() => {
                inner.misuse(NO_STREAM_TO_CANCEL);
                0
            }
            Some(_) if bytes.is_null() && len > 0 => {
                inner.misuse(NO_BYTES);
                0
            }
            Some(cancel) => cancel.feed(text::array(bytes.cast(), len)),
            None => 0,
        })
    }
}

/// Says that the server has closed the request's own transport: nothing comes after what was fed. That is how it says that it
/// has dealt with the request.
///
/// cancel: a request about a connection over a transport of yours.
/// Next: conn_cancel_poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_cancel_feed_eof(cancel: *mut ConnCancel) {
    // SAFETY: the caller's promise.
    unsafe {
        within(cancel, (), |inner| match &mut inner.cancel {
            Some(cancel) if !cancel.is_stream() => inner.misuse(NO_STREAM_TO_CANCEL),
            Some(cancel) => cancel.feed_eof(),
            None => {}
        });
    }
}

/// Takes bytes that are to be carried to the server over the request's own transport, in order. What is taken is yours to
/// carry, all of it.
///
/// cancel: a request about a connection over a transport of yours. into: where they are put. size: the room there, in bytes.
/// Returns how many there were, at most size; 0 when there are none now, and when it is refused.
/// Next: the same again until it is 0, then conn_cancel_poll: there may be more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_cancel_take_output(
    cancel: *mut ConnCancel,
    into: *mut c_void,
    size: usize,
) -> usize {
    // SAFETY: the caller's promise; the request's output is not the caller's memory.
    unsafe {
        within(cancel, 0, |inner| match &mut inner.cancel {
            Some(cancel) if !cancel.is_stream() => {
                inner.misuse(NO_STREAM_TO_CANCEL);
                0
            }
            Some(_) if into.is_null() && size > 0 => {
                inner.misuse(NO_PLACE);
                0
            }
            Some(cancel) => {
                let count = copy(cancel.output(), into, size);
                cancel.taken(count);
                count
            }
            None => 0,
        })
    }
}

/// Copies as much of the output as there is room for; how much that is.
///
/// # Safety
/// `into` has `size` bytes, none of them the output's.
unsafe fn copy(output: &[u8], into: *mut c_void, size: usize) -> usize {
    let count = output.len().min(size);
    if count > 0 {
        // SAFETY: the caller's promise.
        unsafe { ptr::copy_nonoverlapping(output.as_ptr(), into.cast(), count) };
    }
    count
}
