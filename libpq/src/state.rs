//! libpq's asynchronous states: what is ready, what comes next, when a NULL is due. The engine delivers items in order and
//! knows nothing of this; `parse.rs` brings the two together.

use std::collections::VecDeque;
use std::ffi::c_int;

use pgpoll::rows::Batch;

use crate::result::PGresult;

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
    pub query: Option<Box<[u8]>>,
    pub operation: u64,
}

/// How many rows make a result of their own, and its status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Partial {
    pub rows: usize,
    pub status: c_int,
}

/// The consumer's side of a connection.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub state: Async,
    pub pipeline: Pipeline,
    pub queue: VecDeque<Entry>,
    pub partial: Option<Partial>,
    /// The result that is ready.
    pub result: Option<Box<PGresult>>,
    /// The result that follows it at once.
    pub next: Option<Box<PGresult>>,
    /// Rows whose command is not complete yet.
    pub rows: Option<Batch>,
    /// The operation outside of a pipeline.
    pub current: u64,
    /// Its ReadyForQuery has been seen already.
    pub ended: bool,
}

impl Consumer {
    pub(crate) fn new() -> Self {
        Self {
            state: Async::Idle,
            pipeline: Pipeline::Off,
            queue: VecDeque::new(),
            partial: None,
            result: None,
            next: None,
            rows: None,
            current: 0,
            ended: false,
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

    pub(crate) fn give(&mut self, result: PGresult, state: Async) {
        self.result = Some(Box::new(result));
        self.state = state;
    }

    /// Takes the head off the queue, if what was received ends it.
    pub(crate) fn advance(&mut self, is_ready_for_query: bool, is_sync: bool) {
        match self.queue.front().map(|head| head.class) {
            Some(Class::Simple) if !is_ready_for_query => {}
            Some(Class::Sync) if !is_sync => {}
            _ => drop(self.queue.pop_front()),
        }
    }
}
