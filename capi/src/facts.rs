//! What is known of a connection: getters.

use std::borrow::Cow;
use std::ffi::{CString, c_char, c_int};
use std::ptr;
use std::sync::atomic::Ordering;

use pgpoll::conn::{Connection, TLS_ATTRIBUTES};
use pgpoll::engine::Phase;

use crate::border::{guard, handle, inside};
use crate::item::{CONN_TRANSACTION_UNKNOWN, transaction};
use crate::open::Conn;
use crate::text;

/// Nothing has happened yet.
pub const CONN_STATUS_START: i32 = 0;
/// Waiting for the addresses of a host name.
pub const CONN_STATUS_RESOLVING: i32 = 1;
/// Waiting for the socket to be connected.
pub const CONN_STATUS_DIALLING: i32 = 2;
/// The startup packet is under way.
pub const CONN_STATUS_STARTUP: i32 = 3;
/// Proving who the user is.
pub const CONN_STATUS_AUTHENTICATING: i32 = 4;
/// Authenticated; the server sends its parameters.
pub const CONN_STATUS_SETTLING: i32 = 5;
/// Finding out whether the server is the wanted kind (target_session_attrs).
pub const CONN_STATUS_CHECKING_TARGET: i32 = 6;
/// Up: operations can be started.
pub const CONN_STATUS_READY: i32 = 7;
/// Over.
pub const CONN_STATUS_OVER: i32 = 8;
/// The server is asked whether it encrypts; between CONN_STATUS_DIALLING and CONN_STATUS_STARTUP.
pub const CONN_STATUS_NEGOTIATING: i32 = 9;
/// The handshake of TLS or GSSAPI is under way; between CONN_STATUS_DIALLING and CONN_STATUS_STARTUP.
pub const CONN_STATUS_SECURING: i32 = 10;
/// Looking for credentials for GSSAPI; between CONN_STATUS_RESOLVING and CONN_STATUS_DIALLING.
pub const CONN_STATUS_CREDENTIALS: i32 = 11;

/// Where the connection is in its life.
///
/// conn: the connection.
/// Returns CONN_STATUS_…; -1 when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_status(conn: *const Conn) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, -1, |inner, _| {
            Some(match inner.connection.facts().phase() {
                Phase::Start => CONN_STATUS_START,
                Phase::Resolving => CONN_STATUS_RESOLVING,
                Phase::Credentials => CONN_STATUS_CREDENTIALS,
                Phase::Dialling => CONN_STATUS_DIALLING,
                Phase::NegotiatingGss | Phase::Negotiating => CONN_STATUS_NEGOTIATING,
                Phase::SecuringGss | Phase::Securing => CONN_STATUS_SECURING,
                Phase::Startup => CONN_STATUS_STARTUP,
                Phase::Authenticating => CONN_STATUS_AUTHENTICATING,
                Phase::Settling => CONN_STATUS_SETTLING,
                Phase::CheckingTarget => CONN_STATUS_CHECKING_TARGET,
                Phase::Ready => CONN_STATUS_READY,
                Phase::Over => CONN_STATUS_OVER,
            })
        })
    }
}

/// A parameter that the server reported: server_version, client_encoding, TimeZone, in_hot_standby, ….
///
/// conn: the connection. name: the parameter's name, as the server spells it.
/// Returns its value; NULL when the server reported no such parameter, and when it is refused.
/// Borrowed until the next conn_poll, conn_poll_state, conn_wait, conn_check, conn_get_result, conn_reset or conn_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_parameter(conn: *const Conn, name: *const c_char) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null(), |inner, _| {
            let Some(name) = text::bytes(name) else {
                return inner.misuse("name is NULL: pass the name of a parameter");
            };
            let facts = inner.connection.facts();
            Some(text::borrowed(facts.parameter_with_nul(name)))
        })
    }
}

/// The process ID of the server's backend.
///
/// conn: the connection. Other threads and signal handlers may ask while a call is inside it.
/// Returns the process ID; 0 before it is known, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_backend_pid(conn: *const Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { handle(conn) }.map_or(0, |handle| handle.pid.load(Ordering::Relaxed))
}

/// The transaction's status, as the server last told it.
///
/// conn: the connection.
/// Returns CONN_TRANSACTION_…; CONN_TRANSACTION_UNKNOWN also when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_transaction_status(conn: *const Conn) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, CONN_TRANSACTION_UNKNOWN, |inner, _| {
            inner.connection.facts().transaction().map(transaction)
        })
    }
}

/// The server's version as a number: 180006 is 18.6, 90603 is 9.6.3.
///
/// conn: the connection.
/// Returns the number; 0 before it is known, and when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_server_version(conn: *const Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            Some(inner.connection.facts().server_version() as c_int)
        })
    }
}

/// The version of the protocol in use, as a number: 30000 is 3.0, 30002 is 3.2.
///
/// conn: the connection.
/// Returns the number; 0 before it is known, and when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_protocol_version(conn: *const Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let protocol = inner.connection.facts().protocol();
            Some(((protocol >> 16) * 10_000 + (protocol & 0xffff)) as c_int)
        })
    }
}

/// The host in use as it was written: a name, an address or the folder of a socket. While connecting the one that is tried.
///
/// conn: the connection.
/// Returns the host; NULL for the default, a local socket, and when it is refused.
/// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_host(conn: *const Conn) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { shown(conn, 0, |connection| connection.host().map(Cow::Borrowed)) }
}

/// The numeric address of the host in use. While connecting the one that is tried.
///
/// conn: the connection.
/// Returns the address; NULL for a local socket, before a name is resolved, and when it is refused.
/// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_hostaddr(conn: *const Conn) -> *const c_char {
    let hostaddr = |connection: &Connection| connection.hostaddr().map(String::into_bytes);
    // SAFETY: the caller's promise.
    unsafe { shown(conn, 4, |connection| hostaddr(connection).map(Cow::Owned)) }
}

/// The port in use, also of a local socket.
///
/// conn: the connection.
/// Returns the port as it was written; NULL when it is refused.
/// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_port(conn: *const Conn) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { shown(conn, 1, |connection| connection.port().map(Cow::Borrowed)) }
}

/// The role that the connection is made as.
///
/// conn: the connection.
/// Returns the name; NULL when the connection string made no sense, and when it is refused.
/// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_user(conn: *const Conn) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { shown(conn, 2, |connection| connection.user().map(Cow::Borrowed)) }
}

/// The database that the connection is made to.
///
/// conn: the connection.
/// Returns the name; NULL when the connection string made no sense, and when it is refused.
/// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_database(conn: *const Conn) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe {
        shown(conn, 3, |connection| {
            connection.database().map(Cow::Borrowed)
        })
    }
}

/// Whether the server asked for a password and there was none: ask the user for one, and open another connection.
///
/// conn: the connection.
/// Returns 1 or 0; 0 also when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_password_needed(conn: *const Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            Some(c_int::from(inner.connection.facts().password_needed()))
        })
    }
}

/// Whether the server asked for a password and got one.
///
/// conn: the connection.
/// Returns 1 or 0; 0 also when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_password_used(conn: *const Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            Some(c_int::from(inner.connection.facts().password_used()))
        })
    }
}

/// What the connection is doing, as one line of JSON: phase, operation, what it waits for, where in the library and since
/// when, bytes in and out, queue, transaction. For logs and debuggers; its fields may change. No values, no secrets.
///
/// conn: the connection.
/// Returns the line; NULL when it is refused.
/// Yours until conn_free_string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_inspect(conn: *const Conn) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null_mut(), |inner, _| {
            let line = inner.connection.inspect();
            Some(text::owned(line.as_bytes()).into_raw())
        })
    }
}

/// What was odd when the connection was opened: a password file that others can read, say. One warning a line.
///
/// conn: the connection.
/// Returns the warnings; NULL when there are none, and when it is refused.
/// Yours until conn_free_string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_warnings(conn: *const Conn) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null_mut(), |inner, _| {
            let warnings = inner.connection.warnings();
            if warnings.is_empty() {
                return None;
            }
            Some(text::owned(warnings.join("\n").as_bytes()).into_raw())
        })
    }
}

/// Frees a string that is yours.
///
/// string: from conn_inspect or conn_warnings, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_free_string(string: *mut c_char) {
    if string.is_null() {
        return;
    }
    guard((), || {
        // SAFETY: the caller's promise: it came from `CString::into_raw`.
        drop(unsafe { CString::from_raw(string) });
    });
}

/// The version of this library.
///
/// Returns text such as "0.1.0". Lives as long as the library.
#[unsafe(no_mangle)]
pub extern "C" fn conn_library_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Where the texts about a token, and about TLS, are kept: behind those of this file.
pub(crate) const FIRST_TOKEN_SLOT: usize = 5;
pub(crate) const FIRST_TLS_SLOT: usize = FIRST_TOKEN_SLOT + 2;

/// The texts that were shown last, one for each getter that needs a copy.
pub(crate) type Shown = Option<Box<[Option<CString>; FIRST_TLS_SLOT + TLS_ATTRIBUTES.len()]>>;

/// A text of the connection, kept in the handle until it is another one.
///
/// # Safety
/// As for [`inside`].
unsafe fn shown(
    conn: *const Conn,
    slot: usize,
    ask: impl FnOnce(&Connection) -> Option<Cow<'_, [u8]>>,
) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null(), |inner, _| {
            let text = ask(&inner.connection)?;
            kept(&mut inner.shown, slot, &text)
        })
    }
}

/// The copy of `text` in its slot; the one that is there already if it says the same.
pub(crate) fn kept(shown: &mut Shown, slot: usize, text: &[u8]) -> Option<*const c_char> {
    let slot = shown.get_or_insert_default().get_mut(slot)?;
    if slot.as_ref().is_none_or(|shown| shown.to_bytes() != text) {
        *slot = Some(text::owned(text));
    }
    slot.as_ref().map(|shown| shown.as_ptr())
}
