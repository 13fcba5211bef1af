//! All that the engine knows, lent to the coroutine while it runs.

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;

use super::copy::Copy;
use super::expect::Expect;
use super::facts::{Facts, Phase};
use super::finished::Finished;
use super::input::Input;
use super::item::{Done, Item, Outcome, Reply, Verdict};
use super::mail::Mail;
use super::output::Output;
use super::rescue::{CANCEL_TIMEOUT, Rescuing};
use super::statements::Statements;
use super::timeline::{Change, Timeline};
use super::trace::Trace;
use super::transfer::Transfer;
use super::unwanted::Standing;
use super::wait::{Awaiting, Stop};
use crate::error::{Error, Family, ServerError};
use crate::link::{Answer, Ask, AskId, LinkError};
use crate::rows::{Columns, Gather, Limits};
use crate::wire::TransactionStatus;

/// How much may be finished and not yet taken before the engine waits: the face's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// So many items.
    pub items: usize,
    /// So many, as long as each tells nothing of what was before it: rows behind rows, and all of what an operation inside of a
    /// group has yielded. A face that shows one result after the other can have them worked through at once.
    pub ahead: usize,
    /// So many bytes of rows and of errors.
    pub bytes: usize,
    /// So many bytes of notifications; of as many bytes of notices the oldest are dropped.
    pub inbox: usize,
}

/// The state of one engine.
#[derive(Debug)]
pub(super) struct State {
    pub input: Input,
    pub output: Output,
    pub gather: Gather,
    pub queue: VecDeque<Expect>,
    pub items: Finished,
    pub room: Room,
    /// How the rows of operations started from now on are cut.
    pub limits: Limits,
    pub facts: Facts,
    pub statements: Statements,
    /// The columns described last.
    pub last_columns: Option<Arc<Columns>>,
    pub copy: Copy,
    pub mail: Mail,
    pub last_operation: u64,
    /// Operations were started whose time is not taken yet.
    pub unstamped: bool,
    /// The last operation started has no Sync of its own.
    pub group_open: bool,
    /// The server has been asked to flush what the open group has yielded.
    pub group_flushed: bool,
    /// A portal with a row limit is the last operation started.
    pub portal_open: bool,
    /// It has been suspended and nobody has continued it.
    pub portal_suspended: bool,
    /// See [`Engine::behave_like_libpq`](super::Engine::behave_like_libpq).
    pub like_libpq: bool,
    /// Statements that the server has lost are prepared again.
    pub heals: bool,
    /// Whether executions ask for their columns; `None`: where a pooler is in between.
    pub describes: Option<bool>,
    /// An operation of the group at the head of the queue has failed: the server skips the others.
    pub aborted: bool,
    pub ask: Option<(AskId, Ask)>,
    pub last_ask: AskId,
    pub answer: Option<Answer>,
    /// The net has a connected transport for us.
    pub linked: bool,
    /// The peer broke the protocol: there are no more messages.
    pub broken: Option<Stop>,
    pub lost: Option<LinkError>,
    /// A FATAL error that the server sent: the reason of the end of file that follows.
    pub fatal: Option<ServerError>,
    /// Why the connection is over.
    pub over: Option<Error>,
    pub now: u64,
    /// Of the step of connecting that is under way.
    pub deadline: Option<u64>,
    /// How long an operation started from now on may take.
    pub timeout: u64,
    /// How long the server has for a request to cancel and what it stops.
    pub cancel_timeout: u64,
    /// The earliest deadline of a queued operation, and when its rescue goes on; [`u64::MAX`] without.
    pub alarm: u64,
    /// When the rescue goes on.
    pub wake: u64,
    /// What is being done about an unwanted operation.
    pub rescue: Option<Rescuing>,
    /// The last operation started ends the connection.
    pub closing: bool,
    /// Work left in this call: bytes of messages.
    pub budget: usize,
    pub runnable: bool,
    /// The coroutine wants the rest of its work done in the next call.
    pub breathing: bool,
    /// The coroutine waits for finished items to be taken.
    pub starved: bool,
    /// See [`Engine::leave_answers`](super::Engine::leave_answers).
    pub leaves_answers: bool,
    /// It has left some in the input.
    pub left_answers: bool,
    pub awaiting: Awaiting,
    pub trace: Option<Box<Trace>>,
    /// An import or export of a large object is the last operation started.
    pub transfer: Option<Box<Transfer>>,
    pub timeline: Timeline,
    /// Bytes received since the startup began that did not bring the connection up: bounded.
    pub chatter: Option<usize>,
    /// The first operation that has failed since somebody asked.
    pub failure: Option<u64>,
}

impl State {
    pub(super) fn new(room: Room) -> Self {
        Self {
            input: Input::default(),
            output: Output::default(),
            gather: Gather::new(),
            queue: VecDeque::new(),
            items: Finished::default(),
            room,
            limits: Limits::NONE,
            facts: Facts::default(),
            statements: Statements::default(),
            last_columns: None,
            copy: Copy::default(),
            mail: Mail::new(room.inbox),
            last_operation: 0,
            unstamped: false,
            group_open: false,
            group_flushed: false,
            portal_open: false,
            portal_suspended: false,
            like_libpq: false,
            heals: true,
            describes: None,
            aborted: false,
            ask: None,
            last_ask: 0,
            answer: None,
            linked: false,
            broken: None,
            lost: None,
            fatal: None,
            over: None,
            now: 0,
            deadline: None,
            timeout: u64::MAX,
            cancel_timeout: CANCEL_TIMEOUT,
            alarm: u64::MAX,
            wake: u64::MAX,
            rescue: None,
            closing: false,
            budget: 0,
            runnable: false,
            breathing: false,
            starved: false,
            leaves_answers: false,
            left_answers: false,
            awaiting: Awaiting {
                what: "to be advanced",
                at: Location::caller(),
                since: 0,
            },
            trace: None,
            transfer: None,
            timeline: Timeline::default(),
            chatter: None,
            failure: None,
        }
    }

    /// Whether executions ask for their columns, now that the caller or the server has said something of it.
    pub(super) fn heed_pooler(&mut self) {
        let asks = self.describes.unwrap_or_else(|| self.facts.is_pooled());
        self.statements.set_asking(asks);
    }

    /// The connection is over: what is queued will never be answered.
    pub(super) fn end(&mut self, error: Error) {
        if self.over.is_some() {
            return;
        }
        // The server's own words for the end are better than the end of file that followed them.
        let error = match self.fatal.take() {
            Some(fatal) if error.server_error().is_none() => Error::server(fatal),
            _ => error,
        };
        self.gather.abandon();
        self.record(Change::failed(&error));
        let sent = self.output.total;
        // With nothing under way nothing can be done twice.
        let idle = self.facts.is_ready() && self.queue.iter().all(|head| head.from >= sent);
        let error = match error.family() {
            Family::Misuse => error,
            _ => {
                let retry = idle || error.is_safe_to_retry();
                error.with_retry(retry)
            }
        };
        let mut told = false;
        let in_good_order = self.closing && self.queue.is_empty();
        while let Some(head) = self.queue.front() {
            let unsent = head.from >= sent;
            // Nobody wants the reason from one that was given up before.
            let unwanted = head.is_unwanted();
            let withdrawn = head.withdrawn;
            if !told && head.standing == Standing::Wanted {
                let error = error.clone();
                let retry = unsent || error.is_safe_to_retry();
                let operation = head.operation;
                self.note_failure(operation);
                self.push(Reply::Error(Box::new(error.with_retry(retry))));
            }
            // The first one has the reason; of the others, what was sent may have taken effect.
            let outcome = match withdrawn || (unsent && (told || unwanted)) {
                true => Outcome::Skipped,
                false => Outcome::Failed,
            };
            told |= !unwanted;
            let transaction = self.transaction();
            if let Some(head) = self.queue.pop_front() {
                self.record(head.ended(outcome, self.now));
                let done = Reply::Done(Done {
                    outcome,
                    transaction,
                    verdict: Verdict::Lost,
                });
                self.items.push(Item::new(head.operation, done));
            }
        }
        if !in_good_order {
            self.note_failure(0);
        }
        self.hang_up();
        self.over = Some(error);
    }

    /// The transport is no longer needed, and nobody waits.
    pub(super) fn hang_up(&mut self) {
        self.output.clear();
        self.input.clear();
        self.copy_over();
        self.enter(Phase::Over);
        self.group_open = false;
        self.portal_open = false;
        self.portal_suspended = false;
        self.deadline = None;
        self.alarm = u64::MAX;
        self.rescue = None;
        self.transfer = None;
        self.runnable = false;
        self.linked = false;
        self.last_ask += 1;
        self.ask = Some((self.last_ask, Ask::Hangup));
    }

    /// Whether the coroutine has something to do besides what is received, and but for deadlines.
    #[inline]
    pub(super) fn has_work(&self) -> bool {
        self.runnable
            || self.starved
            || (self.left_answers && self.items.is_empty())
            || self.answer.is_some()
            || self.facts.phase != Phase::Ready
            || self.portal_suspended
            || self.input.broken.is_some()
            || (self.aborted && !self.queue.is_empty())
    }

    /// Whether another item may be finished.
    #[inline]
    pub(super) fn has_room(&self) -> bool {
        ((self.items.len() < self.room.items && self.items.bytes() < self.room.bytes)
            || self.discards())
            && self.mail.has_room()
    }

    /// The same for one that tells nothing of those before it.
    #[inline]
    pub(super) fn has_room_ahead(&self) -> bool {
        self.items.len() < self.room.ahead
            && self.items.bytes() < self.room.bytes
            && self.mail.has_room()
    }

    /// Whether nothing but a done comes of the operation at the head of the queue.
    #[cold]
    fn discards(&self) -> bool {
        self.queue.front().is_some_and(Expect::is_unwanted)
    }

    /// Gives an item of the operation at the head of the queue. Of one that has failed nothing more is given.
    #[inline(always)]
    pub(super) fn push(&mut self, reply: Reply) {
        let operation = match self.queue.front() {
            Some(head) if head.standing == Standing::Wanted => head.operation,
            Some(_) => return,
            None => 0,
        };
        self.items.push(Item::new(operation, reply));
    }

    /// Says that the operation at the head has failed. The first error is the reason: no second one is given.
    pub(super) fn fail(&mut self, error: Error) {
        self.gather.abandon();
        self.record(Change::failed(&error));
        if self.has_failed() {
            if let Some(head) = self.queue.front_mut().filter(|head| head.is_unwanted()) {
                head.standing = Standing::Refused;
            }
            return;
        }
        self.push(Reply::Error(Box::new(error)));
        self.note_failure(self.queue.front().map_or(0, |head| head.operation));
        if let Some(head) = self.queue.front_mut() {
            head.standing = Standing::Failed;
        }
    }

    /// Whether the operation at the head of the queue gives nothing but its done any more.
    #[inline]
    pub(super) fn has_failed(&self) -> bool {
        self.queue
            .front()
            .is_some_and(|head| head.standing != Standing::Wanted)
    }

    pub(super) fn transaction(&self) -> TransactionStatus {
        self.facts.transaction.unwrap_or(TransactionStatus::Idle)
    }
}
