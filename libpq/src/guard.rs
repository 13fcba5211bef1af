//! The border: nothing unwinds into C, and callbacks run where they may do as they like. Knows no operation.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use pgpoll::error::Error;

use crate::auth_data::{self, Asked};
use crate::conn::{PGconn, POLLING_READING};
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

/// Sees to it that a panic, which ends at the border, prints nothing on the program's standard error. The hook that prints belongs to
/// the copy of the standard library inside this library; builds with debug assertions keep it, and developers their messages.
pub(crate) fn silence() {
    static ONCE: Once = Once::new();
    if !cfg!(debug_assertions) {
        ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    }
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
    // Programs open connections for their children (pg_basebackup, whoever calls daemon): who uses one has it. Only closing
    // is no use, so that a child that ends leaves its parent's session alone.
    // SAFETY: not NULL, and ours alone as the caller promises.
    unsafe { (*conn).link.take_over() };
    loop {
        let said = guard(|| {
            // SAFETY: not NULL, and ours alone as the caller promises; the reference ends with the step.
            let conn = unsafe { &mut *conn };
            let said = step(conn);
            conn.remember_texts();
            said
        });
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
                let (read, write) = match unsafe { auth_data::ask(conn) } {
                    Asked::Nothing => (read, write),
                    Asked::Answered => continue,
                    Asked::Waiting(direction) => {
                        (direction == POLLING_READING, direction != POLLING_READING)
                    }
                };
                // SAFETY: as above.
                let (socket, timeout) = unsafe { ((*conn).socket(), (*conn).patience()) };
                pgpoll::net::wait(
                    Some(socket).filter(|&socket| socket >= 0),
                    read,
                    write,
                    timeout,
                );
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

/// Changes a connection; nothing is parsed, written or delivered.
///
/// # Safety
/// As for [`drive`].
pub(crate) unsafe fn edit<T>(
    conn: *mut PGconn,
    fallback: T,
    work: impl FnOnce(&mut PGconn) -> T,
) -> T {
    // SAFETY: the caller's promise.
    match unsafe { conn.as_mut() } {
        None => fallback,
        Some(conn) => guard(|| work(conn)).unwrap_or(fallback),
    }
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
