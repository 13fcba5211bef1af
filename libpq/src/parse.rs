//! From the engine's items to results: what is parsed when, what becomes ready, and what comes after it is taken.

use std::ffi::c_int;

use pgpoll::engine::{Done, Item, Outcome, Reply, Verdict};
use pgpoll::error::{Error, ServerError};
use pgpoll::rows::{Batch, Limits};

use crate::conn::PGconn;
use crate::report;
use crate::result::{
    COMMAND_OK, EMPTY_QUERY, FATAL_ERROR, PGresult, PIPELINE_ABORTED, PIPELINE_SYNC, SINGLE_TUPLE,
    TUPLES_CHUNK, TUPLES_OK,
};
use crate::state::{Async, Class, Entry, Partial, Pipeline};

impl PGconn {
    /// Looks at what has been received, as far as libpq would: up to the next result while waiting for one, without end
    /// while idle, and only at notices and notifications while a result waits to be taken.
    pub(crate) fn parse(&mut self) {
        loop {
            while self.consumer.state == Async::Busy {
                match self.link.engine_mut().take() {
                    Some(item) => self.apply(item),
                    None => break,
                }
            }
            match self.consumer.state {
                Async::Busy => {}
                Async::Idle => return self.parse_idle(),
                _ => return self.link.engine_mut().sort_mail(),
            }
            if self.link.error().is_some() {
                return self.lost();
            }
            self.link.advance();
            if self.link.engine().peek().is_none() && self.link.error().is_none() {
                return;
            }
        }
    }

    fn parse_idle(&mut self) {
        // What is left of commands that have been answered: the end of a group that was not waited for.
        while self.link.engine_mut().take().is_some() {}
        if self.link.error().is_none() {
            self.link.advance();
        }
        if let Some(error) = self.link.error()
            && self.link.facts().backend_pid() != 0
            && !self.loss_told
        {
            // The server's goodbye is a notice to libpq; the loss is the error.
            if let Some(goodbye) = error.server_error() {
                self.goodbye = Some(goodbye.clone());
            }
            self.tell_loss();
        }
    }

    /// One item of the command at the head of the queue.
    fn apply(&mut self, item: Item) {
        match item.reply {
            Reply::Rows(batch) => self.rows(batch),
            Reply::Complete(tag) => self.complete(tag.as_bytes()),
            Reply::EmptyQuery => {
                let result = PGresult::new(EMPTY_QUERY, self.hooks);
                self.consumer.give(result, Async::Ready);
            }
            Reply::Error(error) => self.failed(&error),
            Reply::Described {
                parameters,
                columns,
            } => {
                let mut result = PGresult::new(COMMAND_OK, self.hooks);
                result.parameters = parameters;
                result.columns = columns;
                self.consumer.give(result, Async::Ready);
            }
            Reply::Done(done) => self.done(item.operation, done),
            // libpq tells that a command was skipped from its own queue. No portal of ours has a row limit.
            // Nothing here begins one of the last two.
            Reply::Skipped | Reply::Suspended | Reply::Copy(_) | Reply::Called(_) => {}
        }
    }

    fn rows(&mut self, batch: Batch) {
        match self.consumer.partial {
            Some(partial) if batch.rows() >= partial.rows => {
                let result = PGresult::tuples(partial.status, self.hooks, batch);
                self.consumer.give(result, Async::ReadyMore);
            }
            _ => self.consumer.rows = Some(batch),
        }
    }

    fn complete(&mut self, tag: &[u8]) {
        let hooks = self.hooks;
        let mut result = match (self.consumer.rows.take(), self.consumer.partial) {
            (None, _) => PGresult::new(COMMAND_OK, hooks),
            // The rows that are left do not fill a chunk: they come first, then the empty end of the result.
            (Some(rows), Some(partial)) if rows.rows() > 0 => {
                let mut end = PGresult::new(TUPLES_OK, hooks);
                end.columns = Some(rows.columns().clone());
                end.set_tag(tag);
                self.consumer.next = Some(Box::new(end));
                PGresult::tuples(partial.status, hooks, rows)
            }
            (Some(rows), _) => PGresult::tuples(TUPLES_OK, hooks, rows),
        };
        result.set_tag(tag);
        self.consumer.give(result, Async::Ready);
    }

    /// The server said no, or we did.
    fn failed(&mut self, error: &Error) {
        // The end of the connection is told when everything before it has been taken.
        if self.link.error().is_some() && error.server_error().is_none() {
            return;
        }
        self.consumer.clear();
        if self.consumer.is_in_pipeline() {
            self.consumer.pipeline = Pipeline::Aborted;
        }
        let (text, body) = match error.server_error() {
            Some(server) => (self.render(server, true), server.as_bytes()),
            None => ([error.message().as_bytes(), b"\n"].concat(), &b""[..]),
        };
        self.message.push(&text);
        let result = if body.is_empty() {
            PGresult::error(FATAL_ERROR, self.hooks, &text)
        } else {
            PGresult::report(FATAL_ERROR, self.hooks, body, &text)
        };
        self.consumer.give(result, Async::Ready);
    }

    /// The end of an operation.
    fn done(&mut self, operation: u64, done: Done) {
        // The end of the connection has a result of its own.
        if done.verdict == Verdict::Lost {
            return;
        }
        let consumer = &mut self.consumer;
        let head = consumer
            .queue
            .front()
            .filter(|head| head.operation == operation)
            .map(|head| head.class);
        let acknowledged =
            matches!(head, Some(Class::Prepare | Class::Close)) && done.outcome == Outcome::Ok;
        if consumer.is_in_pipeline() {
            if head == Some(Class::Sync) {
                consumer.pipeline = Pipeline::On;
                let result = PGresult::new(PIPELINE_SYNC, self.hooks);
                consumer.give(result, Async::Ready);
            } else if acknowledged {
                let result = PGresult::new(COMMAND_OK, self.hooks);
                consumer.give(result, Async::Ready);
            }
        } else if operation == consumer.current {
            if acknowledged {
                consumer.ended = true;
                let result = PGresult::new(COMMAND_OK, self.hooks);
                consumer.give(result, Async::Ready);
            } else {
                consumer.advance(true, false);
                consumer.state = Async::Idle;
            }
        }
    }

    /// The connection is over while a result was waited for.
    fn lost(&mut self) {
        self.tell_loss();
        self.consumer.clear();
        let text = self.message.from(self.reported).to_vec();
        let result = PGresult::error(FATAL_ERROR, self.hooks, &text);
        self.consumer.give(result, Async::Ready);
    }

    /// Puts into the error buffer, once, why the connection is over.
    pub(crate) fn tell_loss(&mut self) {
        if self.loss_told {
            return;
        }
        self.loss_told = true;
        let text = match (self.link.engine().loss(), self.link.error()) {
            (Some(loss), _) => Error::from(loss.clone()).message().to_owned(),
            (None, Some(error)) => error.message().to_owned(),
            (None, None) => return,
        };
        self.message.line(&text);
        // The socket goes with the connection.
        self.link.converse();
    }

    /// The text of an error or notice of the server.
    pub(crate) fn render(&self, error: &ServerError, is_error: bool) -> Vec<u8> {
        let head = self.consumer.queue.front();
        let encoding = self.link.facts().parameter(b"client_encoding");
        let manner = report::Manner {
            verbosity: self.verbosity,
            context: self.context,
            is_error,
            query: head.and_then(|head| head.query.as_deref()),
            utf8: encoding == Some(b"UTF8"),
        };
        report::message(error, &manner)
    }

    /// Puts a command that was sent into the queue.
    pub(crate) fn enqueue(&mut self, entry: Entry) {
        self.consumer.current = entry.operation;
        self.consumer.queue.push_back(entry);
        match (self.consumer.pipeline, self.consumer.state) {
            (Pipeline::Aborted, Async::Idle | Async::PipelineIdle) => self.next_command(),
            (Pipeline::Off | Pipeline::On, Async::Idle) => self.consumer.state = Async::Busy,
            _ => {}
        }
    }

    /// Turns to the next command of a pipeline.
    pub(crate) fn next_command(&mut self) {
        match self.consumer.state {
            Async::Idle if self.consumer.queue.is_empty() => return,
            Async::Idle | Async::PipelineIdle => {}
            _ => return,
        }
        self.consumer.partial = None;
        let Some(head) = self.consumer.queue.front() else {
            self.consumer.state = Async::Idle;
            return;
        };
        let is_sync = head.class == Class::Sync;
        self.clear_error();
        self.consumer.clear();
        if self.consumer.pipeline == Pipeline::Aborted && !is_sync {
            let result = PGresult::new(PIPELINE_ABORTED, self.hooks);
            self.consumer.give(result, Async::Ready);
        } else {
            self.consumer.state = Async::Busy;
        }
    }

    /// Takes the result that is ready; `None` is libpq's NULL.
    pub(crate) fn take_result(&mut self) -> Option<Box<PGresult>> {
        let state = self.consumer.state;
        if state == Async::PipelineIdle {
            self.next_command();
            return None;
        }
        let result = self.consumer.result.take()?;
        if result.status == FATAL_ERROR {
            self.reported = self.message.len();
        }
        if state == Async::ReadyMore {
            self.consumer.state = Async::Busy;
            return Some(result);
        }
        self.consumer.result = self.consumer.next.take();
        if self.consumer.result.is_some() {
            return Some(result);
        }
        let is_sync = result.status == PIPELINE_SYNC;
        self.consumer.advance(false, is_sync);
        if self.loss_told {
            self.consumer.queue.clear();
            self.consumer.state = Async::Idle;
        } else if self.consumer.is_in_pipeline() {
            self.consumer.state = Async::PipelineIdle;
            if is_sync {
                self.next_command();
            }
        } else if self.consumer.ended {
            self.consumer.ended = false;
            self.consumer.state = Async::Idle;
        } else {
            self.consumer.state = Async::Busy;
        }
        Some(result)
    }

    /// Has rows given as results of their own, if the command that is being answered has not begun to give any.
    pub(crate) fn set_partial(&mut self, rows: c_int) -> bool {
        let head = self.consumer.queue.front().map(|head| head.class);
        let may = self.consumer.state == Async::Busy
            && matches!(head, Some(Class::Simple | Class::Extended))
            && !self.link.engine().has_begun_result();
        let Some(rows) = usize::try_from(rows).ok().filter(|&rows| rows > 0 && may) else {
            return false;
        };
        let limits = Limits {
            rows,
            bytes: usize::MAX,
        };
        self.link.engine_mut().set_head_limits(limits)
    }

    pub(crate) fn set_single_row(&mut self) -> bool {
        self.remember_partial(1, SINGLE_TUPLE)
    }

    pub(crate) fn set_chunks(&mut self, rows: c_int) -> bool {
        self.remember_partial(rows, TUPLES_CHUNK)
    }

    fn remember_partial(&mut self, rows: c_int, status: c_int) -> bool {
        let set = self.set_partial(rows);
        if set {
            let rows = rows as usize;
            self.consumer.partial = Some(Partial { rows, status });
        }
        set
    }
}
