//! epoll(7): which of many descriptors are ready. Knows system calls, not whose descriptors they are.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::{Errno, check};
use crate::net::many::Wants;

/// What is told of a descriptor that is ready.
pub(in crate::net) type Event = libc::epoll_event;

/// No event.
pub(in crate::net) const NONE: Event = Event { events: 0, u64: 0 };

/// A set without descriptors; itself a descriptor, close-on-exec, which is readable while one of the set is ready.
pub(in crate::net) fn create() -> Result<OwnedFd, Errno> {
    // SAFETY: takes an integer alone.
    let raw = check(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the call above made `raw`, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Changes what a descriptor is watched for; before or after it may be nothing.
pub(in crate::net) fn change(
    set: &OwnedFd,
    fd: RawFd,
    before: Wants,
    after: Wants,
    key: u64,
) -> Result<(), Errno> {
    let what = match (before == Wants::NOTHING, after == Wants::NOTHING) {
        (true, true) => return Ok(()),
        (true, false) => libc::EPOLL_CTL_ADD,
        (false, true) => libc::EPOLL_CTL_DEL,
        (false, false) => libc::EPOLL_CTL_MOD,
    };
    let event = |wanted: bool, event: c_int| if wanted { event as u32 } else { 0 };
    let mut event = Event {
        events: event(after.read, libc::EPOLLIN) | event(after.write, libc::EPOLLOUT),
        u64: key,
    };
    // SAFETY: reads the one event; a descriptor that is not open is an error.
    check(unsafe { libc::epoll_ctl(set.as_raw_fd(), what, fd, ptr::from_mut(&mut event)) })?;
    Ok(())
}

/// Those that are ready now, at most as many as there is room for: how many. Never waits.
pub(in crate::net) fn ready(set: &OwnedFd, room: &mut [Event]) -> usize {
    let most = c_int::try_from(room.len()).unwrap_or(c_int::MAX);
    // SAFETY: at most `most` events are written to `room`, which has as many.
    let count = unsafe { libc::epoll_wait(set.as_raw_fd(), room.as_mut_ptr(), most, 0) };
    usize::try_from(count).unwrap_or(0)
}

/// What was said when the descriptor was first watched.
pub(in crate::net) fn key(event: &Event) -> u64 {
    event.u64
}
