//! Notices on their way to the program: receivers, processors, and the frames from which they are called.

use std::ffi::{c_char, c_void};
use std::io::Write;
use std::{fmt, ptr};

use pgpoll::encoding::Encoding;
use pgpoll::error::ServerError;

use crate::conn::PGconn;
use crate::guard::{guard, look};
use crate::result::{NONFATAL_ERROR, Origin, Owned, PGresult, clear};
use crate::text::EMPTY;

/// Bytes of a notice of libpq itself.
const LONGEST: usize = 1023;

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
    /// Nobody.
    pub(crate) const NONE: Self = Self {
        receiver: None,
        receiver_argument: ptr::null_mut(),
        processor: None,
        processor_argument: ptr::null_mut(),
    };

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
    let (hooks, mut message) = unsafe { ((*result).hooks, (*result).message()) };
    if message.is_null() {
        message = EMPTY;
    }
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
#[inline(always)]
pub(crate) unsafe fn deliver(conn: *mut PGconn) -> bool {
    // SAFETY: the caller's promise.
    unsafe { (*conn).has_notice() && deliver_all(conn) }
}

/// # Safety
/// As for [`deliver`].
#[cold]
unsafe fn deliver_all(conn: *mut PGconn) -> bool {
    let mut called = false;
    loop {
        // SAFETY: the caller's promise.
        if !unsafe { (*conn).has_notice() } {
            return called;
        }
        // SAFETY: as above.
        let notice = guard(|| unsafe { (*conn).next_notice() }).flatten();
        let Some(notice) = notice else { return called };
        called = true;
        // SAFETY: made just now.
        unsafe { give(notice.into_raw()) };
    }
}

/// Calls the receiver, then frees the notice. A receiver that does not return leaks it, as in libpq.
///
/// # Safety
/// `notice` is a result that nobody else has.
unsafe fn give(notice: *mut PGresult) {
    // SAFETY: the caller's promise; the program's function and argument, as it gave them.
    unsafe {
        let hooks = (*notice).hooks;
        if let Some(receiver) = hooks.receiver {
            receiver(hooks.receiver_argument, notice);
        }
        clear(notice);
    }
}

/// A notice of libpq itself: a call that cannot be right.
///
/// # Safety
/// `result` is a result.
#[cold]
pub(crate) unsafe fn internal(result: *const PGresult, text: fmt::Arguments<'_>) {
    // SAFETY: the caller's promise.
    unsafe { tell((*result).hooks, text) };
}

/// The same to whoever gets the notices.
///
/// # Safety
/// The program's functions can be called with its arguments.
#[cold]
pub(crate) unsafe fn tell(hooks: Hooks, text: fmt::Arguments<'_>) {
    if hooks.receiver.is_none() {
        return;
    }
    let notice = guard(|| {
        let mut buffer = [0; LONGEST];
        let mut rest = &mut buffer[..];
        // What does not fit is cut off.
        let _ = rest.write_fmt(text);
        let left = rest.len();
        own(hooks, buffer.get(..LONGEST - left).unwrap_or_default())
    });
    if let Some(notice) = notice {
        // SAFETY: made just now.
        unsafe { give(notice.into_raw()) };
    }
}

/// A notice that no server has sent.
pub(crate) fn own(hooks: Hooks, text: &[u8]) -> Owned {
    let body = [b"M", text, b"\0SNOTICE\0VNOTICE\0\0"].concat();
    let fields = ServerError::new(&body).ok();
    let origin = Origin {
        hooks,
        ..Origin::NONE
    };
    let message = [text, b"\n"].concat();
    let encoding = Encoding::default();
    PGresult::report(NONFATAL_ERROR, &origin, fields, None, encoding, &message)
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
    let old = conn.origin.hooks.receiver;
    if receiver.is_some() {
        conn.origin.hooks.receiver = receiver;
        conn.origin.hooks.receiver_argument = argument;
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
    let old = conn.origin.hooks.processor;
    if processor.is_some() {
        conn.origin.hooks.processor = processor;
        conn.origin.hooks.processor_argument = argument;
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
