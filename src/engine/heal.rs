//! A prepared statement that the server has lost, or whose result has other columns now: it is prepared again and executed
//! once more (manual, "Message Flow"). Knows an operation that is alone on its connection, and no other.
//!
//! A pooler that gives each transaction another server, DISCARD in a function, a migration: none of that is the caller's
//! doing. The server refuses such a statement at its Bind, before anything of it is executed. Where the operation has its own
//! Sync, nothing was started behind it and no transaction block is open, nothing is lost with it but the time of another
//! round trip. Everywhere else the error is the caller's.

use std::ops::ControlFlow::Break;

use super::expect::Steps;
use super::extended::{acknowledged, bound, described};
use super::serve::{Halt, failed, unexpected};
use super::state::State;
use super::timeline::Change;
use super::wait::{Stop, replies, with};
use crate::error::{Error, ServerError};
use crate::wire::frame::{Header, frontend_header};
use crate::wire::{
    self, Bind, CloseComplete, ErrorResponse, ParseComplete, ReadyForQuery, TransactionStatus,
};

/// From the error of the first Bind up to the reply to the second.
pub(super) async fn heal(steps: Steps, error: ServerError) -> Result<(), Halt> {
    let name = ready_again(error).await?;
    acknowledged(CloseComplete::TAG, "the reply to Close").await?;
    acknowledged(ParseComplete::TAG, "the reply to Parse").await?;
    let (parameters, columns) = described().await?;
    with(|state| {
        state
            .statements
            .remember(&name, columns.clone(), &parameters, None);
        if let Some(head) = state.queue.front_mut()
            && !steps.has(Steps::DESCRIBE_PORTAL)
        {
            head.columns = columns;
        }
    });
    match bound().await? {
        None => Ok(()),
        Some(error) => {
            with(|state| state.fail(Error::server(error)));
            Err(Halt::Failed)
        }
    }
}

/// Waits for the ReadyForQuery of the first try and queues the second; the name of the statement. Where there can be no
/// second try the first one's error stands.
#[track_caller]
fn ready_again(error: ServerError) -> impl Future<Output = Result<Box<[u8]>, Halt>> + Send {
    replies(move |state, tag| match tag {
        ReadyForQuery::TAG => {
            let status = ReadyForQuery::decode(state.input.body())?.status;
            let idle = status == TransactionStatus::Idle && !state.has_failed();
            let Some(name) = idle.then(|| state.try_again()).flatten() else {
                return give_up(state, &error);
            };
            state.facts.transaction = Some(status);
            state.record(Change::Heals);
            state.consume()?;
            Ok(Break(name))
        }
        ErrorResponse::TAG => {
            let _ = give_up::<()>(state, &error);
            failed(state)
        }
        tag => Err(unexpected(tag, "the end of an operation").into()),
    })
}

fn give_up<T>(state: &mut State, error: &ServerError) -> Result<T, Halt> {
    state.statements.clear_columns();
    state.fail(Error::server(error.clone()));
    Err(Halt::Failed)
}

impl State {
    /// Takes the ErrorResponse at the head of the input, which refuses a Bind, if the statement can be prepared again.
    #[cold]
    pub(super) fn take_stale(&mut self) -> Result<Option<ServerError>, Stop> {
        if !self.output.is_repeatable() || self.has_failed() {
            return Ok(None);
        }
        ErrorResponse::decode(self.input.body())?;
        let error = ServerError::new(self.input.body())?;
        if !is_stale(&error) {
            return Ok(None);
        }
        self.consume()?;
        Ok(Some(error))
    }

    /// Queues what prepares the statement again, and behind it what was sent for its execution; the statement's name.
    fn try_again(&mut self) -> Option<Box<[u8]>> {
        let sent = self.output.repeatable()?;
        let head = frontend_header(sent).ok()??;
        let bind = Bind::decode(sent.get(Header::SIZE..Header::SIZE + head.len)?).ok()?;
        let name = bind.statement;
        let source = self.statements.find(name)?.source.as_deref()?;
        // Values in binary are those of the types that the server named; text is whatever the statement takes now.
        let binary = bind.formats.iter().any(|format| format != 0);
        let types = if binary { &source.found } else { &source.given };
        let mut messages = Vec::new();
        wire::encode_close(&mut messages, b'S', name).ok()?;
        wire::encode_parse(&mut messages, name, &source.sql, types).ok()?;
        wire::encode_describe(&mut messages, b'S', name).ok()?;
        let name = name.into();
        self.output.repeat_behind(&messages).ok()?;
        self.trace_frontend(0);
        Some(name)
    }
}

/// Whether the server says that it has no such statement, or that its result has other columns than when it was made.
fn is_stale(error: &ServerError) -> bool {
    !error.is_fatal()
        && match error.sqlstate() {
            Some(b"26000") => true,
            Some(b"0A000") => error.field(b'R') == Some(b"RevalidateCachedQuery"),
            _ => false,
        }
}
