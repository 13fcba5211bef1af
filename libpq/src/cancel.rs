//! PGcancelConn: a cancel request polled like a connection. Knows no signal handlers.

use std::ffi::{c_char, c_int};

use pgpoll::conn::{Cancel, CancelPoll};
use pgpoll::error::Error;

use crate::conn::{BAD, OK, PGconn};
use crate::guard::{guard, look_at};
use crate::text::Text;

/// `ConnStatusType`.
const STARTED: c_int = 2;
const ALLOCATED: c_int = 14;

/// A cancel request, opaque to C.
#[derive(Debug)]
pub struct PGcancelConn {
    request: Option<Cancel>,
    status: c_int,
    message: Text,
}

impl PGcancelConn {
    fn new(request: Result<Cancel, Error>) -> Self {
        let mut message = Text::new();
        let request = request.map_err(|error| message.line(error.message())).ok();
        let status = if request.is_some() { ALLOCATED } else { BAD };
        Self {
            request,
            status,
            message,
        }
    }

    fn start(&mut self) -> bool {
        match self.status {
            BAD => false,
            ALLOCATED => {
                self.status = STARTED;
                self.poll() != 0
            }
            _ => {
                self.message
                    .line("cancel request is already being sent on this connection");
                self.status = BAD;
                false
            }
        }
    }

    /// `PostgresPollingStatusType`.
    fn poll(&mut self) -> c_int {
        if self.status != STARTED {
            return if self.status == OK { 3 } else { 0 };
        }
        let Some(request) = &mut self.request else {
            return 0;
        };
        match request.poll() {
            CancelPoll::WantRead => 1,
            CancelPoll::WantWrite => 2,
            CancelPoll::Done => {
                self.status = OK;
                3
            }
            CancelPoll::Failed => {
                self.fail();
                0
            }
        }
    }

    fn fail(&mut self) {
        self.status = BAD;
        if let Some(error) = self.request.as_ref().and_then(Cancel::error) {
            self.message.line(error.message());
        }
    }

    fn wait(&mut self) -> bool {
        if !self.start() {
            return false;
        }
        let done = self
            .request
            .as_mut()
            .is_some_and(|request| request.wait().is_ok());
        if done {
            self.status = OK;
        } else {
            self.fail();
        }
        done
    }

    fn reset(&mut self) {
        if let Some(request) = &mut self.request {
            request.reset();
            self.status = ALLOCATED;
            self.message.clear();
        }
    }
}

/// Works on a cancel request.
///
/// # Safety
/// `cancel` is NULL or a cancel request that nobody else uses now.
unsafe fn work<T>(
    cancel: *mut PGcancelConn,
    fallback: T,
    work: impl FnOnce(&mut PGcancelConn) -> T,
) -> T {
    // SAFETY: the caller's promise.
    match unsafe { cancel.as_mut() } {
        None => fallback,
        Some(cancel) => guard(|| work(cancel)).unwrap_or(fallback),
    }
}

/// Makes a cancel request for what `conn` is doing; [`PQcancelStatus`] tells whether it can be sent. Free it with
/// [`PQcancelFinish`].
///
/// # Safety
/// `conn` is NULL or a connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcancelCreate(conn: *mut PGconn) -> *mut PGcancelConn {
    // SAFETY: the caller's promise.
    let made = guard(|| match unsafe { conn.as_ref() } {
        None => PGcancelConn::new(Err(Error::misuse("connection pointer is NULL"))),
        Some(conn) => PGcancelConn::new(Cancel::of(&conn.link)),
    });
    made.map_or(std::ptr::null_mut(), |cancel| {
        Box::into_raw(Box::new(cancel))
    })
}

/// Sends the request and waits until the server has it. 1 when it has.
///
/// # Safety
/// `cancel` is NULL or a cancel request that nobody else uses now; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcancelBlocking(cancel: *mut PGcancelConn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { work(cancel, 0, |cancel| c_int::from(cancel.wait())) }
}

/// Begins to send the request; go on with [`PQcancelPoll`]. 1 when it has begun.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcancelStart(cancel: *mut PGcancelConn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { work(cancel, 0, |cancel| c_int::from(cancel.start())) }
}

/// Goes on; says what the socket must be ready for before the next call (`PostgresPollingStatusType`).
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcancelPoll(cancel: *mut PGcancelConn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { work(cancel, 0, PGcancelConn::poll) }
}

/// How the request stands (`ConnStatusType`): 14 not begun, 0 the server has it, 1 it failed.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcancelStatus(cancel: *const PGcancelConn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { look_at(cancel, BAD, |cancel| cancel.status) }
}

/// The descriptor to wait for, or -1.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcancelSocket(cancel: *const PGcancelConn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        look_at(cancel, -1, |cancel| {
            let request = cancel.request.as_ref();
            request.and_then(Cancel::socket).unwrap_or(-1)
        })
    }
}

/// Why it failed; empty when it did not. It belongs to the request.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcancelErrorMessage(cancel: *const PGcancelConn) -> *mut c_char {
    const NULL: *mut c_char = c"connection pointer is NULL\n".as_ptr().cast_mut();
    // SAFETY: the caller's promise.
    unsafe { look_at(cancel, NULL, |cancel| cancel.message.as_ptr()) }
}

/// Makes the request as it was before it was begun.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcancelReset(cancel: *mut PGcancelConn) {
    // SAFETY: the caller's promise.
    unsafe { work(cancel, (), PGcancelConn::reset) }
}

/// Frees the request. NULL is fine.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcancelFinish(cancel: *mut PGcancelConn) {
    if !cancel.is_null() {
        // SAFETY: the caller's promise; requests come from boxes.
        guard(|| drop(unsafe { Box::from_raw(cancel) }));
    }
}
