//! libpq's asynchronous states: what is ready, what comes next, when a NULL is due. The engine delivers items in order and
//! knows nothing of this; `parse.rs` brings the two together.

use std::collections::VecDeque;
use std::ffi::c_int;

use crate::copy::Line;
use crate::result::Owned;

/// Where the consumer stands, in libpq's words (`PGAsyncStatusType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Async {
    /// Nothing to give and nothing to come.
    Idle,
    /// Waiting for the server.
    Busy,
    /// A result is ready.
    Ready,
    /// A result is ready, and more of the same command come.
    ReadyMore,
    /// In a pipeline, between two commands: a NULL is due.
    PipelineIdle,
    /// A COPY takes data.
    CopyIn,
    /// A COPY gives data.
    CopyOut,
    /// A COPY of replication takes and gives data.
    CopyBoth,
}

impl Async {
    /// Whether a COPY is under way.
    pub(crate) fn is_copy(self) -> bool {
        matches!(self, Self::CopyIn | Self::CopyOut | Self::CopyBoth)
    }

    /// Whether data of a COPY can be put.
    #[inline]
    pub(crate) fn takes(self) -> bool {
        matches!(self, Self::CopyIn | Self::CopyBoth)
    }

    /// Whether data of a COPY comes.
    #[inline]
    pub(crate) fn gives(self) -> bool {
        matches!(self, Self::CopyOut | Self::CopyBoth)
    }
}

/// `PGpipelineStatus`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pipeline {
    Off = 0,
    On = 1,
    Aborted = 2,
}

/// What kind of command waits in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Simple,
    Extended,
    Prepare,
    Describe,
    Close,
    Sync,
}

/// A command that was sent and not answered whole.
#[derive(Debug)]
pub(crate) struct Entry {
    pub class: Class,
    /// For the line of an error message that shows where the error is.
    pub query: Option<Vec<u8>>,
    pub operation: u64,
}

/// How many rows make a result of their own, and its status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partial {
    pub rows: usize,
    pub status: c_int,
}

/// So much room of a query that was answered is kept for the next one.
const SPARE: usize = 1024;

/// The consumer's side of a connection.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub state: Async,
    pub pipeline: Pipeline,
    pub queue: VecDeque<Entry>,
    /// Room for the next query.
    spare: Vec<u8>,
    pub partial: Option<Partial>,
    /// The result that is ready.
    pub result: Option<Owned>,
    /// The result that follows it at once.
    pub next: Option<Owned>,
    /// Rows whose command is not complete yet.
    pub rows: Option<Owned>,
    /// The operation outside of a pipeline.
    pub current: u64,
    /// Its ReadyForQuery has been seen already.
    pub ended: bool,
    /// The last COPY that began is in binary.
    pub copy_is_binary: bool,
    /// A row of a COPY that has not fitted into the caller's buffer.
    pub line: Option<Line>,
}

impl Consumer {
    pub(crate) fn new() -> Self {
        Self {
            state: Async::Idle,
            pipeline: Pipeline::Off,
            queue: VecDeque::new(),
            spare: Vec::new(),
            partial: None,
            result: None,
            next: None,
            rows: None,
            current: 0,
            ended: false,
            copy_is_binary: false,
            line: None,
        }
    }

    pub(crate) fn is_in_pipeline(&self) -> bool {
        self.pipeline != Pipeline::Off
    }

    /// Forgets what was being received.
    pub(crate) fn clear(&mut self) {
        self.result = None;
        self.next = None;
        self.rows = None;
        self.ended = false;
    }

    pub(crate) fn give(&mut self, result: Owned, state: Async) {
        self.result = Some(result);
        self.state = state;
    }

    /// Takes the head off the queue, if what was received ends it.
    pub(crate) fn advance(&mut self, is_ready_for_query: bool, is_sync: bool) {
        match self.queue.front().map(|head| head.class) {
            Some(Class::Simple) if !is_ready_for_query => {}
            Some(Class::Sync) if !is_sync => {}
            _ => self.pop(),
        }
    }

    /// Takes the head off the queue.
    #[inline]
    fn pop(&mut self) {
        let head = self.queue.pop_front();
        if let Some(query) = head.and_then(|head| head.query)
            && query.capacity() <= SPARE
        {
            self.spare = query;
        }
    }

    /// A copy of a query, for its entry; none without memory.
    #[inline]
    pub(crate) fn keep(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        let mut copy = std::mem::take(&mut self.spare);
        copy.clear();
        copy.try_reserve_exact(query.len()).ok()?;
        copy.extend_from_slice(query);
        Some(copy)
    }
}
