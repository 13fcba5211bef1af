//! The child's side of a call: measures it, and never waits itself.

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
