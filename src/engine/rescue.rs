//! Getting rid of an unwanted operation at the head of the queue: a second coroutine beside the one that reads its replies.
//! It knows the queue and the time, and no message of the protocol but the request to cancel (manual, "Canceling Requests
//! in Progress").
//!
//! The library never lets a cancel hit a later operation: what follows the unwanted ones is held back until the server has
//! dealt with the request, which it shows by closing the connection that carried it. Where something that is still wanted
//! has been sent behind them, nothing is cancelled: what comes is read and dropped.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::state::State;
use super::timeline::Change;
use super::wait::{self, rescued, with};
use super::{Engine, Need};
use crate::conninfo::Secret;
use crate::error::Error;
use crate::link::{Answer, Ask};
use crate::wire::CancelRequest;

/// The coroutine; it fails when the connection can only be given up.
pub(super) type Rescue = Pin<Box<dyn Future<Output = Result<(), Box<Error>>> + Send>>;

/// How long an abandoned operation may go on once it is at the head of the queue, …
const GRACE: u64 = 50_000_000;
/// … and how much the server may say meanwhile. What is that near to its end is not worth a cancel.
const GRACE_BYTES: u64 = 1024 * 1024;
/// An operation that still goes on so long after a cancel is cancelled again: the first may have come before it had begun.
const AGAIN: u64 = 500_000_000;
/// While a cancel is under way the caller waits for its descriptor: what the connection itself has to say is looked at so often.
const LOOK: u64 = 250_000_000;
/// How long the server has to deal with a cancel and to end what it stops.
pub(super) const CANCEL_TIMEOUT: u64 = 5_000_000_000;

/// What is being done about an unwanted operation, for people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rescuing {
    pub what: &'static str,
    pub since: u64,
}

/// Until the head of the queue is wanted, or there is none.
async fn rescue() -> Result<(), Box<Error>> {
    // Since when operations that are late could be cancelled: together they have the time of one.
    let mut late_since = None;
    while let Some(head) = with(|state| state.unwanted_head()) {
        if may_be_stopped(head).await {
            let end = with(|state| state.end_of_patience(&mut late_since));
            stop(head, end).await?;
        } else {
            late_since = None;
        }
    }
    Ok(())
}

/// Waits until the operation has had its grace and nothing that is wanted would be hit with it; false if it ends before.
async fn may_be_stopped(head: u64) -> bool {
    let (since, received) = with(|state| (state.now, state.input.received));
    rescued("draining what nobody wants", move |state| {
        if state.unwanted_head() != Some(head) {
            return Some(false);
        }
        let deadline = state.queue.front().map_or(0, |head| head.deadline);
        let (late, grace) = (deadline <= state.now, since.saturating_add(GRACE));
        if !late {
            state.wake_at(deadline);
        }
        // Else it takes the time it takes: what was sent behind it waits for it in any case.
        if !state.hold_back() {
            return None;
        }
        let enough = state.now >= grace || state.input.received - received >= GRACE_BYTES;
        if late || enough {
            return Some(true);
        }
        state.wake_at(grace);
        None
    })
    .await
}

/// Has the operation cancelled, and waits for its end; nothing else is sent before the server has dealt with the request.
async fn stop(head: u64, mut end: u64) -> Result<(), Box<Error>> {
    loop {
        let asked = with(State::ask_to_cancel);
        if asked {
            let answered = rescued("cancelling", |state| match state.answer.take() {
                Some(answer @ (Answer::Cancelled | Answer::Failed(_))) => {
                    let told = matches!(answer, Answer::Cancelled);
                    state.record(Change::CancelEnded { told });
                    Some(true)
                }
                _ if state.is_past(&mut end) => Some(false),
                _ => {
                    state.wake_at(state.now.saturating_add(LOOK));
                    None
                }
            });
            if !answered.await {
                return Err(given_up("did not answer to the request to cancel"));
            }
            with(State::transfer_cancelled);
        }
        let again = with(|state| {
            state
                .now
                .saturating_add(if asked { AGAIN } else { u64::MAX })
        });
        let ended = rescued("the end of what was cancelled", |state| {
            if state.unwanted_head() != Some(head) {
                return Some(Ok(true));
            }
            if state.is_past(&mut end) {
                return Some(Err(given_up(
                    "did not end the operation that is not wanted any more",
                )));
            }
            state.wake_at(again);
            (state.now >= again).then_some(Ok(false))
        });
        if ended.await? {
            return Ok(());
        }
    }
}

#[cold]
fn given_up(what: &str) -> Box<Error> {
    Box::new(Error::transport(format!(
        "timeout expired: the server {what}; the connection is given up"
    )))
}

impl State {
    /// The rescue goes on at this time at the latest.
    pub(super) fn wake_at(&mut self, time: u64) {
        self.wake = self.wake.min(time);
    }

    /// When the server has had time enough for the operation at the head, which may be cancelled from now on.
    fn end_of_patience(&self, late_since: &mut Option<u64>) -> u64 {
        let since = match self.queue.front() {
            Some(head) if head.deadline <= self.now => {
                head.deadline.max(*late_since.get_or_insert(self.now))
            }
            _ => self.now,
        };
        since.saturating_add(self.cancel_timeout)
    }

    /// Whether the time is over. It does not run while the caller leaves no room for what the server says.
    fn is_past(&mut self, end: &mut u64) -> bool {
        if self.now >= *end && self.starved {
            *end = self.now.saturating_add(self.cancel_timeout);
        }
        self.wake_at(*end);
        self.now >= *end
    }

    /// Asks for a request to cancel; false if the server gave nothing to prove it with.
    fn ask_to_cancel(&mut self) -> bool {
        let Some(key) = &self.facts.key else {
            return false;
        };
        let mut packet = Vec::new();
        let request = CancelRequest {
            process_id: self.facts.pid as i32,
            secret_key: key.expose(),
        };
        if request.encode(&mut packet).is_err() || !self.may_cancel_transfer() {
            return false;
        }
        self.ask(Ask::Cancel {
            packet: Secret::new(packet),
        });
        self.record(Change::CancelBegan);
        true
    }
}

impl Engine {
    /// How long operations started from now on may take, counted from the [`advance`](Engine::advance) after their start.
    /// At its deadline an operation fails, and the server is asked to stop it. `None`: as long as they like.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.state_mut().timeout = timeout.map_or(u64::MAX, nanoseconds);
    }

    /// The same.
    pub fn timeout(&self) -> Option<Duration> {
        let timeout = self.state().timeout;
        (timeout != u64::MAX).then(|| Duration::from_nanos(timeout))
    }

    /// How long the server has, from the first request to cancel an operation, to deal with it and to end the operation;
    /// then the connection is given up.
    pub fn set_cancel_timeout(&mut self, timeout: Duration) {
        self.state_mut().cancel_timeout = nanoseconds(timeout);
    }

    /// The same.
    pub fn cancel_timeout(&self) -> Duration {
        Duration::from_nanos(self.state().cancel_timeout)
    }

    /// Gives up an operation that was started, or (0) all: of its items only its done is still given. False if there is
    /// none to come, and for a shutdown.
    pub fn abandon(&mut self, operation: u64) -> bool {
        self.state_mut().abandon(operation)
    }

    /// Says that `count` bytes of the output cannot be called back: the transport has them already, encrypted, though they
    /// are not sent yet.
    pub fn committed(&mut self, count: usize) {
        let state = self.state_mut();
        state.output.commit(count);
        state.stall();
    }

    /// Whether an unwanted operation is being got rid of, or a cancel of it is under way.
    #[inline]
    pub fn is_rescuing(&self) -> bool {
        self.rescue.is_some()
    }

    /// Whether the operation at the head of the queue is unwanted, and the server has not ended it yet.
    pub fn needs_cancel(&self) -> bool {
        self.state().unwanted_head().is_some()
    }

    /// Whether deadlines are to be acted on, or a rescue gone on with: while there is one, output is held back.
    #[inline]
    pub(super) fn is_due(&self, now: u64) -> bool {
        let state = self.state();
        now >= state.alarm || state.output.hold != u64::MAX
    }

    /// Acts on deadlines, and gets rid of an unwanted operation at the head of the queue.
    #[cold]
    #[inline(never)]
    pub(super) fn tend(&mut self) -> Need {
        let state = self.state_mut();
        if state.now >= state.alarm {
            if let Err(error) = state.give_up_late() {
                self.end(error);
                return Need::default();
            }
            // It may go on with less to wait for.
            state.starved = false;
            if !self.run() {
                return Need::default();
            }
        }
        if self.rescue.is_none()
            && let Some(head) = self.state().unwanted_head()
        {
            self.rescue = Some(Box::new(Box::pin(rescue())));
            let operation = head as u32;
            self.state_mut().record(Change::Unwanted { operation });
        }
        self.state_mut().wake = u64::MAX;
        match self.poll_rescue() {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => {
                self.rescue = None;
                let state = self.state_mut();
                state.rescue = None;
                state.record(Change::Rescued);
                state.release();
            }
            Poll::Ready(Err(error)) => {
                self.end(*error);
                return Need::default();
            }
        }
        let state = self.state_mut();
        state.alarm = state.next_alarm();
        self.need()
    }

    fn poll_rescue(&mut self) -> Poll<Result<(), Box<Error>>> {
        let Some(rescue) = &mut self.rescue else {
            return Poll::Ready(Ok(()));
        };
        let Some(state) = self.state.take() else {
            return Poll::Ready(Ok(()));
        };
        let poll = || {
            catch_unwind(AssertUnwindSafe(|| {
                rescue
                    .as_mut()
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
            }))
        };
        let (state, polled) = wait::lend(state, poll);
        self.state = state;
        polled.unwrap_or_else(|_| {
            Poll::Ready(Err(Box::new(Error::transport(
                "internal error: the rescue coroutine panicked; the connection is closed",
            ))))
        })
    }
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
