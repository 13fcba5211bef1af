//! The child's side of a call: measures it, and never waits itself.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::Ordering::Relaxed;

use pgpoll::conn::{Cancel, CancelPoll, Connection, Readiness};
use pgpoll::engine::{Outcome, Reply};

use crate::{PHASES, Shared};

/// The processor time of this thread in nanoseconds.
fn processor_time() -> u64 {
    // SAFETY: the call writes the one value.
    unsafe {
        let mut now: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }
}

/// Makes the calls.
pub(crate) struct Caller {
    pub(crate) shared: &'static Shared,
}

impl Caller {
    pub(crate) fn phase(&self, name: &str) {
        let at = PHASES.iter().position(|phase| *phase == name);
        let at = at.unwrap_or_else(|| panic!("no phase {name}"));
        self.shared.phase.store(at as u32, Relaxed);
    }

    pub(crate) fn call<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = processor_time();
        let result = work();
        let took = processor_time() - begun;
        let phase = self.shared.phase.load(Relaxed) as usize;
        self.shared.calls[phase].fetch_add(1, Relaxed);
        self.shared.longest[phase].fetch_max(took, Relaxed);
        result
    }

    /// Polls until the connection is up (true) or has failed.
    pub(crate) fn connect(&self, conn: &mut Connection) -> bool {
        loop {
            let ready = self.poll(conn);
            if ready.is_idle() || ready.is_failed() {
                return ready.is_idle();
            }
        }
    }

    pub(crate) fn poll(&self, conn: &mut Connection) -> Readiness {
        let ready = self.call(|| conn.poll());
        // SAFETY: no arguments; the server needs the processor too.
        unsafe { libc::sched_yield() };
        ready
    }

    /// Polls and takes until so many operations have ended well; the bytes of the first column of all rows.
    pub(crate) fn drive(&self, conn: &mut Connection, mut operations: usize) -> usize {
        let mut bytes = 0;
        while operations > 0 {
            while let Some(item) = self.call(|| conn.take()) {
                match item.reply {
                    Reply::Rows(batch) => {
                        for row in 0..batch.rows() {
                            bytes += batch.value(row, 0).map_or(0, <[u8]>::len);
                        }
                        self.call(|| drop(batch));
                    }
                    Reply::Done(done) => {
                        assert_eq!(done.outcome, Outcome::Ok);
                        operations -= 1;
                    }
                    Reply::Error(error) => panic!("{error}"),
                    _ => {}
                }
            }
            assert!(!self.poll(conn).is_failed(), "{:?}", conn.error());
        }
        bytes
    }

    /// Polls until the operation under way has ended, somehow.
    pub(crate) fn until_done(&self, conn: &mut Connection) {
        loop {
            self.poll(conn);
            while let Some(item) = self.call(|| conn.take()) {
                if matches!(item.reply, Reply::Done(_)) {
                    return;
                }
            }
        }
    }

    /// Carries a request to cancel over a socket, until the server has it.
    pub(crate) fn carry_cancel(&self, conn: &Connection, socket: &OwnedFd) {
        let fd = socket.as_raw_fd();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let mut arrived = vec![0_u8; 10_000];
        let mut cancel = self.call(|| Cancel::of(conn).unwrap());
        while self.call(|| cancel.poll()) != CancelPoll::Done {
            assert!(cancel.error().is_none(), "{:?}", cancel.error());
            let output = cancel.output();
            // SAFETY: both are slices of as many bytes.
            let sent = unsafe { libc::send(fd, output.as_ptr().cast(), output.len(), flags) };
            if let Ok(sent) = usize::try_from(sent) {
                self.call(|| cancel.taken(sent));
            }
            let (place, room) = (arrived.as_mut_ptr(), arrived.len());
            // SAFETY: as above.
            match unsafe { libc::recv(fd, place.cast(), room, flags) } {
                0 => self.call(|| cancel.feed_eof()),
                count => {
                    let count = usize::try_from(count).unwrap_or(0);
                    assert_eq!(self.call(|| cancel.feed(&arrived[..count])), count);
                }
            }
        }
    }

    /// Carries bytes between a connection over memory and a socket until the poll says what it should.
    pub(crate) fn carry(
        &self,
        conn: &mut Connection,
        socket: &OwnedFd,
        until: impl Fn(Readiness) -> bool,
    ) {
        let fd = socket.as_raw_fd();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        let mut arrived = vec![0_u8; 100_000];
        let mut unfed = 0..0;
        loop {
            let ready = self.poll(conn);
            assert!(!ready.is_failed(), "{:?}", conn.error());
            if until(ready) {
                return;
            }
            let output = conn.output();
            // SAFETY: both are slices of as many bytes.
            let sent = unsafe { libc::send(fd, output.as_ptr().cast(), output.len(), flags) };
            if let Ok(sent) = usize::try_from(sent) {
                self.call(|| conn.taken(sent));
            }
            if unfed.is_empty() {
                let (place, room) = (arrived.as_mut_ptr(), arrived.len());
                // SAFETY: as above.
                let count = unsafe { libc::recv(fd, place.cast(), room, flags) };
                unfed = 0..usize::try_from(count).unwrap_or(0);
            }
            unfed.start += self.call(|| conn.feed(&arrived[unfed.clone()]));
        }
    }

    /// Cancels what runs, until it is seen to have failed.
    pub(crate) fn cancel(&self, conn: &mut Connection) {
        let mut done = false;
        while !done {
            let mut cancel = self.call(|| Cancel::of(conn).unwrap());
            while !matches!(
                self.call(|| cancel.poll()),
                CancelPoll::Done | CancelPoll::Failed
            ) {
                // SAFETY: no arguments.
                unsafe { libc::sched_yield() };
            }
            assert!(cancel.error().is_none(), "{:?}", cancel.error());
            // One that comes before the statement begins stops nothing: then another is sent.
            for _ in 0..10_000 {
                self.poll(conn);
                while let Some(item) = self.call(|| conn.take()) {
                    done |= matches!(item.reply, Reply::Done(_));
                }
                if done {
                    break;
                }
            }
        }
    }
}
