//! The only places where the engine waits. Each wait says what for; nothing else returns Pending.

use std::cell::RefCell;
use std::future::Future;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::state::State;
use crate::error::Error;
use crate::link::{Answer, LinkError};

thread_local! {
    /// The state of the engine that is being advanced on this thread. It is always taken back, so it needs no destructor,
    /// which would make each access to it dearer.
    static LENT: ManuallyDrop<RefCell<Option<Box<State>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Lends `state` to the coroutine for the length of `poll`, and takes it back.
pub(super) fn lend<T>(state: Box<State>, poll: impl FnOnce() -> T) -> (Option<Box<State>>, T) {
    LENT.with(|lent| lent.replace(Some(state)));
    let result = poll();
    (LENT.with(|lent| lent.take()), result)
}

/// Works on the state from inside the coroutine.
#[inline]
pub(super) fn with<T>(work: impl FnOnce(&mut State) -> T) -> T {
    LENT.with(|lent| match &mut *lent.borrow_mut() {
        Some(state) => work(state),
        None => unreachable!("the coroutine runs only while the state is lent"),
    })
}

/// Why a wait ended without what it waited for.
#[derive(Debug)]
pub(super) enum Stop {
    /// The transport is gone, and every whole message has been consumed.
    Lost(Box<LinkError>),
    /// The deadline has passed.
    Deadline,
    /// The peer broke the protocol, or there is no memory.
    Broken(Box<Error>),
}

impl Stop {
    #[cold]
    pub(super) fn broken(error: Error) -> Self {
        Self::Broken(Box::new(error))
    }
}

/// What the engine is waiting for, where in its code, and since when.
#[derive(Debug, Clone, Copy)]
pub struct Awaiting {
    /// In words.
    pub what: &'static str,
    /// The line that waits.
    pub at: &'static Location<'static>,
    /// Monotonic nanoseconds.
    pub since: u64,
}

/// Waits until `ready` gives something.
struct Wait<F> {
    ready: F,
    what: &'static str,
    at: &'static Location<'static>,
    /// Whether the loss of the transport ends it.
    minds_loss: bool,
    waited: bool,
}

impl<T, F> Future for Wait<F>
where
    F: FnMut(&mut State) -> Result<Option<T>, Stop> + Unpin,
{
    type Output = Result<T, Stop>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let wait = &mut *self;
        with(|state| {
            match (wait.ready)(state) {
                Ok(Some(value)) => return Poll::Ready(Ok(value)),
                Err(stop) => return Poll::Ready(Err(stop)),
                Ok(None) => {}
            }
            if state.deadline.is_some_and(|deadline| state.now >= deadline) {
                return Poll::Ready(Err(Stop::Deadline));
            }
            if wait.minds_loss
                && !state.out_of_budget()
                && !state.starved
                && let Some(lost) = &state.lost
            {
                return Poll::Ready(Err(Stop::Lost(Box::new(lost.clone()))));
            }
            if !wait.waited || state.awaiting.at != wait.at {
                wait.waited = true;
                state.awaiting = Awaiting {
                    what: wait.what,
                    at: wait.at,
                    since: state.now,
                };
            }
            Poll::Pending
        })
    }
}

/// A message, whole, at the head of the input.
#[track_caller]
pub(super) fn message() -> impl Future<Output = Result<u8, Stop>> + Send {
    Wait {
        ready: State::next_message,
        what: "a message from the server",
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}

/// A message, and room for the items that come of it.
#[track_caller]
pub(super) fn reply() -> impl Future<Output = Result<u8, Stop>> + Send {
    Wait {
        ready: |state: &mut State| {
            if state.has_room() {
                state.next_message()
            } else {
                state.starved = true;
                Ok(None)
            }
        },
        what: "a reply from the server",
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}

/// A queued operation, or a message that nobody asked for.
#[track_caller]
pub(super) fn command() -> impl Future<Output = Result<Option<u8>, Stop>> + Send {
    Wait {
        ready: |state: &mut State| {
            if !state.queue.is_empty() {
                return Ok(Some(None));
            }
            state.next_message().map(|message| message.map(Some))
        },
        what: "an operation to be started",
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}

/// A suspended portal to be continued (true) or its group to be ended (false).
#[track_caller]
pub(super) fn portal() -> impl Future<Output = Result<bool, Stop>> + Send {
    Wait {
        ready: |state: &mut State| {
            if !state.portal_suspended {
                Ok(Some(true))
            } else if state.queue.len() > 1 {
                Ok(Some(false))
            } else {
                Ok(None)
            }
        },
        what: "the portal to be continued or its group to be ended",
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}

/// What the net says to the last ask.
#[track_caller]
pub(super) fn answer(what: &'static str) -> impl Future<Output = Result<Answer, Stop>> + Send {
    Wait {
        ready: |state: &mut State| Ok(state.answer.take()),
        what,
        at: Location::caller(),
        minds_loss: false,
        waited: false,
    }
}

/// The next call: a long computation gives way to the caller's other work.
#[track_caller]
pub(super) fn breathe(what: &'static str) -> impl Future<Output = Result<(), Stop>> + Send {
    let mut first = true;
    Wait {
        ready: move |state: &mut State| {
            if first {
                first = false;
                state.runnable = true;
                state.breathing = true;
                return Ok(None);
            }
            Ok(Some(()))
        },
        what,
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}
