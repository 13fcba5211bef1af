//! Results as they come: reading without waiting, and waiting for the next one.

use std::ffi::c_int;

use crate::conn::PGconn;
use crate::guard::{Step, drive, enter};
use crate::result::PGresult;
use crate::state::Async;

impl PGconn {
    /// Towards the next result, or the NULL in its place.
    pub(crate) fn result_step(&mut self) -> Step<*mut PGresult> {
        self.parse();
        if self.consumer.state != Async::Busy {
            let result = self.take_result();
            return Step::Done(result.map_or(std::ptr::null_mut(), Box::into_raw));
        }
        self.link.flush();
        if self.link.consume_input() > 0 || !self.link.engine().is_linked() {
            return Step::Again;
        }
        Step::Wait {
            read: true,
            write: !self.link.engine().output().is_empty(),
        }
    }

    /// Reads what has arrived, and parses nothing.
    fn consume(&mut self) -> bool {
        if self.link.error().is_some() {
            self.message.line("connection not open");
            return false;
        }
        if self.nonblocking {
            self.link.flush();
        }
        if self.link.consume_input() == 0 && self.link.engine().loss().is_some() {
            self.tell_loss();
            return false;
        }
        true
    }

    fn is_busy(&mut self) -> bool {
        self.parse();
        self.consumer.state == Async::Busy
    }
}

/// The next result of the commands that were sent, waiting for it; NULL when a command has no more, and when there is none.
/// Free it with [`PQclear`](crate::result::PQclear).
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQgetResult(conn: *mut PGconn) -> *mut PGresult {
    // SAFETY: the caller's promise.
    unsafe { drive(conn, std::ptr::null_mut(), PGconn::result_step) }
}

/// 1 when [`PQgetResult`] would wait.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQisBusy(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { enter(conn, 0, |conn| c_int::from(conn.is_busy())) }
}

/// Reads what has arrived. 0 when there is trouble.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQconsumeInput(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { enter(conn, 0, |conn| c_int::from(conn.consume())) }
}

/// Sends what is queued: 0 when all of it went, 1 when some is left, -1 when there is trouble.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQflush(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        drive(conn, -1, |conn| {
            if conn.link.error().is_some() {
                return Step::Done(-1);
            }
            conn.flush_step()
        })
    }
}

/// Whether calls that send wait for the socket. 0, or -1 when the output that is queued cannot be sent first.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQsetnonblocking(conn: *mut PGconn, nonblocking: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        drive(conn, -1, |conn| {
            if conn.link.error().is_some() {
                return Step::Done(-1);
            }
            let wanted = nonblocking != 0;
            if wanted == conn.nonblocking {
                return Step::Done(0);
            }
            if conn.consumer.queue.is_empty() {
                conn.clear_error();
            }
            match conn.flush_step() {
                // What is left goes out in the new mode.
                Step::Done(_) => {
                    conn.nonblocking = wanted;
                    Step::Done(0)
                }
                step => step,
            }
        })
    }
}

/// Has each row of the command that is being answered given as a result of its own. 1 when that is possible: after sending,
/// before the first result.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetSingleRowMode(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { enter(conn, 0, |conn| c_int::from(conn.set_single_row())) }
}

/// The same with so many rows in each result.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetChunkedRowsMode(conn: *mut PGconn, rows: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { enter(conn, 0, |conn| c_int::from(conn.set_chunks(rows))) }
}
