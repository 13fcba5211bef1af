//! One blocking call on a thread of its own, whose end can be seen on a descriptor. Knows nothing of what is called.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use crate::net::sys::{self, Errno};

/// A call under way. Dropping it forgets the call: the thread, which owns all that it touches, finishes unheard.
#[derive(Debug)]
pub(super) struct Helper<T> {
    end: OwnedFd,
    result: Arc<OnceLock<Option<T>>>,
}

impl<T: Send + Sync + 'static> Helper<T> {
    /// Starts the thread.
    pub(super) fn start(call: impl FnOnce() -> T + Send + 'static) -> Result<Self, Errno> {
        Self::start_with(sys::HELPER_STACK, call)
    }

    /// The same with a stack of so many bytes, for what needs more than the names of hosts and users do.
    pub(super) fn start_with(
        stack: usize,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Self, Errno> {
        let (ours, theirs) = pair()?;
        let result = Arc::new(OnceLock::new());
        let cell = Arc::clone(&result);
        let work = Box::new(move || {
            let outcome = catch_unwind(AssertUnwindSafe(call)).ok();
            let _ = cell.set(outcome);
            drop(cell);
            ring(&theirs);
        });
        sys::spawn(stack, work)?;
        Ok(Self { end: ours, result })
    }

    /// What the call gave, once: `None` while it runs, `Some(None)` if it panicked. No system call, no lock.
    pub(super) fn result(&mut self) -> Option<Option<T>> {
        Arc::get_mut(&mut self.result)?.take()
    }

    /// Forgets the call; the descriptor may be closed at leisure.
    pub(super) fn into_fd(self) -> OwnedFd {
        self.end
    }
}

impl<T> AsFd for Helper<T> {
    /// Becomes readable, and writable too, when the call has ended, and not before.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}

/// A socketpair whose first end cannot be written to: callers of `PQconnectStart` wait for "writable" whatever is going on, and must sleep.
fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (ours, theirs) = UnixStream::pair().map_err(code)?;
    ours.set_nonblocking(true).map_err(code)?;
    theirs.set_nonblocking(true).map_err(code)?;
    let (ours, theirs) = (OwnedFd::from(ours), OwnedFd::from(theirs));
    sys::prepare(&ours)?;
    sys::prepare(&theirs)?;
    sys::set_option(&ours, libc::SOL_SOCKET, libc::SO_SNDBUF, 4096)?; // so that little fills it
    while sys::send(ours.as_fd(), &[0; 4096]).is_ok_and(|n| n > 0) {}
    while sys::send(ours.as_fd(), &[0]).is_ok_and(|n| n > 0) {}
    Ok((ours, theirs))
}

/// Makes the other end readable and writable. A byte and not just a close: a forked child may still hold this end open.
fn ring(end: &OwnedFd) {
    let mut drain = [0; 4096];
    while sys::recv(end.as_fd(), &mut drain).is_ok_and(|n| n > 0) {}
    let _ = sys::send(end.as_fd(), &[1]); // nobody may be left to hear it
}

fn code(error: io::Error) -> Errno {
    error.raw_os_error().unwrap_or(libc::EIO)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::sync::mpsc;
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    /// Reads nothing if nothing is there; a full buffer refuses another byte.
    fn state(helper: &Helper<u32>) -> (bool, bool) {
        let readable = sys::peek(helper.as_fd(), &mut [0]) != Err(libc::EAGAIN);
        let writable = sys::send(helper.as_fd(), &[0]) != Err(libc::EAGAIN);
        (readable, writable)
    }

    fn wait(helper: &mut Helper<u32>) -> Option<u32> {
        loop {
            if let Some(result) = helper.result() {
                return result;
            }
            sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn the_descriptor_is_neither_readable_nor_writable_until_the_call_ends_and_then_both() {
        let (go, gate) = mpsc::channel::<()>();
        let mut helper = Helper::start(move || {
            gate.recv().unwrap();
            7
        })
        .unwrap();
        assert_eq!(state(&helper), (false, false));
        assert_eq!(helper.result(), None);
        go.send(()).unwrap();
        assert_eq!(wait(&mut helper), Some(7));
        while state(&helper) != (true, true) {
            sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_panic_in_the_call_is_told_and_ends_nothing_else() {
        let mut helper =
            Helper::<u32>::start(|| std::panic::resume_unwind(Box::new("no"))).unwrap();
        assert_eq!(wait(&mut helper), None);
    }
}
