//! Starts operations: their messages go into the output, and what they wait for into the queue.

use super::command::{Command, End};
use super::encode::{Unfinished, encode, execution};
use super::expect::{Expect, Steps};
use super::large_object::Call;
use super::state::State;
use super::statements::{Known, Statements};
use super::transfer::Transfer;
use super::unwanted::Standing;
use super::wait;
use crate::error::Error;
use crate::wire::{self, Parameters, TransactionStatus};

/// The server would take what is sent meanwhile for data.
const COPYING: &str = "a COPY is under way: nothing can be started before it is done; end it, take its data, or abandon it";
const MOVING: &str = "a large object is being imported or exported: nothing can be started before that is done; wait for it, or abandon it";

/// What the execution of a prepared statement waits for whose columns are remembered.
const EXECUTION: Steps = Steps::BIND.with(Steps::EXECUTE);

#[cold]
fn not_encoded(error: wire::Error) -> Error {
    Error::misuse(error.to_string())
}

#[cold]
fn refused(why: &'static str) -> Error {
    Error::misuse(why)
}

#[cold]
pub(super) fn is_over(why: &Error) -> Error {
    Error::misuse(format!("the connection is over: {why}; open or reset one"))
}

impl State {
    /// Encodes a command and queues what it expects. On an error nothing has changed.
    #[inline(always)]
    pub(super) fn start(&mut self, command: Command<'_>, end: End) -> Result<u64, Error> {
        self.check_may_start(&command)?;
        let operation = self.queue_messages(end, |out, statements, heals, expect| {
            encode(command, out, statements, heals, expect)
        })?;
        if matches!(command, Command::Import { .. } | Command::Export { .. }) {
            self.transfer = Transfer::of(&command);
        }
        Ok(operation)
    }

    /// The same as for [`Command::Prepared`], compiled for the kind of the parameters.
    #[inline(always)]
    pub(super) fn start_prepared<P: Parameters>(
        &mut self,
        name: &[u8],
        params: &P,
        format: i16,
        max_rows: u32,
        end: End,
    ) -> Result<u64, Error> {
        self.check_is_open()?;
        self.check_portal()?;
        self.queue_messages(end, |out, statements, _, expect| {
            execution(
                out, statements, expect, name, params, format, max_rows, false,
            )
        })
    }

    /// The same for many sets of parameters, `params` of each number below `count`: how many were started, and the id of the
    /// first. No more are started once so many bytes wait to be sent or so many operations to be answered as `most` says. All
    /// but the one with the last number have no Sync of their own.
    pub(super) fn start_prepared_many<P: Parameters>(
        &mut self,
        name: &[u8],
        count: usize,
        params: impl Fn(usize) -> P,
        format: i16,
        end: End,
        most: (usize, usize),
    ) -> Result<(u64, usize), Error> {
        self.check_is_open()?;
        self.check_portal()?;
        let first = self.last_operation + 1;
        let known = self.statements.find(name);
        let columns = known.and_then(|known| known.columns.clone());
        let usual = match (count, &columns) {
            (0, _) => return Ok((first, 0)),
            (_, None) => None,
            _ => wire::Executions::new(name, params(0).len(), format),
        };
        let queued = match (&usual, &columns) {
            (Some(usual), Some(columns)) => {
                self.queue_executions(usual, columns, count, &params, format, end, most)
            }
            _ => 0,
        };
        for number in queued..count {
            if self.output.unsent() >= most.0 || self.queue.len() >= most.1 {
                return Ok((first, number));
            }
            let end = match number + 1 == count {
                true => end,
                false => End::More,
            };
            let params = params(number);
            let started = self.queue_messages(end, |out, statements, _, expect| {
                execution(out, statements, expect, name, &params, format, 0, false)
            });
            match started {
                Ok(_) => {}
                Err(error) if number == 0 => return Err(error),
                // Those before it are on their way: the next call meets the error again, as its first.
                Err(_) => return Ok((first, number)),
            }
        }
        Ok((first, count))
    }

    /// Starts them as long as they are of the usual kind: how many.
    #[allow(clippy::too_many_arguments)]
    #[inline(always)]
    fn queue_executions<P: Parameters>(
        &mut self,
        usual: &wire::Executions,
        columns: &Known,
        count: usize,
        params: &impl Fn(usize) -> P,
        format: i16,
        end: End,
        most: (usize, usize),
    ) -> usize {
        if self.trace.is_some() {
            return 0;
        }
        let mut queued = 0;
        while queued < count && self.output.unsent() < most.0 && self.queue.len() < most.1 {
            let from = self.output.end();
            let params = params(queued);
            let sync = end == End::Sync && queued + 1 == count;
            let messages = Unfinished::at_end_of(self.output.buffer());
            let is_full = self.queue.len() == self.queue.capacity();
            if !usual.encode(messages.out, &params, sync)
                || is_full && self.queue.try_reserve(1).is_err()
            {
                break;
            }
            messages.finish();
            queued += 1;
            let steps = match sync {
                true => EXECUTION.with(Steps::SYNC),
                false => EXECUTION,
            };
            // Complete with each, since the caller's parameters may panic.
            self.queue.push_back(Expect {
                left: steps,
                format: Some(format),
                columns: columns.clone(),
                ..self.expectation(steps, from)
            });
            self.last_operation += 1;
            self.group_open = !sync;
            self.group_flushed = false;
            self.unstamped = true;
        }
        queued
    }

    /// Appends the messages of an operation, and queues what they expect.
    #[inline(always)]
    fn queue_messages(
        &mut self,
        end: End,
        encode: impl FnOnce(&mut Vec<u8>, &Statements, bool, &mut Expect) -> Result<bool, wire::Error>,
    ) -> Result<u64, Error> {
        let steps = match end {
            End::Sync => Steps::SYNC,
            End::More => Steps::default(),
        };
        let mut expect = self.expectation(steps, self.output.end());
        let messages = Unfinished::at_end_of(self.output.buffer());
        let repeatable = match encode(messages.out, &self.statements, self.heals, &mut expect) {
            Ok(repeatable) => repeatable && self.heals,
            Err(error) => return Err(not_encoded(error)),
        };
        if self.queue.try_reserve(1).is_err() {
            return Err(refused("out of memory: too many operations are queued"));
        }
        let before = messages.finish();
        if self.trace.is_some() {
            self.trace_frontend(before);
        }
        // Alone, and with nothing before it that its failure would undo.
        if repeatable
            && before == 0
            && expect.begins_group
            && expect.steps.has(Steps::SYNC)
            && self.queue.is_empty()
            && self.facts.transaction == Some(TransactionStatus::Idle)
        {
            self.output.make_repeatable();
        }
        expect.left = expect.steps;
        self.last_operation = expect.operation;
        self.group_open = !expect.steps.has(Steps::SYNC);
        self.portal_open = expect.steps.has(Steps::LIMITED);
        self.group_flushed = self.portal_open;
        if let Some(name) = expect.changes() {
            self.statements.changing(name);
        }
        self.unstamped = true;
        self.queue.push_back(expect);
        Ok(self.last_operation)
    }

    /// Of the operation that is started next.
    #[inline(always)]
    fn expectation(&self, steps: Steps, from: u64) -> Expect {
        Expect {
            operation: self.last_operation + 1,
            steps,
            left: Steps::default(),
            limits: self.limits,
            format: None,
            columns: None,
            call: Call::Any,
            subject: None,
            standing: Standing::Wanted,
            begins_group: !self.group_open,
            withdrawn: false,
            from,
            since: 0,
            deadline: self.timeout,
        }
    }

    /// Operations were started: their time counts from now, when the caller turns to them.
    #[inline]
    pub(super) fn stamp(&mut self) {
        self.unstamped = false;
        let now = self.now;
        for new in self.queue.iter_mut().rev() {
            if new.since != 0 {
                return;
            }
            new.since = now;
            if new.deadline != u64::MAX {
                new.deadline = now.saturating_add(new.deadline);
                self.alarm = self.alarm.min(new.deadline);
            }
        }
        // All are new: the coroutine learns of the first with its reply.
        self.awaiting.what = wait::REPLY;
        self.awaiting.since = self.now;
    }

    /// Whether anything may be started now.
    #[inline(always)]
    fn check_is_open(&self) -> Result<(), Error> {
        if let Some(over) = &self.over {
            return Err(is_over(over));
        }
        if self.closing {
            return Err(refused(
                "the connection is being shut down: open another one",
            ));
        }
        if !self.facts.is_ready() {
            return Err(refused(
                "the connection is not up yet: poll until it is idle before starting an operation",
            ));
        }
        match self.barrier() {
            Some(barrier) => Err(refused(barrier)),
            None => Ok(()),
        }
    }

    /// Whether anything but a sync may follow the operation started last.
    #[inline(always)]
    fn check_portal(&self) -> Result<(), Error> {
        match self.portal_open {
            true => Err(refused(
                "a portal with a row limit is open: continue it, or end it with a sync, first",
            )),
            false => Ok(()),
        }
    }

    #[inline(always)]
    pub(super) fn check_may_start(&self, command: &Command<'_>) -> Result<(), Error> {
        self.check_is_open()?;
        if let Command::LargeObject(what) = command {
            what.check()?;
        }
        if !matches!(command, Command::Sync) {
            self.check_portal()?;
        }
        match command {
            Command::Query { .. }
            | Command::Copy { .. }
            | Command::Call { .. }
            | Command::LargeObject(_)
            | Command::Import { .. }
            | Command::Export { .. }
                if self.group_open && !self.like_libpq =>
            {
                Err(refused(
                    "a group of operations is open: end it with a sync before a simple query, a COPY or a function call",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Why nothing can be started before the operation started last is done, if nothing can.
    #[inline]
    fn barrier(&self) -> Option<&'static str> {
        let last = self.queue.back()?;
        if !last.steps.has(Steps::COPY | Steps::TRANSFER) {
            return None;
        }
        Some(match last.steps.has(Steps::COPY) {
            true => COPYING,
            false => MOVING,
        })
    }

    /// Asks a suspended portal for more rows.
    pub(super) fn continue_portal(&mut self, max_rows: u32) -> Result<(), Error> {
        if let Some(over) = &self.over {
            return Err(is_over(over));
        }
        // Behind what was started since, a sync above all, there is no such portal any more.
        if !self.portal_suspended || self.queue.len() > 1 || self.has_failed() {
            return Err(Error::misuse(
                "no suspended portal is waiting to be continued: take its suspended item first",
            ));
        }
        let out = self.output.buffer();
        let before = out.len();
        if let Err(error) =
            wire::encode_execute(out, b"", max_rows as i32).and_then(|()| wire::encode_flush(out))
        {
            out.truncate(before);
            return Err(Error::misuse(error.to_string()));
        }
        self.trace_frontend(before);
        self.send_with_last();
        self.portal_suspended = false;
        Ok(())
    }

    /// Asks the server for the replies so far, without ending the group.
    pub(super) fn flush_request(&mut self) -> Result<(), Error> {
        if let Some(barrier) = self.barrier() {
            return Err(Error::misuse(barrier));
        }
        let out = self.output.buffer();
        let before = out.len();
        if let Err(error) = wire::encode_flush(out) {
            return Err(Error::misuse(error.to_string()));
        }
        self.trace_frontend(before);
        self.send_with_last();
        self.group_flushed = true;
        Ok(())
    }
}
