//! Waiting, and clocks.

use std::ffi::{c_int, c_short};
use std::io::Write;
use std::{mem, ptr};

/// Waits for a descriptor (a negative one: for none) with poll(2); a negative timeout is no limit. What was seen there.
pub(in crate::net) fn poll(fd: c_int, read: bool, write: bool, milliseconds: c_int) -> c_short {
    let mut events = 0;
    if read {
        events |= libc::POLLIN;
    }
    if write {
        events |= libc::POLLOUT;
    }
    let mut watched = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one pollfd, which lives through the call. Whether it ended early or by a signal does not matter.
    unsafe { libc::poll(&raw mut watched, 1, milliseconds) };
    watched.revents
}

/// CLOCK_MONOTONIC in nanoseconds.
pub(in crate::net) fn monotonic() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to `now` alone.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    (now.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec as u64)
}

/// Appends the local time: date, time of day and microseconds.
pub(in crate::net) fn local_time(into: &mut Vec<u8>) {
    let mut now = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let mut text = [0_u8; 64];
    // SAFETY: each call writes only to what it is given, within its size; all zeroes are a valid tm.
    let len = unsafe {
        libc::gettimeofday(&raw mut now, ptr::null_mut());
        let mut broken_down: libc::tm = mem::zeroed();
        libc::localtime_r(&raw const now.tv_sec, &raw mut broken_down);
        let format = c"%Y-%m-%d %H:%M:%S".as_ptr();
        libc::strftime(
            text.as_mut_ptr().cast(),
            text.len(),
            format,
            &raw const broken_down,
        )
    };
    into.extend_from_slice(text.get(..len).unwrap_or_default());
    // Writing to a vector does not fail.
    let _ = write!(into, ".{:06}", now.tv_usec);
}
