//! Events (libpq-events.h): procedures that are told of connections and results, and their data in each of them.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use crate::conn::PGconn;
use crate::result::PGresult;

/// `PGEventId`.
const REGISTER: c_int = 0;
const CONN_RESET: c_int = 1;
const CONN_DESTROY: c_int = 2;
const RESULT_CREATE: c_int = 3;
const RESULT_COPY: c_int = 4;
const RESULT_DESTROY: c_int = 5;

type Proc = unsafe extern "C-unwind" fn(c_int, *mut c_void, *mut c_void) -> c_int;

/// Is told of events: which, a struct about it, and what was given when it was registered. 0 when it fails.
pub type PGEventProc = Option<Proc>;

/// A registered procedure, in a connection or in a result that came from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event {
    proc: Proc,
    pass_through: *mut c_void,
    data: *mut c_void,
    /// It has been told of the result, and did not fail.
    initialized: bool,
}

impl Event {
    /// The same for a result that it is not told of yet; `None` without memory.
    pub(crate) fn copies(events: &[Self]) -> Option<Vec<Self>> {
        let mut copies = Vec::new();
        copies.try_reserve_exact(events.len()).ok()?;
        copies.extend(events.iter().map(|event| Self {
            data: ptr::null_mut(),
            initialized: false,
            ..*event
        }));
        Some(copies)
    }

    /// # Safety
    /// `about` is the struct that belongs to `id`. The procedure may do as it likes: no reference is alive.
    unsafe fn tell<T>(self, id: c_int, about: &mut T) -> bool {
        // SAFETY: the program's function and argument, as it gave them.
        unsafe { (self.proc)(id, ptr::from_mut(about).cast(), self.pass_through) != 0 }
    }
}

/// `PGEventRegister`, `PGEventConnReset` and `PGEventConnDestroy`.
#[repr(C)]
struct AboutConn {
    conn: *mut PGconn,
}

/// `PGEventResultCreate`.
#[repr(C)]
struct AboutCreate {
    conn: *mut PGconn,
    result: *mut PGresult,
}

/// `PGEventResultCopy`.
#[repr(C)]
struct AboutCopy {
    src: *const PGresult,
    dest: *mut PGresult,
}

/// `PGEventResultDestroy`.
#[repr(C)]
struct AboutDestroy {
    result: *mut PGresult,
}

/// Tells the procedures of a connection that it was reset.
///
/// # Safety
/// `conn` is a connection, and no reference to it is alive: the procedures may call in again.
pub(crate) unsafe fn tell_reset(conn: *mut PGconn) {
    // SAFETY: the caller's promise.
    unsafe { tell_conn(conn, CONN_RESET) };
}

/// Tells them that it is about to be freed.
///
/// # Safety
/// As for [`tell_reset`].
pub(crate) unsafe fn tell_destroy(conn: *mut PGconn) {
    // SAFETY: the caller's promise.
    unsafe { tell_conn(conn, CONN_DESTROY) };
}

/// # Safety
/// As for [`tell_reset`].
unsafe fn tell_conn(conn: *mut PGconn, id: c_int) {
    let mut at = 0;
    // SAFETY: the caller's promise; each look is over before the procedure is called, which may register others.
    unsafe {
        while let Some(event) = conn_event(conn, at) {
            event.tell(id, &mut AboutConn { conn });
            at += 1;
        }
    }
}

/// # Safety
/// `conn` is a connection.
unsafe fn conn_event(conn: *mut PGconn, at: usize) -> Option<Event> {
    // SAFETY: the caller's promise.
    unsafe { &(*conn).origin.events }.get(at).copied()
}

/// The event at that place; `None` behind the last.
///
/// # Safety
/// `result` is a result.
unsafe fn result_event(result: *const PGresult, at: usize) -> Option<Event> {
    // SAFETY: the caller's promise.
    unsafe { (*result).events() }.get(at).copied()
}

/// # Safety
/// `result` is a result that nobody else uses now, and which has that event.
unsafe fn set_initialized(result: *mut PGresult, at: usize) {
    // SAFETY: the caller's promise.
    if let Some(event) = unsafe { (*result).events_mut() }.get_mut(at) {
        event.initialized = true;
    }
}

/// Tells the procedures of a result that it was created, except those that know; false when one fails.
///
/// # Safety
/// `conn` is NULL or a connection, `result` a result; nobody else uses them now, and no reference to them is alive.
pub(crate) unsafe fn tell_create(conn: *mut PGconn, result: *mut PGresult) -> bool {
    let mut all = true;
    let mut at = 0;
    // SAFETY: the caller's promise.
    unsafe {
        while let Some(event) = result_event(result, at) {
            if !event.initialized {
                if event.tell(RESULT_CREATE, &mut AboutCreate { conn, result }) {
                    set_initialized(result, at);
                } else {
                    all = false;
                }
            }
            at += 1;
        }
    }
    all
}

/// Tells the procedures of a copy of it, if they know the original.
///
/// # Safety
/// Both are results; nobody else uses `dest`, and no reference to it is alive.
pub(crate) unsafe fn tell_copy(src: *const PGresult, dest: *mut PGresult) {
    let mut at = 0;
    // SAFETY: the caller's promise.
    unsafe {
        while let Some(event) = result_event(dest, at) {
            let known = result_event(src, at).is_some_and(|event| event.initialized);
            if known && event.tell(RESULT_COPY, &mut AboutCopy { src, dest }) {
                set_initialized(dest, at);
            }
            at += 1;
        }
    }
}

/// Tells the procedures that know a result that it is about to be freed.
///
/// # Safety
/// As for [`tell_create`].
#[inline]
pub(crate) unsafe fn tell_cleared(result: *mut PGresult) {
    let mut at = 0;
    // SAFETY: the caller's promise.
    unsafe {
        while let Some(event) = result_event(result, at) {
            if event.initialized {
                event.tell(RESULT_DESTROY, &mut AboutDestroy { result });
            }
            at += 1;
        }
    }
}

/// The event of a procedure among those of a connection or a result.
fn find(events: &[Event], proc: PGEventProc) -> Option<usize> {
    let proc = proc?;
    events
        .iter()
        .position(|event| ptr::fn_addr_eq(event.proc, proc))
}

/// Has a procedure told of what happens to a connection and its results. Nonzero when it is registered: it was not before, has
/// a name, and did not fail when it was told of that.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now, `name` NULL or a string; `proc` can be called with `pass_through`
/// as long as the connection and its results live.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQregisterEventProc(
    conn: *mut PGconn,
    proc: PGEventProc,
    name: *const c_char,
    pass_through: *mut c_void,
) -> c_int {
    let Some(function) = proc else { return 0 };
    // SAFETY: the caller's promise; no reference to the connection is alive when the procedure is called.
    unsafe {
        if conn.is_null() || name.is_null() || *name == 0 {
            return 0;
        }
        let event = Event {
            proc: function,
            pass_through,
            data: ptr::null_mut(),
            initialized: false,
        };
        if !add(&mut (*conn).origin.events, event) {
            return 0;
        }
        if event.tell(REGISTER, &mut AboutConn { conn }) {
            return 1;
        }
        let events = &mut (*conn).origin.events;
        events.pop();
        0
    }
}

/// False when it is there already, and without memory.
fn add(events: &mut Vec<Event>, event: Event) -> bool {
    if find(events, Some(event.proc)).is_some() || events.try_reserve(1).is_err() {
        return false;
    }
    events.push(event);
    true
}

/// Sets a procedure's data in a connection. Nonzero when the procedure is registered.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetInstanceData(
    conn: *mut PGconn,
    proc: PGEventProc,
    data: *mut c_void,
) -> c_int {
    // SAFETY: NULL or valid.
    unsafe { conn.as_mut() }.map_or(0, |conn| set_data(&mut conn.origin.events, proc, data))
}

/// A procedure's data in a connection; NULL when there is none.
///
/// # Safety
/// `conn` is NULL or a connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQinstanceData(conn: *const PGconn, proc: PGEventProc) -> *mut c_void {
    // SAFETY: NULL or valid.
    let conn = unsafe { conn.as_ref() };
    conn.map_or(ptr::null_mut(), |conn| data(&conn.origin.events, proc))
}

/// Sets a procedure's data in a result. Nonzero when the result has that procedure.
///
/// # Safety
/// `result` is NULL or a result that nobody else uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQresultSetInstanceData(
    result: *mut PGresult,
    proc: PGEventProc,
    data: *mut c_void,
) -> c_int {
    // SAFETY: NULL or valid.
    match unsafe { result.as_ref() } {
        Some(found) if find(found.events(), proc).is_some() => {
            // SAFETY: it is ours alone, as the caller promises; the one without memory has no events.
            set_data(unsafe { (*result).events_mut() }, proc, data)
        }
        _ => 0,
    }
}

/// A procedure's data in a result; NULL when there is none.
///
/// # Safety
/// `result` is NULL or a result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQresultInstanceData(
    result: *const PGresult,
    proc: PGEventProc,
) -> *mut c_void {
    // SAFETY: NULL or valid.
    let result = unsafe { result.as_ref() };
    result.map_or(ptr::null_mut(), |result| data(result.events(), proc))
}

/// Tells the procedures of a result that the program made that it was created. 0 when one of them fails.
///
/// # Safety
/// `conn` is NULL or a connection, `result` NULL or a result; nobody else uses them now.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQfireResultCreateEvents(
    conn: *mut PGconn,
    result: *mut PGresult,
) -> c_int {
    if result.is_null() {
        return 0;
    }
    // SAFETY: the caller's promise.
    c_int::from(unsafe { tell_create(conn, result) })
}

fn set_data(events: &mut [Event], proc: PGEventProc, data: *mut c_void) -> c_int {
    let event = find(events, proc).and_then(|at| events.get_mut(at));
    match event {
        Some(event) => {
            event.data = data;
            1
        }
        None => 0,
    }
}

fn data(events: &[Event], proc: PGEventProc) -> *mut c_void {
    let event = find(events, proc).and_then(|at| events.get(at));
    event.map_or(ptr::null_mut(), |event| event.data)
}
