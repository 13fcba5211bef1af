//! The rows of results: gathered where they lie, cut into batches, and given up without memory.

use super::expect::Steps;
use super::item::Reply;
use super::state::State;
use super::unwanted::Standing;
use super::wait::Stop;
use crate::error::Error;
use crate::rows::{Batch, Limits, OutOfMemory, RowError};
use crate::wire;

/// Bytes that a row has at most to be copied out by itself, at once.
pub(super) const SMALL: usize = 4096;

/// libpq's words for rows without columns.
const NO_DESCRIPTION: &str =
    "server sent data (\"D\" message) without prior row description (\"T\" message)";

impl State {
    /// Indexes the DataRows at the head of the input, as many as are there; cuts batches as the head's limits say.
    pub(super) fn rows(&mut self) -> Result<(), Stop> {
        let (limits, failed) = match self.queue.front() {
            Some(head) => (head.limits, head.standing != Standing::Wanted),
            None => (Limits::NONE, true),
        };
        if !failed && !self.gather.is_open() {
            return Err(Stop::broken(Error::transport(NO_DESCRIPTION)));
        }
        if limits.rows == 1 && !failed {
            return self.single_rows();
        }
        loop {
            if self.input.message() != wire::DataRow::TAG || self.budget == 0 {
                return Ok(());
            }
            let len = self.input.body_len();
            if self.trace.is_some() {
                self.trace_backend();
            }
            let (chunk, start) = self.input.body_in_chunk();
            if !failed {
                match self.gather.row(chunk, start, len) {
                    Ok(()) => {}
                    Err(RowError::Memory(_)) => return self.row_without_memory(),
                    Err(RowError::Wire(error)) => return self.row_not_understood(error),
                }
            }
            self.input.consume();
            self.budget = self.budget.saturating_sub(len + 16);
            if self.gather.is_full(limits) {
                self.cut();
                if !(self.has_room() || self.has_room_ahead()) || !self.gather.is_open() {
                    return Ok(());
                }
            }
        }
    }

    /// The same where each row is a batch by itself.
    #[inline(never)]
    fn single_rows(&mut self) -> Result<(), Stop> {
        while self.input.message() == wire::DataRow::TAG && self.budget > 0 {
            let len = self.input.body_len();
            if self.trace.is_some() {
                self.trace_backend();
            }
            let (chunk, start) = self.input.body_in_chunk();
            let alone = match len <= SMALL {
                true => self.gather.row_alone(chunk, start, len),
                false => self.gather.row(chunk, start, len).map(|()| None),
            };
            let alone = match alone {
                Ok(alone) => alone,
                Err(RowError::Memory(_)) => return self.row_without_memory(),
                Err(RowError::Wire(error)) => return self.row_not_understood(error),
            };
            self.input.consume();
            self.budget = self.budget.saturating_sub(len + 16);
            match alone {
                Some(row) => self.push(Reply::Rows(row)),
                None => self.cut(),
            }
            if !(self.has_room() || self.has_room_ahead()) || !self.gather.is_open() {
                break;
            }
        }
        Ok(())
    }

    /// A row that does not have the columns of its result. Where they were remembered they may be another statement's, which
    /// costs the operation; else the server is at fault.
    #[cold]
    pub(super) fn row_not_understood(&mut self, error: wire::Error) -> Result<(), Stop> {
        let steps = self.queue.front().map(|head| head.steps);
        let remembered = steps
            .is_some_and(|steps| steps.has(Steps::EXECUTE) && !steps.has(Steps::DESCRIBE_PORTAL));
        if !remembered || error.field != "cell count" {
            return Err(error.into());
        }
        self.input.consume();
        self.statements.clear();
        self.fail(Error::misuse(
            "the statement has other columns than when it was described: SQL that was started before it and not yet \
             answered has prepared it anew; start it after that is done",
        ));
        Ok(())
    }

    #[cold]
    pub(super) fn row_without_memory(&mut self) -> Result<(), Stop> {
        self.input.consume();
        self.gather.abandon();
        self.fail(Error::out_of_memory("the rows of the result"));
        Ok(())
    }

    /// Makes an item of the rows gathered so far.
    pub(super) fn cut(&mut self) {
        let batch = self.batch();
        self.push_batch(batch);
    }

    /// The same at the end of the result.
    #[inline]
    pub(super) fn cut_last(&mut self) {
        let batch = self.settle();
        let batch = batch.and_then(|()| self.gather.last_batch(self.input.chunk()));
        self.push_batch(batch);
    }

    #[inline(always)]
    fn push_batch(&mut self, batch: Result<Option<Batch>, OutOfMemory>) {
        match batch {
            Ok(Some(batch)) => self.push(Reply::Rows(batch)),
            Ok(None) => {}
            Err(OutOfMemory) => {
                self.gather.abandon();
                self.fail(Error::out_of_memory("the rows of the result"));
            }
        }
    }

    /// The rows gathered so far.
    pub(super) fn batch(&mut self) -> Result<Option<Batch>, OutOfMemory> {
        self.settle()?;
        self.gather.batch(self.input.chunk())
    }

    /// The usual small result is left where it is: it is copied out with its index in one piece.
    #[inline(always)]
    fn settle(&mut self) -> Result<(), OutOfMemory> {
        if self.input.is_mostly(&self.gather) {
            return self.input.settle(&mut self.gather);
        }
        Ok(())
    }

    /// What remains when there is no memory for more rows: those gathered are dropped with their operation.
    pub(super) fn drop_rows(&mut self) -> bool {
        if self.gather.rows() == 0 {
            return false;
        }
        // First of all, so that there is memory for the error.
        self.gather.abandon();
        self.fail(Error::out_of_memory("the rows of the result"));
        true
    }

    /// What remains when the whole row does not fit into memory: its operation fails, the connection lives.
    pub(super) fn skip_huge_row(&mut self) -> bool {
        let what = match self.input.head() {
            wire::DataRow::TAG => "a row of the result",
            wire::FunctionCallResponse::TAG => "what the function returned",
            // Of a COPY that was refused nobody reads it.
            wire::CopyData::TAG if self.has_failed() || self.copy.gives() => {
                "a message of the COPY"
            }
            _ => return false,
        };
        self.input.skip_message();
        self.gather.abandon();
        if !self.has_failed() {
            self.fail(Error::out_of_memory(what));
            self.give_up_copy();
        }
        true
    }
}
