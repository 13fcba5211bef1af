//! Many descriptors behind one: which of them are ready. Knows neither connections nor what is done about it.
#![forbid(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::link::{LinkError, LinkErrorKind};
use crate::net::sys::{self, Errno, many};
use crate::net::{fork, forked};

/// So many are told of at a time.
const EVENTS: usize = 128;

/// What a descriptor is watched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wants {
    /// Readable.
    pub read: bool,
    /// Writable.
    pub write: bool,
}

impl Wants {
    /// Nothing: the descriptor is not watched, and what is wrong with it is not told.
    pub const NOTHING: Wants = Wants {
        read: false,
        write: false,
    };
}

/// A set of descriptors, which is one itself: readable while one of the set is ready (epoll(7); kqueue(2) on macOS and the BSDs).
///
/// A forked child shares it with its parent. Nothing is changed there: it can only be dropped.
pub struct Many {
    set: OwnedFd,
    events: Box<[many::Event]>,
    /// So many of them are of the last look.
    count: usize,
    forks: u64,
}

impl std::fmt::Debug for Many {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Many")
            .field("set", &self.set)
            .finish_non_exhaustive()
    }
}

impl Many {
    /// A set without descriptors.
    ///
    /// # Errors
    /// No more descriptors can be had.
    pub fn new() -> Result<Many, LinkError> {
        fork::watch();
        Ok(Many {
            set: many::create().map_err(failed)?,
            events: Box::new([many::NONE; EVENTS]),
            count: 0,
            forks: fork::generation(),
        })
    }

    /// What the caller's loop watches.
    pub fn fd(&self) -> RawFd {
        self.set.as_raw_fd()
    }

    /// Whether it was made in a parent of this process.
    #[inline]
    pub fn is_forked(&self) -> bool {
        self.forks != fork::generation()
    }

    /// Changes what a descriptor is watched for, from `before` to `after`. `key` is what [`ready`](Many::ready) gives when it is
    /// ready, always the same for one descriptor. One that is closed has to be taken out before: a forked child may have a copy of it.
    ///
    /// # Errors
    /// The system has no room for more, the descriptor is not open, or the process has forked.
    pub fn change(
        &self,
        fd: RawFd,
        before: Wants,
        after: Wants,
        key: u64,
    ) -> Result<(), LinkError> {
        if self.is_forked() {
            return Err(forked());
        }
        many::change(&self.set, fd, before, after, key).map_err(failed)
    }

    /// Looks which are ready now, and never waits; true when there may be more than [`ready`](Many::ready) gives. Those that stay
    /// ready are told of again, and take turns.
    pub fn look(&mut self) -> bool {
        self.count = match self.is_forked() {
            true => 0,
            false => many::ready(&self.set, &mut self.events),
        };
        self.count == self.events.len()
    }

    /// The keys of those that were ready at the last look.
    pub fn ready(&self) -> impl Iterator<Item = u64> + '_ {
        self.events.iter().take(self.count).map(many::key)
    }
}

#[cold]
fn failed(errno: Errno) -> LinkError {
    LinkError {
        kind: LinkErrorKind::Socket,
        errno,
        text: sys::strerror(errno),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    const READ: Wants = Wants {
        read: true,
        write: false,
    };
    const WRITE: Wants = Wants {
        read: false,
        write: true,
    };

    fn keys(many: &mut Many) -> Vec<u64> {
        assert!(!many.look());
        let mut keys: Vec<_> = many.ready().collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn what_is_ready_is_told_until_it_is_not_and_the_set_is_readable_meanwhile() {
        let mut many = Many::new().unwrap();
        let mut pairs: Vec<_> = (0..3).map(|_| UnixStream::pair().unwrap()).collect();
        for (key, (ours, _)) in pairs.iter().enumerate() {
            let fd = ours.as_raw_fd();
            many.change(fd, Wants::NOTHING, READ, key as u64).unwrap();
        }
        assert_eq!(keys(&mut many), [0_u64; 0]);
        pairs[2].1.write_all(b"x").unwrap();
        pairs[0].1.write_all(b"x").unwrap();
        assert_eq!(keys(&mut many), [0, 2]);
        assert_eq!(keys(&mut many), [0, 2]);

        let mut all = Many::new().unwrap();
        all.change(many.fd(), Wants::NOTHING, READ, 7).unwrap();
        assert_eq!(keys(&mut all), [7]);
        pairs[0].0.read_exact(&mut [0]).unwrap();
        let fd = pairs[2].0.as_raw_fd();
        many.change(fd, READ, Wants::NOTHING, 2).unwrap();
        assert_eq!(keys(&mut many), [0_u64; 0]);
        assert_eq!(keys(&mut all), [0_u64; 0]);
        many.change(fd, Wants::NOTHING, WRITE, 2).unwrap();
        assert_eq!(keys(&mut many), [2]);
        many.change(fd, WRITE, READ, 2).unwrap();
        assert_eq!(keys(&mut many), [2]);
    }

    #[test]
    fn what_is_no_descriptor_is_an_error() {
        let many = Many::new().unwrap();
        let error = many.change(-1, Wants::NOTHING, READ, 0).unwrap_err();
        assert_eq!(error.errno, libc::EBADF);
    }
}
