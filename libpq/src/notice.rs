//! Notices on their way to the program: receivers, processors, and the frames from which they are called.

use std::ffi::{c_char, c_void};
use std::ptr;

use crate::conn::PGconn;
use crate::guard::{guard, look};
use crate::result::{NONFATAL_ERROR, PGresult};

/// Gets a notice as a result.
pub type PQnoticeReceiver = Option<unsafe extern "C-unwind" fn(*mut c_void, *const PGresult)>;
/// Gets a notice as a text.
pub type PQnoticeProcessor = Option<unsafe extern "C-unwind" fn(*mut c_void, *const c_char)>;

/// Who gets the notices of a connection and of the results that came from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hooks {
    receiver: PQnoticeReceiver,
    receiver_argument: *mut c_void,
    processor: PQnoticeProcessor,
    processor_argument: *mut c_void,
}

impl Hooks {
    pub(crate) const DEFAULT: Self = Self {
        receiver: Some(default_receiver),
        receiver_argument: ptr::null_mut(),
        processor: Some(default_processor),
        processor_argument: ptr::null_mut(),
    };
}

/// Hands the notice to the processor.
unsafe extern "C-unwind" fn default_receiver(_: *mut c_void, result: *const PGresult) {
    // SAFETY: called with a result that lives through the call.
    let (hooks, message) = unsafe { ((*result).hooks, (*result).message()) };
    if let Some(processor) = hooks.processor {
        // SAFETY: the program's function and argument, as it gave them.
        unsafe { processor(hooks.processor_argument, message) };
    }
}

/// Prints the notice.
unsafe extern "C-unwind" fn default_processor(_: *mut c_void, message: *const c_char) {
    // SAFETY: a string that lives through the call; the descriptor is the program's standard error.
    unsafe {
        let _ = libc::write(libc::STDERR_FILENO, message.cast(), libc::strlen(message));
    }
}

/// Gives every queued notice to the receiver; true when there was one.
///
/// # Safety
/// `conn` is a connection, and no reference to it is alive: the receiver may call in again.
pub(crate) unsafe fn deliver(conn: *mut PGconn) -> bool {
    let mut called = false;
    loop {
        // SAFETY: the caller's promise.
        let notice = guard(|| unsafe { (*conn).next_notice() }).flatten();
        let Some(notice) = notice else { return called };
        called = true;
        // SAFETY: from the box that was just made.
        unsafe { give(Box::into_raw(notice)) };
    }
}

/// Calls the receiver, then frees the notice. A receiver that does not return leaks it, as in libpq.
///
/// # Safety
/// `notice` comes from a box.
unsafe fn give(notice: *mut PGresult) {
    // SAFETY: the caller's promise; the program's function and argument, as it gave them.
    unsafe {
        let hooks = (*notice).hooks;
        if let Some(receiver) = hooks.receiver {
            receiver(hooks.receiver_argument, notice);
        }
        drop(Box::from_raw(notice));
    }
}

/// A notice of libpq itself: a call that cannot be right.
///
/// # Safety
/// `result` is a result.
#[cold]
pub(crate) unsafe fn internal(result: *const PGresult, text: &str) {
    let notice = guard(|| {
        // SAFETY: the caller's promise.
        let hooks = unsafe { (*result).hooks };
        let body = [b"M", text.as_bytes(), b"\0SNOTICE\0VNOTICE\0\0"].concat();
        let message = [text.as_bytes(), b"\n"].concat();
        Box::new(PGresult::report(NONFATAL_ERROR, hooks, &body, &message))
    });
    if let Some(notice) = notice {
        // SAFETY: from a box.
        unsafe { give(Box::into_raw(notice)) };
    }
}

/// Sets who gets notices as results; NULL changes nothing. Returns who got them before.
///
/// # Safety
/// `conn` is NULL or a connection; `receiver` can be called with `argument` as long as the connection and its results live.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetNoticeReceiver(
    conn: *mut PGconn,
    receiver: PQnoticeReceiver,
    argument: *mut c_void,
) -> PQnoticeReceiver {
    // SAFETY: NULL or valid.
    let conn = unsafe { conn.as_mut() }?;
    let old = conn.hooks.receiver;
    if receiver.is_some() {
        conn.hooks.receiver = receiver;
        conn.hooks.receiver_argument = argument;
    }
    old
}

/// Sets who gets notices as texts; NULL changes nothing. Returns who got them before.
///
/// # Safety
/// As for [`PQsetNoticeReceiver`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetNoticeProcessor(
    conn: *mut PGconn,
    processor: PQnoticeProcessor,
    argument: *mut c_void,
) -> PQnoticeProcessor {
    // SAFETY: NULL or valid.
    let conn = unsafe { conn.as_mut() }?;
    let old = conn.hooks.processor;
    if processor.is_some() {
        conn.hooks.processor = processor;
        conn.hooks.processor_argument = argument;
    }
    old
}

/// How much error messages tell: terse (0), default, verbose, SQLSTATE only (3). Returns the old value.
///
/// # Safety
/// `conn` is NULL or a connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetErrorVerbosity(conn: *mut PGconn, verbosity: i32) -> i32 {
    // SAFETY: NULL or valid.
    match unsafe { conn.as_mut() } {
        None => crate::report::DEFAULT,
        Some(conn) => std::mem::replace(&mut conn.verbosity, verbosity),
    }
}

/// When error messages tell the context: never (0), of errors, always (2). Returns the old value.
///
/// # Safety
/// `conn` is NULL or a connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetErrorContextVisibility(conn: *mut PGconn, context: i32) -> i32 {
    // SAFETY: NULL or valid.
    match unsafe { conn.as_mut() } {
        None => crate::report::CONTEXT_OF_ERRORS,
        Some(conn) => std::mem::replace(&mut conn.context, context),
    }
}

/// The text of the last error; empty when there was none. It belongs to the connection, and lives until the next call.
///
/// # Safety
/// `conn` is NULL or a connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQerrorMessage(conn: *const PGconn) -> *mut c_char {
    const NULL: *mut c_char = c"connection pointer is NULL\n".as_ptr().cast_mut();
    // SAFETY: NULL or valid.
    unsafe { look(conn, NULL, |conn| conn.message.as_ptr()) }
}
