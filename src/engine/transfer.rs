//! Import and export of large objects: the content of a file becomes a large object, or the reverse, in pieces, two of which
//! are under way at once. Knows no file: whoever drives the engine reads and writes it, a piece at each turn.
//!
//! Outside of a transaction block it has a transaction of its own. Nobody else's statement is in between: it is a barrier.

use std::collections::VecDeque;
use std::ops::ControlFlow::{Break, Continue};

use super::Engine;
use super::command::Command;
use super::item::{Outcome, Verdict};
use super::large_object::{Call, LO_READ, LO_WRITE, LargeObject};
use super::serve::{Halt, error, unexpected};
use super::state::State;
use super::wait::{Stop, replies, until, with};
use crate::error::Error;
use crate::wire::{
    self, CommandComplete, ErrorResponse, FunctionCallResponse, ReadyForQuery, TransactionStatus,
};

/// Bytes that are moved at once.
pub const PIECE: usize = 256 * 1024;
/// How many pieces are asked for, or sent, before the first is answered.
const AHEAD: usize = 2;

/// What is to be done with the file of an import or export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileTurn<'a> {
    /// Nothing is under way: the file is not needed any more.
    Over,
    /// Nothing now.
    Wait,
    /// Read the next bytes, at most [`PIECE`], and say so with [`Engine::file_read`].
    Read,
    /// Write these bytes, all of them, and say so with [`Engine::file_written`].
    Write(&'a [u8]),
}

/// What is moved, and whose turn it is.
#[derive(Debug)]
pub(super) struct Transfer {
    export: bool,
    /// The large object; 0 until it is known.
    oid: u32,
    /// Its descriptor.
    fd: i32,
    turn: Turn,
    /// What was read of the large object and is to be written.
    piece: Vec<u8>,
    /// What has come of the last turn: so many bytes.
    told: Option<Result<usize, Error>>,
    /// Messages that were sent and whose ReadyForQuery has not come.
    in_flight: usize,
    /// A request to cancel is under way: what is sent now could be hit by it.
    cancelling: bool,
    /// It ends by itself, and a request to cancel would only do harm.
    is_ending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Nobody,
    Read,
    Write,
}

/// The whole operation, from the ReadyForQuery of the Sync that it was started with.
pub(super) async fn transfer() -> Result<(), Stop> {
    let outcome = match in_transaction().await {
        Ok(()) => Outcome::Ok,
        Err(Halt::Failed) => Outcome::Failed,
        Err(Halt::Stop(stop)) => return Err(stop),
    };
    with(|state| {
        if outcome == Outcome::Ok {
            let oid = state.moving().map_or(0, |moving| moving.oid);
            state.give_number(Call::Import, oid);
        }
        let verdict = match state.transaction() {
            TransactionStatus::Idle => Verdict::Clean,
            _ => Verdict::InTransaction,
        };
        state.done(outcome, verdict);
    });
    Ok(())
}

/// Descriptors of large objects live in a transaction: one of the caller's, or one of its own.
async fn in_transaction() -> Result<(), Halt> {
    reply(Call::Any).await?;
    if !is_idle() {
        return moved().await;
    }
    query(b"BEGIN").await?;
    let mut result = moved().await;
    if result.is_ok() {
        result = query(b"COMMIT").await;
    }
    if !matches!(result, Err(Halt::Stop(_))) && !is_idle() {
        undisturbed().await?;
        query(b"ROLLBACK").await?;
    }
    result
}

fn is_idle() -> bool {
    with(|state| state.transaction() == TransactionStatus::Idle)
}

async fn moved() -> Result<(), Halt> {
    let (export, oid) = with(|state| {
        let moving = state.moving();
        moving.map_or((false, 0), |moving| (moving.export, moving.oid))
    });
    let (oid, mode) = match export {
        true => (oid, LO_READ),
        false => (call(LargeObject::Create { oid }).await? as u32, LO_WRITE),
    };
    let fd = call(LargeObject::Open { oid, mode }).await? as i32;
    with(|state| {
        if let Some(moving) = state.moving() {
            (moving.oid, moving.fd) = (oid, fd);
        }
    });
    let result = match export {
        true => object_to_file(fd).await,
        false => file_to_object().await,
    };
    // What is under way still has its answers to come.
    while with(State::in_flight) > 0 {
        if let Err(Halt::Stop(stop)) = reply(Call::Any).await {
            return Err(Halt::Stop(stop));
        }
    }
    // After an error of the server's the descriptor is gone with the transaction.
    if with(|state| state.transaction() == TransactionStatus::InTransaction) {
        undisturbed().await?;
        with(|state| state.send_call(LargeObject::Close { fd }))?;
        reply(Call::Close).await?;
    }
    result
}

async fn file_to_object() -> Result<(), Halt> {
    let mut sent = VecDeque::with_capacity(AHEAD);
    let mut ended = false;
    loop {
        while sent.len() < AHEAD && !ended {
            match file(Turn::Read).await? {
                0 => ended = true,
                count => sent.push_back(count),
            }
        }
        let Some(count) = sent.pop_front() else {
            return Ok(());
        };
        let written = reply(Call::Write(count as u32)).await?;
        if written != count as i64 {
            return with(|state| {
                state.fail(Error::transport(format!(
                    "large object write: the server wrote {written} bytes of {count}"
                )));
                Err(Halt::Failed)
            });
        }
    }
}

async fn object_to_file(fd: i32) -> Result<(), Halt> {
    let length = PIECE;
    let mut ended = false;
    loop {
        with(State::is_wanted)?;
        while !ended && with(State::in_flight) < AHEAD {
            with(|state| state.send_call(LargeObject::Read { fd, length }))?;
        }
        if with(State::in_flight) == 0 {
            return Ok(());
        }
        let count = reply(Call::Read(length as u32)).await?;
        ended |= count < length as i64;
        if count > 0 {
            file(Turn::Write).await?;
        }
    }
}

/// Has the file's side do its part; how many bytes it moved.
async fn file(turn: Turn) -> Result<usize, Halt> {
    with(|state| {
        state.is_wanted()?;
        if let Some(moving) = state.moving() {
            moving.turn = turn;
        }
        Ok::<_, Halt>(())
    })?;
    let told = until("a piece of the file", |state| match state.moving() {
        None => Some(Err(Halt::Failed)),
        Some(moving) => match moving.told.take() {
            Some(Ok(count)) => Some(Ok(count)),
            Some(Err(error)) => {
                state.fail(error);
                Some(Err(Halt::Failed))
            }
            None => state.is_wanted().err().map(Err),
        },
    });
    told.await?
}

/// One call and what it returned.
async fn call(what: LargeObject<'_>) -> Result<i64, Halt> {
    with(|state| {
        state.is_wanted()?;
        state.send_call(what)
    })?;
    reply(what.call()).await
}

/// One statement.
async fn query(sql: &'static [u8]) -> Result<(), Halt> {
    with(|state| state.send(|out| wire::encode_query(out, sql)))?;
    reply(Call::Any).await.map(|_| ())
}

/// Waits until no request to cancel can hit what is sent from now on, and none is made any more.
async fn undisturbed() -> Result<(), Halt> {
    until("the end of the request to cancel", |state| {
        let moving = state.moving()?;
        moving.is_ending = !moving.cancelling;
        moving.is_ending.then_some(())
    })
    .await?;
    Ok(())
}

/// The replies to one message up to its ReadyForQuery: the number that was returned, or the length of the piece.
#[track_caller]
fn reply(call: Call) -> impl Future<Output = Result<i64, Halt>> + Send {
    let mut returned = Err(Halt::Failed);
    if call == Call::Any {
        returned = Ok(0);
    }
    replies(move |state, tag| {
        match tag {
            FunctionCallResponse::TAG => returned = state.take_returned(call)?,
            CommandComplete::TAG if call == Call::Any => state.consume()?,
            ErrorResponse::TAG => {
                error(state)?;
                returned = Err(Halt::Failed);
            }
            ReadyForQuery::TAG => {
                let status = ReadyForQuery::decode(state.input.body())?.status;
                state.facts.transaction = Some(status);
                state.consume()?;
                if let Some(moving) = state.moving() {
                    moving.in_flight = moving.in_flight.saturating_sub(1);
                }
                return std::mem::replace(&mut returned, Ok(0)).map(Break);
            }
            tag => return Err(unexpected(tag, "the reply to a function call").into()),
        }
        Ok(Continue(()))
    })
}

impl Transfer {
    pub(super) fn of(command: &Command<'_>) -> Option<Box<Self>> {
        let (export, oid) = match *command {
            Command::Import { oid } => (false, oid),
            Command::Export { oid } => (true, oid),
            _ => return None,
        };
        Some(Box::new(Self {
            export,
            oid,
            fd: -1,
            turn: Turn::Nobody,
            piece: Vec::new(),
            told: None,
            in_flight: 1,
            cancelling: false,
            is_ending: false,
        }))
    }
}

impl State {
    fn moving(&mut self) -> Option<&mut Transfer> {
        self.transfer.as_deref_mut()
    }

    fn in_flight(&mut self) -> usize {
        self.moving().map_or(0, |moving| moving.in_flight)
    }

    /// Nobody waits for what comes of it: then it is ended as soon as can be.
    fn is_wanted(&mut self) -> Result<(), Halt> {
        match self.has_failed() {
            true => Err(Halt::Failed),
            false => Ok(()),
        }
    }

    /// Whether a request to cancel makes sense; then it is under way from now on.
    pub(super) fn may_cancel_transfer(&mut self) -> bool {
        match self.moving() {
            Some(moving) if moving.is_ending => false,
            Some(moving) => {
                moving.cancelling = true;
                true
            }
            None => true,
        }
    }

    /// The server has dealt with the request to cancel.
    pub(super) fn transfer_cancelled(&mut self) {
        if let Some(moving) = self.moving() {
            moving.cancelling = false;
            self.runnable = true;
        }
    }

    fn send_call(&mut self, call: LargeObject<'_>) -> Result<(), Halt> {
        self.send(|out| call.encode(out))
    }

    fn send(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), wire::Error>,
    ) -> Result<(), Halt> {
        let out = self.output.buffer();
        let before = out.len();
        if let Err(error) = encode(out) {
            self.fail(Error::misuse(error.to_string()));
            return Err(Halt::Failed);
        }
        self.trace_frontend(before);
        self.send_with_last();
        if let Some(moving) = self.moving() {
            moving.in_flight += 1;
        }
        Ok(())
    }

    /// What the FunctionCallResponse at the head of the input says; a piece is kept.
    fn take_returned(&mut self, call: Call) -> Result<Result<i64, Halt>, Stop> {
        let value = FunctionCallResponse::decode(self.input.body())?.value;
        let returned = match (call.check(value), value) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(piece)) if matches!(call, Call::Read(_)) => {
                let kept = match &mut self.transfer {
                    Some(moving) => {
                        moving.piece.clear();
                        let room = moving.piece.try_reserve_exact(piece.len());
                        room.map(|()| moving.piece.extend_from_slice(piece))
                    }
                    None => Ok(()),
                };
                let len = piece.len() as i64;
                kept.map(|()| len)
                    .map_err(|_| Error::out_of_memory("a piece of the large object"))
            }
            (Ok(()), Some(value)) => Ok(call.number_of(value)),
            (Ok(()), None) => Ok(0),
        };
        self.consume()?;
        Ok(returned.map_err(|error| {
            self.fail(error);
            Halt::Failed
        }))
    }
}

impl Engine {
    /// What is to be done with the file of the import or export that is under way.
    pub fn file_turn(&self) -> FileTurn<'_> {
        let state = self.state();
        match &state.transfer {
            None => FileTurn::Over,
            Some(_) if state.has_failed() => FileTurn::Wait,
            Some(moving) => match moving.turn {
                Turn::Nobody => FileTurn::Wait,
                Turn::Read => FileTurn::Read,
                Turn::Write => FileTurn::Write(&moving.piece),
            },
        }
    }

    /// Says what was read of the file; nothing is its end.
    pub fn file_read(&mut self, read: Result<&[u8], Error>) {
        let state = self.state_mut();
        let Some(moving) = state.moving().filter(|moving| moving.turn == Turn::Read) else {
            return;
        };
        moving.turn = Turn::Nobody;
        let fd = moving.fd;
        let told = match read {
            Ok(data) => {
                // A failure to send it has been told already.
                if !data.is_empty() {
                    let _ = state.send_call(LargeObject::Write { fd, data });
                }
                Ok(data.len())
            }
            Err(error) => Err(error),
        };
        if let Some(moving) = state.moving() {
            moving.told = Some(told);
        }
    }

    /// Says what came of writing to the file.
    pub fn file_written(&mut self, written: Result<(), Error>) {
        let state = self.state_mut();
        if let Some(moving) = state.moving().filter(|moving| moving.turn == Turn::Write) {
            moving.turn = Turn::Nobody;
            moving.told = Some(written.map(|()| moving.piece.len()));
        }
    }

    /// Whether an import or export is under way.
    #[inline]
    pub fn is_moving_file(&self) -> bool {
        self.state().transfer.is_some()
    }
}
