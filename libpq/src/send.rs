//! Sends commands without waiting for their results. Knows which function is which command, not what comes back.

use std::ffi::{c_char, c_int};

use crate::arguments::text;
use crate::command::{Call, Target};
use crate::conn::PGconn;
use crate::guard::{Step, drive};

/// Sends with `work`, then pushes the output as far as libpq would.
///
/// # Safety
/// As for [`drive`].
pub(crate) unsafe fn submit(conn: *mut PGconn, work: impl Fn(&mut PGconn) -> bool) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { submit_by(conn, work, PGconn::push_step) }
}

/// Sends with `work`, which queues a command, then pushes the output by `push`.
///
/// # Safety
/// As for [`drive`].
pub(crate) unsafe fn submit_by(
    conn: *mut PGconn,
    work: impl Fn(&mut PGconn) -> bool,
    mut push: impl FnMut(&mut PGconn) -> Step<c_int>,
) -> c_int {
    let mut queued = false;
    // SAFETY: the caller's promise.
    unsafe {
        drive(conn, 0, |conn| {
            conn.submit_step(&mut queued, &work, &mut push)
        })
    }
}

impl PGconn {
    /// Queues a command by `work`, unless that is done, and pushes the output by `push`: 1 when it was sent.
    #[inline]
    pub(crate) fn submit_step(
        &mut self,
        queued: &mut bool,
        work: impl Fn(&mut Self) -> bool,
        push: impl FnOnce(&mut Self) -> Step<c_int>,
    ) -> Step<c_int> {
        if !*queued {
            *queued = work(self);
            if !*queued {
                return Step::Done(0);
            }
        }
        match push(self) {
            Step::Done(sent) if sent < 0 => {
                self.take_back();
                Step::Done(0)
            }
            Step::Done(_) => Step::Done(1),
            step => step,
        }
    }
}

/// Sends one or several statements by the simple protocol. 1 when it was sent.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; texts are NULL or strings, arrays as libpq's manual says. So for
/// all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQsendQuery(conn: *mut PGconn, query: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { submit(conn, |conn| conn.send_query(text(query))) }
}

/// Sends one statement with parameters. 1 when it was sent.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQsendQueryParams(
    conn: *mut PGconn,
    query: *const c_char,
    count: c_int,
    types: *const u32,
    values: *const *const c_char,
    lengths: *const c_int,
    formats: *const c_int,
    format: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let call = Call::new(count, types, values, lengths, formats, format);
        submit(conn, |conn| conn.send_params(text(query), &call))
    }
}

/// Prepares a statement. 1 when it was sent.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQsendPrepare(
    conn: *mut PGconn,
    name: *const c_char,
    query: *const c_char,
    count: c_int,
    types: *const u32,
) -> c_int {
    let none = std::ptr::null();
    // SAFETY: the caller's promise.
    unsafe {
        let call = Call::new(count, types, none, none.cast(), none.cast(), 0);
        submit(conn, |conn| {
            conn.send_prepare(text(name), text(query), &call)
        })
    }
}

/// Executes a prepared statement. 1 when it was sent.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQsendQueryPrepared(
    conn: *mut PGconn,
    name: *const c_char,
    count: c_int,
    values: *const *const c_char,
    lengths: *const c_int,
    formats: *const c_int,
    format: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let call = Call::new(count, std::ptr::null(), values, lengths, formats, format);
        submit(conn, |conn| conn.send_prepared(text(name), &call))
    }
}

macro_rules! of_target {
    ($(#[doc = $text:literal])+ $name:ident, $target:ident) => {
        $(#[doc = $text])+
        ///
        /// # Safety
        /// As above.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(conn: *mut PGconn, name: *const c_char) -> c_int {
            // SAFETY: the caller's promise.
            unsafe { submit(conn, |conn| conn.send_target(Target::$target, text(name))) }
        }
    };
}

of_target!(
    /// Describes a prepared statement. 1 when it was sent.
    PQsendDescribePrepared, DescribePrepared);
of_target!(
    /// Describes a portal. 1 when it was sent.
    PQsendDescribePortal, DescribePortal);
of_target!(
    /// Closes a prepared statement. 1 when it was sent.
    PQsendClosePrepared, ClosePrepared);
of_target!(
    /// Closes a portal. 1 when it was sent.
    PQsendClosePortal, ClosePortal);
