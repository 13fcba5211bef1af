//! epoll(7) as a program uses it. Knows descriptors and slots' numbers.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Instant;

/// The set of descriptors that the loop sleeps on.
#[derive(Debug)]
pub(crate) struct Epoll {
    set: OwnedFd,
}

impl Epoll {
    pub(crate) fn new() -> Epoll {
        // SAFETY: the descriptor is new and nobody else's.
        let set = unsafe {
            let set = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            assert!(set >= 0);
            OwnedFd::from_raw_fd(set)
        };
        Epoll { set }
    }

    /// Watches a descriptor that is new to the set, or differently than before.
    pub(crate) fn watch(&self, new: bool, fd: RawFd, events: u32, number: usize) {
        let mut event = libc::epoll_event {
            events,
            u64: number as u64,
        };
        let what = if new {
            libc::EPOLL_CTL_ADD
        } else {
            libc::EPOLL_CTL_MOD
        };
        // SAFETY: reads the one event.
        let failed = unsafe { libc::epoll_ctl(self.set.as_raw_fd(), what, fd, &raw mut event) };
        let error = std::io::Error::last_os_error();
        assert_eq!(failed, 0, "descriptor {fd}: {error}");
    }

    /// Watches a descriptor no longer; it may be closed already.
    pub(crate) fn forget(&self, fd: RawFd) {
        let set = self.set.as_raw_fd();
        // SAFETY: the event is not looked at.
        unsafe { libc::epoll_ctl(set, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()) };
    }

    /// Sleeps until a descriptor is ready or the time has come; the slots that are ready.
    pub(crate) fn wait(&mut self, until: Instant) -> Vec<usize> {
        let left = until.saturating_duration_since(Instant::now());
        let ms = left.as_nanos().div_ceil(1_000_000).min(1000);
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
        let room = events.len() as i32;
        // SAFETY: at most `room` events are written to the array, which has as many.
        let count =
            unsafe { libc::epoll_wait(self.set.as_raw_fd(), events.as_mut_ptr(), room, ms as i32) };
        let count = usize::try_from(count).unwrap_or(0);
        events[..count]
            .iter()
            .map(|event| event.u64 as usize)
            .collect()
    }
}
