//! Commands on their way into the queue: what must hold, what is said when it does not, when output is pushed. Knows no
//! exported function.

use std::ffi::{c_char, c_int};

use pgpoll::engine::{Command, End};
use pgpoll::rows::Limits;

use crate::arguments::{Values, array};
use crate::conn::{OK, PGconn};
use crate::guard::Step;
use crate::state::{Async, Class, Entry, Pipeline};

/// In a pipeline, output is sent when there is this much of it.
const FULL: usize = 8192;

/// How binary results come.
const PIECES: Limits = Limits {
    rows: usize::MAX,
    bytes: 256 * 1024,
};

/// The most parameters that a Bind message can have.
const MOST_PARAMETERS: c_int = 65_535;

const NO_QUERY: &str = "command string is a null pointer";
const NO_STATEMENT: &str = "statement name is a null pointer";

impl PGconn {
    /// What must hold before any command is sent; says what does not.
    pub(crate) fn may_send(&mut self) -> bool {
        if self.consumer.queue.is_empty() {
            self.clear_error();
        }
        if self.status() != OK {
            self.message.line("no connection to the server");
            return false;
        }
        if self.consumer.pipeline == Pipeline::Off {
            if self.consumer.state != Async::Idle {
                self.message.line("another command is already in progress");
                return false;
            }
            self.consumer.clear();
            self.consumer.partial = None;
        } else if self.consumer.state.is_copy() {
            return self.refuse("cannot queue commands during COPY");
        }
        true
    }

    fn refuse(&mut self, why: &str) -> bool {
        self.message.line(why);
        false
    }

    /// Encodes a command and puts it into the queue.
    pub(crate) fn send(
        &mut self,
        class: Class,
        query: Option<&[u8]>,
        command: Command<'_>,
    ) -> bool {
        let end = match self.consumer.pipeline {
            Pipeline::Off => End::Sync,
            _ => End::More,
        };
        let query = query.and_then(|query| self.consumer.keep(query));
        // Binary values are copied to where they are aligned: a piece at a time, so that they are not all there twice.
        let is_binary = match &command {
            Command::Params { format, .. } | Command::Prepared { format, .. } => *format != 0,
            _ => false,
        };
        let engine = self.link.engine_mut();
        engine.set_limits(if is_binary { PIECES } else { Limits::NONE });
        match engine.start(command, end) {
            Ok(operation) => {
                self.enqueue(Entry {
                    class,
                    query,
                    operation,
                });
                true
            }
            Err(error) => self.refuse(error.message()),
        }
    }

    pub(crate) fn send_query(&mut self, query: Option<&[u8]>) -> bool {
        if !self.may_send() {
            return false;
        }
        let Some(sql) = query else {
            return self.refuse(NO_QUERY);
        };
        if self.consumer.is_in_pipeline() {
            return self.refuse("PQsendQuery not allowed in pipeline mode");
        }
        self.send(Class::Simple, query, Command::Query { sql })
    }

    fn checks_parameters(&mut self, count: c_int, values: &Values<'_>) -> bool {
        if !(0..=MOST_PARAMETERS).contains(&count) {
            let text = format!("number of parameters must be between 0 and {MOST_PARAMETERS}");
            return self.refuse(&text);
        }
        if values.lacks_length() {
            return self.refuse("length must be given for binary parameter");
        }
        true
    }

    pub(crate) fn send_params(&mut self, query: Option<&[u8]>, call: &Call<'_>) -> bool {
        if !self.may_send() {
            return false;
        }
        let Some(sql) = query else {
            return self.refuse(NO_QUERY);
        };
        if !self.checks_parameters(call.count, &call.values) {
            return false;
        }
        let command = Command::Params {
            sql,
            types: call.types,
            params: &call.values,
            format: call.format,
            max_rows: 0,
        };
        self.send(Class::Extended, query, command)
    }

    pub(crate) fn send_prepare(
        &mut self,
        name: Option<&[u8]>,
        query: Option<&[u8]>,
        call: &Call<'_>,
    ) -> bool {
        if !self.may_send() {
            return false;
        }
        let Some(name) = name else {
            return self.refuse(NO_STATEMENT);
        };
        let Some(sql) = query else {
            return self.refuse(NO_QUERY);
        };
        if !self.checks_parameters(call.count, &call.values) {
            return false;
        }
        let command = Command::Prepare {
            name,
            sql,
            types: call.types,
            describe: false,
        };
        self.send(Class::Prepare, query, command)
    }

    pub(crate) fn send_prepared(&mut self, name: Option<&[u8]>, call: &Call<'_>) -> bool {
        if !self.may_send() {
            return false;
        }
        let Some(name) = name else {
            return self.refuse(NO_STATEMENT);
        };
        if !self.checks_parameters(call.count, &call.values) {
            return false;
        }
        let command = Command::Prepared {
            name,
            params: &call.values,
            format: call.format,
            max_rows: 0,
            describe: true,
        };
        self.send(Class::Extended, None, command)
    }

    pub(crate) fn send_target(&mut self, target: Target, name: Option<&[u8]>) -> bool {
        let name = name.unwrap_or_default();
        if !self.may_send() {
            return false;
        }
        let (class, command) = match target {
            Target::DescribePrepared => (Class::Describe, Command::DescribeStatement { name }),
            Target::DescribePortal => (Class::Describe, Command::DescribePortal { name }),
            Target::ClosePrepared => (Class::Close, Command::CloseStatement { name }),
            Target::ClosePortal => (Class::Close, Command::ClosePortal { name }),
        };
        self.send(class, None, command)
    }

    /// Sends what is queued: 0 all of it went, 1 some is left (nonblocking only), -1 the connection is lost.
    pub(crate) fn flush_step(&mut self) -> Step<c_int> {
        self.link.flush();
        if self.link.engine().output().is_empty() {
            return Step::Done(0);
        }
        let broken = self.link.is_send_broken();
        if broken {
            let unsent = self.link.engine().output().len();
            self.link.engine_mut().sent(unsent);
        }
        // A server that is blocked writing to us does not read; and what it has said last is better than an error of ours, which
        // is told when nothing is read.
        if self.link.receive_once() == 0 && self.link.engine().loss().is_some() {
            self.tell_loss();
            return Step::Done(-1);
        }
        match (broken, self.nonblocking) {
            (true, _) => Step::Done(0),
            (false, true) => Step::Done(1),
            (false, false) => Step::Wait {
                read: true,
                write: true,
            },
        }
    }

    /// The same after a command: in a pipeline only when much is queued.
    pub(crate) fn push_step(&mut self) -> Step<c_int> {
        if self.consumer.is_in_pipeline() && self.link.engine().output().len() < FULL {
            return Step::Done(0);
        }
        self.flush_step()
    }
}

/// Which statement or portal function.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    DescribePrepared,
    DescribePortal,
    ClosePrepared,
    ClosePortal,
}

/// The arguments that the functions with parameters have in common.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub count: c_int,
    pub types: &'a [u32],
    pub values: Values<'a>,
    pub format: i16,
}

impl Call<'_> {
    /// # Safety
    /// Each array is NULL or has `count` elements, as libpq's manual says.
    pub(crate) unsafe fn new(
        count: c_int,
        types: *const u32,
        values: *const *const c_char,
        lengths: *const c_int,
        formats: *const c_int,
        format: c_int,
    ) -> Self {
        // SAFETY: the caller's promise; an impossible count is refused before any array is read.
        unsafe {
            let sane = if count > MOST_PARAMETERS { 0 } else { count };
            Self {
                count,
                types: array(types, sane),
                values: Values::new(sane, values, lengths, formats),
                format: format as i16,
            }
        }
    }
}
