//! Pipeline mode: in, out, sync and flush request. Knows when each is allowed.

use std::ffi::c_int;

use pgpoll::engine::{Command, End};

use crate::conn::{OK, PGconn};
use crate::guard::{Step, drive, enter};
use crate::send::{submit, submit_by};
use crate::state::{Async, Class, Entry, Pipeline};

const NO_CONNECTION: &str = "no connection to the server";

impl PGconn {
    fn enter_pipeline(&mut self) -> bool {
        if self.consumer.is_in_pipeline() {
            return true;
        }
        if self.consumer.state != Async::Idle {
            self.message
                .line("cannot enter pipeline mode, connection not idle");
            return false;
        }
        self.consumer.pipeline = Pipeline::On;
        true
    }

    fn exit_pipeline(&mut self) -> bool {
        if self.consumer.state.is_copy() {
            self.message.line("cannot exit pipeline mode while in COPY");
        }
        let why = match self.consumer.state {
            Async::Ready | Async::ReadyMore => "cannot exit pipeline mode with uncollected results",
            Async::Busy => "cannot exit pipeline mode while busy",
            _ if !self.consumer.queue.is_empty() => {
                "cannot exit pipeline mode with uncollected results"
            }
            _ => {
                self.consumer.pipeline = Pipeline::Off;
                self.consumer.state = Async::Idle;
                return true;
            }
        };
        self.message.line(why);
        false
    }

    fn sync(&mut self) -> bool {
        if !self.consumer.is_in_pipeline() {
            self.message
                .line("cannot send pipeline when not in pipeline mode");
            return false;
        }
        if self.consumer.state.is_copy() {
            self.message
                .line("internal error: cannot send pipeline while in COPY");
            return false;
        }
        match self.link.engine_mut().start(Command::Sync, End::Sync) {
            Ok(operation) => {
                self.enqueue(Entry {
                    class: Class::Sync,
                    query: None,
                    operation,
                });
                true
            }
            Err(error) => {
                let lost = self.status() != OK;
                let text = if lost { NO_CONNECTION } else { error.message() };
                self.message.line(text);
                false
            }
        }
    }

    fn request_flush(&mut self) -> bool {
        if self.status() != OK {
            self.message.line(NO_CONNECTION);
            return false;
        }
        if self.consumer.state != Async::Idle && !self.consumer.is_in_pipeline() {
            self.message.line("another command is already in progress");
            return false;
        }
        match self.link.engine_mut().flush_request() {
            Ok(()) => true,
            Err(error) => {
                self.message.line(error.message());
                false
            }
        }
    }
}

/// Begins pipeline mode: commands may be sent before the results of earlier ones are taken. 1 when it is on.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQenterPipelineMode(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { enter(conn, 0, |conn| c_int::from(conn.enter_pipeline())) }
}

/// Ends pipeline mode, once every result has been taken. 1 when it is off.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQexitPipelineMode(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if !drive(conn, false, |conn| Step::Done(conn.exit_pipeline())) {
            return 0;
        }
        c_int::from(drive(conn, -1, PGconn::flush_step) >= 0)
    }
}

/// Ends a group of commands, which is a transaction unless they say otherwise, and sends everything. Its result is
/// `PGRES_PIPELINE_SYNC`. 1 when it was sent.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQpipelineSync(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { submit_by(conn, PGconn::sync, PGconn::flush_step) }
}

/// The same, but sends only when much is queued.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQsendPipelineSync(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { submit(conn, PGconn::sync) }
}

/// Asks the server to send the results so far, without ending the group. 1 when it was sent.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQsendFlushRequest(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if !drive(conn, false, |conn| Step::Done(conn.request_flush())) {
            return 0;
        }
        c_int::from(drive(conn, -1, PGconn::push_step) >= 0)
    }
}
