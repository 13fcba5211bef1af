//! Cancel requests: an object of their own, driven like a connection.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use pgpoll::conn::{Cancel, CancelPoll};
use pgpoll::error::Error;
use pgpoll::net::clock;

use crate::border::{self, allocate, inside};
use crate::drive::{
    CONN_FAILED, CONN_IDLE, CONN_MISUSE, CONN_SOCKET_CHANGED, CONN_WANT_READ, CONN_WANT_WRITE,
};
use crate::error::{self, ConnError};
use crate::open::Conn;

/// A request to stop what a connection's backend is doing. Independent of the connection once it is made; one call at a
/// time, from whichever thread.
#[derive(Debug)]
pub struct ConnCancel {
    busy: AtomicBool,
    inner: UnsafeCell<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// Gone after a panic.
    pub cancel: Option<Cancel>,
    /// The descriptor that the caller was told of.
    told: Option<c_int>,
    /// The last call that was refused since the last poll.
    refused: Option<Box<ConnError>>,
    error: Option<Box<ConnError>>,
}

impl Inner {
    /// Keeps why the call was refused for `conn_cancel_error`.
    #[cold]
    pub(crate) fn misuse(&mut self, message: &'static str) {
        self.refused = Some(Box::new(ConnError::new(Error::misuse(message))));
    }
}

/// Begins to ask the server to stop what it does for a connection. Nothing waits: conn_cancel_poll does the work, on a
/// connection of its own, to the same server, encrypted as the first one is.
///
/// Where the connection is over a transport of yours (conn_open_fd, conn_open_stream) nothing can be dialled: make another
/// transport to the same server, and carry the request's bytes over it with conn_cancel_feed and conn_cancel_take_output.
/// Encryption by GSSAPI is not there for such a request: it fails.
///
/// conn: a connection that is up.
/// Returns the request; NULL when it is refused, and conn_error(conn) says why.
/// Yours until conn_cancel_close.
/// Next: conn_cancel_poll until it says CONN_IDLE or CONN_FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_cancel_open(conn: *const Conn) -> *mut ConnCancel {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null_mut(), |inner, _| {
            let cancel = match Cancel::of(&inner.connection) {
                Ok(cancel) => cancel,
                Err(error) => return inner.refuse(error),
            };
            let inner = Inner {
                cancel: Some(cancel),
                told: None,
                refused: None,
                error: None,
            };
            allocate(ConnCancel {
                busy: AtomicBool::new(false),
                inner: UnsafeCell::new(inner),
            })
            .ok()
        })
    }
}

/// Goes on with the request, and says what to wait for. Never waits.
///
/// cancel: the request.
/// Returns CONN_WANT_READ, CONN_WANT_WRITE, CONN_SOCKET_CHANGED as conn_poll does; CONN_IDLE when the server has the
///   request; CONN_FAILED when it could not be told, and conn_cancel_error says why; CONN_MISUSE as conn_poll does.
/// Next: wait for conn_cancel_socket, or carry the bytes; of a request that has failed there are none. Whether anything was
///   stopped is seen on the connection: its operation fails with SQLSTATE 57014, or was done before. Take its CONN_ITEM_DONE before
///   you start another one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_cancel_poll(cancel: *mut ConnCancel) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        within(cancel, CONN_MISUSE, |inner| {
            inner.refused = None;
            let Some(cancel) = &mut inner.cancel else {
                return CONN_FAILED;
            };
            let mut bits = match cancel.poll() {
                CancelPoll::WantRead => CONN_WANT_READ,
                // There is always room for what the server says.
                CancelPoll::WantWrite if cancel.is_stream() => CONN_WANT_READ | CONN_WANT_WRITE,
                CancelPoll::WantWrite => CONN_WANT_WRITE,
                CancelPoll::Done => CONN_IDLE,
                CancelPoll::Failed => CONN_FAILED,
            };
            // An old descriptor stays open up to the next poll, so that the new one has another number.
            if inner.told != cancel.socket() {
                inner.told = cancel.socket();
                bits |= CONN_SOCKET_CHANGED;
            }
            bits
        })
    }
}

/// The descriptor to wait for; not yours to close, read or write.
///
/// cancel: the request.
/// Returns the descriptor; -1 when there is none now, when you carry the bytes, and when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_cancel_socket(cancel: *mut ConnCancel) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        within(cancel, -1, |inner| {
            inner.cancel.as_ref().and_then(Cancel::socket).unwrap_or(-1)
        })
    }
}

/// How long to wait at most before the next conn_cancel_poll: connect_timeout is for all of it, or 5 seconds without one.
///
/// cancel: the request.
/// Returns milliseconds from now, rounded up; 0 when the time has come; -1 before the first poll, when it is over, and when
///   it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_cancel_deadline_ms(cancel: *mut ConnCancel) -> i64 {
    // SAFETY: the caller's promise.
    unsafe {
        within(cancel, -1, |inner| {
            match inner.cancel.as_ref().and_then(Cancel::deadline_ns) {
                None => -1,
                Some(deadline) => {
                    let left = deadline.saturating_sub(clock::now_ns());
                    i64::try_from(left.div_ceil(1_000_000)).unwrap_or(i64::MAX)
                }
            }
        })
    }
}

/// The request as it goes over the wire, not encrypted yet: for those who do without conn_cancel_poll, and send it over a
/// connection of its own to the same server, encrypted as the first one is, which the server closes when it has dealt with it.
///
/// cancel: the request. len: is set to the number of bytes.
/// Returns the bytes; NULL when it is refused, and conn_cancel_error says why. They are as secret as a password.
/// Borrowed from the request; do not free it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_cancel_packet(
    cancel: *mut ConnCancel,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller's promise; `len` is NULL or points to room for one.
    unsafe {
        within(cancel, ptr::null(), |inner| {
            if len.is_null() {
                inner.misuse("len is NULL: pass where the number of bytes goes");
                return ptr::null();
            }
            let Some(packet) = inner.cancel.as_ref().map(Cancel::packet) else {
                return ptr::null();
            };
            len.write(packet.len());
            packet.as_ptr().cast()
        })
    }
}

/// What went wrong: the last call since the last conn_cancel_poll that was refused; else why the server could not be told.
///
/// cancel: the request.
/// Returns the error; NULL when there is none, and when it is refused.
/// Borrowed until the next call with this request; do not free it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_cancel_error(cancel: *mut ConnCancel) -> *const ConnError {
    // SAFETY: the caller's promise.
    unsafe {
        within(cancel, ptr::null(), |inner| {
            if let Some(refused) = &inner.refused {
                return &raw const **refused;
            }
            if inner.error.is_none() {
                let error = inner.cancel.as_ref().and_then(Cancel::error).cloned();
                inner.error = error.map(|error| Box::new(ConnError::new(error)));
            }
            inner.error.as_deref().map_or(ptr::null(), ptr::from_ref)
        })
    }
}

/// Closes the request's own connection and frees it. Never waits. Closed before CONN_IDLE it may or may not have an effect.
///
/// cancel: the request, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_cancel_close(cancel: *mut ConnCancel) {
    if cancel.is_null() {
        return;
    }
    // SAFETY: the caller's promise. Whoever is inside is left alone.
    unsafe {
        if within(cancel, false, |_| true) {
            border::free(cancel);
        }
    }
}

/// Works on a request: as [`inside`] does on a connection.
///
/// # Safety
/// `cancel` is NULL, or was returned by `conn_cancel_open` and not closed.
pub(crate) unsafe fn within<T>(
    cancel: *mut ConnCancel,
    fallback: T,
    work: impl FnOnce(&mut Inner) -> T,
) -> T {
    // SAFETY: the caller's promise; a request is only ever shared.
    let Some(cancel) = (unsafe { cancel.as_ref() }) else {
        error::refuse_outside("the cancel request is NULL: pass what conn_cancel_open returned");
        return fallback;
    };
    if cancel.busy.swap(true, Ordering::Acquire) {
        error::refuse_outside(
            "another call is inside this cancel request: one call at a time, from whichever thread",
        );
        return fallback;
    }
    // SAFETY: `busy` was false and is true now, so nobody else is here.
    let inner = unsafe { &mut *cancel.inner.get() };
    let result = catch_unwind(AssertUnwindSafe(|| work(inner)));
    if result.is_err() {
        // Never touched again, not even to be dropped.
        std::mem::forget(inner.cancel.take());
        inner.refused = None;
        inner.error = Some(Box::new(ConnError::new(Error::transport(
            "internal error: the library panicked; close this request, and make another one",
        ))));
    }
    cancel.busy.store(false, Ordering::Release);
    result.unwrap_or(fallback)
}
