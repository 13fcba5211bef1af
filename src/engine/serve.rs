//! The serving part of a connection's life: takes the operations in order and reads their replies.

use super::command::{Expect, Steps};
use super::item::{Done, Outcome, Reply, Verdict};
use super::wait::{Stop, command, reply, with};
use super::{extended, query};
use crate::error::{Error, ServerError};
use crate::wire::{ErrorResponse, ReadyForQuery, TransactionStatus};

/// How the replies of an operation ended before their time.
#[derive(Debug)]
pub(super) enum Halt {
    /// The server said no; its words are an item already.
    Failed,
    /// The connection is over.
    Stop(Stop),
}

impl From<Stop> for Halt {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// Serves operations until the connection is over.
pub(super) async fn serve() -> Stop {
    loop {
        let result = match command().await {
            Ok(None) => operation().await,
            Ok(Some(tag)) => unsolicited(tag),
            Err(stop) => Err(stop),
        };
        if let Err(stop) = result {
            return stop;
        }
    }
}

/// One operation, from its first reply to its done.
async fn operation() -> Result<(), Stop> {
    let (steps, aborted) =
        with(|state| (state.queue.front().map(|head| head.steps), state.aborted));
    let steps = steps.unwrap_or_default();
    let mut outcome = if aborted && !is_sync(steps) {
        with(|state| state.push(Reply::Skipped));
        Outcome::Skipped
    } else {
        match replies(steps).await {
            Ok(()) => Outcome::Ok,
            Err(Halt::Failed) => Outcome::Failed,
            Err(Halt::Stop(stop)) => return Err(stop),
        }
    };
    if steps.sync && !ready().await? {
        outcome = Outcome::Failed;
    }
    with(|state| {
        if steps.sync {
            state.aborted = false;
        } else if outcome == Outcome::Failed {
            state.aborted = true;
        }
        if state.queue.front().is_some_and(|head| head.failed) && outcome == Outcome::Ok {
            outcome = Outcome::Failed;
        }
        let transaction = state.transaction();
        let clean = steps.sync && transaction == TransactionStatus::Idle;
        state.push(Reply::Done(Done {
            outcome,
            transaction,
            verdict: if clean {
                Verdict::Clean
            } else {
                Verdict::InTransaction
            },
        }));
        if let Some(name) = state.queue.pop_front().as_ref().and_then(Expect::changes) {
            state.statements.changed(name);
        }
    });
    Ok(())
}

fn is_sync(steps: Steps) -> bool {
    steps
        == Steps {
            sync: true,
            ..Steps::default()
        }
}

/// The replies between an operation's start and its ReadyForQuery.
async fn replies(steps: Steps) -> Result<(), Halt> {
    if steps.query {
        query::simple().await
    } else {
        extended::replies(steps).await
    }
}

/// Reads up to ReadyForQuery; false when the server reports an error first (a deferred constraint, say).
async fn ready() -> Result<bool, Stop> {
    let mut well = true;
    loop {
        match reply().await? {
            ReadyForQuery::TAG => {
                with(|state| {
                    let message = ReadyForQuery::decode(state.input.body())?;
                    state.facts.transaction = Some(message.status);
                    state.consume()
                })?;
                return Ok(well);
            }
            ErrorResponse::TAG => {
                error()?;
                well = false;
            }
            tag => return Err(unexpected(tag, "the end of an operation")),
        }
    }
}

/// Makes an item of the ErrorResponse at the head of the input.
pub(super) fn error() -> Result<(), Stop> {
    with(|state| {
        ErrorResponse::decode(state.input.body())?;
        let error = ServerError::new(state.input.body());
        state.consume()?;
        // The server replans or forgets: what is remembered of its statements may be wrong.
        if matches!(error.sqlstate(), Some(b"26000" | b"0A000")) {
            state.statements.clear();
        }
        if error.is_fatal() {
            state.fatal = Some(error.clone());
        }
        state.fail(Error::server(error));
        Ok(())
    })
}

/// A message that comes while no operation waits for one: a server's goodbye, or nonsense.
fn unsolicited(tag: u8) -> Result<(), Stop> {
    match tag {
        ErrorResponse::TAG => with(|state| {
            ErrorResponse::decode(state.input.body())?;
            let error = ServerError::new(state.input.body());
            let len = state.input.body_len();
            state.consume()?;
            if error.is_fatal() {
                return Err(Stop::broken(Error::server(error)));
            }
            state.inbox += len;
            state.notices.push_back(error);
            Ok(())
        }),
        tag => Err(Stop::broken(Error::transport(format!(
            "message type 0x{tag:02x} arrived from server while idle"
        )))),
    }
}

/// The one answer to a message that the protocol does not have at this place.
#[cold]
pub(super) fn unexpected(tag: u8, place: &str) -> Stop {
    let shown = if tag.is_ascii_graphic() {
        format!("\"{}\"", char::from(tag))
    } else {
        format!("0x{tag:02x}")
    };
    Stop::broken(Error::transport(format!(
        "the server sent an unexpected message of type {shown} in {place}"
    )))
}
