//! The messages of each command, and the replies that they ask for.

use std::mem;

use super::command::Command;
use super::expect::{Expect, Steps, Subject};
use super::large_object::Call;
use super::statements::{Source, Statements};
use crate::wire::{self, Parameters};

/// Appends the messages of a command; completes what it expects. Whether it could be tried a second time.
#[inline(always)]
pub(super) fn encode(
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
pub(super) fn execution<P: Parameters + ?Sized>(
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

/// Messages under construction at the end of the output: taken back unless they are finished. The values of parameters come
/// from the caller's own code: a panic in it must not leave half of a message behind.
pub(super) struct Unfinished<'a> {
    pub out: &'a mut Vec<u8>,
    before: usize,
}

impl<'a> Unfinished<'a> {
    #[inline]
    pub(super) fn at_end_of(out: &'a mut Vec<u8>) -> Self {
        let before = out.len();
        Self { out, before }
    }

    /// Where they begin.
    #[inline]
    pub(super) fn finish(self) -> usize {
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
