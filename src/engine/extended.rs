//! Extended query (manual, "Message Flow"): the replies to Parse, Bind, Describe, Execute and Close, step by step.

use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;

use super::copy;
use super::expect::{Expect, Steps};
use super::heal::heal;
use super::item::{CommandTag, Reply};
use super::serve::{Halt, failed, unexpected};
use super::state::State;
use super::wait::{Portal, Stop, portal, replies, with};
use crate::error::{Error, ServerError};
use crate::rows::{Columns, Gather, ReadError};
use crate::wire::{
    self, BindComplete, CloseComplete, CommandComplete, CopyBothResponse, CopyData, CopyDone,
    CopyInResponse, CopyOutResponse, DataRow, EmptyQueryResponse, ErrorResponse, NoData,
    ParameterDescription, ParseComplete, PortalSuspended, RowDescription,
};

/// Reads the replies that an operation of the extended protocol waits for.
pub(super) async fn extended(steps: Steps) -> Result<(), Halt> {
    if steps.has(Steps::PARSE) {
        acknowledged(ParseComplete::TAG, "the reply to Parse").await?;
        with(|state| state.forget_statement());
    }
    if steps.has(Steps::BIND)
        && let Some(error) = bound().await?
    {
        Box::pin(heal(steps, error)).await?;
    }
    if steps.has(Steps::DESCRIBE_STATEMENT) {
        describe_statement().await?;
    }
    if steps.has(Steps::DESCRIBE_PORTAL) {
        describe_portal(steps.has(Steps::EXECUTE)).await?;
    }
    if steps.has(Steps::EXECUTE) {
        execute().await?;
    }
    if steps.has(Steps::CLOSE) {
        acknowledged(CloseComplete::TAG, "the reply to Close").await?;
        with(|state| state.forget_statement());
    }
    Ok(())
}

/// A reply that says no more than that a step is done.
#[track_caller]
pub(super) fn acknowledged(
    expected: u8,
    place: &'static str,
) -> impl Future<Output = Result<(), Halt>> + Send {
    replies(move |state, tag| match tag {
        found if found == expected => {
            state.acknowledge(place)?;
            Ok(Break(()))
        }
        ErrorResponse::TAG => failed(state),
        found => Err(unexpected(found, place).into()),
    })
}

/// The reply to Bind. Where the columns of the portal are remembered, its result begins here. An error that can be healed is
/// not the caller's yet.
#[track_caller]
pub(super) fn bound() -> impl Future<Output = Result<Option<ServerError>, Halt>> + Send {
    const PLACE: &str = "the reply to Bind";
    replies(|state, tag| match tag {
        BindComplete::TAG => {
            state.acknowledge(PLACE)?;
            state.begin_remembered();
            Ok(Break(None))
        }
        ErrorResponse::TAG => match state.take_stale()? {
            None => failed(state),
            stale => Ok(Break(stale)),
        },
        tag => Err(unexpected(tag, PLACE).into()),
    })
}

async fn describe_statement() -> Result<(), Halt> {
    let (parameters, columns) = described().await?;
    with(|state| {
        state.remember_statement(columns.clone(), &parameters);
        state.push(Reply::Described {
            parameters,
            columns,
        });
    });
    Ok(())
}

/// The replies to Describe of a statement: its parameter types and its columns.
pub(super) async fn described() -> Result<(Box<[u32]>, Option<Arc<Columns>>), Halt> {
    const PLACE: &str = "the reply to Describe of a statement";
    let parameters = replies(|state, tag| match tag {
        ParameterDescription::TAG => {
            let message = ParameterDescription::decode(state.input.body())?;
            let types: Box<[u32]> = message.types.iter().collect();
            state.consume()?;
            Ok(Break(types))
        }
        ErrorResponse::TAG => failed(state),
        tag => Err(unexpected(tag, PLACE).into()),
    })
    .await?;
    let columns = replies(|state, tag| match tag {
        RowDescription::TAG => Ok(Break(Some(read_columns(state)?))),
        NoData::TAG => {
            NoData::decode(state.input.body())?;
            state.consume()?;
            Ok(Break(None))
        }
        ErrorResponse::TAG => failed(state),
        tag => Err(unexpected(tag, PLACE).into()),
    })
    .await?;
    Ok((parameters, columns))
}

/// Describe of a portal: the columns of the Execute that follows, or (`!executes`) all that was asked for.
#[track_caller]
fn describe_portal(executes: bool) -> impl Future<Output = Result<(), Halt>> + Send {
    replies(move |state, tag| {
        let columns = match tag {
            RowDescription::TAG => Some(read_columns(state)?),
            NoData::TAG => {
                NoData::decode(state.input.body())?;
                state.consume()?;
                None
            }
            ErrorResponse::TAG => return failed(state),
            tag => return Err(unexpected(tag, "the reply to Describe of a portal").into()),
        };
        match columns {
            Some(columns) if executes => state.gather.begin(columns, None),
            None if executes => {}
            columns => state.push(Reply::Described {
                parameters: Box::default(),
                columns,
            }),
        }
        Ok(Break(()))
    })
}

/// What the replies to Execute have come to.
enum Executed {
    Complete,
    Suspended,
    Copy,
}

/// The rows of a portal up to its end.
async fn execute() -> Result<(), Halt> {
    loop {
        let executed = replies(|state, tag| {
            match tag {
                DataRow::TAG => {
                    state.rows()?;
                    return Ok(Continue(()));
                }
                CommandComplete::TAG => complete(state)?,
                EmptyQueryResponse::TAG => empty(state)?,
                PortalSuspended::TAG => {
                    suspended(state)?;
                    return Ok(Break(Executed::Suspended));
                }
                ErrorResponse::TAG => return failed(state),
                CopyInResponse::TAG | CopyOutResponse::TAG | CopyBothResponse::TAG => {
                    return Ok(Break(Executed::Copy));
                }
                tag => return Err(unexpected(tag, "the reply to Execute").into()),
            }
            state.portal_over();
            Ok::<_, Halt>(Break(Executed::Complete))
        });
        match executed.await? {
            Executed::Complete => return Ok(()),
            Executed::Copy if with(|state| state.like_libpq) => copy::copy().await?,
            Executed::Copy => refuse_copy().await?,
            Executed::Suspended => match portal().await? {
                Portal::Continued => {}
                Portal::Ended => {
                    with(|state| {
                        state.gather.abandon();
                        state.portal_over();
                    });
                    return Ok(());
                }
                Portal::Message(ErrorResponse::TAG) => return with(failed),
                Portal::Message(tag) => return Err(unexpected(tag, "a suspended portal").into()),
            },
        }
    }
}

fn suspended(state: &mut State) -> Result<(), Stop> {
    PortalSuspended::decode(state.input.body())?;
    let columns = state.gather.columns().cloned();
    state.consume()?;
    state.cut();
    if let Some(columns) = columns {
        let format = state.queue.front().and_then(|head| head.format);
        state.gather.begin(columns, format);
    }
    state.push(Reply::Suspended);
    state.portal_suspended = true;
    Ok(())
}

/// Ends a result with the EmptyQueryResponse at the head of the input.
pub(super) fn empty(state: &mut State) -> Result<(), Stop> {
    EmptyQueryResponse::decode(state.input.body())?;
    state.consume()?;
    state.gather.abandon();
    state.push(Reply::EmptyQuery);
    Ok(())
}

/// Begins a result with the RowDescription at the head of the input.
pub(super) fn begin(state: &mut State) -> Result<(), Stop> {
    let columns = read_columns(state)?;
    // Of an operation that has failed nothing more is given.
    if !state.has_failed() {
        state.gather.begin(columns, None);
    }
    Ok(())
}

/// Ends a result with the CommandComplete at the head of the input.
#[inline]
pub(super) fn complete(state: &mut State) -> Result<(), Stop> {
    let tag = CommandTag::new(CommandComplete::decode(state.input.body())?.tag);
    state.cut_last();
    state.consume()?;
    state.statements.heed(tag.as_bytes());
    if !state.has_failed() {
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
pub(super) async fn refuse_copy() -> Result<(), Halt> {
    const WHY: &str = "the statement is a COPY, which this call cannot run";
    let out = replies(|state, tag| match tag {
        CopyOutResponse::TAG => {
            CopyOutResponse::decode(state.input.body())?;
            state.consume()?;
            state.fail(Error::misuse(WHY));
            Ok(Break(true))
        }
        CopyInResponse::TAG => {
            CopyInResponse::decode(state.input.body())?;
            state.consume()?;
            state.fail_copy_in(WHY)?;
            Ok(Break(false))
        }
        _ => Err(Stop::broken(Error::misuse(
            "the statement begins a COPY in both directions, which this call cannot run",
        ))),
    });
    if !out.await? {
        return Ok(());
    }
    replies(|state, tag| match tag {
        CopyData::TAG => {
            state.consume()?;
            Ok(Continue(()))
        }
        CopyDone::TAG => {
            state.consume()?;
            Ok(Break(()))
        }
        ErrorResponse::TAG => failed(state),
        tag => Err(unexpected(tag, "COPY TO STDOUT").into()),
    })
    .await
}

impl Expect {
    /// Begins the result of a statement whose columns are remembered.
    #[inline]
    pub(super) fn begin_remembered(&mut self, gather: &mut Gather) {
        if let Some(columns) = self.columns.take() {
            gather.begin(columns, self.format);
        }
    }
}

impl State {
    /// Answers a CopyInResponse that nobody asked for; the server's error follows.
    fn fail_copy_in(&mut self, why: &str) -> Result<(), Stop> {
        let head = self.queue.front().map(|head| head.steps);
        let steps = head.unwrap_or_default();
        if !steps.has(Steps::SYNC) || self.is_sent_behind() {
            return Err(Stop::broken(Error::misuse(
                "the statement is a COPY FROM STDIN with other operations queued behind it: the server takes their \
                 messages for its data",
            )));
        }
        let mut answer = Vec::new();
        wire::CopyFail {
            reason: why.as_bytes(),
        }
        .encode(&mut answer)?;
        // In the extended protocol the server skips up to a Sync that it reads after the failure.
        if !steps.has(Steps::QUERY) {
            wire::encode_sync(&mut answer)?;
        }
        self.send_behind(0, &answer)
    }

    /// Goes past a reply that has no content.
    #[inline(always)]
    fn acknowledge(&mut self, place: &'static str) -> Result<(), Stop> {
        match self.input.body_len() {
            0 => self.consume(),
            more => Err(Stop::broken(Error::transport(format!(
                "malformed message: {place} has {more} bytes too many"
            )))),
        }
    }

    fn begin_remembered(&mut self) {
        if let Some(head) = self.queue.front_mut() {
            head.begin_remembered(&mut self.gather);
        }
    }

    fn remember_statement(&mut self, columns: Option<Arc<Columns>>, parameters: &[u32]) {
        if let Some(subject) = self
            .queue
            .front_mut()
            .and_then(|head| head.subject.as_deref_mut())
            && !subject.name.is_empty()
        {
            let source = subject.source.take();
            self.statements
                .remember(&subject.name, columns, parameters, source);
        }
    }

    /// The statement at the head of the queue is made anew or closed: its old columns are of no use.
    pub(super) fn forget_statement(&mut self) {
        if let Some(subject) = self.queue.front().and_then(|head| head.subject.as_ref()) {
            self.statements.forget(&subject.name);
        }
    }

    pub(super) fn portal_over(&mut self) {
        if self
            .queue
            .front()
            .is_some_and(|head| head.steps.has(Steps::LIMITED))
        {
            self.portal_suspended = false;
            if self.queue.len() == 1 {
                self.portal_open = false;
            }
        }
    }
}
