//! The only places where the engine waits. Each wait says what for; nothing else returns Pending.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::mem::ManuallyDrop;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::expect::Steps;
use super::rescue::Rescuing;
use super::state::State;
use super::usual::Usual;
use crate::error::Error;
use crate::link::{Answer, LinkError};
use crate::wire::CopyData;

thread_local! {
    /// The state of the engine that is being advanced on this thread. It is always taken back, so it needs no destructor,
    /// which would make each access to it dearer.
    static LENT: ManuallyDrop<RefCell<Option<Box<State>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Lends `state` to the coroutine for the length of `poll`, and takes it back.
#[inline(always)]
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
    /// The deadline of connecting has passed; or the operation that is waited for was given up before it was sent.
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

/// What is awaited while operations are queued.
pub(super) static REPLY: &str = "a reply from the server";
/// And while none is.
static OPERATION: &str = "an operation to be started";

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

impl State {
    /// Whether the wait is over although what it waits for is not there.
    #[inline]
    fn stopped(&mut self, minds_loss: bool) -> Option<Stop> {
        if self.deadline.is_none() && self.lost.is_none() && self.broken.is_none() {
            return self.no_message();
        }
        self.stopped_by(minds_loss)
    }

    /// Whether what was received is no message.
    #[inline]
    fn no_message(&mut self) -> Option<Stop> {
        let error = self.input.broken.take()?;
        Some(Stop::broken(self.not_a_message(*error)))
    }

    /// Says what is awaited, where that changes while the same place waits.
    #[inline]
    fn awaits(&mut self, what: &'static str, at: &'static Location<'static>, anew: bool) {
        if anew || !std::ptr::eq(self.awaiting.what, what) {
            let since = self.now;
            self.awaiting = Awaiting { what, at, since };
        }
    }

    #[cold]
    fn stopped_by(&mut self, minds_loss: bool) -> Option<Stop> {
        if let Some(stop) = self.broken.take().or_else(|| self.no_message()) {
            return Some(stop);
        }
        if self.deadline.is_some_and(|deadline| self.now >= deadline) {
            return Some(Stop::Deadline);
        }
        match &self.lost {
            Some(lost) if minds_loss && self.budget > 0 && !self.starved && !self.left_answers => {
                Some(Stop::Lost(Box::new(lost.clone())))
            }
            _ => None,
        }
    }
}

impl<T, E, F> Future for Wait<F>
where
    E: From<Stop>,
    F: FnMut(&mut State) -> Result<Option<T>, E> + Unpin,
{
    type Output = Result<T, E>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let wait = &mut *self;
        with(|state| {
            match (wait.ready)(state) {
                Ok(Some(value)) => return Poll::Ready(Ok(value)),
                Err(stop) => return Poll::Ready(Err(stop)),
                Ok(None) => {}
            }
            if let Some(stop) = state.stopped(wait.minds_loss) {
                return Poll::Ready(Err(stop.into()));
            }
            let began = !wait.waited;
            if began {
                wait.waited = true;
                state.awaiting = Awaiting {
                    what: wait.what,
                    at: wait.at,
                    since: state.now,
                };
            }
            state.pending(began);
            Poll::Pending
        })
    }
}

/// A message, whole, at the head of the input.
#[track_caller]
pub(super) fn message() -> impl Future<Output = Result<u8, Stop>> + Send {
    Wait {
        ready: |state: &mut State| match state.next_message() {
            0 => state.believes_promise().map(|()| None),
            tag => Ok(Some(tag)),
        },
        what: "a message from the server",
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}

/// Messages, one after the other, and room for the items that come of them: `handle` gets the tag of each and the state
/// to read it from, and says whether more is expected or what the replies have come to.
#[track_caller]
pub(super) fn replies<T, E>(
    mut handle: impl FnMut(&mut State, u8) -> Result<ControlFlow<T>, E> + Send + Unpin,
) -> impl Future<Output = Result<T, E>> + Send
where
    T: Send,
    E: From<Stop> + Send,
{
    Wait {
        ready: move |state: &mut State| {
            loop {
                if !state.has_room() {
                    state.starved = true;
                    return Ok(None);
                }
                let tag = state.next_message();
                if tag == 0 {
                    return Ok(None);
                }
                if let ControlFlow::Break(value) = handle(state, tag)? {
                    return Ok(Some(value));
                }
            }
        },
        what: "a reply from the server",
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}

/// A message behind the data of a COPY. Data is taken past the coroutine, and nothing is received while some lies there; what
/// nobody wants goes past.
#[track_caller]
pub(super) fn after_copy_data() -> impl Future<Output = Result<u8, Stop>> + Send {
    Wait {
        ready: |state: &mut State| {
            loop {
                if !state.has_room() {
                    state.starved = true;
                    return Ok(None);
                }
                match state.next_message() {
                    0 => return Ok(None),
                    CopyData::TAG if state.discards_copy_data() => state.consume()?,
                    CopyData::TAG => {
                        state.starved = true;
                        return Ok(None);
                    }
                    tag => return Ok(Some(tag)),
                }
            }
        },
        what: "the end of the data of a COPY",
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}

/// What there is to do for a connection that is up.
pub(super) enum Next {
    /// The operation at the head of the queue.
    Operation(Steps),
    /// The same, but the server skips it: one before it in its group has failed.
    Skipped(Steps),
    /// A message that nobody asked for.
    Message(u8),
}

/// A queued operation that needs more than the usual replies, or a message that nobody asked for.
#[track_caller]
pub(super) fn command() -> impl Future<Output = Result<Next, Stop>> + Send {
    let at = Location::caller();
    Wait {
        ready: move |state: &mut State| {
            if let Usual::Awaited { after_some } = state.usual_replies()? {
                state.awaits(REPLY, at, after_some);
                return Ok(None);
            }
            if let Some(head) = state.queue.front() {
                let steps = head.left;
                return Ok(Some(if state.aborted && steps != Steps::SYNC {
                    Next::Skipped(steps)
                } else {
                    Next::Operation(steps)
                }));
            }
            if !state.mail.has_room() {
                state.starved = true;
                return Ok(None);
            }
            match state.next_message() {
                0 => {
                    state.awaits(OPERATION, at, false);
                    Ok(None)
                }
                tag => Ok(Some(Next::Message(tag))),
            }
        },
        what: OPERATION,
        at,
        minds_loss: true,
        waited: true,
    }
}

/// What becomes of a suspended portal.
pub(super) enum Portal {
    /// It is asked for more rows.
    Continued,
    /// Its group is ended.
    Ended,
    /// A message comes of the server's own accord.
    Message(u8),
}

/// A suspended portal to be continued, or its group to be ended; the server may say goodbye meanwhile.
#[track_caller]
pub(super) fn portal() -> impl Future<Output = Result<Portal, Stop>> + Send {
    Wait {
        ready: |state: &mut State| {
            if !state.portal_suspended {
                return Ok(Some(Portal::Continued));
            }
            if state.queue.len() > 1 || state.has_failed() {
                return Ok(Some(Portal::Ended));
            }
            if !state.has_room() {
                state.starved = true;
                return Ok(None);
            }
            match state.next_message() {
                0 => Ok(None),
                tag => Ok(Some(Portal::Message(tag))),
            }
        },
        what: "the portal to be continued or its group to be ended",
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}

/// One byte of what is received: there are no messages yet.
#[track_caller]
pub(super) fn byte(what: &'static str) -> impl Future<Output = Result<u8, Stop>> + Send {
    Wait {
        ready: |state: &mut State| Ok::<_, Stop>(state.input.byte()),
        what,
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}

/// Something that the rescue of an unwanted operation waits for. It is asked again at each advance; `ready` names the
/// time at which there must be one ([`State::wake_at`]).
pub(super) fn rescued<T>(
    what: &'static str,
    mut ready: impl FnMut(&mut State) -> Option<T> + Send + Unpin,
) -> impl Future<Output = T> + Send {
    let mut waited = false;
    poll_fn(move |_| {
        with(|state| {
            if let Some(value) = ready(state) {
                return Poll::Ready(value);
            }
            if !waited {
                waited = true;
                let since = state.now;
                state.rescue = Some(Rescuing { what, since });
            }
            Poll::Pending
        })
    })
}

/// What is queued now to be on its way.
#[track_caller]
pub(super) fn sent(what: &'static str) -> impl Future<Output = Result<(), Stop>> + Send {
    let mut end = None;
    Wait {
        ready: move |state: &mut State| {
            let output = &state.output;
            let end = *end.get_or_insert(output.total + output.pending().len() as u64);
            Ok::<_, Stop>((output.total >= end).then_some(()))
        },
        what,
        at: Location::caller(),
        minds_loss: true,
        waited: false,
    }
}

/// Something that whoever drives the engine says or does, and that is sure to come.
#[track_caller]
pub(super) fn until<T: Send>(
    what: &'static str,
    mut ready: impl FnMut(&mut State) -> Option<T> + Send + Unpin,
) -> impl Future<Output = Result<T, Stop>> + Send {
    Wait {
        ready: move |state: &mut State| Ok::<_, Stop>(ready(state)),
        what,
        at: Location::caller(),
        minds_loss: false,
        waited: false,
    }
}

/// What the net says to the last ask.
#[track_caller]
pub(super) fn answer(what: &'static str) -> impl Future<Output = Result<Answer, Stop>> + Send {
    Wait {
        ready: |state: &mut State| Ok::<_, Stop>(state.answer.take()),
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
