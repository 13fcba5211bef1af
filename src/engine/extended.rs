//! Extended query (manual, "Message Flow"): the replies to Parse, Bind, Describe, Execute and Close, step by step.

use std::sync::Arc;

use super::command::Steps;
use super::item::{CommandTag, Reply};
use super::serve::{Halt, error, unexpected};
use super::state::State;
use super::wait::{Stop, portal, reply, with};
use crate::error::Error;
use crate::rows::{Columns, ReadError};
use crate::wire::{
    self, BindComplete, CloseComplete, CommandComplete, CopyBothResponse, CopyData, CopyDone,
    CopyInResponse, CopyOutResponse, DataRow, EmptyQueryResponse, ErrorResponse, NoData,
    ParameterDescription, ParseComplete, PortalSuspended, RowDescription,
};

/// Reads the replies that an operation of the extended protocol waits for.
pub(super) async fn replies(steps: Steps) -> Result<(), Halt> {
    if steps.parse {
        acknowledged(ParseComplete::TAG, "the reply to Parse").await?;
        with(|state| state.forget_statement());
    }
    if steps.bind {
        acknowledged(BindComplete::TAG, "the reply to Bind").await?;
    }
    if steps.describe_statement {
        describe_statement().await?;
    }
    if steps.describe_portal {
        describe_portal(steps.execute).await?;
    }
    if steps.execute {
        if !steps.describe_portal {
            with(State::begin_remembered);
        }
        execute().await?;
    }
    if steps.close {
        acknowledged(CloseComplete::TAG, "the reply to Close").await?;
        with(|state| state.forget_statement());
    }
    Ok(())
}

/// A reply that says no more than that a step is done.
async fn acknowledged(tag: u8, place: &str) -> Result<(), Halt> {
    match reply().await? {
        found if found == tag => {
            with(|state| {
                if !state.input.body().is_empty() {
                    return Err(Stop::broken(Error::transport(format!(
                        "malformed message: {place} has {} bytes too many",
                        state.input.body().len()
                    ))));
                }
                state.consume()
            })?;
            Ok(())
        }
        ErrorResponse::TAG => failed(),
        found => Err(unexpected(found, place).into()),
    }
}

async fn describe_statement() -> Result<(), Halt> {
    let place = "the reply to Describe of a statement";
    let parameters = match reply().await? {
        ParameterDescription::TAG => with(|state| {
            let message = ParameterDescription::decode(state.input.body())?;
            let types: Box<[u32]> = message.types.iter().collect();
            state.consume()?;
            Ok::<_, Stop>(types)
        })?,
        ErrorResponse::TAG => return failed(),
        tag => return Err(unexpected(tag, place).into()),
    };
    let columns = match reply().await? {
        RowDescription::TAG => Some(with(read_columns)?),
        NoData::TAG => {
            with(|state| state.consume())?;
            None
        }
        ErrorResponse::TAG => return failed(),
        tag => return Err(unexpected(tag, place).into()),
    };
    with(|state| {
        state.remember_statement(columns.clone());
        state.push(Reply::Described {
            parameters,
            columns,
        });
    });
    Ok(())
}

/// Describe of a portal: the columns of the Execute that follows, or (`!executes`) all that was asked for.
async fn describe_portal(executes: bool) -> Result<(), Halt> {
    match reply().await? {
        RowDescription::TAG => {
            if executes {
                with(begin)?;
            } else {
                let columns = with(read_columns)?;
                with(|state| {
                    state.push(Reply::Described {
                        parameters: Box::default(),
                        columns: Some(columns),
                    });
                });
            }
        }
        NoData::TAG => with(|state| {
            state.consume()?;
            if !executes {
                state.push(Reply::Described {
                    parameters: Box::default(),
                    columns: None,
                });
            }
            Ok::<(), Stop>(())
        })?,
        ErrorResponse::TAG => return failed(),
        tag => return Err(unexpected(tag, "the reply to Describe of a portal").into()),
    }
    Ok(())
}

/// The rows of a portal up to its end.
async fn execute() -> Result<(), Halt> {
    loop {
        match reply().await? {
            DataRow::TAG => with(|state| state.rows())?,
            CommandComplete::TAG => {
                with(complete)?;
                with(|state| state.portal_over());
                return Ok(());
            }
            EmptyQueryResponse::TAG => {
                with(|state| {
                    EmptyQueryResponse::decode(state.input.body())?;
                    state.consume()?;
                    state.gather.abandon();
                    state.push(Reply::EmptyQuery);
                    state.portal_over();
                    Ok::<(), Stop>(())
                })?;
                return Ok(());
            }
            PortalSuspended::TAG => {
                with(|state| {
                    PortalSuspended::decode(state.input.body())?;
                    let columns = state.gather.columns().cloned();
                    state.consume()?;
                    state.cut()?;
                    if let Some(columns) = columns {
                        let format = state.queue.front().and_then(|head| head.format);
                        state.gather.begin(columns, format);
                    }
                    state.push(Reply::Suspended);
                    state.portal_suspended = true;
                    Ok::<(), Stop>(())
                })?;
                if !portal().await? {
                    with(|state| state.portal_over());
                    return Ok(());
                }
            }
            ErrorResponse::TAG => return failed(),
            CopyInResponse::TAG | CopyOutResponse::TAG | CopyBothResponse::TAG => {
                copy_refused().await?;
            }
            tag => return Err(unexpected(tag, "the reply to Execute").into()),
        }
    }
}

fn failed<T>() -> Result<T, Halt> {
    error()?;
    with(|state| state.portal_over());
    Err(Halt::Failed)
}

/// Begins a result with the RowDescription at the head of the input.
pub(super) fn begin(state: &mut State) -> Result<(), Stop> {
    let columns = read_columns(state)?;
    // Of an operation that has failed nothing more is given.
    if !state.queue.front().is_some_and(|head| head.failed) {
        state.gather.begin(columns, None);
    }
    Ok(())
}

/// Ends a result with the CommandComplete at the head of the input.
pub(super) fn complete(state: &mut State) -> Result<(), Stop> {
    let tag = CommandTag::new(CommandComplete::decode(state.input.body())?.tag);
    state.cut()?;
    state.gather.abandon();
    state.consume()?;
    state.statements.heed(tag.as_bytes());
    if !state.queue.front().is_some_and(|head| head.failed) {
        state.push(Reply::Complete(tag));
    }
    Ok(())
}

/// The columns that the RowDescription at the head of the input describes.
fn read_columns(state: &mut State) -> Result<Arc<Columns>, Stop> {
    let body = state.input.body();
    // A query that is run again and again is described in the same words: its columns are shared.
    let columns = match &state.last_columns {
        Some(last) if last.is_same(body) => last.clone(),
        _ => match Columns::read(body) {
            Ok(columns) => Arc::new(columns),
            Err(ReadError::Wire(error)) => return Err(error.into()),
            Err(ReadError::Memory(_)) => {
                return Err(Stop::broken(Error::out_of_memory(
                    "the columns of a result",
                )));
            }
        },
    };
    if columns.len() <= 64 {
        state.last_columns = Some(columns.clone());
    }
    state.consume()?;
    Ok(columns)
}

/// A COPY in an operation that is not one: it is refused, and the connection kept where that can be done.
pub(super) async fn copy_refused() -> Result<(), Halt> {
    let tag = reply().await?;
    let why = "the statement is a COPY, which this call cannot run";
    match tag {
        CopyOutResponse::TAG => {
            with(|state| {
                CopyOutResponse::decode(state.input.body())?;
                state.consume()?;
                state.fail(Error::misuse(why));
                Ok::<(), Stop>(())
            })?;
            loop {
                match reply().await? {
                    CopyData::TAG => with(|state| state.consume())?,
                    CopyDone::TAG => return Ok(with(|state| state.consume())?),
                    ErrorResponse::TAG => return failed(),
                    tag => return Err(unexpected(tag, "COPY TO STDOUT").into()),
                }
            }
        }
        CopyInResponse::TAG => {
            let alone = with(|state| {
                CopyInResponse::decode(state.input.body())?;
                state.consume()?;
                let head = state
                    .queue
                    .front()
                    .map(|head| (head.steps, state.queue.len()));
                Ok::<_, Stop>(head.is_some_and(|(steps, queued)| steps.sync && queued == 1))
            })?;
            if !alone {
                return Err(Stop::broken(Error::misuse(
                    "the statement is a COPY FROM STDIN with other operations queued behind it: the server takes \
                     their messages for its data",
                ))
                .into());
            }
            with(|state| {
                let before = state.output.buffer().len();
                wire::CopyFail {
                    reason: why.as_bytes(),
                }
                .encode(state.output.buffer())?;
                // In the extended protocol the server skips up to a Sync that it reads after the failure.
                if state.queue.front().is_some_and(|head| !head.steps.query) {
                    wire::encode_sync(state.output.buffer())?;
                }
                state.trace_frontend(before);
                Ok::<(), Stop>(())
            })?;
            Ok(())
        }
        _ => Err(Stop::broken(Error::misuse(
            "the statement begins a COPY in both directions, which this call cannot run",
        ))
        .into()),
    }
}

impl State {
    /// Begins the result of a statement whose columns are remembered.
    fn begin_remembered(&mut self) {
        if let Some(head) = self.queue.front_mut()
            && let Some(columns) = head.columns.take()
        {
            self.gather.begin(columns, head.format);
        }
    }

    fn remember_statement(&mut self, columns: Option<Arc<Columns>>) {
        if let Some(name) = self
            .queue
            .front()
            .and_then(|head| head.statement.as_deref())
            && !name.is_empty()
        {
            self.statements.remember(name, columns);
        }
    }

    /// The statement at the head of the queue is made anew or closed: its old columns are of no use.
    fn forget_statement(&mut self) {
        if let Some(name) = self.queue.front().and_then(|head| head.statement.as_ref()) {
            self.statements.forget(name);
        }
    }

    fn portal_over(&mut self) {
        if self.queue.front().is_some_and(|head| head.steps.limited) {
            self.portal_suspended = false;
            if self.queue.len() == 1 {
                self.portal_open = false;
            }
        }
    }
}
