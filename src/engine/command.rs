//! Starts operations: encodes their messages into the output and queues what replies to expect.

use std::fmt;
use std::mem;
use std::ops::{BitOr, BitOrAssign};
use std::sync::Arc;

use super::large_object::{Call, LargeObject};
use super::state::State;
use super::statements::{Known, Source, Statements};
use super::transfer::Transfer;
use super::unwanted::Standing;
use super::wait;
use crate::error::Error;
use crate::rows::{Columns, Limits};
use crate::wire::{self, Parameters, TransactionStatus};

/// What to do. Texts are bytes in the client's encoding, without a NUL.
#[derive(Clone, Copy)]
pub enum Command<'a> {
    /// A simple query: one or several statements, results in text.
    Query {
        /// The statements.
        sql: &'a [u8],
    },
    /// One statement with parameters: parsed, bound and executed at once.
    Params {
        /// The statement.
        sql: &'a [u8],
        /// Parameter types; 0 or missing ones are inferred by the server.
        types: &'a [u32],
        /// The values.
        params: &'a dyn Parameters,
        /// The format of all result columns: 0 text, 1 binary.
        format: i16,
        /// Suspend after so many rows; 0 gives all.
        max_rows: u32,
    },
    /// Prepares a statement.
    Prepare {
        /// Its name; empty is the unnamed statement.
        name: &'a [u8],
        /// The statement.
        sql: &'a [u8],
        /// Parameter types; 0 or missing ones are inferred by the server.
        types: &'a [u32],
        /// Also describe it, and remember its columns.
        describe: bool,
    },
    /// Executes a prepared statement.
    Prepared {
        /// Its name.
        name: &'a [u8],
        /// The values.
        params: &'a dyn Parameters,
        /// The format of all result columns: 0 text, 1 binary.
        format: i16,
        /// Suspend after so many rows; 0 gives all.
        max_rows: u32,
        /// Ask for the columns even when they are remembered.
        describe: bool,
    },
    /// Describes a prepared statement.
    DescribeStatement {
        /// Its name.
        name: &'a [u8],
    },
    /// Describes a portal.
    DescribePortal {
        /// Its name.
        name: &'a [u8],
    },
    /// Closes a prepared statement; it is no error if there is none.
    CloseStatement {
        /// Its name.
        name: &'a [u8],
    },
    /// Closes a portal; it is no error if there is none.
    ClosePortal {
        /// Its name.
        name: &'a [u8],
    },
    /// A simple query that begins a COPY. Until its end nothing else can be started.
    Copy {
        /// The statement.
        sql: &'a [u8],
    },
    /// Calls a function by its object ID; arguments and result in binary.
    Call {
        /// Of the function.
        function: u32,
        /// The arguments.
        arguments: &'a dyn Parameters,
    },
    /// Calls a function of a large object.
    LargeObject(LargeObject<'a>),
    /// Makes a large object of the content of a file, which whoever drives the engine reads: see
    /// [`Engine::file_turn`](super::Engine::file_turn). Until its end nothing else can be started.
    Import {
        /// The object ID that it is to have; 0: any that is free.
        oid: u32,
    },
    /// The reverse: the content of a large object goes to a file.
    Export {
        /// The large object.
        oid: u32,
    },
    /// Ends a group of operations.
    Sync,
}

/// Only which command it is: the texts and values may be secret.
impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Query { .. } => "Query",
            Self::Params { .. } => "Params",
            Self::Prepare { .. } => "Prepare",
            Self::Prepared { .. } => "Prepared",
            Self::DescribeStatement { .. } => "DescribeStatement",
            Self::DescribePortal { .. } => "DescribePortal",
            Self::CloseStatement { .. } => "CloseStatement",
            Self::ClosePortal { .. } => "ClosePortal",
            Self::Copy { .. } => "Copy",
            Self::Call { .. } => "Call",
            Self::LargeObject(_) => "LargeObject",
            Self::Import { .. } => "Import",
            Self::Export { .. } => "Export",
            Self::Sync => "Sync",
        })
    }
}

/// Where an operation stands in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It ends with its own Sync.
    Sync,
    /// More follows in the same group, which a later Sync ends.
    More,
}

/// The replies that an operation waits for, a bit each, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Steps(u16);

impl Steps {
    pub(super) const QUERY: Self = Self(1);
    pub(super) const PARSE: Self = Self(2);
    pub(super) const BIND: Self = Self(4);
    pub(super) const DESCRIBE_STATEMENT: Self = Self(8);
    pub(super) const DESCRIBE_PORTAL: Self = Self(16);
    pub(super) const EXECUTE: Self = Self(32);
    pub(super) const CLOSE: Self = Self(64);
    pub(super) const SYNC: Self = Self(128);
    /// The portal has a row limit: it may be suspended and continued.
    pub(super) const LIMITED: Self = Self(256);
    /// The server is told goodbye, and closes the connection.
    pub(super) const SHUTDOWN: Self = Self(512);
    /// A COPY may begin.
    pub(super) const COPY: Self = Self(1024);
    /// A function is called by its object ID.
    pub(super) const CALL: Self = Self(2048);
    /// Many calls, and a file besides.
    pub(super) const TRANSFER: Self = Self(4096);

    /// The one whose reply comes first; none where none is left.
    #[inline]
    pub(super) fn next(self) -> Self {
        Self(self.0 & self.0.wrapping_neg())
    }

    /// These and those.
    #[inline]
    pub(super) const fn with(self, steps: Self) -> Self {
        Self(self.0 | steps.0)
    }

    /// All of them but `steps`.
    #[inline]
    pub(super) const fn without(self, steps: Self) -> Self {
        Self(self.0 & !steps.0)
    }

    #[inline]
    pub(super) fn has(self, step: Self) -> bool {
        self.0 & step.0 != 0
    }

    /// In words, for people.
    pub(super) fn what(self) -> &'static str {
        match self {
            _ if self.has(Self::COPY) => "COPY",
            _ if self.has(Self::QUERY) => "query",
            _ if self.has(Self::CALL) => "function call",
            _ if self.has(Self::PARSE) && self.has(Self::EXECUTE) => "query with parameters",
            _ if self.has(Self::PARSE) => "prepare",
            _ if self.has(Self::EXECUTE) => "execute prepared statement",
            _ if self.has(Self::DESCRIBE_STATEMENT) => "describe statement",
            _ if self.has(Self::DESCRIBE_PORTAL) => "describe portal",
            _ if self.has(Self::CLOSE) => "close",
            _ if self.has(Self::SHUTDOWN) => "shutdown",
            _ => "sync",
        }
    }
}

impl BitOr for Steps {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Steps {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The server would take what is sent meanwhile for data.
const COPYING: &str = "a COPY is under way: nothing can be started before it is done; end it, take its data, or abandon it";
const MOVING: &str = "a large object is being imported or exported: nothing can be started before that is done; wait for it, or abandon it";

/// A queued operation, as the reading side needs it.
#[derive(Debug)]
pub(super) struct Expect {
    pub operation: u64,
    pub steps: Steps,
    /// Those of them whose replies have not come yet.
    pub left: Steps,
    pub limits: Limits,
    /// The format that Bind asked for; `None` where the RowDescription says it.
    pub format: Option<i16>,
    /// The columns of the result where they are remembered.
    pub columns: Option<Arc<Columns>>,
    /// What is called.
    pub call: Call,
    /// The statement that is prepared, described or closed.
    pub subject: Option<Box<Subject>>,
    /// Whether its items are given.
    pub standing: Standing,
    /// The operation before it, if any, has ended its own group.
    pub begins_group: bool,
    /// It was never sent, and never will be.
    pub withdrawn: bool,
    /// How many bytes are sent before its first one.
    pub from: u64,
    /// When it was started.
    pub since: u64,
    /// When it is given up; counted from its start as long as `since` is not known. [`u64::MAX`]: never.
    pub deadline: u64,
}

impl Expect {
    /// In words, for people.
    pub(super) fn what(&self) -> &'static str {
        self.call.what().unwrap_or_else(|| self.steps.what())
    }

    /// The statement that it makes anew or closes.
    pub(super) fn changes(&self) -> Option<&[u8]> {
        let changes = self.steps.has(Steps::PARSE | Steps::CLOSE);
        let name = &*self.subject.as_deref()?.name;
        (changes && !name.is_empty()).then_some(name)
    }
}

/// The statement that an operation is about.
#[derive(Debug)]
pub(super) struct Subject {
    pub name: Box<[u8]>,
    /// What it is prepared from.
    pub source: Option<Box<Source>>,
}

impl Subject {
    fn of(name: &[u8]) -> Option<Box<Self>> {
        let source = None;
        let name = name.into();
        Some(Box::new(Self { name, source }))
    }
}

/// Appends the messages of a command; completes what it expects. Whether it could be tried a second time.
#[inline(always)]
fn encode(
    command: Command<'_>,
    out: &mut Vec<u8>,
    statements: &Statements,
    heals: bool,
    expect: &mut Expect,
) -> Result<bool, wire::Error> {
    let steps = &mut expect.steps;
    let repeatable = false;
    match command {
        Command::Query { sql } => {
            *steps = Steps::QUERY | Steps::SYNC;
            return wire::encode_query(out, sql).map(|()| false);
        }
        Command::Copy { sql } => {
            *steps = Steps::QUERY | Steps::COPY | Steps::SYNC;
            return wire::encode_query(out, sql).map(|()| false);
        }
        Command::Call {
            function,
            arguments,
        } => {
            *steps = Steps::CALL | Steps::SYNC;
            return wire::encode_function_call(out, function, &[1], arguments, 1).map(|()| false);
        }
        Command::LargeObject(what) => {
            *steps = Steps::CALL | Steps::SYNC;
            expect.call = what.call();
            return what.encode(out).map(|()| false);
        }
        // Its ReadyForQuery tells which transaction it is that the transfer begins in.
        Command::Import { .. } => {
            *steps = Steps::TRANSFER | Steps::SYNC;
            expect.call = Call::Import;
        }
        Command::Export { .. } => {
            *steps = Steps::TRANSFER | Steps::SYNC;
            expect.call = Call::Export;
        }
        Command::Params {
            sql,
            types,
            params,
            format,
            max_rows,
        } => {
            *steps |= Steps::PARSE | Steps::BIND | Steps::DESCRIBE_PORTAL | Steps::EXECUTE;
            wire::encode_parse(out, b"", sql, types)?;
            return execute(out, b"", params, format, max_rows, true, steps).map(|()| false);
        }
        Command::Prepare {
            name,
            sql,
            types,
            describe,
        } => {
            *steps |= Steps::PARSE;
            wire::encode_parse(out, name, sql, types)?;
            if describe {
                *steps |= Steps::DESCRIBE_STATEMENT;
                wire::encode_describe(out, b'S', name)?;
            }
            expect.subject = Subject::of(name);
            if let Some(subject) = &mut expect.subject
                && describe
                && heals
            {
                // Without the memory for it there is nothing to heal with.
                subject.source = Source::new(sql, types).ok();
            }
        }
        Command::Prepared {
            name,
            params,
            format,
            max_rows,
            describe,
        } => {
            return execution(
                out, statements, expect, name, params, format, max_rows, describe,
            );
        }
        Command::DescribeStatement { name } => {
            *steps |= Steps::DESCRIBE_STATEMENT;
            expect.subject = Subject::of(name);
            wire::encode_describe(out, b'S', name)?;
        }
        Command::DescribePortal { name } => {
            *steps |= Steps::DESCRIBE_PORTAL;
            wire::encode_describe(out, b'P', name)?;
        }
        Command::CloseStatement { name } => {
            *steps |= Steps::CLOSE;
            expect.subject = Subject::of(name);
            wire::encode_close(out, b'S', name)?;
        }
        Command::ClosePortal { name } => {
            *steps |= Steps::CLOSE;
            wire::encode_close(out, b'P', name)?;
        }
        Command::Sync => *steps = Steps::SYNC,
    }
    if steps.has(Steps::SYNC) {
        wire::encode_sync(out)?;
    }
    Ok(repeatable)
}

/// Appends what executes a prepared statement. Whether it could be tried a second time.
#[allow(clippy::too_many_arguments)]
#[inline(always)]
fn execution<P: Parameters + ?Sized>(
    out: &mut Vec<u8>,
    statements: &Statements,
    expect: &mut Expect,
    name: &[u8],
    params: &P,
    format: i16,
    max_rows: u32,
    describe: bool,
) -> Result<bool, wire::Error> {
    let steps = &mut expect.steps;
    *steps |= Steps::BIND | Steps::EXECUTE;
    let known = statements.find(name);
    let columns = known.and_then(|known| known.columns.as_ref());
    let columns = columns.filter(|_| !describe);
    match columns {
        Some(columns) => {
            expect.columns = columns.clone();
            expect.format = Some(format);
        }
        None => *steps |= Steps::DESCRIBE_PORTAL,
    }
    execute(
        out,
        name,
        params,
        format,
        max_rows,
        columns.is_none(),
        steps,
    )?;
    Ok(max_rows == 0 && known.is_some_and(|known| known.source.is_some()))
}

/// From Bind on. With a row limit the operation is a group that a sync ends, and the rows are asked for now.
#[inline(always)]
fn execute<P: Parameters + ?Sized>(
    out: &mut Vec<u8>,
    name: &[u8],
    params: &P,
    format: i16,
    max_rows: u32,
    describe: bool,
    steps: &mut Steps,
) -> Result<(), wire::Error> {
    if max_rows == 0 {
        let sync = steps.has(Steps::SYNC);
        return wire::encode_execution(out, name, params, format, describe, sync);
    }
    execute_some(out, name, params, format, max_rows, describe, steps)
}

#[cold]
fn execute_some<P: Parameters + ?Sized>(
    out: &mut Vec<u8>,
    name: &[u8],
    params: &P,
    format: i16,
    max_rows: u32,
    describe: bool,
    steps: &mut Steps,
) -> Result<(), wire::Error> {
    wire::encode_bind(out, b"", name, params, &[format])?;
    if describe {
        wire::encode_describe(out, b'P', b"")?;
    }
    wire::encode_execute(out, b"", max_rows as i32)?;
    *steps = steps.without(Steps::SYNC) | Steps::LIMITED;
    wire::encode_flush(out)
}

/// What the execution of a prepared statement waits for whose columns are remembered.
const EXECUTION: Steps = Steps::BIND.with(Steps::EXECUTE);

/// Messages under construction at the end of the output: taken back unless they are finished. The values of parameters come
/// from the caller's own code: a panic in it must not leave half of a message behind.
struct Unfinished<'a> {
    out: &'a mut Vec<u8>,
    before: usize,
}

impl<'a> Unfinished<'a> {
    #[inline]
    fn at_end_of(out: &'a mut Vec<u8>) -> Self {
        let before = out.len();
        Self { out, before }
    }

    /// Where they begin.
    #[inline]
    fn finish(self) -> usize {
        let before = self.before;
        mem::forget(self);
        before
    }
}

impl Drop for Unfinished<'_> {
    #[cold]
    fn drop(&mut self) {
        self.out.truncate(self.before);
    }
}

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
            self.last_operation += 1;
            self.queue.push_back(Expect {
                operation: self.last_operation,
                steps,
                left: steps,
                limits: self.limits,
                format: Some(format),
                columns: columns.clone(),
                call: Call::Any,
                subject: None,
                standing: Standing::Wanted,
                begins_group: !self.group_open,
                withdrawn: false,
                from,
                since: 0,
                deadline: self.timeout,
            });
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
        let from = self.output.end();
        let messages = Unfinished::at_end_of(self.output.buffer());
        let mut expect = Expect {
            operation: self.last_operation + 1,
            steps: match end {
                End::Sync => Steps::SYNC,
                End::More => Steps::default(),
            },
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
        };
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
