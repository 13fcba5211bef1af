//! Waiting for a group: the blocking convenience. What it waits for, a loop of one's own can see in the bits of a poll.

use std::time::Duration;

use super::Group;
use super::member::Member;
use crate::conn::Readiness;
use crate::net::clock;

/// What [`Group::wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// Some member has something to take or to know.
    Any,
    /// Nothing is under way in any member: all that was started is finished, if perhaps not taken, or waits for its owner.
    All,
    /// The same, or before that an operation has failed or a connection was lost: [`Group::failure`].
    FirstError,
}

impl<M: Member> Group<M> {
    /// Polls and waits until what is waited `for` has come, or `timeout` is over (`None`: no limit). Also returns when nothing
    /// can come: there are no members, or all are over. The one call that waits.
    pub fn wait(&mut self, what: WaitFor, timeout: Option<Duration>) -> Readiness {
        let end = timeout.map(clock::after);
        loop {
            let ready = self.poll();
            if self.has_come(what, ready) || self.is_forked() {
                return ready;
            }
            let now = clock::now_ns();
            if end.is_some_and(|end| now >= end) {
                return ready;
            }
            if ready.is_runnable() {
                continue;
            }
            let until = end.into_iter().chain(self.deadline_ns()).min();
            let left = until.map(|until| Duration::from_nanos(until.saturating_sub(now)));
            crate::net::wait(Some(self.socket()), true, false, left);
        }
    }

    fn has_come(&self, what: WaitFor, ready: Readiness) -> bool {
        match what {
            WaitFor::Any => ready.has_result() || self.counts.members == self.counts.over,
            WaitFor::All => ready.is_idle(),
            WaitFor::FirstError => ready.has(Readiness::IDLE | Readiness::FAILED),
        }
    }
}
