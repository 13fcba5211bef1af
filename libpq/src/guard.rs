//! The border: nothing unwinds into C, and callbacks run where they may do as they like. Knows no operation.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pgpoll::error::Error;

use crate::conn::PGconn;
use crate::{notice, trace};

/// How far a function came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<T> {
    /// That is the answer.
    Done(T),
    /// The socket must be readable, or writable, first.
    Wait { read: bool, write: bool },
    /// Something was parsed: notices may be waiting for their receiver.
    Again,
}

/// Runs `work`; a panic gives `None`.
pub(crate) fn guard<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Takes `step` until it is done, waiting in between; after each step the trace is written and notices are delivered, with
/// nothing of ours on the stack that a callback's longjmp could lose.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now.
pub(crate) unsafe fn drive<T: Copy>(
    conn: *mut PGconn,
    fallback: T,
    mut step: impl FnMut(&mut PGconn) -> Step<T>,
) -> T {
    if conn.is_null() {
        return fallback;
    }
    loop {
        // SAFETY: not NULL, and ours alone as the caller promises; the reference ends with the step.
        let said = guard(|| step(unsafe { &mut *conn }));
        if said.is_none() {
            // SAFETY: as above.
            guard(|| unsafe { poison(&mut *conn) });
        }
        // SAFETY: as above; no reference is alive.
        let called = unsafe {
            trace::write(conn);
            notice::deliver(conn)
        };
        match said {
            None => return fallback,
            Some(Step::Done(value)) => return value,
            Some(Step::Again) => {}
            // Who was called may have called in and received what is waited for.
            Some(Step::Wait { .. }) if called => {}
            Some(Step::Wait { read, write }) => {
                // SAFETY: as above.
                let (socket, timeout) = unsafe { ((*conn).link.socket(), (*conn).patience()) };
                pgpoll::net::wait(socket, read, write, timeout);
            }
        }
    }
}

/// The same for what never waits.
///
/// # Safety
/// As for [`drive`].
pub(crate) unsafe fn enter<T: Copy>(
    conn: *mut PGconn,
    fallback: T,
    work: impl Fn(&mut PGconn) -> T,
) -> T {
    // SAFETY: the caller's promise.
    unsafe { drive(conn, fallback, |conn| Step::Done(work(conn))) }
}

/// Reads one thing off a connection; nothing is parsed, written or delivered.
///
/// # Safety
/// `conn` is NULL or a connection.
pub(crate) unsafe fn look<T>(
    conn: *const PGconn,
    fallback: T,
    work: impl FnOnce(&PGconn) -> T,
) -> T {
    // SAFETY: the caller's promise.
    unsafe { look_at(conn, fallback, work) }
}

/// The same for any object of C's.
///
/// # Safety
/// `object` is NULL or valid.
pub(crate) unsafe fn look_at<O, T>(object: *const O, fallback: T, work: impl FnOnce(&O) -> T) -> T {
    // SAFETY: NULL or valid, as the caller promises.
    match unsafe { object.as_ref() } {
        None => fallback,
        Some(object) => guard(|| work(object)).unwrap_or(fallback),
    }
}

/// After a panic the connection is over.
fn poison(conn: &mut PGconn) {
    conn.link.engine_mut().end(Error::transport(
        "internal error: a function panicked; the connection is closed",
    ));
}
