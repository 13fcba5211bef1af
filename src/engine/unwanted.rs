//! Operations whose items nobody wants any more: their deadline has passed, or they were abandoned. Knows the queue and
//! the output; asks the server nothing.

use std::collections::VecDeque;

use super::expect::{Expect, Steps};
use super::item::{Item, Outcome, Reply, Verdict};
use super::state::State;
use super::timeline::Change;
use super::wait::Stop;
use crate::error::Error;
use crate::wire::{self, TransactionStatus};

/// Whether an operation gives items besides its done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It does.
    Wanted,
    /// It has failed, and an error item said why.
    Failed,
    /// Its deadline has just passed.
    Late,
    /// It was given up before its end.
    Unwanted,
    /// The same, and the server has refused it or stopped it.
    Refused,
}

impl Expect {
    /// Whether it was given up.
    #[inline]
    pub(super) fn is_unwanted(&self) -> bool {
        !matches!(self.standing, Standing::Wanted | Standing::Failed)
    }

    /// How it ended, of one that gave no more items.
    #[cold]
    pub(super) fn outcome(&self, outcome: Outcome) -> Outcome {
        match (outcome, self.standing) {
            (Outcome::Ok, _) if self.withdrawn => Outcome::Skipped,
            (Outcome::Ok, Standing::Failed | Standing::Refused) => Outcome::Failed,
            (Outcome::Ok, Standing::Late | Standing::Unwanted) => Outcome::Discarded,
            (outcome, _) => outcome,
        }
    }

    /// What the connection is good for after it: one that was withdrawn has changed nothing.
    #[cold]
    pub(super) fn verdict(&self, verdict: Verdict, transaction: TransactionStatus) -> Verdict {
        match transaction {
            TransactionStatus::Idle if self.withdrawn => Verdict::Clean,
            _ => verdict,
        }
    }

    /// What its caller is told at its deadline.
    fn timeout_error(&self) -> Error {
        let timeout = self.deadline.saturating_sub(self.since);
        let (what, timeout) = (self.what(), timeout.div_ceil(1_000_000));
        let then = if self.withdrawn {
            "it was never sent"
        } else {
            "it is being cancelled"
        };
        Error::timeout(format!(
            "timeout expired: {what} not done within {timeout} ms; {then}"
        ))
        .with_retry(self.withdrawn)
    }
}

impl State {
    /// Gives up an operation (0: all): its items are dropped but for its done. False if it has none to come.
    pub(super) fn abandon(&mut self, operation: u64) -> bool {
        let concerns = |other: u64| operation == 0 || other == operation;
        let mut found = operation == 0;
        let gathering = self.queue.front().map(|head| head.operation);
        for expect in &mut self.queue {
            if !concerns(expect.operation) || expect.steps.has(Steps::SHUTDOWN) {
                continue;
            }
            found = true;
            expect.standing = match expect.standing {
                Standing::Wanted => Standing::Unwanted,
                Standing::Failed => Standing::Refused,
                unwanted => unwanted,
            };
            if gathering == Some(expect.operation) {
                self.gather.abandon();
            }
            // What is to be done about it is found out when the engine is advanced.
            self.alarm = 0;
        }
        if self.queue.front().is_some_and(Expect::is_unwanted) {
            self.give_up_copy();
        }
        self.hold_back_if_due();
        found | self.items.forget(concerns)
    }

    /// Gives up the operations whose deadline has passed, and tells so at once, whatever is before them in the queue. The
    /// error of a shutdown that took too long ends the connection.
    pub(super) fn give_up_late(&mut self) -> Result<(), Error> {
        for expect in &mut self.queue {
            if expect.deadline > self.now {
                continue;
            }
            if expect.steps.has(Steps::SHUTDOWN) {
                return Err(expect.timeout_error());
            }
            expect.standing = match expect.standing {
                Standing::Wanted => Standing::Late,
                Standing::Failed => Standing::Refused,
                given_up => given_up,
            };
        }
        self.withdraw_unsent();
        let mut late = 0;
        for expect in &mut self.queue {
            if expect.standing == Standing::Late {
                expect.standing = Standing::Unwanted;
                self.failure.get_or_insert(expect.operation);
                late = expect.operation as u32;
                let error = Reply::Error(Box::new(expect.timeout_error()));
                let item = Item::new(expect.operation, error);
                self.items.push(item);
            }
            if expect.withdrawn {
                expect.steps = Steps::default();
                expect.left = Steps::default();
            }
        }
        if late > 0 {
            self.record(Change::Late { operation: late });
        }
        if self.queue.front().is_some_and(Expect::is_unwanted) {
            self.gather.abandon();
            self.give_up_copy();
        }
        Ok(())
    }

    /// Takes the messages of unwanted operations out of the output where none of their group has been sent: what nobody
    /// wants need not be done.
    fn withdraw_unsent(&mut self) {
        // With the transport went the output.
        if self.lost.is_some() {
            return;
        }
        let unstoppable = self.output.unstoppable();
        let end = self.output.end();
        let mut cuts: Vec<(u64, u64)> = Vec::new();
        let (mut first, mut removed) = (0, 0);
        while first < self.queue.len() {
            let after = group_end(&self.queue, first);
            let group = self.queue.range(first..after);
            let from = self.queue.get(first).map_or(end, |first| first.from);
            let to = self.queue.get(after).map_or(end, |next| next.from);
            let complete = group.clone().next().is_some_and(|op| op.begins_group)
                && group
                    .clone()
                    .next_back()
                    .is_some_and(|op| op.steps.has(Steps::SYNC));
            let withdrawn = complete
                && from >= unstoppable
                && group.clone().all(Expect::is_unwanted)
                && cuts.try_reserve(1).is_ok();
            for expect in self.queue.range_mut(first..after) {
                if withdrawn {
                    expect.withdrawn = true;
                    expect.from = from;
                }
                expect.from -= removed;
            }
            if withdrawn {
                removed += to - from;
                match cuts.last_mut() {
                    Some(last) if last.1 == from => last.1 = to,
                    _ => cuts.push((from, to)),
                }
            }
            first = after;
        }
        for &(from, to) in cuts.iter().rev() {
            self.output.cut(from, to);
        }
        // Its replies are waited for already.
        if let Some(head) = self.queue.front().filter(|head| head.withdrawn)
            && head.steps != Steps::default()
        {
            self.broken.get_or_insert(Stop::Deadline);
        }
    }

    /// The first operation that a request to cancel must not hit: one that is wanted; or one that was abandoned while
    /// others of its group are wanted, which would fail with it.
    fn first_to_keep(&self) -> Option<usize> {
        let mut first = None;
        let mut group_wanted = false;
        for (index, expect) in self.queue.iter().enumerate().rev() {
            if expect.withdrawn {
                continue;
            }
            if expect.steps.has(Steps::SYNC) {
                group_wanted = false;
            }
            if !expect.is_unwanted() {
                first = Some(index);
                group_wanted |= expect.steps != Steps::SYNC && !expect.steps.has(Steps::SHUTDOWN);
            } else if group_wanted && expect.deadline > self.now {
                first = Some(index);
            }
        }
        first
    }

    /// The head of the queue is unwanted, or about to be found so: what is not sent yet is not sent before that is known.
    #[cold]
    pub(super) fn hold_back_if_due(&mut self) {
        let head = self.queue.front();
        if head.is_some_and(|head| head.is_unwanted() || head.deadline <= self.now) {
            self.hold_back();
        }
    }

    /// Holds back the output of later operations while the head of the queue is unwanted: they would have to wait for it in any
    /// case. Whether a request to cancel could hit nothing that is to be kept.
    pub(super) fn hold_back(&mut self) -> bool {
        let unstoppable = self.output.unstoppable();
        let is_unsent = |op: &&Expect| op.from >= unstoppable;
        let (may_cancel, first_held) = match self.first_to_keep() {
            None => (true, self.queue.len()),
            Some(index) if index > 0 && self.queue.get(index).as_ref().is_some_and(is_unsent) => {
                (true, index)
            }
            Some(_) => {
                let sent = |op: &&Expect| !is_unsent(op);
                (
                    false,
                    1 + self.queue.iter().skip(1).take_while(sent).count(),
                )
            }
        };
        match self.queue.get(first_held).map(|first| first.from) {
            None => self.output.hold = self.output.end(),
            Some(from) if from != self.output.hold => {
                self.output.hold = from;
                let last = self.queue.get(first_held - 1).map(|last| last.steps);
                // The server says nothing of the part of a group that it gets before something asks it to.
                if last.is_some_and(|last| !last.has(Steps::SYNC)) {
                    return self.flush_behind(first_held - 1) && may_cancel;
                }
            }
            Some(_) => {}
        }
        may_cancel
    }

    /// Asks the server for the replies up to those of this operation; false without memory, when nothing queued is held back.
    fn flush_behind(&mut self, index: usize) -> bool {
        let mut flush = Vec::new();
        let sent = wire::encode_flush(&mut flush)
            .map_err(Stop::from)
            .and_then(|()| self.send_behind(index, &flush));
        if sent.is_err() {
            self.output.hold = self.output.end();
        }
        sent.is_ok()
    }

    /// Lets all output go.
    pub(super) fn release(&mut self) {
        self.output.hold = u64::MAX;
    }

    /// Whether operations behind the head were sent, wholly or in part.
    pub(super) fn is_sent_behind(&self) -> bool {
        let unstoppable = self.output.unstoppable();
        let next = self.queue.iter().skip(1).find(|next| !next.withdrawn);
        next.is_some_and(|next| next.from < unstoppable)
    }

    /// Sends more messages of an operation, behind its own and before those of the next one, of which nothing has been sent.
    pub(super) fn send_behind(&mut self, index: usize, messages: &[u8]) -> Result<(), Stop> {
        self.trace_bytes(messages);
        let Some(next) = self.queue.get(index + 1) else {
            let out = self.output.buffer();
            out.try_reserve(messages.len())?;
            out.extend_from_slice(messages);
            self.send_with_last();
            return Ok(());
        };
        self.output.insert(next.from, messages)?;
        for later in self.queue.range_mut(index + 1..) {
            later.from += messages.len() as u64;
        }
        Ok(())
    }

    /// What was queued last belongs to the last operation: it is held back no longer than that.
    #[inline]
    pub(super) fn send_with_last(&mut self) {
        if self.output.hold != u64::MAX
            && let Some(last) = self.queue.back()
            && last.from < self.output.hold
        {
            self.output.hold = self.output.end();
        }
    }

    /// The unwanted operation at the head of the queue, if there is one that the server has to end.
    pub(super) fn unwanted_head(&self) -> Option<u64> {
        let head = self.queue.front()?;
        (head.is_unwanted() && !head.withdrawn).then_some(head.operation)
    }

    /// When the engine has to act on deadlines or go on with a rescue.
    pub(super) fn next_alarm(&self) -> u64 {
        let pending = self.queue.iter().filter(|expect| !expect.is_unwanted());
        let earliest = pending.map(|expect| expect.deadline).min();
        earliest.unwrap_or(u64::MAX).min(self.wake)
    }
}

/// Where the group that has `first` in it ends.
fn group_end(queue: &VecDeque<Expect>, first: usize) -> usize {
    let others = queue.range(first + 1..);
    first + 1 + others.take_while(|next| !next.begins_group).count()
}
