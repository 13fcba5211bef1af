//! What an error tells: its accessors.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;

use pgpoll::error::Family;

use crate::border::guard;
use crate::error::ConnError;

/// Whose fault it is.
///
/// error: the error.
/// Returns CONN_ERROR_…; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_kind(error: *const ConnError) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { of(error, 0, |error| error.kind) }
}

/// The message: of the server's words the primary one. While connecting it begins with which server it was.
///
/// error: the error.
/// Returns the text, byte for byte as the server sent it; NULL for NULL.
/// Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_message(error: *const ConnError) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { of(error, ptr::null(), ConnError::message) }
}

/// The SQLSTATE, five characters (manual, "PostgreSQL Error Codes"): the server's, or 08006 when the transport failed,
/// or 57014 when an operation was given up at its deadline (conn_set_timeout_ms).
///
/// error: the error.
/// Returns the text; NULL when there is none (misuse), and for NULL.
/// Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_sqlstate(error: *const ConnError) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe {
        of(error, ptr::null(), |error| match error.error.family() {
            Family::Server => error.field(b'C'),
            Family::Transport if error.error.is_timeout() => c"57014".as_ptr(),
            Family::Transport => c"08006".as_ptr(),
            Family::Misuse => ptr::null(),
        })
    }
}

/// The severity: ERROR, FATAL, PANIC; of a notice WARNING, NOTICE, DEBUG, INFO, LOG. Never translated by servers since 9.6.
///
/// error: the error.
/// Returns the text; NULL when the server did not say it, and for NULL.
/// Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_severity(error: *const ConnError) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe {
        of(error, ptr::null(), |error| match error.field(b'V') {
            severity if severity.is_null() => error.field(b'S'),
            severity => severity,
        })
    }
}

/// The server's second message with more about the problem.
///
/// error: the error.
/// Returns the text; NULL when there is none, and for NULL.
/// Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_detail(error: *const ConnError) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { of(error, ptr::null(), |error| error.field(b'D')) }
}

/// The server's suggestion of what to do about the problem.
///
/// error: the error.
/// Returns the text; NULL when there is none, and for NULL.
/// Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_hint(error: *const ConnError) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { of(error, ptr::null(), |error| error.field(b'H')) }
}

/// Where in the statement the error is.
///
/// error: the error.
/// Returns the position in characters, from 1; 0 when the server did not say it, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_position(error: *const ConnError) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        of(error, 0, |error| {
            let digits = error.server().and_then(|server| server.field(b'P'));
            let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
            digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
        })
    }
}

/// Any field of the server's words by its code (manual, "Error and Notice Message Fields").
///
/// error: the error. code: such as 't' for the table's name or 'n' for the constraint's.
/// Returns the text; NULL when there is no such field, and for NULL.
/// Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_field(error: *const ConnError, code: c_int) -> *const c_char {
    let code = u8::try_from(code).unwrap_or(0);
    // SAFETY: the caller's promise.
    unsafe { of(error, ptr::null(), |error| error.field(code)) }
}

/// The errno of the system call that failed.
///
/// error: the error.
/// Returns the number; 0 when no system call is to blame, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_errno(error: *const ConnError) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { of(error, 0, |error| error.error.errno()) }
}

/// Whether the same work can be tried again without doing it twice: nothing of it was sent, or the server said that it did
/// nothing for a reason that passes (serialization failure, deadlock, starting up).
///
/// error: the error.
/// Returns 1 or 0; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_safe_to_retry(error: *const ConnError) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { of(error, 0, |error| error.error.is_safe_to_retry().into()) }
}

/// The whole of it for people, as psql shows it: severity, message, position, DETAIL, HINT, QUERY, CONTEXT, each on a line
/// of its own. No newline at the end.
///
/// error: the error.
/// Returns the text; NULL for NULL.
/// Borrowed from the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_text(error: *const ConnError) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe {
        of(error, ptr::null(), |error| {
            let text: &CStr = error.text.get_or_init(|| error.whole_text());
            text.as_ptr()
        })
    }
}

/// Asks an error for something.
///
/// # Safety
/// `error` is NULL, or an error that is alive.
unsafe fn of<T>(error: *const ConnError, fallback: T, ask: impl FnOnce(&ConnError) -> T) -> T
where
    T: Copy,
{
    guard(fallback, || {
        // SAFETY: the caller's promise.
        unsafe { error.as_ref() }.map_or(fallback, ask)
    })
}
