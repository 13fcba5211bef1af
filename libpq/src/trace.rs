//! PQtrace: lines from the engine to the program's FILE, after each step.

use std::ffi::c_int;
use std::ptr;

use libc::FILE;
use pgpoll::engine::Trace;
use pgpoll::net::clock;

use crate::conn::PGconn;

/// Writes the lines that the last step left to the FILE.
///
/// # Safety
/// `conn` is a connection; its FILE is open.
#[inline(always)]
pub(crate) unsafe fn write(conn: *mut PGconn) {
    // SAFETY: the caller's promise.
    unsafe {
        if !(*conn).trace_file.is_null() {
            write_lines(&mut *conn);
        }
    }
}

#[cold]
fn write_lines(conn: &mut PGconn) {
    if let Some(trace) = conn.link.engine_mut().trace() {
        let lines = trace.lines();
        if lines.is_empty() {
            return;
        }
        // Programs read the file while the trace goes on, or without ending it: libpq flushes it whenever it sends.
        // SAFETY: the bytes live through the calls; the FILE is the program's.
        unsafe {
            libc::fwrite(lines.as_ptr().cast(), 1, lines.len(), conn.trace_file);
            libc::fflush(conn.trace_file);
        }
        trace.wrote(lines.len());
    }
}

/// Begins to trace the messages of a connection into `file`, which the program keeps open until [`PQuntrace`].
///
/// # Safety
/// `conn` is NULL or a connection; `file` is NULL or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQtrace(conn: *mut PGconn, file: *mut FILE) {
    // SAFETY: NULL or valid.
    let Some(conn) = (unsafe { conn.as_mut() }) else {
        return;
    };
    end(conn);
    if !file.is_null() {
        conn.trace_file = file;
        conn.link
            .engine_mut()
            .set_trace(Some(Trace::new(0, clock::local_time)));
    }
}

/// Ends the trace.
///
/// # Safety
/// `conn` is NULL or a connection whose trace file is open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQuntrace(conn: *mut PGconn) {
    // SAFETY: NULL or valid.
    if let Some(conn) = unsafe { conn.as_mut() } {
        end(conn);
    }
}

/// Sets what the trace leaves out: `PQTRACE_SUPPRESS_TIMESTAMPS` (1), `PQTRACE_REGRESS_MODE` (2).
///
/// # Safety
/// `conn` is NULL or a connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetTraceFlags(conn: *mut PGconn, flags: c_int) {
    // SAFETY: NULL or valid.
    if let Some(conn) = unsafe { conn.as_mut() }
        && let Some(trace) = conn.link.engine_mut().trace()
    {
        trace.set_flags(flags as u32);
    }
}

fn end(conn: &mut PGconn) {
    if !conn.trace_file.is_null() {
        // SAFETY: the program keeps the FILE open until the trace ends.
        unsafe { libc::fflush(conn.trace_file) };
    }
    conn.trace_file = ptr::null_mut();
    conn.link.engine_mut().set_trace(None);
}
