//! From the engine's items to results: what is parsed when, what becomes ready, and what comes after it is taken.

use std::ffi::c_int;

use pgpoll::engine::{Done, Item, Outcome, Reply, Verdict};
use pgpoll::error::{Error, ServerError};
use pgpoll::rows::{Batch, Limits};

use crate::columns::Attributes;
use crate::conn::PGconn;
use crate::report;
use crate::result::{
    COMMAND_OK, EMPTY_QUERY, FATAL_ERROR, Owned, PGresult, PIPELINE_ABORTED, PIPELINE_SYNC,
    SINGLE_TUPLE, TUPLES_CHUNK, TUPLES_OK,
};
use crate::state::{Async, Class, Entry, Partial, Pipeline};

impl PGconn {
    /// Looks at what has been received, as far as libpq would: up to the next result while waiting for one, without end
    /// while idle, and only at notices and notifications while a result waits to be taken.
    #[inline(always)]
    pub(crate) fn parse(&mut self) {
        if self.consumer.ended && self.consumer.state == Async::Busy {
            self.consumer.ended = false;
            self.consumer.advance(true, false);
            self.consumer.state = Async::Idle;
        }
        let waits = matches!(self.consumer.state, Async::Busy | Async::Idle);
        if !waits || self.link.has_news() || self.link.engine().has_item() {
            self.parse_news();
        }
    }

    /// Whether nothing is to be given or parsed.
    #[inline(always)]
    pub(crate) fn is_at_rest(&self) -> bool {
        self.consumer.state == Async::Idle
            && !self.link.has_news()
            && !self.link.engine().has_item()
    }

    #[inline(never)]
    fn parse_news(&mut self) {
        loop {
            while self.consumer.state == Async::Busy && self.link.engine().has_item() {
                if self.take_answer() {
                    continue;
                }
                if let Some(rows) = self.link.engine_mut().take_rows() {
                    self.rows(rows);
                } else if let Some(item) = self.link.engine_mut().take() {
                    self.apply(item);
                }
            }
            match self.consumer.state {
                Async::Busy => {}
                Async::Idle => return self.parse_idle(),
                // What is finished already came before what is in the input.
                _ if self.link.engine().has_item() => return,
                _ => return self.link.engine_mut().sort_mail(),
            }
            if self.link.error().is_some() {
                return self.lost();
            }
            self.link.advance();
            if !self.link.engine().has_item() && self.link.error().is_none() {
                return;
            }
        }
    }

    fn parse_idle(&mut self) {
        // What is left of commands that have been answered: the end of a group that was not waited for.
        // Behind a COPY that was lost it may be the server's reason.
        loop {
            while let Some(item) = self.link.engine_mut().take() {
                if let Reply::Error(error) = &item.reply
                    && let Some(goodbye) = error.server_error()
                {
                    self.goodbye = Some(goodbye.clone());
                }
            }
            if self.link.error().is_some() {
                break;
            }
            self.link.advance();
            if !self.link.engine().has_item() {
                break;
            }
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

    /// All of what the command at the head of the queue yields, if that is finished and nothing of it was taken.
    #[inline]
    fn take_answer(&mut self) -> bool {
        if self.consumer.rows.is_some() || self.consumer.partial.is_some() {
            return false;
        }
        let (origin, engine) = (&self.origin, self.link.engine_mut());
        let answer = engine.take_answer(|operation, rows, tag, _| {
            let mut result = match rows {
                Some(rows) => PGresult::tuples(TUPLES_OK, origin, rows),
                None => PGresult::empty(COMMAND_OK, origin),
            };
            if let Some(result) = result.edit() {
                result.set_tag(tag.as_bytes());
            }
            (operation, result)
        });
        let Some((operation, result)) = answer else {
            return false;
        };
        self.consumer.ended = !self.consumer.is_in_pipeline() && operation == self.consumer.current;
        self.consumer.give(result, Async::Ready);
        true
    }

    /// One item of the command at the head of the queue.
    fn apply(&mut self, item: Item) {
        match item.reply {
            Reply::Rows(batch) => self.rows(batch),
            Reply::Complete(tag) => self.complete(tag.as_bytes()),
            Reply::EmptyQuery => {
                let result = PGresult::empty(EMPTY_QUERY, &self.origin);
                self.consumer.give(result, Async::Ready);
            }
            Reply::Error(error) => self.failed(&error),
            Reply::Described {
                parameters,
                columns,
            } => {
                let columns = columns.map_or(Attributes::None, Attributes::shared);
                let result = PGresult::described(COMMAND_OK, &self.origin, parameters, columns);
                self.consumer.give(result, Async::Ready);
            }
            Reply::Done(done) => self.done(item.operation, done),
            // libpq tells that a command was skipped from its own queue. No portal of ours has a row limit.
            Reply::Skipped | Reply::Suspended | Reply::Called(_) => {}
            Reply::Copy(copying) => self.copy_began(copying),
        }
    }

    fn rows(&mut self, batch: Batch) {
        if let Some(result) = &mut self.consumer.rows {
            if result
                .edit()
                .is_some_and(|result| result.hold(batch).is_none())
            {
                self.consumer.rows = Some(PGresult::out_of_memory());
            }
            return;
        }
        let (rows, partial) = (batch.rows(), self.consumer.partial);
        let status = match partial {
            Some(partial) if rows > 0 => partial.status,
            _ => TUPLES_OK,
        };
        let result = PGresult::tuples(status, &self.origin, batch);
        match partial {
            Some(partial) if rows >= partial.rows => {
                self.consumer.give(result, Async::ReadyMore);
            }
            _ => self.consumer.rows = Some(result),
        }
    }

    fn complete(&mut self, tag: &[u8]) {
        let rows = self.consumer.rows.take();
        let mut result = rows.unwrap_or_else(|| PGresult::empty(COMMAND_OK, &self.origin));
        // The rows that are left do not fill a chunk: they come first, then the empty end of the result,
        // which has no tag in libpq.
        if self.consumer.partial.is_some() && result.rows > 0 {
            let columns = result.attributes();
            let end = PGresult::described(TUPLES_OK, &self.origin, Box::default(), columns);
            self.consumer.next = Some(end);
        }
        if let Some(result) = result.edit() {
            result.set_tag(tag);
        }
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
        let result = self.error_result(error);
        self.consumer.give(result, Async::Ready);
    }

    /// Puts an error into the error buffer and makes a result of it.
    pub(crate) fn error_result(&mut self, error: &Error) -> Owned {
        if let Some(server) = error.server_error() {
            let result = self.report(FATAL_ERROR, server.clone());
            self.message.push(result.message_bytes());
            return result;
        }
        self.message.line(error.message());
        let text = [error.message().as_bytes(), b"\n"].concat();
        PGresult::error(FATAL_ERROR, &self.origin, &text)
    }

    /// The end of an operation.
    fn done(&mut self, operation: u64, done: Done) {
        // The end of the connection has a result of its own.
        if done.verdict == Verdict::Lost {
            return;
        }
        let head = self.consumer.queue.front();
        let head = head.filter(|head| head.operation == operation);
        let head = head.map(|head| head.class);
        let acknowledged =
            matches!(head, Some(Class::Prepare | Class::Close)) && done.outcome == Outcome::Ok;
        if self.consumer.is_in_pipeline() {
            if head == Some(Class::Sync) {
                self.consumer.pipeline = Pipeline::On;
                let result = self.empty_result(PIPELINE_SYNC);
                self.consumer.give(result, Async::Ready);
            } else if acknowledged {
                let result = PGresult::empty(COMMAND_OK, &self.origin);
                self.consumer.give(result, Async::Ready);
            }
        } else if operation == self.consumer.current {
            if acknowledged {
                self.consumer.ended = true;
                let result = PGresult::empty(COMMAND_OK, &self.origin);
                self.consumer.give(result, Async::Ready);
            } else {
                self.consumer.advance(true, false);
                self.consumer.state = Async::Idle;
            }
        }
    }

    /// The connection is over while a result was waited for.
    pub(crate) fn lost(&mut self) {
        self.consumer.clear();
        let result = self.loss_result();
        self.consumer.give(result, Async::Ready);
    }

    /// The loss of the connection, and what of the error buffer no result has told yet.
    pub(crate) fn loss_result(&mut self) -> Owned {
        self.tell_loss();
        let text = self.message.from(self.reported).to_vec();
        PGresult::error(FATAL_ERROR, &self.origin, &text)
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

    /// An error or notice of the server as a result.
    pub(crate) fn report(&self, status: c_int, error: ServerError) -> Owned {
        let head = self.consumer.queue.front();
        let query = head.and_then(|head| head.query.as_deref());
        let encoding = self.link.facts().texts().encoding;
        let manner = report::Manner {
            verbosity: self.verbosity,
            context: self.context,
            is_error: status == FATAL_ERROR,
            query,
            encoding,
        };
        let text = report::message(&error, &manner);
        // Only a position makes the query worth keeping.
        let query = query.filter(|_| error.field(b'P').is_some());
        PGresult::report(status, &self.origin, Some(error), query, encoding, &text)
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

    /// Takes the last command out of the queue: it could not be sent.
    pub(crate) fn take_back(&mut self) {
        let consumer = &mut self.consumer;
        consumer.queue.pop_back();
        if consumer.queue.is_empty() && consumer.state == Async::Busy {
            consumer.state = Async::Idle;
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
            let result = self.empty_result(PIPELINE_ABORTED);
            self.consumer.give(result, Async::Ready);
        } else {
            self.consumer.state = Async::Busy;
        }
    }

    /// Takes the result that is ready; `None` is libpq's NULL.
    pub(crate) fn take_result(&mut self) -> Option<Owned> {
        let state = self.consumer.state;
        if state.is_copy() {
            return Some(self.copy_result());
        }
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
        let operation = self.consumer.queue.front().map_or(0, |head| head.operation);
        let Some(rows) = usize::try_from(rows).ok().filter(|&rows| rows > 0 && may) else {
            return false;
        };
        let limits = Limits {
            rows,
            bytes: usize::MAX,
        };
        // The end of the command may be there already: it has no more rows then.
        self.link.engine_mut().set_head_limits(operation, limits);
        true
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
