//! Where C enters and leaves: one caller at a time, no panic gets out. Knows nothing of what the calls do.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use pgpoll::conn::Connection;
use pgpoll::error::Error;

use crate::error::{self, ConnError};
use crate::facts::Shown;
use crate::open::Conn;

pub(crate) mod membership;

use self::membership::Joining;

/// What [`Handle::deadline`] says when there is none.
pub(crate) const NO_DEADLINE: u64 = u64::MAX;

/// What a [`Conn`] is: the connection behind the flag that lets one caller in, and what everyone may read at any time.
#[derive(Debug)]
pub(crate) struct Handle {
    /// A caller is inside.
    busy: AtomicBool,
    /// The descriptor, the backend's process ID and the deadline as of the last call that could change them: other threads
    /// and signal handlers read these.
    pub socket: AtomicI32,
    pub pid: AtomicI32,
    pub deadline: AtomicU64,
    /// The group knows already that the connection was used.
    rung: AtomicBool,
    inner: UnsafeCell<Inner>,
}

/// What the caller who is inside works on.
#[derive(Debug)]
pub(crate) struct Inner {
    pub connection: Connection,
    /// What the last poll said.
    pub bits: u32,
    /// The last call that was refused since the last poll.
    pub refused: Option<Box<ConnError>>,
    /// Why the connection is over, once somebody has asked.
    pub over: Option<Box<ConnError>>,
    pub shown: Shown,
    /// The group that drives it.
    pub joining: Option<Joining>,
    /// A connection that panicked: never touched again, kept so that its descriptor stays open until the handle goes.
    broken: Option<Connection>,
}

impl Handle {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            busy: AtomicBool::new(false),
            socket: AtomicI32::new(-1),
            pid: AtomicI32::new(0),
            deadline: AtomicU64::new(NO_DEADLINE),
            rung: AtomicBool::new(false),
            inner: UnsafeCell::new(Inner {
                connection,
                bits: 0,
                refused: None,
                over: None,
                shown: None,
                joining: None,
                broken: None,
            }),
        }
    }

    /// Tells those who ask without entering. Called by whoever is inside.
    #[inline]
    pub(crate) fn publish(&self, connection: &Connection) {
        let pid = connection.facts().backend_pid() as i32;
        let deadline = connection.deadline_ns().unwrap_or(NO_DEADLINE);
        self.socket
            .store(connection.socket().unwrap_or(-1), Ordering::Relaxed);
        self.pid.store(pid, Ordering::Relaxed);
        self.deadline.store(deadline, Ordering::Relaxed);
    }

    /// Lets the caller in unless somebody is: then `None`.
    #[inline]
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        if self.busy.swap(true, Ordering::Acquire) {
            return None;
        }
        Some(Inside { handle: self })
    }
}

/// The right to touch a handle's connection; given back when dropped.
pub(crate) struct Inside<'a> {
    handle: &'a Handle,
}

impl Inside<'_> {
    #[inline]
    pub(crate) fn inner(&mut self) -> &mut Inner {
        // SAFETY: `busy` was false and is true now, so this is the only `Inside` of the handle; it is borrowed mutably here.
        unsafe { &mut *self.handle.inner.get() }
    }
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        self.handle.busy.store(false, Ordering::Release);
    }
}

impl Inner {
    /// Keeps why the call was refused for `conn_error`, and yields the call's fallback.
    #[cold]
    pub(crate) fn refuse<T>(&mut self, error: Error) -> Option<T> {
        self.refused = Some(Box::new(ConnError::new(error)));
        None
    }

    /// The same for a caller's mistake, in words that say what to do instead.
    #[cold]
    pub(crate) fn misuse<T>(&mut self, message: &'static str) -> Option<T> {
        self.refuse(Error::misuse(message))
    }

    /// Puts a connection that is over in the place of one that panicked.
    #[cold]
    fn poison(&mut self) {
        let over = Connection::failed(Error::transport(
            "internal error: the library panicked; this connection is over, open or reset one",
        ));
        let panicked = std::mem::replace(&mut self.connection, over);
        if self.broken.is_none() {
            self.broken = Some(panicked);
        }
        self.bits = 0;
        self.over = None;
    }
}

/// Runs `work`; a panic in it ends here and gives `fallback`.
#[inline(always)]
pub(crate) fn guard<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(fallback)
}

/// Runs `work` inside a connection; gives `fallback` when it refuses, when it panics, and when nobody can be let in: the
/// handle is NULL, or somebody is inside.
///
/// # Safety
/// `conn` is NULL or was returned by `conn_open*` and not closed.
#[inline]
pub(crate) unsafe fn inside<T>(
    conn: *const Conn,
    fallback: T,
    work: impl FnOnce(&mut Inner, &Handle) -> Option<T>,
) -> T {
    // SAFETY: the caller's promise.
    let Some(handle) = (unsafe { handle(conn) }) else {
        error::refuse_outside("the connection is NULL: pass what conn_open returned");
        return fallback;
    };
    let Some(mut entered) = handle.enter() else {
        error::refuse_outside(
            "another call is inside this connection: one call at a time, from whichever thread",
        );
        return fallback;
    };
    let inner = entered.inner();
    let result = match catch_unwind(AssertUnwindSafe(|| work(inner, handle))) {
        Ok(Some(result)) => result,
        Ok(None) => fallback,
        Err(_) => {
            let _ = catch_unwind(AssertUnwindSafe(|| {
                let inner = entered.inner();
                inner.poison();
                handle.publish(&inner.connection);
            }));
            fallback
        }
    };
    let inner = entered.inner();
    if inner.joining.is_some() {
        handle.ring(inner);
    }
    result
}

/// The handle behind a pointer from C.
///
/// # Safety
/// As for [`inside`].
#[inline]
pub(crate) unsafe fn handle<'a>(conn: *const Conn) -> Option<&'a Handle> {
    // SAFETY: the caller's promise; a handle is only ever shared.
    unsafe { conn.as_ref() }.map(|conn| &conn.handle)
}

/// Moves a value to the heap for C; gives it back when there is no memory, where `Box::new` would end the process.
pub(crate) fn allocate<T>(value: T) -> Result<*mut T, T> {
    const { assert!(size_of::<T>() > 0) };
    // SAFETY: the size is not zero.
    let place = unsafe { std::alloc::alloc(std::alloc::Layout::new::<T>()) }.cast::<T>();
    if place.is_null() {
        return Err(value);
    }
    // SAFETY: freshly allocated for a `T`.
    unsafe { ptr::write(place, value) };
    Ok(place)
}

/// Frees what [`allocate`] gave to C, or a box. NULL is fine.
///
/// # Safety
/// `place` is NULL, or came from [`allocate`] or `Box::into_raw` and was not freed.
pub(crate) unsafe fn free<T>(place: *mut T) {
    if place.is_null() {
        return;
    }
    guard((), || {
        // SAFETY: the caller's promise; `Box` frees with the same layout that `allocate` asks for.
        drop(unsafe { Box::from_raw(place) });
    });
}

/// Sees to it that a panic, which ends at the border, prints nothing on the caller's standard error.
///
/// The hook that prints belongs to the copy of the standard library inside this library: each face is a static library whose
/// names are hidden, so no other Rust code in the process is touched. That is not so where this crate is linked into a Rust
/// program, as its tests do: builds with debug assertions keep the hook, and developers their messages.
pub(crate) fn silence() {
    static ONCE: Once = Once::new();
    if !cfg!(debug_assertions) {
        ONCE.call_once(silence_now);
    }
}

fn silence_now() {
    std::panic::set_hook(Box::new(|_| {}));
}

#[cfg(test)]
mod tests;
