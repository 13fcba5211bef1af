//! Groups: thousands of connections behind one descriptor.

use std::ffi::{c_int, c_void};
use std::ptr;
use std::time::Duration;

use pgpoll::conn::group::{Counts, Group, Key, WaitFor};

use crate::border::membership::{Hall, Joined, Joining, within};
use crate::border::{self, allocate, guard, inside};
use crate::drive::{CONN_MISUSE, milliseconds_left};
use crate::error;
use crate::open::Conn;

/// conn_group_wait until some member has something to take or to know: CONN_RESULT.
pub const CONN_WAIT_ANY: c_int = 1;
/// conn_group_wait until nothing is under way in any member: CONN_IDLE.
pub const CONN_WAIT_ALL: c_int = 2;
/// The same, or until an operation has failed or a connection was lost: CONN_FAILED.
pub const CONN_WAIT_FIRST_ERROR: c_int = 3;

/// Connections that are driven together. One call at a time; it may move between threads.
///
/// The loop is that of one connection:
///
///   1. bits = conn_group_poll(group). It polls those members that have something to do, and never waits.
///   2. conn_group_get_ready until there are no more: take what those connections have, start what you like. If there was
///      one, go to 1.
///   3. CONN_RUNNABLE: go to 1 soon, without waiting.
///   4. Wait until conn_group_socket(group) is readable, at most conn_group_deadline_ms(group) milliseconds. Go to 1.
///
/// A member is driven by its group: conn_poll, conn_wait and conn_check of it are refused. All else is as ever, at any time
/// between two calls of its group. A member with nothing to do costs nothing. The work of one poll is bounded, and who has
/// more to do waits in line for the next one: no member can hold up the others.
#[derive(Debug)]
pub struct ConnGroup {
    pub(crate) hall: Hall,
}

/// A member that is told of.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ConnReady {
    /// The connection.
    pub conn: *mut Conn,
    /// What came with it in conn_group_add.
    pub data: *mut c_void,
    /// conn_group_get_failed: the operation that has failed; 0 when the connection was lost and none of its operations with it.
    pub operation: u64,
    /// What there is of it, as conn_poll would say it: CONN_RESULT, CONN_IDLE, CONN_FAILED and so on, without those that say
    /// what to wait for.
    pub bits: u32,
}

/// How a group stands.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ConnGroupState {
    /// The descriptor to wait for, always the same.
    pub socket: c_int,
    /// When to poll at the latest, in nanoseconds of CLOCK_MONOTONIC; INT64_MAX when there is no limit.
    pub deadline_ns: i64,
    /// Members.
    pub members: usize,
    /// Of these: that connect, or have operations under way.
    pub running: usize,
    /// Of these: that do not go on before you do something: take what is finished, continue a portal, go on with a COPY, give a
    /// token.
    pub waiting: usize,
    /// Of these: that are over.
    pub over: usize,
}

/// Makes a group without members. It takes one descriptor.
///
/// Returns the group; NULL when there are no more descriptors or no memory, and conn_error(NULL) says why.
/// Yours until conn_group_close.
/// Next: conn_group_add.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_open() -> *mut ConnGroup {
    guard(ptr::null_mut(), || {
        border::silence();
        error::prepare_for_no_memory();
        match Group::new() {
            Ok(group) => {
                let hall = Hall::new(group);
                allocate(ConnGroup { hall }).unwrap_or(ptr::null_mut())
            }
            Err(error) => {
                error::refuse_without(|| error);
                ptr::null_mut()
            }
        }
    })
}

/// Frees a group. Its members are released, not closed: they are yours to drive again.
///
/// group: the group, or NULL. Remove conn_group_socket(group) from your event loop before.
/// Next: conn_poll of what was a member says CONN_SOCKET_CHANGED: register conn_socket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_close(group: *mut ConnGroup) {
    if group.is_null() {
        return;
    }
    // SAFETY: the caller's promise. Whoever is inside, or inside a member, is left alone, and `conn_error(NULL)` tells this
    // caller.
    unsafe {
        if (*group).hall.release_all() {
            border::free(group);
        }
    }
}

/// Adds a connection, at whatever point it is: connecting, idle, with operations under way, even over. From now on the group
/// drives it. A connection is in one group at most.
///
/// group: the group. conn: the connection; take its descriptor out of your event loop before. Not one of conn_open_stream,
///   which has no descriptor. data: comes with it in ConnReady; may be NULL.
/// Returns 1; 0 when it is refused, and conn_error(NULL) says why.
/// The group does not own it: conn_close closes it, and takes it out of its group.
/// Next: conn_group_poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_add(
    group: *mut ConnGroup,
    conn: *mut Conn,
    data: *mut c_void,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        within(group, 0, |members| {
            if !inside(conn, false, |inner, _| Some(inner.joins_freely())) {
                return None;
            }
            let key = match members.add(Joined::new(conn, data)) {
                Ok(key) => key,
                Err((error, _)) => {
                    error::refuse_without(|| error);
                    return None;
                }
            };
            let joined = inside(conn, false, |inner, handle| {
                let joins = inner.joins_freely() && (*group).hall.make_room(members.len());
                if joins {
                    inner.joining = Some(Joining { group, key });
                    handle.unring();
                }
                Some(joins)
            });
            if !joined {
                members.remove(key);
                return None;
            }
            Some(1)
        })
    }
}

/// Takes a connection out of its group. Its operations go on, whoever drives it now.
///
/// group: its group. conn: the connection.
/// Returns 1; 0 when it is refused, and conn_error(NULL) says why.
/// Next: it is yours to drive again: conn_poll says CONN_SOCKET_CHANGED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_remove(group: *mut ConnGroup, conn: *mut Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        within(group, 0, |members| {
            inside(conn, None, |inner, handle| {
                let is_member = |joining: &Joining| ptr::eq(joining.group, group);
                let Some(joining) = inner.joining.take_if(|joining| is_member(joining)) else {
                    error::refuse_outside(
                        "the connection is no member of this group: conn_group_add it first",
                    );
                    return None;
                };
                members.remove(joining.key);
                inner.connection.forget_told();
                handle.unring();
                Some(Some(1))
            })
        })
    }
}

/// The descriptor to wait for: readable when a member has to be polled. It stays the same. Not yours to read, write or close.
///
/// group: the group. Other threads and signal handlers may ask while a call is inside it.
/// Returns the descriptor; -1 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_socket(group: *const ConnGroup) -> c_int {
    // SAFETY: the caller's promise; a group is only ever shared.
    unsafe { group.as_ref() }.map_or(-1, |group| group.hall.socket())
}

/// How long to wait at most before the next conn_group_poll.
///
/// group: the group. Other threads and signal handlers may ask while a call is inside it.
/// Returns milliseconds from now, rounded up; 0 when the time has come, or since the last poll you were given a member or have
///   done something with one that has to be sent; -1 when there is no limit, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_deadline_ms(group: *const ConnGroup) -> i64 {
    // SAFETY: as above.
    match unsafe { group.as_ref() } {
        None => -1,
        Some(group) => milliseconds_left(group.hall.deadline()),
    }
}

/// Polls those members that have something to do, within bounds. Never waits. A call too many is harmless.
///
/// group: the group.
/// Returns bits:
///   CONN_WANT_READ  wait until conn_group_socket is readable: always, while there are members
///   CONN_RUNNABLE   there is more to do now: call it again soon, without waiting
///   CONN_RESULT     conn_group_get_ready has something to give
///   CONN_IDLE       nothing is under way in any member: all that was started is finished, if perhaps not taken, or does not
///                   go on before you do something; what has not finished connecting is under way
///   CONN_FAILED     conn_group_get_failed has something to give
///   CONN_MISUSE     alone: it is refused, and conn_error(NULL) says why
/// Next: conn_group_get_ready.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_poll(group: *mut ConnGroup) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        within(group, CONN_MISUSE, |members| {
            is_ours(members)?;
            Some(members.poll().bits())
        })
    }
}

/// The next member with something to take or to know, the one that has waited longest. After each conn_group_poll each
/// member is given once at most; it is given again after a later one, if its results are not all taken then, or when there is
/// something new: a result, a notification, that it is idle now, that it is over.
///
/// group: the group. ready: is filled.
/// Returns 1; 0 when there is none now, and when it is refused, in which case ready is left as it was.
/// ready->conn is yours already.
/// Next: take what it has, start what you like; when there are no more, conn_group_poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_get_ready(
    group: *mut ConnGroup,
    ready: *mut ConnReady,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        hand_out(group, ready, |members| {
            let found = members.ready()?;
            Some((found.key, found.ready.bits(), 0))
        })
    }
}

/// The next operation that has failed, or connection that was lost, in the order in which that was seen: of each member the first
/// since it was last told. What is abandoned does not fail, and what is skipped is not told.
///
/// group: the group. ready: is filled, with the operation; its bits are 0.
/// Returns 1; 0 when there is none now, and when it is refused, in which case ready is left as it was.
/// Each is told once. To forget those before some moment, call it until it returns 0.
/// Next: the error itself is an item of the connection, or its conn_error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_get_failed(
    group: *mut ConnGroup,
    ready: *mut ConnReady,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        hand_out(group, ready, |members| {
            let found = members.failure()?;
            Some((found.key, 0, found.operation))
        })
    }
}

/// How many members have something that is not done: they connect, or operations of theirs are not finished, be it that these
/// are under way or wait for you. Operations that were just started count.
///
/// group: the group.
/// Returns how many; 0 also when it is refused.
/// Next: while it is not 0, conn_group_wait with CONN_WAIT_ALL, and take what there is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_pending(group: *mut ConnGroup) -> usize {
    // SAFETY: the caller's promise.
    unsafe { within(group, 0, |members| Some(members.counts().pending())) }
}

/// How the group stands. Does no work.
///
/// group: the group. state: is filled.
/// Returns 1; 0 when it is refused, and state is left as it was.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_state(
    group: *mut ConnGroup,
    state: *mut ConnGroupState,
) -> c_int {
    // SAFETY: the caller's promise; `state` is NULL or points to room for one.
    unsafe {
        within(group, 0, |members| {
            if state.is_null() {
                error::refuse_outside("state is NULL: pass the address of a ConnGroupState");
                return None;
            }
            let Counts {
                members: count,
                running,
                waiting,
                over,
            } = members.counts();
            let deadline = members.deadline_ns();
            state.write(ConnGroupState {
                socket: members.socket(),
                deadline_ns: deadline
                    .and_then(|deadline| i64::try_from(deadline).ok())
                    .unwrap_or(i64::MAX),
                members: count,
                running,
                waiting,
                over,
            });
            Some(1)
        })
    }
}

/// Polls and waits until what is waited for has come; also returns when nothing can come any more, because there are no
/// members, or all are over and told. For programs without an event loop; the only call of a group that waits.
///
/// group: the group. what: CONN_WAIT_ANY, CONN_WAIT_ALL or CONN_WAIT_FIRST_ERROR. timeout_ms: how long at most for all of it; -1
///   is for ever, 0 does not wait.
/// Returns what the last conn_group_poll in it returned: without the bit that was waited for the time is over.
/// CONN_WAIT_ALL means all that was started: it returns when each operation is finished (its CONN_ITEM_DONE is there to be
///   taken, or was taken), or waits for you, because so much was not taken that nothing more is received, a portal is
///   suspended, or a COPY goes on. So take what there is, and wait again while conn_group_pending is not 0.
/// Next: conn_group_get_ready, conn_group_get_failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_group_wait(
    group: *mut ConnGroup,
    what: c_int,
    timeout_ms: c_int,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        within(group, CONN_MISUSE, |members| {
            is_ours(members)?;
            let what = match what {
                CONN_WAIT_ANY => WaitFor::Any,
                CONN_WAIT_ALL => WaitFor::All,
                CONN_WAIT_FIRST_ERROR => WaitFor::FirstError,
                _ => {
                    error::refuse_outside(
                        "what is none of CONN_WAIT_ANY, CONN_WAIT_ALL and CONN_WAIT_FIRST_ERROR",
                    );
                    return None;
                }
            };
            let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
            Some(members.wait(what, timeout).bits())
        })
    }
}

/// Goes on unless a parent of this process has made the group.
fn is_ours(members: &Group<Joined>) -> Option<()> {
    if members.is_forked() {
        error::refuse_outside(
            "the process has forked: the group belongs to the parent; close it here and open another",
        );
        return None;
    }
    Some(())
}

/// Fills `ready` with the member that `next` finds, with bits and an operation.
///
/// # Safety
/// `group` is NULL or a group; `ready` is NULL or points to room for one.
unsafe fn hand_out(
    group: *mut ConnGroup,
    ready: *mut ConnReady,
    next: impl FnOnce(&mut Group<Joined>) -> Option<(Key, u32, u64)>,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        within(group, 0, |members| {
            if ready.is_null() {
                error::refuse_outside("ready is NULL: pass the address of a ConnReady");
                return None;
            }
            let (key, bits, operation) = next(members)?;
            let member = members.get(key)?;
            ready.write(ConnReady {
                conn: member.conn(),
                data: member.data(),
                operation,
                bits,
            });
            Some(1)
        })
    }
}
