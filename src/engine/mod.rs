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
mod encrypt;
mod extended;
mod facts;
mod finished;
mod function;
mod gss;
mod heal;
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
mod serve;
mod shutdown;
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

use self::mail::Mail;
use self::rescue::Rescue;
use self::state::State;
use self::timeline::Change;
use crate::conninfo::Plan;
use crate::error::Error;
use crate::link::{Answer, Ask, AskId, LinkError};
use crate::rows::{Batch, Limits, OutOfMemory};
use crate::wire::Parameters;

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

    /// Starts an operation: encodes it and queues what to expect. On an error nothing has changed.
    #[inline(always)]
    pub fn start(&mut self, command: Command<'_>, end: End) -> Result<u64, Error> {
        self.state_mut().start(command, end)
    }

    /// The same as for [`Command::Prepared`], compiled for the kind of the parameters.
    #[inline(always)]
    pub fn start_prepared<P: Parameters>(
        &mut self,
        name: &[u8],
        params: &P,
        format: i16,
        max_rows: u32,
        end: End,
    ) -> Result<u64, Error> {
        let state = self.state_mut();
        state.start_prepared(name, params, format, max_rows, end)
    }

    /// Starts a prepared statement for many sets of parameters: `params` of each number below `count`. Gives the id of the first
    /// operation, behind which the others follow, and how many were started: no more once `most` bytes wait to be sent, or so
    /// many operations for their end. They are one group, which ends, as `end` says, with the last number.
    pub fn start_prepared_many<P: Parameters>(
        &mut self,
        name: &[u8],
        count: usize,
        params: impl Fn(usize) -> P,
        format: i16,
        end: End,
        most: (usize, usize),
    ) -> Result<(u64, usize), Error> {
        let state = self.state_mut();
        state.start_prepared_many(name, count, params, format, end, most)
    }

    /// Asks a suspended portal for up to `max_rows` more rows (0: all).
    pub fn continue_portal(&mut self, max_rows: u32) -> Result<(), Error> {
        self.state_mut().continue_portal(max_rows)
    }

    /// Queues the message that says goodbye, if there is a server to hear it.
    pub fn terminate(&mut self) {
        let state = self.state_mut();
        if !state.facts.is_ready() || state.over.is_some() || state.lost.is_some() {
            return;
        }
        state.say_goodbye();
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

    /// Asks the server to send what the open group has yielded.
    pub fn flush_request(&mut self) -> Result<(), Error> {
        let state = self.state_mut();
        state.check_may_start(&Command::Sync)?;
        state.flush_request()
    }

    /// The same, when the last operation started is inside an open group and the server has not been asked yet.
    #[inline]
    pub fn flush_open_group(&mut self) -> Result<(), Error> {
        let state = self.state_mut();
        if state.group_open && !state.group_flushed && !state.portal_open {
            return state.flush_request();
        }
        Ok(())
    }

    /// How the rows of operations started from now on are cut into batches.
    pub fn set_limits(&mut self, limits: Limits) {
        self.state_mut().limits = limits;
    }

    /// How many bytes are left before the rows of small results from now on: see [`Batch::front_mut`](crate::rows::Batch::front_mut).
    pub fn set_front(&mut self, front: u16) {
        self.state_mut().gather.set_front(front);
    }

    /// How the rows of `operation` are cut from now on, if it is the head of the queue: what was finished is not cut again.
    pub fn set_head_limits(&mut self, operation: u64, limits: Limits) {
        let head = self.state_mut().queue.front_mut();
        if let Some(head) = head.filter(|head| head.operation == operation) {
            head.limits = limits;
        }
    }

    /// Whether the columns of the result that is being received are known already.
    pub fn has_begun_result(&self) -> bool {
        self.state().gather.is_open()
    }

    /// Takes the notices and notifications that stand at the head of the input, and looks no further: for a caller who
    /// has not taken the last result.
    pub fn sort_mail(&mut self) {
        let state = self.state_mut();
        if state.facts.is_ready() && state.over.is_none() {
            state.sort_mail();
        }
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

    /// Whether a finished item is there to be taken.
    #[inline]
    pub fn has_item(&self) -> bool {
        !self.state().items.is_empty()
    }

    /// The next finished item.
    #[inline]
    pub fn take(&mut self) -> Option<Item> {
        self.state_mut().items.take()
    }

    /// The same if it is rows, and nothing else.
    #[inline]
    pub fn take_rows(&mut self) -> Option<Batch> {
        self.state_mut().items.take_rows()
    }

    /// The same for a caller who takes the parts of it: the operation's id and what is taken, which is gone when `work` is
    /// done.
    #[inline(always)]
    pub fn take_with<T>(&mut self, work: impl FnOnce(u64, Taken<'_>) -> T) -> Option<T> {
        self.state_mut().items.take_with(work)
    }

    /// Whether all that an operation yields stays in the input until it is taken, while there is an item to be taken before it:
    /// see [`take_left_answers`](Engine::take_left_answers). Not so where an operation has a deadline.
    pub fn leave_answers(&mut self, leaves: bool) {
        self.state_mut().leaves_answers = leaves;
    }

    /// The same.
    pub fn leaves_answers(&self) -> bool {
        self.state().leaves_answers
    }

    /// Lets `work` take what was left in the input, if no item comes before it, as long as it says so: of each operation its id,
    /// its rows, its tag and its done. It is never made an item, which costs as much as all the rest.
    #[inline(always)]
    pub fn take_left_answers(&mut self, work: impl FnMut(u64, Option<Batch>, &[u8], Done) -> bool) {
        self.state_mut().take_left_answers(work);
    }

    /// Makes items of the first that was left there, if no item comes before it; whether there was one.
    #[inline]
    pub fn finish_left_answer(&mut self) -> bool {
        self.state().left_answers && self.state_mut().finish_left_answer()
    }

    /// The same for all items of an operation at once, where they are a result, if the command has one, its tag and its done,
    /// and are all there.
    #[inline(always)]
    pub fn take_answer<T>(
        &mut self,
        work: impl FnOnce(u64, Option<Batch>, &CommandTag, Done) -> T,
    ) -> Option<T> {
        self.state_mut().items.take_answer(work)
    }

    /// The next notice.
    pub fn notice(&mut self) -> Option<Notice> {
        self.state_mut().mail.take_notice()
    }

    /// The next notification.
    pub fn notification(&mut self) -> Option<Notification> {
        self.state_mut().mail.take_notification()
    }

    /// Puts a notification back, as the next one: it was taken and could not be handed out.
    pub fn put_back(&mut self, notification: Notification) {
        self.state_mut().mail.put_back(notification);
    }

    /// How many notices were dropped, because too many were left there.
    pub fn notices_dropped(&self) -> u64 {
        self.state().mail.dropped()
    }

    /// Takes over the notices and notifications of the engine before this one, which nobody has taken yet.
    pub fn keep_mail(&mut self, before: &mut Engine) {
        let mail = &mut self.state_mut().mail;
        std::mem::swap(mail, &mut before.state_mut().mail);
        mail.begin_session();
    }

    /// Drops the notices and notifications that nobody has taken.
    pub fn drop_mail(&mut self) {
        let state = self.state_mut();
        state.mail = Mail::new(state.room.inbox);
    }

    /// Whether a notice, and whether a notification, is there.
    #[inline]
    pub fn has_mail(&self) -> (bool, bool) {
        self.state().mail.waits()
    }

    /// Operations started whose done is not finished yet.
    #[inline]
    pub fn queued(&self) -> usize {
        self.state().queue.len()
    }

    /// Whether operations were started that no sync has ended yet: their work is not committed.
    pub fn has_open_group(&self) -> bool {
        self.state().group_open
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
