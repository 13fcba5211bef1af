//! What a program reads off a connection: status, socket, server. Changes nothing.

use std::ffi::{c_char, c_int};
use std::ptr;

use pgpoll::wire::TransactionStatus;
use pgpoll::wire::protocol;

use crate::arguments::text;
use crate::conn::{BAD, OK, PGconn};
use crate::guard::look;
use crate::state::Async;

/// `PQTRANS_…`.
const ACTIVE: c_int = 1;
const UNKNOWN: c_int = 4;

/// How the connection stands (`ConnStatusType`): 0 is up, 1 is not; others name a step of connecting.
///
/// # Safety
/// `conn` is NULL or a connection; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQstatus(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { look(conn, BAD, PGconn::status) }
}

/// The descriptor to wait for, or -1. While connecting it may change with each poll.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsocket(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { look(conn, -1, PGconn::socket) }
}

/// The process ID of the server's backend; 0 without a connection.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQbackendPID(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        look(conn, 0, |conn| match conn.status() {
            OK => conn.link.facts().backend_pid() as c_int,
            _ => 0,
        })
    }
}

/// Where the transaction stands (`PGTransactionStatusType`).
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQtransactionStatus(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        look(conn, UNKNOWN, |conn| {
            if conn.status() != OK {
                UNKNOWN
            } else if conn.consumer.state != Async::Idle {
                ACTIVE
            } else {
                match conn.link.facts().transaction() {
                    Some(TransactionStatus::Idle) => 0,
                    Some(TransactionStatus::InTransaction) => 2,
                    Some(TransactionStatus::Failed) => 3,
                    None => UNKNOWN,
                }
            }
        })
    }
}

/// A parameter that the server reported, or NULL. It belongs to the connection, and lives until the next call that reads.
///
/// # Safety
/// As above; `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQparameterStatus(
    conn: *const PGconn,
    name: *const c_char,
) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe {
        look(conn, ptr::null(), |conn| {
            let value = text(name).and_then(|name| conn.link.facts().parameter_with_nul(name));
            value.map_or(ptr::null(), |value| value.as_ptr().cast())
        })
    }
}

/// The server's version: 180006 for 18.6; 0 without a connection.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQserverVersion(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        look(conn, 0, |conn| match conn.status() {
            BAD => 0,
            _ => conn.link.facts().server_version() as c_int,
        })
    }
}

/// The major version of the protocol: 3; 0 without a connection.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQprotocolVersion(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { look(conn, 0, |conn| full_version(conn) / 10_000) }
}

/// The protocol version: 30002 for 3.2; 0 without a connection.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQfullProtocolVersion(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { look(conn, 0, full_version) }
}

fn full_version(conn: &PGconn) -> c_int {
    if conn.status() == BAD {
        return 0;
    }
    let version = conn.link.facts().protocol() as i32;
    c_int::from(protocol::major(version)) * 10_000 + c_int::from(protocol::minor(version))
}

/// 1 when the server asked for a password and there was none to give.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQconnectionNeedsPassword(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        look(conn, 0, |conn| {
            c_int::from(conn.link.facts().password_needed())
        })
    }
}

/// 1 when the server asked for a password, whether there was one or not.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQconnectionUsedPassword(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        look(conn, 0, |conn| {
            let facts = conn.link.facts();
            c_int::from(facts.password_used() || facts.password_needed())
        })
    }
}

/// 1 when calls that send do not wait for the socket.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQisnonblocking(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        look(conn, 0, |conn| {
            c_int::from(conn.status() != BAD && conn.nonblocking)
        })
    }
}

/// Whether the connection is in pipeline mode (`PGpipelineStatus`): off, on, or aborted up to the next sync.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQpipelineStatus(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { look(conn, 0, |conn| conn.consumer.pipeline as c_int) }
}
