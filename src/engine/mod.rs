//! The protocol as one coroutine per connection, without I/O: bytes and answers go in, bytes and questions come out.
//!
//! The engine never sees a socket or a clock. Whoever drives it appends received bytes to [`Engine::room`], sends what
//! [`Engine::output`] holds, does what [`Engine::ask`] asks, and calls [`Engine::advance`]; the real thing and the
//! simulated one do it alike. The coroutine waits only in `wait.rs`; a protocol chapter has its own file.
#![forbid(unsafe_code)]

mod authenticate;
mod cancel;
mod command;
mod connect;
mod copy;
mod encode;
mod encrypt;
mod expect;
mod extended;
mod face;
mod facts;
mod finished;
mod function;
mod gss;
mod heal;
mod incoming;
mod input;
mod inspect;
mod item;
mod json;
mod large_object;
mod mail;
mod oauth;
mod outlook;
mod output;
mod query;
mod random;
mod rescue;
mod results;
mod serve;
mod shutdown;
mod start;
mod startup;
mod state;
mod statements;
mod target;
mod timeline;
mod trace;
mod transfer;
mod unwanted;
mod usual;
mod wait;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub use cancel::CancelPlan;
pub use command::{Command, End};
pub use copy::CopyMessages;
pub use facts::{Facts, Phase, Texts};
pub use finished::Taken;
pub use input::Spare;
pub use item::{CommandTag, CopyWay, Copying, Done, Item, Outcome, Reply, Verdict};
pub use large_object::{
    Function, LARGE_OBJECT_FUNCTIONS, LO_READ, LO_WRITE, LargeObject, MOST_AT_ONCE, number_returned,
};
pub use mail::{Notice, Notification};
pub use random::Random;
pub use state::Room;
pub use timeline::Track;
pub use trace::{Clock, Trace};
pub use transfer::{FileTurn, PIECE};
pub use wait::Awaiting;

use self::rescue::Rescue;
use self::state::State;
use self::timeline::Change;
use crate::conninfo::Plan;
use crate::error::Error;
use crate::link::{Answer, Ask, AskId, LinkError};
use crate::rows::OutOfMemory;

/// The coroutine; what it returns is why the connection is over: nothing, if it has done what it was for.
type Task = Pin<Box<dyn Future<Output = Result<(), Box<Error>>> + Send>>;

/// What the engine needs before it can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    /// Received bytes: there is room for them.
    pub read: bool,
    /// Queued output to be sent.
    pub write: bool,
    /// Another [`Engine::advance`], soon: the work budget is used up.
    pub runnable: bool,
    /// An answer to the last ask.
    pub answer: bool,
}

/// One connection's protocol.
pub struct Engine {
    /// `None` only while it is lent to the coroutine.
    state: Option<Box<State>>,
    /// `None` once it has ended.
    task: Option<Task>,
    /// Gets rid of unwanted operations; there only while the head of the queue is one.
    rescue: Option<Box<Rescue>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine that will connect as `plan` says once it is advanced.
    pub fn new(plan: Plan, random: Random, room: Room) -> Self {
        Self {
            state: Some(Box::new(State::new(room))),
            task: Some(Box::pin(live(plan, random))),
            rescue: None,
        }
    }

    /// An engine that does nothing but tell the server to stop what it does for another connection.
    pub fn cancel(plan: CancelPlan) -> Self {
        let room = Room {
            items: 1,
            ahead: 0,
            bytes: 1,
            inbox: 1,
        };
        let task = async move { cancel::cancel(&plan).await.map_err(Box::new) };
        Self {
            state: Some(Box::new(State::new(room))),
            task: Some(Box::pin(task)),
            rescue: None,
        }
    }

    /// An engine that never gets anywhere: the plan could not be made.
    pub fn failed(error: Error, room: Room) -> Self {
        let mut engine = Self {
            state: Some(Box::new(State::new(room))),
            task: None,
            rescue: None,
        };
        engine.end(error);
        engine
    }

    /// Bytes of the coroutine itself, without what it boxes while connecting.
    pub fn coroutine_size(&self) -> usize {
        self.task.as_ref().map_or(0, |task| size_of_val(&**task))
    }

    /// Bytes of the state itself, without what it has on the heap.
    pub fn state_size(&self) -> usize {
        size_of::<State>()
    }

    #[inline]
    fn state(&self) -> &State {
        match &self.state {
            Some(state) => state,
            None => unreachable!("the state is lent only inside advance"),
        }
    }

    #[inline]
    fn state_mut(&mut self) -> &mut State {
        match &mut self.state {
            Some(state) => state,
            None => unreachable!("the state is lent only inside advance"),
        }
    }

    /// Where received bytes go; say how many with [`Engine::received`]. `None` without memory: the connection is over then.
    #[inline(always)]
    pub fn room(&mut self) -> Option<Spare<'_>> {
        if self.state().copy.gives() && self.state().gather.in_chunk() == 0 {
            self.state_mut().input.make_room_for_copy();
        }
        if !self.state().input.has_room() && self.make_room().is_err() {
            self.end(Error::out_of_memory("a message of the server"));
            return None;
        }
        let state = self.state_mut();
        state.input.room(&mut state.gather).ok()
    }

    #[inline(never)]
    fn make_room(&mut self) -> Result<(), OutOfMemory> {
        let state = self.state_mut();
        if state.input.room(&mut state.gather).is_ok() {
            return Ok(());
        }
        // Rows that do not fit cost their operation, not the connection: those gathered first, then one larger than the rest.
        if state.drop_rows() && state.input.room(&mut state.gather).is_ok() {
            return Ok(());
        }
        if state.skip_huge_row() {
            return state.input.room(&mut state.gather).map(|_| ());
        }
        Err(OutOfMemory)
    }

    /// Gives the room back when nothing lies in it: to be called when nothing more is received for now.
    #[inline]
    pub fn release(&mut self) {
        let state = self.state_mut();
        let rows = state.gather.in_chunk() > 0;
        if state.copy.is_under_way() && !rows {
            return state.input.release_in_copy();
        }
        state.input.release(rows);
    }

    /// Receives bytes that are in memory: how many there was room for, which is at least one.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let Some(room) = self.room() else {
            return bytes.len();
        };
        let count = room.most.min(bytes.len());
        room.chunk.extend_from_slice(&bytes[..count]);
        self.received(count);
        count
    }

    /// Says that `count` bytes of the room were filled.
    #[inline]
    pub fn received(&mut self, count: usize) {
        self.state_mut().input.received(count);
    }

    /// Bytes to send; say how many went with [`Engine::sent`].
    #[inline]
    pub fn output(&self) -> &[u8] {
        self.state().output.pending()
    }

    /// Whether there are bytes to send.
    #[inline]
    pub fn has_output(&self) -> bool {
        !self.state().output.is_empty()
    }

    /// Bytes that are queued and not sent, also those that are held back.
    #[inline]
    pub fn unsent(&self) -> usize {
        self.state().output.unsent()
    }

    /// Says that `count` bytes of the output were sent.
    #[inline]
    pub fn sent(&mut self, count: usize) {
        let state = self.state_mut();
        state.output.sent(count);
        state.unstall();
    }

    /// What is to be done in the outside world, once for each ask.
    #[inline]
    pub fn ask(&mut self) -> Option<(AskId, Ask)> {
        self.state_mut().ask.take()
    }

    /// Whether there is something to be done.
    #[inline]
    pub fn asks(&self) -> bool {
        self.state().ask.is_some()
    }

    /// What came of it; an answer to an older ask is dropped.
    pub fn answer(&mut self, id: AskId, answer: Answer) {
        let state = self.state_mut();
        if id == state.last_ask {
            state.answer = Some(answer);
        }
    }

    /// The transport is gone. It is acted upon when every whole message before it has been consumed.
    pub fn lost(&mut self, why: LinkError) {
        let state = self.state_mut();
        if state.lost.is_none() {
            state.record(Change::Lost);
            state.output.clear();
            state.lost = Some(why);
        }
    }

    /// Runs the coroutine until it waits. `now`: monotonic nanoseconds; `budget`: about how many bytes of messages to
    /// work through in this call.
    #[inline(always)]
    pub fn advance(&mut self, now: u64, budget: usize) -> Need {
        let Some(state) = &mut self.state else {
            return Need::default();
        };
        state.now = now;
        if state.unstamped {
            state.stamp();
        }
        state.budget = budget;
        state.runnable = false;
        state.breathing = false;
        state.starved = false;
        state.left_answers = false;
        if !self.run() {
            return Need::default();
        }
        if self.is_due(now) {
            return self.tend();
        }
        self.need()
    }

    /// Polls the coroutine once; false when it has ended.
    #[inline(always)]
    fn run(&mut self) -> bool {
        let Some(task) = &mut self.task else {
            return false;
        };
        let Some(state) = self.state.take() else {
            return false;
        };
        let poll = || {
            catch_unwind(AssertUnwindSafe(|| {
                task.as_mut().poll(&mut Context::from_waker(Waker::noop()))
            }))
        };
        let (state, polled) = wait::lend(state, poll);
        self.state = state;
        match polled {
            Ok(Poll::Pending) => true,
            Ok(Poll::Ready(result)) => {
                match result {
                    Ok(()) => self.finish(),
                    Err(error) => self.end(*error),
                }
                false
            }
            Err(_) => {
                self.end(Error::transport(
                    "internal error: the protocol coroutine panicked; the connection is closed",
                ));
                false
            }
        }
    }

    /// Whether an [`advance`](Engine::advance) would find anything new besides what is received after this: the work of
    /// the last one was not done, its deadline has passed, what it gave up for want of room was taken since, or an operation
    /// was started in a group that has failed, of which the server says nothing.
    #[inline]
    pub fn has_news(&mut self, now: u64) -> bool {
        let state = self.state_mut();
        state.now = now;
        if state.unstamped {
            state.stamp();
        }
        if now >= state.alarm {
            state.hold_back_if_due();
        }
        state.has_work()
            || now >= state.alarm
            || state.deadline.is_some_and(|deadline| now >= deadline)
    }

    /// The same but for deadlines.
    #[inline]
    pub fn has_work(&self) -> bool {
        self.state().has_work()
    }

    /// What the engine needs, as of the last advance.
    #[inline]
    pub fn need(&self) -> Need {
        let state = self.state();
        let reading = state.linked && state.lost.is_none();
        let full = state.left_answers && !state.input.has_room();
        Need {
            read: reading && !state.starved && !state.breathing && !full,
            write: reading && !state.output.is_empty(),
            runnable: state.runnable,
            answer: matches!(
                state.facts.phase,
                Phase::Resolving
                    | Phase::Credentials
                    | Phase::Dialling
                    | Phase::SecuringGss
                    | Phase::Securing
                    | Phase::Authenticating
            ),
        }
    }

    /// When the engine has to be advanced at the latest: monotonic nanoseconds.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        let state = self.state();
        match state.deadline {
            None if state.alarm == u64::MAX => None,
            None => Some(state.alarm),
            Some(deadline) => Some(deadline.min(state.alarm)),
        }
    }

    /// What callers of libpq rely on: what the server has refused is not tried again; a simple query may follow an open group,
    /// which it then ends, as the server allows; any query may begin a COPY, whose data the client ends before it sees an error;
    /// what comes unasked for is dropped with a notice; and after a FATAL error the end of the transport is waited for, and told
    /// besides.
    pub fn behave_like_libpq(&mut self) {
        self.state_mut().like_libpq = true;
        self.set_healing(false);
    }

    /// Whether prepared statements that the server has lost, or whose columns have changed, are prepared again; they are
    /// unless this says otherwise.
    pub fn set_healing(&mut self, heals: bool) {
        self.state_mut().heals = heals;
    }

    /// The same.
    pub fn heals(&self) -> bool {
        self.state().heals
    }

    /// Whether every execution of a prepared statement asks for its columns; `None`, as at the beginning: where the server is
    /// behind a pooler.
    pub fn set_describing(&mut self, describes: Option<bool>) {
        self.state_mut().describes = describes;
        self.state_mut().heed_pooler();
    }

    /// The same.
    pub fn describes(&self) -> Option<bool> {
        self.state().describes
    }

    /// Whether there is a transport to receive from.
    #[inline]
    pub fn is_linked(&self) -> bool {
        let state = self.state();
        state.linked && state.lost.is_none() && state.over.is_none()
    }

    /// Why the transport is gone, once it is; whole messages that came before may still be unread.
    pub fn loss(&self) -> Option<&LinkError> {
        self.state().lost.as_ref()
    }

    /// What is known of the connection.
    #[inline]
    pub fn facts(&self) -> &Facts {
        &self.state().facts
    }

    /// Why the connection is over, once it is.
    #[inline]
    pub fn error(&self) -> Option<&Error> {
        self.state().over.as_ref()
    }

    /// Whether it has done what it was for: the server has the request to cancel.
    pub fn is_done(&self) -> bool {
        self.task.is_none() && self.error().is_none()
    }

    /// What the coroutine waits for.
    pub fn awaiting(&self) -> Awaiting {
        self.state().awaiting
    }

    /// One line of JSON that says what the engine is doing.
    pub fn inspect(&self, now: u64) -> String {
        self.state().inspect(now)
    }

    /// Begins (`Some`) or ends the trace of messages.
    pub fn set_trace(&mut self, trace: Option<Trace>) {
        let state = self.state_mut();
        state.copy.seal();
        state.trace = trace.map(Box::new);
    }

    /// The same; gives the trace there was, to be gone on with after a reset.
    pub fn replace_trace(&mut self, trace: Option<Trace>) -> Option<Trace> {
        let old = self.state_mut().trace.take();
        self.set_trace(trace);
        old.map(|old| *old)
    }

    /// The trace, while there is one.
    pub fn trace(&mut self) -> Option<&mut Trace> {
        self.state_mut().trace.as_deref_mut()
    }

    /// Ends the connection: every queued operation gets its done, the head with the reason.
    pub fn end(&mut self, error: Error) {
        self.task = None;
        self.rescue = None;
        if let Some(state) = &mut self.state {
            state.end(error);
        }
    }

    fn finish(&mut self) {
        self.task = None;
        self.state_mut().hang_up();
    }
}

/// The life of a connection. Connecting is boxed by itself, so that an idle connection pays for serving only.
async fn live(plan: Plan, random: Random) -> Result<(), Box<Error>> {
    let connecting: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> =
        Box::pin(async move { connect::connect(&plan, random).await });
    if let Err(error) = connecting.await {
        return Err(Box::new(error));
    }
    Err(Box::new(connect::into_error(serve::serve().await)))
}
