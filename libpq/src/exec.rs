//! Commands that wait for their results. Knows how to send and to collect, nothing of messages.

use std::ffi::{c_char, c_int};
use std::ptr;

use crate::arguments::text;
use crate::command::{Call, Target};
use crate::conn::{BAD, PGconn};
use crate::guard::{drive, enter};
use crate::result::PGresult;
use crate::send::submit;

/// Drops results that were not taken, sends, and waits for the last result.
///
/// # Safety
/// As for [`drive`].
unsafe fn execute(conn: *mut PGconn, send: impl Fn(&mut PGconn) -> bool) -> *mut PGresult {
    // SAFETY: the caller's promise; results come from boxes.
    unsafe {
        if !enter(conn, false, PGconn::may_execute) {
            return ptr::null_mut();
        }
        loop {
            let old = drive(conn, ptr::null_mut(), PGconn::result_step);
            if old.is_null() {
                break;
            }
            drop(Box::from_raw(old));
            if enter(conn, BAD, |conn| conn.status()) == BAD {
                return ptr::null_mut();
            }
        }
        if submit(conn, send) == 0 {
            return ptr::null_mut();
        }
        let mut last: *mut PGresult = ptr::null_mut();
        loop {
            let next = drive(conn, ptr::null_mut(), PGconn::result_step);
            if next.is_null() {
                return last;
            }
            if !last.is_null() {
                drop(Box::from_raw(last));
            }
            last = next;
            if enter(conn, BAD, |conn| conn.status()) == BAD {
                return last;
            }
        }
    }
}

impl PGconn {
    fn may_execute(&mut self) -> bool {
        if self.consumer.queue.is_empty() {
            self.clear_error();
        }
        if self.consumer.is_in_pipeline() {
            self.message
                .line("synchronous command execution functions are not allowed in pipeline mode");
            return false;
        }
        true
    }
}

/// Runs one or several statements and waits; gives the last result, or NULL when nothing was sent.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; texts are NULL or strings, arrays as libpq's manual says. So for
/// all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQexec(conn: *mut PGconn, query: *const c_char) -> *mut PGresult {
    // SAFETY: the caller's promise.
    unsafe { execute(conn, |conn| conn.send_query(text(query))) }
}

/// Runs one statement with parameters and waits.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQexecParams(
    conn: *mut PGconn,
    query: *const c_char,
    count: c_int,
    types: *const u32,
    values: *const *const c_char,
    lengths: *const c_int,
    formats: *const c_int,
    format: c_int,
) -> *mut PGresult {
    // SAFETY: the caller's promise.
    unsafe {
        let call = Call::new(count, types, values, lengths, formats, format);
        execute(conn, |conn| conn.send_params(text(query), &call))
    }
}

/// Prepares a statement and waits.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQprepare(
    conn: *mut PGconn,
    name: *const c_char,
    query: *const c_char,
    count: c_int,
    types: *const u32,
) -> *mut PGresult {
    let none = ptr::null();
    // SAFETY: the caller's promise.
    unsafe {
        let call = Call::new(count, types, none, none.cast(), none.cast(), 0);
        execute(conn, |conn| {
            conn.send_prepare(text(name), text(query), &call)
        })
    }
}

/// Executes a prepared statement and waits.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQexecPrepared(
    conn: *mut PGconn,
    name: *const c_char,
    count: c_int,
    values: *const *const c_char,
    lengths: *const c_int,
    formats: *const c_int,
    format: c_int,
) -> *mut PGresult {
    // SAFETY: the caller's promise.
    unsafe {
        let call = Call::new(count, ptr::null(), values, lengths, formats, format);
        execute(conn, |conn| conn.send_prepared(text(name), &call))
    }
}

macro_rules! of_target {
    ($(#[doc = $text:literal])+ $name:ident, $target:ident) => {
        $(#[doc = $text])+
        ///
        /// # Safety
        /// As above.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(
            conn: *mut PGconn,
            name: *const c_char,
        ) -> *mut PGresult {
            // SAFETY: the caller's promise.
            unsafe { execute(conn, |conn| conn.send_target(Target::$target, text(name))) }
        }
    };
}

of_target!(
    /// Describes a prepared statement and waits.
    PQdescribePrepared, DescribePrepared);
of_target!(
    /// Describes a portal and waits.
    PQdescribePortal, DescribePortal);
of_target!(
    /// Closes a prepared statement and waits.
    PQclosePrepared, ClosePrepared);
of_target!(
    /// Closes a portal and waits.
    PQclosePortal, ClosePortal);
