//! The serving part of a connection's life: takes the operations in order and reads their replies.

use std::ops::ControlFlow::{Break, Continue};

use super::expect::Steps;
use super::item::{Done, Item, Outcome, Reply, Verdict};
use super::state::State;
use super::unwanted::Standing;
use super::wait::{Next, Stop, command, replies, with};
use super::{extended, function, query, shutdown, transfer};
use crate::error::{Error, ServerError};
use crate::wire::{self, ErrorResponse, ReadyForQuery};

/// How the replies of an operation ended before their time.
#[derive(Debug)]
pub(super) enum Halt {
    /// The server said no; its words are an item already.
    Failed,
    /// The connection is over.
    Stop(Stop),
}

impl From<wire::Error> for Halt {
    fn from(error: wire::Error) -> Self {
        Self::Stop(error.into())
    }
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
            Ok(Next::Operation(steps)) => operation(steps).await,
            Ok(Next::Skipped(steps)) => {
                with(|state| state.push(Reply::Skipped));
                end(steps, Outcome::Skipped).await
            }
            Ok(Next::Message(tag)) => unsolicited(tag),
            Err(stop) => Err(stop),
        };
        match result {
            Ok(()) => {}
            Err(Stop::Deadline) => with(State::end_withdrawn),
            Err(stop) => return stop,
        }
    }
}

/// One operation, from its first reply to its done.
async fn operation(steps: Steps) -> Result<(), Stop> {
    let replies = if steps == Steps::SYNC {
        Ok(())
    } else if steps.has(Steps::QUERY) {
        query::simple(steps).await
    } else if steps.has(Steps::CALL) {
        function::called().await
    } else if steps.has(Steps::TRANSFER) {
        return Box::pin(transfer::transfer()).await;
    } else if steps.has(Steps::SHUTDOWN) {
        return Err(shutdown::shut_down().await);
    } else {
        extended::extended(steps).await
    };
    match replies {
        Ok(()) => end(steps, Outcome::Ok).await,
        Err(Halt::Failed) => end(steps, Outcome::Failed).await,
        Err(Halt::Stop(stop)) => Err(stop),
    }
}

/// The end of an operation: at its ReadyForQuery if it has its own Sync, else now.
async fn end(steps: Steps, outcome: Outcome) -> Result<(), Stop> {
    if steps.has(Steps::SYNC) {
        return ready(outcome).await;
    }
    with(|state| {
        state.aborted |= outcome == Outcome::Failed;
        state.done(outcome, Verdict::InTransaction);
    });
    Ok(())
}

/// ReadyForQuery, and the done that is made from it.
#[track_caller]
fn ready(outcome: Outcome) -> impl Future<Output = Result<(), Stop>> + Send {
    replies(move |state, tag| match tag {
        ReadyForQuery::TAG => {
            state.ready(outcome)?;
            Ok(Break(()))
        }
        // A constraint that is checked at the end of the transaction, say.
        ErrorResponse::TAG => {
            error(state)?;
            Ok(Continue(()))
        }
        tag => Err(unexpected(tag, "the end of an operation")),
    })
}

/// Makes an item of the ErrorResponse at the head of the input.
pub(super) fn error(state: &mut State) -> Result<(), Stop> {
    ErrorResponse::decode(state.input.body())?;
    let error = ServerError::new(state.input.body())?;
    state.consume()?;
    // The server replans or forgets: what is remembered of its statements may be wrong.
    if matches!(error.sqlstate(), Some(b"26000" | b"0A000")) {
        state.statements.clear_columns();
    }
    let fatal = error.is_fatal().then(|| error.clone());
    state.fail(Error::server(error));
    match fatal {
        Some(fatal) if state.like_libpq => {
            state.fatal = Some(fatal);
            Ok(())
        }
        // The server ends the session, whether it closes the transport or somebody in between keeps it open.
        Some(fatal) => Err(Stop::broken(Error::server(fatal))),
        None => Ok(()),
    }
}

/// The same where it ends the replies of an operation.
pub(super) fn failed<T>(state: &mut State) -> Result<T, Halt> {
    error(state)?;
    state.portal_over();
    Err(Halt::Failed)
}

impl State {
    /// The operation at the head of the queue was given up before it was sent: there are no replies to wait for.
    fn end_withdrawn(&mut self) {
        if self.queue.front().is_some_and(|head| head.withdrawn) {
            self.done(Outcome::Skipped, Verdict::InTransaction);
        }
    }

    /// The ReadyForQuery at the head of the input ends the operation at the head of the queue.
    #[inline]
    pub(super) fn ready(&mut self, outcome: Outcome) -> Result<(), Stop> {
        let status = ReadyForQuery::decode(self.input.body())?.status;
        self.facts.transaction = Some(status);
        self.consume()?;
        self.aborted = false;
        self.done(outcome, Verdict::after(status));
        Ok(())
    }

    /// The last item of the operation at the head of the queue.
    pub(super) fn done(&mut self, outcome: Outcome, verdict: Verdict) {
        let transaction = self.transaction();
        let Some(head) = self.queue.front() else {
            return;
        };
        if let Some(name) = head.changes() {
            self.statements.changed(name);
        }
        let operation = head.operation;
        let (outcome, mut verdict) = match head.standing {
            Standing::Wanted => (outcome, verdict),
            _ => (head.outcome(outcome), head.verdict(verdict, transaction)),
        };
        let ended = head.ended(outcome, self.now);
        self.queue.pop_front();
        self.record(ended);
        // After a FATAL error the end of the connection is on its way.
        if self.fatal.is_some() {
            verdict = Verdict::Lost;
        }
        self.finished_one();
        let done = Reply::Done(Done {
            outcome,
            transaction,
            verdict,
        });
        self.items.push(Item::new(operation, done));
    }
}

impl State {
    /// The operation that was at the head of the queue is over: what was kept for it goes.
    #[inline]
    pub(super) fn finished_one(&mut self) {
        if self.output.is_repeatable() {
            self.output.let_go();
        }
        if self.queue.is_empty() {
            self.alarm = u64::MAX;
            self.transfer = None;
        }
    }
}

/// A message that comes while no operation waits for one: a server's goodbye, or nonsense.
fn unsolicited(tag: u8) -> Result<(), Stop> {
    match tag {
        ErrorResponse::TAG => with(|state| {
            ErrorResponse::decode(state.input.body())?;
            let error = ServerError::new(state.input.body())?;
            state.consume()?;
            if error.is_fatal() {
                return Err(Stop::broken(Error::server(error)));
            }
            Ok(state.mail.add_notice(error)?)
        }),
        tag => with(|state| {
            let text = format!("message type 0x{tag:02x} arrived from server while idle");
            if !state.like_libpq {
                return Err(Stop::broken(Error::transport(text)));
            }
            let notice = ["M", &text, "\0SNOTICE\0VNOTICE\0\0"].concat();
            state.consume()?;
            Ok(state
                .mail
                .add_notice(ServerError::new(notice.as_bytes())?)?)
        }),
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
