//! kqueue(2): which of many descriptors are ready, on macOS and the BSDs. Knows system calls, not whose descriptors they are.

use std::ffi::c_int;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::{Errno, check, close_on_exec};
use crate::net::many::Wants;

/// What is told of a descriptor that is ready.
pub(in crate::net) type Event = libc::kevent;

/// No event.
// SAFETY: kevent is integers and a pointer that may be NULL; all zeroes is a value of it.
pub(in crate::net) const NONE: Event = unsafe { mem::zeroed() };

/// A set without descriptors; itself a descriptor, close-on-exec, which is readable while one of the set is ready.
pub(in crate::net) fn create() -> Result<OwnedFd, Errno> {
    // SAFETY: takes nothing.
    let raw = check(unsafe { libc::kqueue() })?;
    // SAFETY: the call above made `raw`, and nobody else has it.
    let set = unsafe { OwnedFd::from_raw_fd(raw) };
    close_on_exec(&set)?;
    Ok(set)
}

/// Changes what a descriptor is watched for; before or after it may be nothing.
pub(in crate::net) fn change(
    set: &OwnedFd,
    fd: RawFd,
    before: Wants,
    after: Wants,
    key: u64,
) -> Result<(), Errno> {
    for (filter, before, after) in [
        (libc::EVFILT_READ, before.read, after.read),
        (libc::EVFILT_WRITE, before.write, after.write),
    ] {
        if before != after {
            let mut event = NONE;
            event.ident = fd as libc::uintptr_t;
            event.filter = filter;
            event.flags = if after { libc::EV_ADD } else { libc::EV_DELETE };
            event.udata = key as usize as _;
            // SAFETY: reads the one event; a descriptor that is not open is an error.
            check(unsafe {
                libc::kevent(
                    set.as_raw_fd(),
                    ptr::from_ref(&event),
                    1,
                    ptr::null_mut(),
                    0,
                    ptr::null(),
                )
            })?;
        }
    }
    Ok(())
}

/// Those that are ready now, at most as many as there is room for: how many. Never waits.
pub(in crate::net) fn ready(set: &OwnedFd, room: &mut [Event]) -> usize {
    let most = c_int::try_from(room.len()).unwrap_or(c_int::MAX);
    // SAFETY: timespec is integers; all zeroes is a value of it.
    let at_once: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: at most `most` events are written to `room`, which has as many.
    let count = unsafe {
        libc::kevent(
            set.as_raw_fd(),
            ptr::null(),
            0,
            room.as_mut_ptr(),
            most as _,
            &raw const at_once,
        )
    };
    usize::try_from(count).unwrap_or(0)
}

/// What was said when the descriptor was first watched.
pub(in crate::net) fn key(event: &Event) -> u64 {
    event.udata as usize as u64
}
