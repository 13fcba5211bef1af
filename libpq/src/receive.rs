//! Results as they come: reading without waiting, and waiting for the next one.

use std::ffi::c_int;
use std::ptr;

use crate::conn::{BAD, PGconn};
use crate::events;
use crate::guard::{Step, drive, enter};
use crate::result::{Owned, PGresult};
use crate::state::Async;

impl PGconn {
    /// Towards the next result, or the NULL in its place.
    pub(crate) fn result_step(&mut self) -> Step<*mut PGresult> {
        if std::mem::take(&mut self.waited) {
            // There is something to parse now.
            self.link.consume_input();
        }
        self.parse();
        if self.consumer.state != Async::Busy {
            let result = self.take_result();
            return Step::Done(result.map_or(ptr::null_mut(), Owned::into_raw));
        }
        self.link.flush();
        self.await_result()
    }

    /// Nothing to give yet: what to wait for.
    #[inline(always)]
    pub(crate) fn await_result<T>(&mut self) -> Step<T> {
        self.waited = true;
        // What no descriptor shows is not waited for, and neither is the end.
        if self.link.has_input() || self.link.is_send_broken() || !self.link.engine().is_linked() {
            return Step::Again;
        }
        Step::Wait {
            read: true,
            write: self.link.engine().has_output(),
        }
    }

    /// Reads what has arrived, and parses nothing.
    fn consume(&mut self) -> bool {
        if self.link.error().is_some() || self.loss_told {
            self.message.line("connection not open");
            return false;
        }
        if self.nonblocking && matches!(self.flush_step(), Step::Done(left) if left < 0) {
            return false;
        }
        if self.link.consume_input() == 0 && self.link.engine().loss().is_some() {
            self.tell_loss();
            return false;
        }
        true
    }

    pub(crate) fn is_busy(&mut self) -> bool {
        self.parse();
        self.consumer.state == Async::Busy
    }
}

/// The next result, or NULL; its event procedures are told of it.
///
/// # Safety
/// As for [`drive`].
pub(crate) unsafe fn next_result(conn: *mut PGconn) -> *mut PGresult {
    // SAFETY: the caller's promise; no reference is alive when procedures are called.
    unsafe {
        let result = drive(conn, ptr::null_mut(), PGconn::result_step);
        if !result.is_null() {
            events::tell_create(conn, result);
        }
        result
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
    unsafe { next_result(conn) }
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
            if conn.status() == BAD {
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
            if conn.status() == BAD {
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
                Step::Done(0) => {
                    conn.nonblocking = wanted;
                    Step::Done(0)
                }
                Step::Done(_) => Step::Done(-1),
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
