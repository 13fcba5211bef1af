//! Driving a connection: the one driver, what it says, and where to wait.

use std::ffi::c_int;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pgpoll::conn::Readiness;
use pgpoll::net::clock;
use pgpoll::wire::TransactionStatus;

use crate::border::{Handle, Inner, NO_DEADLINE, handle, inside};
use crate::open::Conn;

/// Wait until conn_socket is readable, then call conn_poll.
pub const CONN_WANT_READ: u32 = 1;
/// Wait until conn_socket is writable, then call conn_poll.
pub const CONN_WANT_WRITE: u32 = 2;
/// The work budget of one call is used up: call conn_poll again soon, without waiting.
pub const CONN_RUNNABLE: u32 = 4;
/// conn_get_result has something to give.
pub const CONN_RESULT: u32 = 8;
/// conn_get_notification has something to give.
pub const CONN_NOTIFY: u32 = 16;
/// conn_get_notice has something to give.
pub const CONN_NOTICE: u32 = 32;
/// conn_socket is another descriptor now; the old one is closed at the next poll, not before.
pub const CONN_SOCKET_CHANGED: u32 = 64;
/// Connected, and nothing is outstanding.
pub const CONN_IDLE: u32 = 128;
/// The connection is over and the last result was taken; conn_error says why.
pub const CONN_FAILED: u32 = 256;
/// conn_copy_get has something to give.
pub const CONN_COPY: u32 = 1024;
/// What was refused with CONN_ERROR_WOULD_BLOCK would be accepted now: said once after a refusal, when half of the send
/// queue is free (conn_set_send_queue).
pub const CONN_ROOM: u32 = 2048;
/// The server wants an OAuth bearer token, and the connection waits for it: conn_token_discovery and conn_token_scope say which,
/// conn_give_token gives it (conn_set_ask_token).
pub const CONN_WANT_TOKEN: u32 = 4096;
/// The call was refused: the connection is NULL, or another call is inside it, and conn_error(NULL) says which; or it is in a
/// group, which drives it, and conn_error(conn) says so.
pub const CONN_MISUSE: u32 = 512;

const _: () = {
    assert!(CONN_WANT_READ == Readiness::WANT_READ);
    assert!(CONN_WANT_WRITE == Readiness::WANT_WRITE);
    assert!(CONN_RUNNABLE == Readiness::RUNNABLE);
    assert!(CONN_RESULT == Readiness::RESULT);
    assert!(CONN_NOTIFY == Readiness::NOTIFY);
    assert!(CONN_NOTICE == Readiness::NOTICE);
    assert!(CONN_SOCKET_CHANGED == Readiness::SOCKET_CHANGED);
    assert!(CONN_IDLE == Readiness::IDLE);
    assert!(CONN_FAILED == Readiness::FAILED);
    assert!(CONN_COPY == Readiness::COPY);
    assert!(CONN_ROOM == Readiness::ROOM);
    assert!(CONN_WANT_TOKEN == Readiness::WANT_TOKEN);
};

/// All that an event loop needs to know after a poll.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ConnState {
    /// What the last poll said: CONN_WANT_READ and so on.
    pub bits: u32,
    /// The descriptor to wait for; -1 when there is none.
    pub socket: c_int,
    /// Goes up whenever the descriptor changes, also when the new one has the same number.
    pub generation: u64,
    /// When to poll at the latest, in nanoseconds of CLOCK_MONOTONIC; INT64_MAX when there is no limit.
    pub deadline_ns: i64,
}

/// Moves bytes both ways and runs the protocol until nothing changes. Never waits. A call too many is harmless.
///
/// conn: the connection.
/// Returns CONN_* bits: what to wait for, what is there to be taken. CONN_MISUSE alone when it is refused.
/// Next: take what is there, and call it again at once if there was a result; else wait for what the bits name before. The
///   loop at the top of this file says how.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_poll(conn: *mut Conn) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { inside(conn, CONN_MISUSE, poll) }
}

/// conn_poll and conn_state in one call, for those to whom a call is dear.
///
/// conn: the connection. state: is filled; may be NULL.
/// Returns what conn_poll returns, which is also in state->bits. When it is CONN_MISUSE, state is left as it was.
/// Next: as conn_poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_poll_state(conn: *mut Conn, state: *mut ConnState) -> u32 {
    // SAFETY: the caller's promise; `state` is NULL or points to room for one.
    unsafe {
        inside(conn, CONN_MISUSE, |inner, handle| {
            let bits = poll(inner, handle)?;
            if !state.is_null() {
                state.write(inner.state());
            }
            Some(bits)
        })
    }
}

/// What the last poll said, and where and how long to wait. Does no work.
///
/// conn: the connection. state: is filled.
/// Returns 1; 0 when it is refused, and state is left as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_state(conn: *const Conn, state: *mut ConnState) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            if state.is_null() {
                return inner.misuse("state is NULL: pass the address of a ConnState");
            }
            state.write(inner.state());
            Some(1)
        })
    }
}

/// The descriptor to wait for. It may be another one after each poll that says CONN_SOCKET_CHANGED; it is not yours to
/// close, read or write.
///
/// conn: the connection. Other threads and signal handlers may ask while a call is inside it.
/// Returns the descriptor; -1 when there is none now, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_socket(conn: *const Conn) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { handle(conn) } {
        Some(handle) => handle.socket.load(Ordering::Relaxed),
        None => -1,
    }
}

/// How long to wait at most before the next conn_poll.
///
/// conn: the connection.
/// Returns milliseconds from now, rounded up; 0 when the time has come; -1 when there is no limit, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_deadline_ms(conn: *const Conn) -> i64 {
    // SAFETY: the caller's promise.
    match unsafe { handle(conn) } {
        None => -1,
        Some(handle) => milliseconds_left(handle.deadline.load(Ordering::Relaxed)),
    }
}

/// Polls and waits until there is a result or data of a COPY to take, the connection wants a token (CONN_WANT_TOKEN) or is over,
/// or there is news since you were last told: a notice, a notification, room in the send queue, or that the connection is idle. For
/// programs without an event loop; the only call that waits.
///
/// conn: the connection. timeout_ms: how long at most; -1 is for ever, 0 does not wait.
/// Returns what the last conn_poll in it returned: without news the time is over.
/// Next: take what is there. On an idle connection it waits for notifications. Notices that you leave there are no news,
///   until there are so many that nothing more is received: then it returns at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_wait(conn: *mut Conn, timeout_ms: c_int) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, CONN_MISUSE, |inner, handle| {
            inner.is_not_in_group()?;
            inner.refused = None;
            let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
            let news = inner.news();
            inner.bits = inner.connection.wait_for(news, timeout).bits();
            handle.publish(&inner.connection);
            Some(inner.bits)
        })
    }
}

/// Whether an idle connection is still good, for a pool that is about to hand it out: looks at what has arrived, such as
/// the goodbye of a server, and asks the server nothing. Never waits.
///
/// conn: the connection.
/// Returns 1 when it is up, idle, in no transaction block and no group is open; else 0, also when it is refused. A server
///   that vanished without a word is not noticed.
/// Next: conn_error(conn) says why it is over, if it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_check(conn: *mut Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, handle| {
            let idle = poll(inner, handle)? & CONN_IDLE != 0;
            let outside = inner.connection.facts().transaction() == Some(TransactionStatus::Idle);
            let committed = !inner.connection.engine().has_open_group();
            Some((idle && outside && committed).into())
        })
    }
}

/// Milliseconds from now up to a time, rounded up; -1 for [`NO_DEADLINE`].
pub(crate) fn milliseconds_left(deadline: u64) -> i64 {
    if deadline == NO_DEADLINE {
        return -1;
    }
    let left = deadline.saturating_sub(clock::now_ns());
    i64::try_from(left.div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

#[inline(always)]
fn poll(inner: &mut Inner, handle: &Handle) -> Option<u32> {
    inner.is_not_in_group()?;
    if inner.refused.is_some() {
        inner.refused = None;
    }
    inner.bits = inner.connection.poll().bits();
    handle.publish(&inner.connection);
    Some(inner.bits)
}

impl Inner {
    /// What ends a wait: what the caller was told and has left as it is would end it at once, again and again.
    fn news(&self) -> u32 {
        let (notice, notification) = self.connection.engine().has_mail();
        let left = |bit: u32, is_there: bool| if is_there { self.bits & bit } else { 0 };
        let told =
            left(CONN_IDLE, true) | left(CONN_NOTICE, notice) | left(CONN_NOTIFY, notification);
        let all = CONN_RESULT
            | CONN_FAILED
            | CONN_NOTIFY
            | CONN_NOTICE
            | CONN_IDLE
            | CONN_COPY
            | CONN_ROOM
            | CONN_WANT_TOKEN;
        all & !told
    }

    #[inline]
    fn state(&self) -> ConnState {
        let connection = &self.connection;
        ConnState {
            bits: self.bits,
            socket: connection.socket().unwrap_or(-1),
            generation: connection.socket_generation(),
            deadline_ns: connection
                .deadline_ns()
                .and_then(|deadline| i64::try_from(deadline).ok())
                .unwrap_or(i64::MAX),
        }
    }
}
