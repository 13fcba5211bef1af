//! Replies that are what is expected next, as nearly all are: one look at the queue and one at the message each, however many
//! operations they end. Anything else it leaves where it is, for the coroutine, which goes on with the steps that are left.

use std::mem;

use super::expect::{Expect, Steps};
use super::extended::{begin, complete};
use super::finished::Finished;
use super::input::Input;
use super::item::{Done, Outcome, Verdict};
use super::results::SMALL;
use super::state::State;
use super::unwanted::Standing;
use super::wait::Stop;
use crate::rows::{Batch, Columns};
use crate::wire::{
    BindComplete, CommandComplete, DataRow, NoData, ParseComplete, ReadyForQuery, RowDescription,
    TransactionStatus,
};

/// The replies of an operation that has one row at most, in the input.
struct Answered<'a> {
    /// Whether the columns are those that were described last; else those that are remembered, if any.
    described: bool,
    row: Option<&'a [u8]>,
    tag: &'a [u8],
    /// From the ReadyForQuery, if one ends the operation.
    status: Option<TransactionStatus>,
    /// So many bytes of the input are behind them.
    left: usize,
}

/// Why the usual replies have come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usual {
    /// Nothing is queued; or the operation at the head of the queue, or the message that is there, is not of the usual kind.
    Over,
    /// More has to arrive, or to be taken.
    Awaited {
        /// Whether there were some.
        after_some: bool,
    },
}

impl State {
    /// Handles the replies that are there.
    pub(super) fn usual_replies(&mut self) -> Result<Usual, Stop> {
        let mut after_some = false;
        loop {
            after_some |= self.answers();
            if self.left_answers {
                return Ok(Usual::Awaited { after_some });
            }
            let room = self.queue.is_empty() || self.has_room();
            let tag = if room { self.next_message() } else { 0 };
            let head = match self.queue.front_mut() {
                Some(head) if head.is_usual() && !self.aborted => head,
                _ => return Ok(Usual::Over),
            };
            match (head.left.next(), tag) {
                (_, 0) => {
                    self.starved |= !room;
                    return Ok(Usual::Awaited { after_some });
                }
                (Steps::PARSE, ParseComplete::TAG) if self.input.body_len() == 0 => {
                    self.consume()?;
                    self.forget_statement();
                    self.replied(Steps::PARSE);
                }
                (Steps::BIND, BindComplete::TAG) if self.input.body_len() == 0 => {
                    head.begin_remembered(&mut self.gather);
                    head.left = head.left.without(Steps::BIND);
                    self.consume()?;
                }
                (Steps::DESCRIBE_PORTAL, RowDescription::TAG) if head.left.has(Steps::EXECUTE) => {
                    begin(self)?;
                    self.replied(Steps::DESCRIBE_PORTAL);
                }
                (Steps::DESCRIBE_PORTAL, NoData::TAG)
                    if head.left.has(Steps::EXECUTE) && self.input.body_len() == 0 =>
                {
                    self.consume()?;
                    self.replied(Steps::DESCRIBE_PORTAL);
                }
                (Steps::EXECUTE | Steps::QUERY, DataRow::TAG) => self.rows()?,
                (Steps::EXECUTE, CommandComplete::TAG) => {
                    complete(self)?;
                    self.replied(Steps::EXECUTE);
                }
                (Steps::QUERY, RowDescription::TAG) if !self.gather.is_open() => begin(self)?,
                (Steps::QUERY, CommandComplete::TAG) => complete(self)?,
                (Steps::QUERY, ReadyForQuery::TAG) if !self.gather.is_open() => {
                    head.left = head.left.without(Steps::QUERY);
                }
                (Steps::SYNC, ReadyForQuery::TAG) => self.ready(Outcome::Ok)?,
                _ => return Ok(Usual::Over),
            }
            after_some = true;
        }
    }

    /// The operations at the head of the queue of which all replies are there, and one small row at most: they become what each
    /// of them yields in one step. Whether there was one.
    #[inline(always)]
    fn answers(&mut self) -> bool {
        let may = self.may_answer();
        let leaves = self.leaves_answers && self.alarm == u64::MAX;
        let mut some = false;
        while may && self.budget > 0 && self.has_room_for_answer() {
            if leaves && !self.items.is_empty() && self.has_answer() {
                self.left_answers = true;
                break;
            }
            let before = self.input.unread();
            if self.answer(Finished::push_answer).is_none() {
                break;
            }
            let bytes = before - self.input.unread();
            self.budget = self.budget.saturating_sub(bytes + 16);
            some = true;
        }
        some
    }

    /// Lets `work` take what was left in the input, as long as it says so: the operation's id, its rows, its tag and its done.
    #[inline(always)]
    pub(super) fn take_left_answers(
        &mut self,
        mut work: impl FnMut(u64, Option<Batch>, &[u8], Done) -> bool,
    ) {
        let mut more = self.left_answers && self.items.is_empty() && self.may_answer();
        while more {
            let answer =
                self.answer(|_, operation, rows, tag, done| work(operation, rows, tag, done));
            more = answer == Some(true);
        }
    }

    /// Makes items of the first that was left there, if no item comes before it; whether there was one.
    #[inline(never)]
    pub(super) fn finish_left_answer(&mut self) -> bool {
        self.items.is_empty() && self.may_answer() && self.answer(Finished::push_answer).is_some()
    }

    /// Whether replies may be taken for answers, as far as answers do not change that.
    #[inline]
    fn may_answer(&self) -> bool {
        !self.aborted
            && !self.gather.is_open()
            && self.trace.is_none()
            && self.chatter.is_none()
            && self.fatal.is_none()
            && self.mail.has_room()
    }

    /// Whether one more answer may be finished.
    #[inline(always)]
    fn has_room_for_answer(&self) -> bool {
        let most = match self.queue.front() {
            Some(head) if !head.left.has(Steps::SYNC) => self.room.items.max(self.room.ahead),
            _ => self.room.items,
        };
        self.items.len() < most && self.items.bytes() < self.room.bytes
    }

    /// Whether there is one.
    #[inline(never)]
    fn has_answer(&self) -> bool {
        let last = self.last_columns.as_deref();
        let head = self.queue.front();
        head.is_some_and(|head| Answered::in_input(&self.input, head, last).is_some())
    }

    /// Gives the first of them to `work`. `None`, and nothing has changed, where there is none.
    #[inline(always)]
    fn answer<T>(
        &mut self,
        work: impl FnOnce(&mut Finished, u64, Option<Batch>, &[u8], Done) -> T,
    ) -> Option<T> {
        let head = self.queue.front_mut()?;
        let last = self.last_columns.as_ref();
        let found = Answered::in_input(&self.input, head, last.map(|last| &**last))?;
        let columns = match found.described {
            true => last,
            false => head.columns.as_ref(),
        };
        let (transaction, verdict) = match found.status {
            Some(status) => (status, Verdict::after(status)),
            None => (
                self.facts.transaction.unwrap_or(TransactionStatus::Idle),
                Verdict::InTransaction,
            ),
        };
        let done = Done {
            outcome: Outcome::Ok,
            transaction,
            verdict,
        };
        let (operation, tag) = (head.operation, found.tag);
        let rows = match columns {
            Some(columns) => {
                let row = self.gather.only_row(columns.len(), found.row).ok()?;
                let columns = match found.described {
                    true => columns.clone(),
                    false => head.columns.take()?,
                };
                Some(Batch::of_row(columns, head.format, row))
            }
            None => None,
        };
        let worked = work(&mut self.items, operation, rows, tag, done);
        self.statements.heed(tag);
        if found.status.is_some() {
            self.facts.transaction = found.status;
        }
        let (ended, left) = (head.ended(Outcome::Ok, self.now), found.left);
        // Neither columns nor a subject: nothing is left in it to be dropped.
        mem::forget(self.queue.pop_front());
        self.input.go_on_with(left);
        self.record(ended);
        self.finished_one();
        Some(worked)
    }

    /// The operation at the head of the queue needs no more of these replies; without a Sync of its own the last of them ends it.
    #[inline]
    fn replied(&mut self, step: Steps) {
        if let Some(head) = self.queue.front_mut() {
            head.left = head.left.without(step);
            if head.left == Steps::default() {
                self.done(Outcome::Ok, Verdict::InTransaction);
            }
        }
    }
}

impl<'a> Answered<'a> {
    /// The replies that an operation waits for, if they lie at the head of the input; `last`: the columns described last.
    #[inline(always)]
    fn in_input(input: &'a Input, head: &Expect, last: Option<&Columns>) -> Option<Self> {
        let left = head.left;
        if left != head.steps
            || !left.are_usual()
            || !left.has(Steps::EXECUTE | Steps::QUERY)
            || head.standing != Standing::Wanted
            || head.subject.is_some()
            || head.limits.rows == 1
        {
            return None;
        }
        let mut ahead = input.ahead()?;
        if left.has(Steps::PARSE) {
            ahead.bare(ParseComplete::TAG)?;
        }
        if left.has(Steps::BIND) {
            ahead.bare(BindComplete::TAG)?;
        }
        let described = left.has(Steps::DESCRIBE_PORTAL | Steps::QUERY)
            && match ahead.body(RowDescription::TAG) {
                Some(body) if last?.is_same(body) => true,
                Some(_) => return None,
                None if left.has(Steps::DESCRIBE_PORTAL) => {
                    ahead.bare(NoData::TAG)?;
                    false
                }
                None => false,
            };
        let row = match described || head.columns.is_some() {
            true => ahead.body(DataRow::TAG),
            false => None,
        };
        if row.is_some_and(|row| row.len() > SMALL || head.limits.bytes <= row.len()) {
            return None;
        }
        let tag = CommandComplete::tag_in(ahead.body(CommandComplete::TAG)?)?;
        let status = match left.has(Steps::SYNC) {
            true => Some(
                ReadyForQuery::decode(ahead.body(ReadyForQuery::TAG)?)
                    .ok()?
                    .status,
            ),
            false => None,
        };
        Some(Self {
            described,
            row,
            tag,
            status,
            left: ahead.left(),
        })
    }
}

impl Expect {
    /// Whether it is wanted, and the usual replies are all that can come of it.
    #[inline]
    fn is_usual(&self) -> bool {
        self.standing == Standing::Wanted && self.left.are_usual()
    }
}

impl Steps {
    /// Whether the usual replies are all that can come of them.
    #[inline]
    fn are_usual(self) -> bool {
        const USUAL: Steps = Steps::QUERY
            .with(Steps::PARSE)
            .with(Steps::BIND)
            .with(Steps::DESCRIBE_PORTAL)
            .with(Steps::EXECUTE)
            .with(Steps::SYNC);
        self.without(USUAL) == Steps::default()
    }
}
