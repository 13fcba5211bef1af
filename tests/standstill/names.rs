//! A resolver that never answers: this program's own getaddrinfo(3), which the library meets in place of the system's.

use std::collections::BTreeSet;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Condvar, Mutex};

/// Names that begin with this are held up.
const HELD: &[u8] = b"held-";

static OPEN: Mutex<BTreeSet<Vec<u8>>> = Mutex::new(BTreeSet::new());
static OPENED: Condvar = Condvar::new();

/// From now on `name` is 127.0.0.1.
pub(crate) fn open(name: &str) {
    OPEN.lock().unwrap().insert(name.as_bytes().to_vec());
    OPENED.notify_all();
}

fn wait_for(name: &[u8]) {
    let open = OPEN.lock().unwrap();
    drop(
        OPENED
            .wait_while(open, |open| !open.contains(name))
            .unwrap(),
    );
}

type GetAddrInfo = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const libc::addrinfo,
    *mut *mut libc::addrinfo,
) -> c_int;

/// The system's, but for names that are held up.
///
/// # Safety
/// As getaddrinfo(3).
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    found: *mut *mut libc::addrinfo,
) -> c_int {
    // SAFETY: the name of a function of exactly this type; its arguments are the caller's, or a string of ours.
    unsafe {
        let next = libc::dlsym(libc::RTLD_NEXT, c"getaddrinfo".as_ptr());
        let next = std::mem::transmute::<*mut c_void, GetAddrInfo>(next);
        let numeric = !hints.is_null() && (*hints).ai_flags & libc::AI_NUMERICHOST != 0;
        if node.is_null() || numeric || !CStr::from_ptr(node).to_bytes().starts_with(HELD) {
            return next(node, service, hints, found);
        }
        wait_for(CStr::from_ptr(node).to_bytes());
        next(c"127.0.0.1".as_ptr(), service, hints, found)
    }
}
