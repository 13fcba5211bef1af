//! What the library is, without a connection: its version and its names. Knows no result.
#![allow(non_upper_case_globals)]

use std::ffi::{CStr, c_char, c_int};
use std::{mem, ptr};

use libc::sighandler_t;

/// The version of libpq whose interface this is, as `PG_VERSION_NUM` has it.
const VERSION: c_int = 180_006;

/// Strings for C to read, for ever.
#[repr(transparent)]
#[derive(Debug)]
pub struct Names<const N: usize>([*const c_char; N]);

// SAFETY: they point to constants.
unsafe impl<const N: usize> Sync for Names<N> {}

/// The name of each `ExecStatusType`, for old programs that read it themselves.
#[unsafe(no_mangle)]
pub static pgresStatus: Names<13> = Names([
    c"PGRES_EMPTY_QUERY".as_ptr(),
    c"PGRES_COMMAND_OK".as_ptr(),
    c"PGRES_TUPLES_OK".as_ptr(),
    c"PGRES_COPY_OUT".as_ptr(),
    c"PGRES_COPY_IN".as_ptr(),
    c"PGRES_BAD_RESPONSE".as_ptr(),
    c"PGRES_NONFATAL_ERROR".as_ptr(),
    c"PGRES_FATAL_ERROR".as_ptr(),
    c"PGRES_COPY_BOTH".as_ptr(),
    c"PGRES_SINGLE_TUPLE".as_ptr(),
    c"PGRES_PIPELINE_SYNC".as_ptr(),
    c"PGRES_PIPELINE_ABORTED".as_ptr(),
    c"PGRES_TUPLES_CHUNK".as_ptr(),
]);

/// The name of a status (`ExecStatusType`).
#[unsafe(no_mangle)]
pub extern "C" fn PQresStatus(status: c_int) -> *mut c_char {
    const UNKNOWN: &CStr = c"invalid ExecStatusType code";
    let name = usize::try_from(status).ok();
    let name = name.and_then(|status| pgresStatus.0.get(status));
    name.map_or(UNKNOWN.as_ptr(), |&name| name).cast_mut()
}

/// The version of the library: 180006 is 18.6.
#[unsafe(no_mangle)]
pub extern "C" fn PQlibVersion() -> c_int {
    VERSION
}

/// 1: different threads may use different connections at once.
#[unsafe(no_mangle)]
pub extern "C" fn PQisthreadsafe() -> c_int {
    1
}

/// Sets a signal's handler as BSD does, system calls going on after it (but for SIGALRM), and gives the one before;
/// `SIG_ERR` and errno when the system refuses. Old programs expect it here.
///
/// # Safety
/// `handler` is `SIG_DFL`, `SIG_IGN`, or a function that may run in a signal handler.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pqsignal(signal: c_int, handler: sighandler_t) -> sighandler_t {
    // SAFETY: all zeroes are a valid structure with an empty mask; the handler is the caller's.
    unsafe {
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler;
        libc::sigemptyset(&raw mut action.sa_mask);
        if signal != libc::SIGALRM {
            action.sa_flags |= libc::SA_RESTART;
        }
        if signal == libc::SIGCHLD {
            action.sa_flags |= libc::SA_NOCLDSTOP;
        }
        let mut before: libc::sigaction = mem::zeroed();
        match libc::sigaction(signal, ptr::from_ref(&action), &raw mut before) {
            0 => before.sa_sigaction,
            _ => libc::SIG_ERR,
        }
    }
}
