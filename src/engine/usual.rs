//! Replies that are what is expected next, as nearly all are: one look at the queue and one at the message each, however many
//! operations they end. Anything else it leaves where it is, for the coroutine, which goes on with the steps that are left.

use super::command::{Expect, Steps};
use super::extended::{begin, complete};
use super::item::{CommandTag, Item, Outcome, Reply, Verdict};
use super::state::State;
use super::unwanted::Standing;
use super::wait::Stop;
use crate::rows::{Limits, RowError};
use crate::wire::{
    BindComplete, CommandComplete, DataRow, NoData, ParseComplete, ReadyForQuery, RowDescription,
};

/// Bytes that a row has at most to be copied out at once.
const SMALL: usize = 4096;

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
                (step @ (Steps::EXECUTE | Steps::QUERY), DataRow::TAG) => {
                    let (operation, limits) = (head.operation, head.limits);
                    if !self.only_row(operation, limits, step)? {
                        self.rows()?;
                    }
                }
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

    /// The row at the head of the input, where it is all that its result has and small, and the CommandComplete behind it: both
    /// become items without more ado. False where it is not so.
    #[inline(always)]
    fn only_row(&mut self, operation: u64, limits: Limits, step: Steps) -> Result<bool, Stop> {
        let (at, len) = (self.input.body_at(), self.input.body_len());
        let alone = self.gather.rows() == 0 && self.gather.is_open() && self.trace.is_none();
        if !alone || len > SMALL || limits.rows == 1 || limits.bytes <= len {
            return Ok(false);
        }
        let Some(end) = self.input.body_behind(CommandComplete::TAG) else {
            return Ok(false);
        };
        let (behind, Ok(complete)) = (end.len(), CommandComplete::decode(end)) else {
            return Ok(false);
        };
        let tag = CommandTag::new(complete.tag);
        let batch = match self.gather.only_row(self.input.chunk(), at, len) {
            Ok(batch) => batch,
            Err(RowError::Memory(_)) => return self.row_without_memory().map(|()| true),
            Err(RowError::Wire(error)) => return self.row_not_understood(error).map(|()| true),
        };
        self.input.consume();
        self.input.consume_unread(behind);
        self.spend(len + behind)?;
        let rows = Item::rows(operation, batch);
        self.item_bytes += rows.held;
        self.items.push_back(rows);
        self.items
            .push_back(Item::new(operation, Reply::Complete(tag)));
        if step == Steps::EXECUTE {
            self.replied(step);
        }
        Ok(true)
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
