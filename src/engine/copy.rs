//! COPY (manual, "COPY Operations"): to the server, from it, and both ways at once. Its data goes past the coroutine and the
//! items: what comes is taken where it lies in the input, what is put is written into the output. Knows no row of it.

use std::ops::ControlFlow::{Break, Continue};
use std::ops::Range;

use super::Engine;
use super::expect::Steps;
use super::item::{CopyWay, Copying, Reply};
use super::output::Tail;
use super::serve::{Halt, failed, unexpected};
use super::start::is_over;
use super::state::State;
use super::timeline::Change;
use super::wait::{Stop, after_copy_data, replies, until, with};
use crate::error::Error;
use crate::wire::frame::Header;
use crate::wire::{
    self, CommandComplete, CopyBothResponse, CopyData, CopyDone, CopyFail, CopyInResponse,
    CopyOutResponse, ErrorResponse,
};

/// Small pieces of data are put into one message up to this size, large ones are cut: neither side has to hold more of it.
const MESSAGE: usize = 64 * 1024;

/// A buffer that has grown to this size for data that is put is not worth giving back after each sending.
const KEPT: usize = 512 * 1024;

/// The COPY that is under way, if there is one, and why nothing can be put if nothing can.
#[derive(Debug)]
pub(super) struct Copy {
    way: Option<CopyWay>,
    /// Data can be put.
    takes: bool,
    /// Why not.
    refusal: &'static str,
    /// The last message of data, as long as more can be appended to it.
    tail: Tail,
    /// What comes is not wanted.
    discards: bool,
}

const NONE: &str =
    "no COPY takes data: start one, and put its data once the item has come that says it has begun";
const OUT: &str = "the COPY is one TO STDOUT: its data is taken, and none can be put";
const ENDED: &str = "the COPY was ended: no data can be put behind its end";
const FAILED: &str =
    "the server has ended the COPY with an error, which is an item: take it, and put no more data";
const FINISHED: &str = "the server has ended the COPY: take its items, and put no more data";
const GIVEN_UP: &str = "the COPY was given up: put no more data, and start it anew";
const OUT_HAS_NO_END: &str =
    "a COPY TO STDOUT ends with its data: take all of it, or abandon the operation (conn_abandon)";
const BOTH_CANNOT_FAIL: &str = "a COPY in both directions has no end with an error: end it without one, or abandon the operation \
                                (conn_abandon)";

impl Default for Copy {
    fn default() -> Self {
        Self {
            way: None,
            takes: false,
            refusal: NONE,
            tail: Tail::default(),
            discards: false,
        }
    }
}

impl Copy {
    /// Whether data can be put.
    #[inline]
    pub(super) fn takes(&self) -> bool {
        self.takes
    }

    /// Whether data comes, or may come.
    #[inline]
    pub(super) fn gives(&self) -> bool {
        matches!(self.way, Some(CopyWay::Out | CopyWay::Both))
    }

    /// Whether there is a COPY.
    #[inline]
    pub(super) fn is_under_way(&self) -> bool {
        self.way.is_some()
    }

    /// The last message of data is not appended to any more.
    pub(super) fn seal(&mut self) {
        self.tail = Tail::default();
    }

    /// No data can be put from now on.
    fn close(&mut self, why: &'static str) {
        self.takes = false;
        self.refusal = why;
        self.seal();
    }
}

/// Goes through a COPY whose response is at the head of the input, up to the end of its data.
pub(super) async fn copy() -> Result<(), Halt> {
    let way = with(State::begin_copy)?;
    let ended = match way {
        CopyWay::In => match end_of_put().await {
            Ok(()) => end_of_copy_in().await,
            Err(stop) => Err(stop.into()),
        },
        CopyWay::Out => end_of_data(false).await,
        CopyWay::Both => match end_of_data(true).await {
            Ok(()) => end_of_put().await.map_err(Halt::from),
            ended => ended,
        },
    };
    with(State::copy_over);
    ended?;
    if way == CopyWay::Both {
        pass_over_data().await?;
    }
    Ok(())
}

/// The end of the data that is put, where the client looks at nothing else before it: libpq's clients put all of their data, and
/// end it, before they see that the server has refused it. When the transport is gone there is no end to wait for.
#[track_caller]
fn end_of_put() -> impl Future<Output = Result<(), Stop>> + Send {
    until("the end of the data that is put", |state| {
        (!state.like_libpq || !state.copy.takes || state.lost.is_some()).then_some(())
    })
}

/// What comes while the data goes to the server: its error, at any moment; else, behind the end of the data, the command's end.
#[track_caller]
fn end_of_copy_in() -> impl Future<Output = Result<(), Halt>> + Send {
    replies(|state, tag| match tag {
        CommandComplete::TAG if !state.copy.takes => Ok(Break(())),
        ErrorResponse::TAG => {
            state.copy.close(FAILED);
            failed(state)
        }
        tag => Err(unexpected(tag, "COPY FROM STDIN").into()),
    })
}

/// The end of the data that the server gives. It ends a COPY in both directions for the client as well: there is nothing to
/// answer any more. A walsender that shuts down, or that was told the end before, completes its command without a CopyDone.
async fn end_of_data(both: bool) -> Result<(), Halt> {
    let tag = after_copy_data().await?;
    with(|state| match tag {
        CopyDone::TAG => {
            CopyDone::decode(state.input.body())?;
            state.consume()?;
            if state.copy.takes && state.like_libpq {
                state.copy.way = Some(CopyWay::In);
            } else if state.copy.takes {
                state.end_copy(None)?;
                state.copy.close(FINISHED);
            }
            Ok(())
        }
        CommandComplete::TAG if both => {
            state.copy.close(FINISHED);
            Ok(())
        }
        ErrorResponse::TAG => {
            state.copy.close(FAILED);
            failed(state)
        }
        tag if both => Err(unexpected(tag, "a COPY in both directions").into()),
        tag => Err(unexpected(tag, "COPY TO STDOUT").into()),
    })
}

/// A walsender says a keepalive, or even data, behind the CopyDone with which it answers ours.
#[track_caller]
fn pass_over_data() -> impl Future<Output = Result<(), Stop>> + Send {
    replies(|state, tag| match tag {
        CopyData::TAG => {
            state.consume()?;
            Ok(Continue(()))
        }
        _ => Ok(Break(())),
    })
}

impl State {
    /// Begins the COPY whose response is at the head of the input.
    fn begin_copy(&mut self) -> Result<CopyWay, Stop> {
        let tag = self.input.head();
        let body = self.input.body();
        let (way, format, columns) = match tag {
            CopyInResponse::TAG => {
                let begun = CopyInResponse::decode(body)?;
                (CopyWay::In, begun.format, begun.column_formats)
            }
            CopyOutResponse::TAG => {
                let begun = CopyOutResponse::decode(body)?;
                (CopyWay::Out, begun.format, begun.column_formats)
            }
            _ => {
                let begun = CopyBothResponse::decode(body)?;
                (CopyWay::Both, begun.format, begun.column_formats)
            }
        };
        let copying = Copying {
            way,
            format: i16::from(format),
            columns: columns.iter().collect(),
        };
        self.consume()?;
        self.record(Change::CopyBegan(way));
        self.copy = Copy {
            way: Some(way),
            takes: way != CopyWay::Out,
            refusal: OUT,
            tail: Tail::default(),
            discards: false,
        };
        if self.copy.takes {
            self.output.keep_up_to(KEPT);
        }
        if self.has_failed() {
            self.give_up_copy();
        } else {
            self.push(Reply::Copy(copying));
        }
        Ok(way)
    }

    /// Puts data. On an error nothing has changed.
    #[inline]
    pub(super) fn copy_put(&mut self, data: &[u8]) -> Result<(), Error> {
        let tail = self.copy.tail;
        if let Some(start) = self.output.tail_start(tail, data.len(), MESSAGE)
            && wire::extend_copy_data(self.output.buffer(), start, data).is_ok()
        {
            self.copy.tail.grow(data.len());
            return Ok(());
        }
        self.put_message(data)
    }

    /// Appends data to the last message, if there is one that more can be appended to, and nothing has been received that could
    /// be turned to first. Whether that has been done.
    #[inline]
    fn append_copy_data(&mut self, data: &[u8]) -> bool {
        let start = self.output.tail_start(self.copy.tail, data.len(), MESSAGE);
        let done = self.input.unread() == 0
            && start.is_some_and(|start| {
                wire::extend_copy_data(self.output.buffer(), start, data).is_ok()
            });
        if done {
            self.copy.tail.grow(data.len());
        }
        done
    }

    /// Puts data that begins a message.
    #[inline(never)]
    fn put_message(&mut self, data: &[u8]) -> Result<(), Error> {
        if !self.copy.takes {
            return Err(self.cannot_put(self.copy.refusal));
        }
        let both = self.copy.way == Some(CopyWay::Both);
        if data.is_empty() && !both {
            return Ok(());
        }
        // In both directions a piece is a message; else its ends mean nothing.
        let size = if both { data.len().max(1) } else { MESSAGE };
        let before = self.output.buffer().len();
        let mut rest = data;
        loop {
            let (message, more) = rest.split_at(size.min(rest.len()));
            let start = self.output.end();
            let out = self.output.buffer();
            if let Err(error) = (CopyData { data: message }).encode(out) {
                out.truncate(before);
                return Err(Error::misuse(error.to_string()));
            }
            // A trace shows each message as it is when it is put.
            if !both && self.trace.is_none() {
                self.copy.tail = self.output.tail(start);
            }
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        self.trace_frontend(before);
        self.send_with_last();
        Ok(())
    }

    /// Says that no more data is put, or why it is not (`error`).
    pub(super) fn copy_end(&mut self, error: Option<&[u8]>) -> Result<(), Error> {
        let refusal = match self.copy.way {
            Some(CopyWay::Out) => Some(OUT_HAS_NO_END),
            Some(CopyWay::Both) if error.is_some() && !self.like_libpq => Some(BOTH_CANNOT_FAIL),
            _ => (!self.copy.takes).then_some(self.copy.refusal),
        };
        if let Some(refusal) = refusal {
            return Err(self.cannot_put(refusal));
        }
        let ended = self.end_copy(error);
        ended.map_err(|error| Error::misuse(error.to_string()))?;
        self.copy.close(ENDED);
        // What has been received already may be looked at now.
        self.runnable |= self.like_libpq;
        Ok(())
    }

    #[cold]
    fn cannot_put(&self, why: &'static str) -> Error {
        match &self.over {
            Some(over) => is_over(over),
            None => Error::misuse(why),
        }
    }

    /// Queues CopyDone, or CopyFail.
    fn end_copy(&mut self, error: Option<&[u8]>) -> Result<(), wire::Error> {
        let out = self.output.buffer();
        let before = out.len();
        match error {
            None => CopyDone.encode(out)?,
            Some(reason) => CopyFail { reason }.encode(out)?,
        }
        // The server has read past the Sync behind the Execute that began the COPY.
        let head = self.queue.front().map(|head| head.steps);
        if head.is_some_and(|steps| !steps.has(Steps::QUERY)) {
            wire::encode_sync(out)?;
        }
        self.trace_frontend(before);
        self.send_with_last();
        Ok(())
    }

    /// The operation at the head is not wanted any more, or has failed for a reason of ours: the server is asked to end its COPY.
    /// Without memory for that it has to be cancelled.
    pub(super) fn give_up_copy(&mut self) {
        let head = self.queue.front().map(|head| head.steps);
        if !self.copy.is_under_way() || !head.is_some_and(|steps| steps.has(Steps::COPY)) {
            return;
        }
        if self.copy.takes {
            let fail = self.copy.way == Some(CopyWay::In);
            let _ = self.end_copy(fail.then_some(b"the client has given up the operation"));
            self.copy.close(GIVEN_UP);
        }
    }

    /// The COPY is over, if there is one.
    pub(super) fn copy_over(&mut self) {
        if self.copy.way.take().is_some() {
            self.record(Change::CopyEnded);
            self.output.keep_up_to(0);
        }
        if self.copy.takes {
            self.copy.close(FINISHED);
        }
    }

    /// Goes past messages of data, at most so many; where they lie in the chunk.
    fn copy_run(&mut self, most: usize) -> Range<usize> {
        // What is finished comes before the data: so it is known which COPY that is of.
        if !self.copy.gives() || self.discards_copy_data() || !self.items.is_empty() {
            return 0..0;
        }
        let start = self.input.place();
        let mut count = 0;
        while self.input.message() == CopyData::TAG && count < most {
            if self.trace.is_some() {
                self.trace_backend();
            }
            self.input.consume();
            count += 1;
        }
        start..self.input.place()
    }

    /// Whether data lies there to be taken.
    #[inline]
    pub(super) fn has_copy_data(&self) -> bool {
        self.copy.gives()
            && self.items.is_empty()
            && self.input.is_whole(CopyData::TAG)
            && !self.discards_copy_data()
    }

    /// Whether nobody takes the data that comes.
    #[inline]
    pub(super) fn discards_copy_data(&self) -> bool {
        self.copy.discards || self.has_failed()
    }

    /// What a COPY waits for, in words; `None` without one.
    pub(super) fn copy_awaits(&self) -> Option<&'static str> {
        let way = self.copy.way?;
        Some(match (way, self.copy.takes) {
            _ if self.has_copy_data() => "data of the COPY to be taken",
            (CopyWay::In, true) if self.output.is_empty() => "data of the COPY to be put",
            (CopyWay::In, true) => "data of the COPY to be sent",
            (CopyWay::In, false) => return None,
            (CopyWay::Both, true) => "data of the COPY from the server, or to be put",
            _ => "data of the COPY from the server",
        })
    }
}

impl Engine {
    /// Puts data of a COPY ([`CopyWay::In`], [`CopyWay::Both`]), whose item has come: in pieces of any size, which need not be
    /// rows; in both directions each piece is one message. On an error nothing has changed.
    #[inline]
    pub fn copy_put(&mut self, data: &[u8]) -> Result<(), Error> {
        self.state_mut().copy_put(data)
    }

    /// Ends the data that is put; with an error the server gives up the COPY and fails with it.
    pub fn copy_end(&mut self, error: Option<&[u8]>) -> Result<(), Error> {
        self.state_mut().copy_end(error)
    }

    /// Takes data of a COPY ([`CopyWay::Out`], [`CopyWay::Both`]): messages as the server sent them, at most so many, where they
    /// lie. None when there are none now.
    #[inline]
    pub fn copy_get(&mut self, most: usize) -> CopyMessages<'_> {
        let state = self.state_mut();
        let run = state.copy_run(most);
        CopyMessages {
            rest: state.input.chunk().get(run).unwrap_or_default(),
        }
    }

    /// The next message of data that [`copy_get`](Engine::copy_get) would give, where it is to be had without more ado.
    #[inline]
    pub fn copy_next(&mut self) -> Option<&[u8]> {
        let state = self.state_mut();
        let given = state.copy.gives() && state.items.is_empty() && state.trace.is_none();
        if !given || state.discards_copy_data() {
            return None;
        }
        state.input.take_next(CopyData::TAG)
    }

    /// Puts data as [`copy_put`](Engine::copy_put) would, where that can be done without more ado. Whether it was done.
    #[inline]
    pub fn copy_append(&mut self, data: &[u8]) -> bool {
        self.state_mut().append_copy_data(data)
    }

    /// Whether there is something for [`copy_get`](Engine::copy_get) to give.
    #[inline]
    pub fn has_copy_data(&self) -> bool {
        self.state().has_copy_data()
    }

    /// Whether data comes, or may come.
    #[inline]
    pub fn gives_copy_data(&self) -> bool {
        self.state().copy.gives()
    }

    /// Drops the data that is still to come of a COPY; its end is waited for.
    pub fn discard_copy_data(&mut self) {
        self.state_mut().copy.discards = true;
    }

    /// Whether data can be put.
    #[inline]
    pub fn takes_copy_data(&self) -> bool {
        self.state().copy.takes()
    }
}

/// Messages of a COPY, where they were received. In text form each is a row with its newline, as servers send them.
#[derive(Debug, Clone)]
pub struct CopyMessages<'a> {
    /// Whole messages of data, one behind the other.
    rest: &'a [u8],
}

impl<'a> Iterator for CopyMessages<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (&[_, a, b, c, d], bodies) = self.rest.split_first_chunk::<{ Header::SIZE }>()?;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        let (body, rest) = bodies.split_at_checked(length.wrapping_sub(4))?;
        self.rest = rest;
        Some(body)
    }
}
