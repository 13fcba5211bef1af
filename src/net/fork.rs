//! Counts the forks between the first process and this one. Knows nothing of connections.
//!
//! Comparing a number costs a load where getpid(2) is a system call. fork(3) counts; vfork and posix_spawn share memory only until exec
//! and need not; a bare clone(2) is not seen.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::net::{gss_sys, sys};

static FORKS: AtomicU64 = AtomicU64::new(0);
static WATCHED: AtomicBool = AtomicBool::new(false);

/// How often this process and its ancestors have forked since the first net was made; it differs between a parent and its child.
#[inline]
pub fn generation() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

/// Begins to count. Two threads at once may both install the counter; then it goes up by two, which is as good: nobody waits for a lock.
pub(super) fn watch() {
    if !WATCHED.load(Ordering::Acquire) && sys::at_fork(count).is_ok() {
        WATCHED.store(true, Ordering::Release);
    }
}

extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    gss_sys::forked();
}
