//! The lock that a program may lend for what is not safe with threads: nothing here is, so it is kept and never taken.

use std::ffi::c_int;
use std::sync::{Mutex, PoisonError};

use crate::guard::guard;

/// `pgthreadlock_t`: takes the lock, or with 0 gives it back.
pub type ThreadLock = unsafe extern "C-unwind" fn(acquire: c_int);

static HANDLER: Mutex<ThreadLock> = Mutex::new(default_lock);

/// Sets the program's lock, NULL for that of the library; returns what was set before, never NULL.
///
/// # Safety
/// None is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQregisterThreadLock(handler: Option<ThreadLock>) -> Option<ThreadLock> {
    guard(|| {
        let mut kept = HANDLER.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, handler.unwrap_or(default_lock))
    })
}

/// The library's own lock, for programs that call what [`PQregisterThreadLock`] returned.
unsafe extern "C-unwind" fn default_lock(acquire: c_int) {
    // SAFETY: a mutex that is never moved or destroyed; programs unlock it in the thread that locked it.
    unsafe {
        match acquire {
            0 => libc::pthread_mutex_unlock(LOCK.0.get()),
            _ => libc::pthread_mutex_lock(LOCK.0.get()),
        };
    }
}

/// A mutex that is locked in one call and unlocked in another one.
struct Lock(std::cell::UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: it is only ever passed to pthread's functions, which are safe with threads.
unsafe impl Sync for Lock {}

static LOCK: Lock = Lock(std::cell::UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER));
