//! The system calls: each wrapped once, with safe arguments and `errno` as the error. Knows no state; beside `gss_sys.rs` the only unsafe code below the faces.

mod bytes;
mod names;
mod socket;
mod thread;
mod time;

use std::ffi::{CStr, c_int};

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "epoll.rs"]
pub(super) mod many;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "kqueue.rs"]
pub(super) mod many;

pub(super) use bytes::*;
pub(super) use names::*;
pub(super) use socket::*;
pub(super) use thread::*;
pub(super) use time::*;

/// The `errno` of a call that failed.
pub(super) type Errno = c_int;

fn errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn check(returned: c_int) -> Result<c_int, Errno> {
    if returned < 0 {
        Err(errno())
    } else {
        Ok(returned)
    }
}

/// The words of strerror(3), without a lock or a shared buffer.
pub(super) fn strerror(errno: Errno) -> String {
    let mut words = [0u8; 256];
    // SAFETY: at most `words.len()` bytes are written, with a NUL; the last byte stays 0 in any case.
    unsafe { libc::strerror_r(errno, words.as_mut_ptr().cast(), words.len() - 1) };
    match CStr::from_bytes_until_nul(&words) {
        Ok(text) if !text.is_empty() => text.to_string_lossy().into_owned(),
        _ => format!("Unknown error {errno}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strerror_says_what_libc_says() {
        assert_eq!(strerror(libc::ECONNREFUSED), "Connection refused");
        assert_eq!(strerror(libc::EAGAIN), "Resource temporarily unavailable");
        assert!(strerror(99_999).starts_with("Unknown error"));
    }
}
