//! Commands that wait for their results. Knows how to send and to collect, nothing of messages.

use std::ffi::{c_char, c_int};
use std::ptr;

use crate::arguments::text;
use crate::command::{Call, Target};
use crate::conn::{BAD, PGconn};
use crate::copy::end_copy;
use crate::events;
use crate::guard::{Step, drive, enter, look};
use crate::result::{COPY_BOTH, COPY_IN, COPY_OUT, PGresult, clear};

/// How far a command that is waited for has come.
#[derive(Debug, Default)]
struct Run {
    /// A command may be waited for now.
    begun: bool,
    /// No result of an older one is left.
    idle: bool,
    queued: bool,
    sent: bool,
}

/// What came next on the way.
#[derive(Debug, Clone, Copy)]
enum Ran {
    /// Nothing more comes.
    Nothing,
    /// A result of an older command.
    Left(*mut PGresult),
    /// A result; none follows if it is the last.
    Result { result: *mut PGresult, last: bool },
}

/// Drops results that were not taken, sends, and waits for the last result.
///
/// # Safety
/// As for [`drive`].
pub(crate) unsafe fn execute(
    conn: *mut PGconn,
    send: impl Fn(&mut PGconn) -> bool,
) -> *mut PGresult {
    let mut run = Run::default();
    let mut newest: *mut PGresult = ptr::null_mut();
    // SAFETY: the caller's promise; results come from boxes, and no reference is alive when procedures are called.
    unsafe {
        loop {
            match drive(conn, Ran::Nothing, |conn| conn.run_step(&mut run, &send)) {
                Ran::Nothing => return newest,
                Ran::Left(old) => {
                    if !drop_left(conn, old) {
                        return ptr::null_mut();
                    }
                }
                Ran::Result { result, last } => {
                    events::tell_create(conn, result);
                    clear(newest);
                    newest = result;
                    let copies = matches!((*result).status, COPY_IN | COPY_OUT | COPY_BOTH);
                    if last || copies || look(conn, BAD, PGconn::status) == BAD {
                        return newest;
                    }
                }
            }
        }
    }
}

/// Drops results that were not taken; false where no command may be waited for.
///
/// # Safety
/// As for [`drive`].
pub(crate) unsafe fn make_idle(conn: *mut PGconn) -> bool {
    let mut run = Run::default();
    // SAFETY: the caller's promise; results come from boxes.
    unsafe {
        loop {
            let left = drive(conn, Some(Ran::Nothing), |conn| conn.idle_step(&mut run));
            match left {
                Some(Ran::Left(old)) if drop_left(conn, old) => {}
                Some(_) => return false,
                None => return true,
            }
        }
    }
}

/// Drops a result that was not taken; false when no command can follow.
///
/// # Safety
/// As for [`drive`]; `old` is a result that nobody else has.
unsafe fn drop_left(conn: *mut PGconn, old: *mut PGresult) -> bool {
    // SAFETY: the caller's promise; no reference is alive when procedures are called.
    unsafe {
        events::tell_create(conn, old);
        let status = (*old).status;
        clear(old);
        leave_copy(conn, status) && look(conn, BAD, PGconn::status) != BAD
    }
}

/// Ends the COPY that a result tells of, whose caller has not; false where that cannot be.
///
/// # Safety
/// As for [`drive`].
unsafe fn leave_copy(conn: *mut PGconn, status: c_int) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        match status {
            COPY_IN => end_copy(conn, Some(b"COPY terminated by new PQexec")) > 0,
            COPY_OUT => enter(conn, false, PGconn::discard_copy),
            COPY_BOTH => enter(conn, false, PGconn::refuse_in_copy_both),
            _ => true,
        }
    }
}

impl PGconn {
    /// Towards having nothing left of older commands, which is `None`.
    #[inline]
    fn idle_step(&mut self, run: &mut Run) -> Step<Option<Ran>> {
        if !run.begun && !self.may_execute() {
            return Step::Done(Some(Ran::Nothing));
        }
        run.begun = true;
        if self.is_at_rest() {
            return Step::Done(None);
        }
        match self.result_step() {
            Step::Done(left) if left.is_null() => Step::Done(None),
            Step::Done(left) => Step::Done(Some(Ran::Left(left))),
            Step::Wait { read, write } => Step::Wait { read, write },
            Step::Again => Step::Again,
        }
    }

    /// Towards the next result of the command that `send` queues.
    #[inline]
    fn run_step(&mut self, run: &mut Run, send: impl Fn(&mut Self) -> bool) -> Step<Ran> {
        if !run.idle {
            match self.idle_step(run) {
                Step::Done(None) => run.idle = true,
                Step::Done(Some(left)) => return Step::Done(left),
                Step::Wait { read, write } => return Step::Wait { read, write },
                Step::Again => return Step::Again,
            }
        }
        if !run.sent {
            match self.submit_step(&mut run.queued, send, Self::push_step) {
                Step::Done(0) => return Step::Done(Ran::Nothing),
                Step::Done(_) => {
                    run.sent = true;
                    // Nothing is there yet but what came while the socket took no more.
                    if !self.link.has_news() {
                        return self.await_result();
                    }
                }
                Step::Wait { read, write } => return Step::Wait { read, write },
                Step::Again => return Step::Again,
            }
        }
        let result = match self.result_step() {
            Step::Done(result) => result,
            Step::Wait { read, write } => return Step::Wait { read, write },
            Step::Again => return Step::Again,
        };
        if result.is_null() {
            return Step::Done(Ran::Nothing);
        }
        let last = self.consumer.ended;
        if last {
            // What is left of the command is that it is over.
            self.parse();
        }
        Step::Done(Ran::Result { result, last })
    }

    fn refuse_in_copy_both(&mut self) -> bool {
        self.message.line("PQexec not allowed during COPY BOTH");
        false
    }

    fn may_execute(&mut self) -> bool {
        if self.consumer.queue.is_empty() {
            self.clear_error();
        }
        if self.consumer.is_in_pipeline() {
            self.message
                .line("synchronous command execution functions are not allowed in pipeline mode");
            return false;
        }
        true
    }
}

/// Runs one or several statements and waits; gives the last result, or NULL when nothing was sent.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; texts are NULL or strings, arrays as libpq's manual says. So for
/// all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQexec(conn: *mut PGconn, query: *const c_char) -> *mut PGresult {
    // SAFETY: the caller's promise.
    unsafe { execute(conn, |conn| conn.send_query(text(query))) }
}

/// Runs one statement with parameters and waits.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQexecParams(
    conn: *mut PGconn,
    query: *const c_char,
    count: c_int,
    types: *const u32,
    values: *const *const c_char,
    lengths: *const c_int,
    formats: *const c_int,
    format: c_int,
) -> *mut PGresult {
    // SAFETY: the caller's promise.
    unsafe {
        let call = Call::new(count, types, values, lengths, formats, format);
        execute(conn, |conn| conn.send_params(text(query), &call))
    }
}

/// Prepares a statement and waits.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQprepare(
    conn: *mut PGconn,
    name: *const c_char,
    query: *const c_char,
    count: c_int,
    types: *const u32,
) -> *mut PGresult {
    let none = ptr::null();
    // SAFETY: the caller's promise.
    unsafe {
        let call = Call::new(count, types, none, none.cast(), none.cast(), 0);
        execute(conn, |conn| {
            conn.send_prepare(text(name), text(query), &call)
        })
    }
}

/// Executes a prepared statement and waits.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQexecPrepared(
    conn: *mut PGconn,
    name: *const c_char,
    count: c_int,
    values: *const *const c_char,
    lengths: *const c_int,
    formats: *const c_int,
    format: c_int,
) -> *mut PGresult {
    // SAFETY: the caller's promise.
    unsafe {
        let call = Call::new(count, ptr::null(), values, lengths, formats, format);
        execute(conn, |conn| conn.send_prepared(text(name), &call))
    }
}

macro_rules! of_target {
    ($(#[doc = $text:literal])+ $name:ident, $target:ident) => {
        $(#[doc = $text])+
        ///
        /// # Safety
        /// As above.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(
            conn: *mut PGconn,
            name: *const c_char,
        ) -> *mut PGresult {
            // SAFETY: the caller's promise.
            unsafe { execute(conn, |conn| conn.send_target(Target::$target, text(name))) }
        }
    };
}

of_target!(
    /// Describes a prepared statement and waits.
    PQdescribePrepared, DescribePrepared);
of_target!(
    /// Describes a portal and waits.
    PQdescribePortal, DescribePortal);
of_target!(
    /// Closes a prepared statement and waits.
    PQclosePrepared, ClosePrepared);
of_target!(
    /// Closes a portal and waits.
    PQclosePortal, ClosePortal);
