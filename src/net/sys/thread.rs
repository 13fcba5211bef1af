//! Threads and forks.

use std::ffi::{c_int, c_void};
use std::mem::{self, MaybeUninit};
use std::ptr;

use super::Errno;

/// Stack of a helper thread, beside what the system takes of it. getaddrinfo and getpwuid_r touch 17 KB with glibc 2.36's own modules; others'
/// modules may take more, and what is not touched costs address space alone.
pub(in crate::net) const HELPER_STACK: usize = 256 * 1024;

type Work = Box<dyn FnOnce() + Send>;

/// Runs `work` on a detached thread with a stack of so many bytes and all signals blocked.
///
/// glibc blocks the signals before the thread's first instruction (2.32; looked up at run time, so that older ones still link). Elsewhere
/// the thread blocks them as its first act: the caller's mask is never touched, and a handler that runs before that act meets a
/// thread like any other, which holds nothing yet.
pub(in crate::net) fn spawn(stack: usize, work: Work) -> Result<(), Errno> {
    let work = Box::into_raw(Box::new(work));
    let mut attr = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: `attr` is initialised before it is used and destroyed once; `start` takes over `work` if the thread is made.
    let error = unsafe {
        let mut error = libc::pthread_attr_init(attr.as_mut_ptr());
        if error == 0 {
            libc::pthread_attr_setdetachstate(attr.as_mut_ptr(), libc::PTHREAD_CREATE_DETACHED);
            libc::pthread_attr_setstacksize(attr.as_mut_ptr(), stack + reserved_stack());
            block_signals_from_birth(attr.as_mut_ptr());
            error = libc::pthread_create(thread.as_mut_ptr(), attr.as_ptr(), start, work.cast());
            libc::pthread_attr_destroy(attr.as_mut_ptr());
        }
        error
    };
    if error != 0 {
        // SAFETY: no thread was made, so `work` is still ours, and it came from a box.
        drop(unsafe { Box::from_raw(work) });
        return Err(error);
    }
    Ok(())
}

extern "C" fn start(work: *mut c_void) -> *mut c_void {
    block_signals();
    // SAFETY: `spawn` made `work` from a box of this type and gave it away.
    let work = unsafe { Box::from_raw(work.cast::<Work>()) };
    if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(*work)) {
        mem::forget(panic); // dropping it may panic again, and here nothing may unwind
    }
    ptr::null_mut()
}

fn all_signals() -> libc::sigset_t {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset fills in all of it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        all.assume_init()
    }
}

fn block_signals() {
    let all = all_signals();
    // SAFETY: reads `all`, writes nothing.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut()) };
}

/// SAFETY: `attr` is initialised.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe fn block_signals_from_birth(attr: *mut libc::pthread_attr_t) {
    use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
    type SetSigmask =
        unsafe extern "C" fn(*mut libc::pthread_attr_t, *const libc::sigset_t) -> c_int;
    // Looked up once: dlsym waits for a thread that is in dlopen, as resolvers are. Two first times do no harm.
    static ASKED: AtomicBool = AtomicBool::new(false);
    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    if !ASKED.load(Ordering::Acquire) {
        // SAFETY: the name ends with NUL.
        let found =
            unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"pthread_attr_setsigmask_np".as_ptr()) };
        FOUND.store(found, Ordering::Relaxed);
        ASKED.store(true, Ordering::Release);
    }
    let all = all_signals();
    // SAFETY: the symbol is NULL or glibc's function of this type, which copies `all`.
    unsafe {
        if let Some(set) =
            mem::transmute::<*mut c_void, Option<SetSigmask>>(FOUND.load(Ordering::Relaxed))
        {
            set(attr, &raw const all);
        }
    }
}

/// SAFETY: none needed; like the above.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
unsafe fn block_signals_from_birth(_: *mut libc::pthread_attr_t) {}

/// What the system takes from a thread's stack for itself: with glibc the program's thread-locals too, which may be much.
fn reserved_stack() -> usize {
    // SAFETY: takes an integer alone.
    let least = unsafe { libc::sysconf(libc::_SC_THREAD_STACK_MIN) };
    usize::try_from(least)
        .unwrap_or(0)
        .next_multiple_of(64 * 1024) // pages, of whatever size
}

/// pthread_atfork(3): `child` runs in each forked child.
pub(in crate::net) fn at_fork(child: extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: `child` is a function without arguments that lives as long as the program.
    match unsafe { libc::pthread_atfork(None, None, Some(child)) } {
        0 => Ok(()),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_thread_has_all_signals_blocked_and_the_caller_keeps_its_mask() {
        let mask = || {
            let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
            // SAFETY: writes the thread's mask, all of it.
            unsafe {
                libc::sigemptyset(mask.as_mut_ptr());
                libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr());
                mask.assume_init()
            }
        };
        // SAFETY: reads the set alone.
        let has = |mask: &libc::sigset_t, signal| unsafe { libc::sigismember(mask, signal) == 1 };
        let (tell, told) = std::sync::mpsc::channel();
        assert_eq!(
            spawn(
                HELPER_STACK,
                Box::new(move || assert!(tell.send(mask()).is_ok()))
            ),
            Ok(())
        );
        let theirs = told.recv();
        for signal in [
            libc::SIGINT,
            libc::SIGTERM,
            libc::SIGCHLD,
            libc::SIGALRM,
            libc::SIGPROF,
            libc::SIGPIPE,
        ] {
            assert!(
                theirs.as_ref().is_ok_and(|theirs| has(theirs, signal)),
                "{signal}"
            );
            assert!(!has(&mask(), signal), "{signal}");
        }
    }
}
