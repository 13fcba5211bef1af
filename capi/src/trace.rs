//! Seeing inside: the trace of messages, and what has happened lately.

use std::ffi::c_int;

use pgpoll::conn::Timelines;
use pgpoll::engine::Trace;

use crate::border::{guard, inside};
use crate::error::{refuse_outside, refuse_without};
use crate::open::Conn;
use crate::text;

/// Lines begin without the time.
pub const CONN_TRACE_SUPPRESS_TIMESTAMPS: u32 = 1;
/// What differs between runs of the same test is not printed: object IDs, and where in the server's source an error comes
/// from.
pub const CONN_TRACE_REGRESS_MODE: u32 = 2;

const _: () = {
    assert!(CONN_TRACE_SUPPRESS_TIMESTAMPS == Trace::SUPPRESS_TIMESTAMPS);
    assert!(CONN_TRACE_REGRESS_MODE == Trace::REGRESS_MODE);
};

/// Begins to trace the messages of the protocol, both directions, in the format of libpq's PQtrace: a line for each, with the
/// time, F or B (from the frontend or the backend), its length, its name and its fields, between tabs. Call it right after
/// conn_open and the startup is in it. It goes on after conn_reset, and takes the place of an earlier trace.
///
/// Passwords and keys are never shown; the texts of statements and all values are.
///
/// conn: the connection. fd: a descriptor that is open for writing: a file, a pipe, a socket, a terminal. It is duplicated:
///   close it when you like. flags: 0, or CONN_TRACE_SUPPRESS_TIMESTAMPS and CONN_TRACE_REGRESS_MODE.
/// Returns 1; 0 when it is refused, and conn_error(conn) says why: the descriptor is closed, or not open for writing.
/// Next: the lines of a call are written before it returns. No call waits for whoever reads them, also when fd is a
///   blocking descriptor, and SIGPIPE is never raised; a file takes the time that its disk takes. Lines that nobody takes are
///   kept up to 1 MB; then messages are left out, and a line says how many: "!", their number, a text, between tabs. When the
///   descriptor takes nothing any more (the reader has gone, the disk is full) the trace ends, and conn_warnings says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_trace(conn: *mut Conn, fd: c_int, flags: u32) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            match inner.connection.trace(fd, flags) {
                Ok(()) => Some(1),
                Err(error) => inner.refuse(error),
            }
        })
    }
}

/// Ends the trace of messages. Without one nothing happens.
///
/// conn: the connection.
/// Returns 1; 0 when the trace is not complete, or it is refused, and conn_error(conn) says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_untrace(conn: *mut Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| match inner.connection.untrace() {
            Ok(()) => Some(1),
            Err(error) => inner.refuse(error),
        })
    }
}

/// How many of its last changes of state a connection remembers, for conn_trace_timeline: phases, operations and how they ended,
/// what was awaited, COPY, cancels, errors, bytes received and sent. It always remembers the last 16 of them.
///
/// conn: the connection. entries: 48 bytes each; at most 1,048,576; 0 for the 16. conn_reset keeps it, and those there are.
/// Returns 1; 0 when there is no memory for so many, or it is refused, and conn_error(conn) says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_set_timeline(conn: *mut Conn, entries: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            match inner.connection.set_timeline(entries) {
                Ok(()) => Some(1),
                Err(error) => inner.refuse(error),
            }
        })
    }
}

/// Writes what connections remember as a file that Perfetto (ui.perfetto.dev) and chrome://tracing show: trace events of
/// Chrome's format, a JSON array. Each connection is a thread of the process, with its phases, operations and awaits as slices,
/// cancels, errors, and counters of bytes; what is not over is begun and not ended. Times are microseconds of
/// CLOCK_MONOTONIC: arrays of several processes can be put together. No SQL, no values, no secrets.
///
/// conns: count connections; those that are NULL or that another call is inside are left out. fd: a descriptor that is
///   open for writing, and stays yours. It is not waited for: pass a file, or have the pipe emptied meanwhile.
/// Returns 1 when all of it is written; else 0, and conn_error(NULL) says why.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_trace_timeline(
    conns: *const *mut Conn,
    count: usize,
    fd: c_int,
) -> c_int {
    guard(0, || {
        // SAFETY: the caller's promise.
        let conns = unsafe { text::array(conns, count) };
        if conns.len() != count {
            refuse_outside("conns is NULL: pass an array of connections");
            return 0;
        }
        let mut all = 1;
        let written = Timelines::new(fd).and_then(|mut file| {
            for &conn in conns {
                // SAFETY: the caller's promise.
                let added = unsafe {
                    inside(conn, None, |inner, _| {
                        Some(Some(file.add(&inner.connection)))
                    })
                };
                match added {
                    Some(added) => added?,
                    None => all = 0,
                }
            }
            file.finish()
        });
        match written {
            Ok(()) => all,
            Err(error) => {
                refuse_without(|| error);
                0
            }
        }
    })
}
