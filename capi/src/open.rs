//! The life of a connection: open, reset, close.

use std::ffi::{c_char, c_int};
use std::ptr;

use pgpoll::conn::Connection;
use pgpoll::conninfo::Options;
use pgpoll::error::Error;

use crate::border::{self, Handle, allocate, guard, inside};
use crate::error::prepare_for_no_memory;
use crate::{result, text};

/// A connection. One call at a time; it may move between threads.
#[derive(Debug)]
pub struct Conn {
    pub(crate) handle: Handle,
}

/// Begins to connect. Nothing waits, and nothing is sent yet: conn_poll does the work.
///
/// conninfo: a connection string (`host=… dbname=…`) or URI (`postgresql://…`), as the PostgreSQL manual describes them; ""
///   takes everything from the environment and the defaults. Not needed after the call. What it says is kept for conn_reset,
///   passwords among it, and wiped by conn_close; what else becomes of a password is wiped once the connection is up or over.
/// Returns a connection, also when conninfo makes no sense: then it is over at once, and conn_error says why. NULL only
///   when there is no memory.
/// Yours until conn_close.
/// Next: conn_poll until it says CONN_IDLE or CONN_FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_open(conninfo: *const c_char) -> *mut Conn {
    guard(ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        give(match unsafe { text::bytes(conninfo) } {
            Some(conninfo) => Connection::open(conninfo),
            None => Connection::failed(Error::misuse(
                "the connection string is NULL: pass \"\" to connect with the defaults",
            )),
        })
    })
}

/// Begins to connect, with the options one by one.
///
/// keywords: names of options, ended by NULL. values: their values; NULL or "" means not given. Not needed after the call.
/// expand_dbname: not 0 allows the value of the first `dbname` to be a whole connection string or URI.
/// Returns, how long it lives and what is next: as conn_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_open_params(
    keywords: *const *const c_char,
    values: *const *const c_char,
    expand_dbname: c_int,
) -> *mut Conn {
    guard(ptr::null_mut(), || {
        if keywords.is_null() || values.is_null() {
            return give(Connection::failed(Error::misuse(
                "keywords and values are needed, each an array; keywords ends with NULL",
            )));
        }
        let pairs = (0..).map_while(|index| {
            // SAFETY: both arrays go on up to the NULL in `keywords`, and hold C strings.
            unsafe {
                let keyword = text::bytes(*keywords.add(index))?;
                Some((keyword, text::bytes(*values.add(index))))
            }
        });
        give(match Options::from_pairs(pairs, expand_dbname != 0) {
            Ok(options) => Connection::open_options(options),
            Err(error) => Connection::failed(Error::misuse(error.to_string())),
        })
    })
}

/// Ends the connection and begins to connect again with the same options: files are read and names resolved anew. Results
/// that were not taken are lost; those that were stay yours. Notices and notifications are kept; LISTEN has to be executed again.
///
/// conn: the connection.
/// Next: conn_poll until it says CONN_IDLE or CONN_FAILED. It says CONN_SOCKET_CHANGED when there is a new descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_reset(conn: *mut Conn) {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, (), |inner, handle| {
            inner.connection.reset();
            inner.refused = None;
            inner.over = None;
            inner.bits = 0;
            handle.publish(&inner.connection);
            Some(())
        });
    }
}

/// Closes the connection and frees the handle. Never waits: what is under way is dropped, and the server notices. Results,
/// errors and notifications that were taken stay yours.
///
/// conn: the connection, or NULL. Remove conn_socket(conn) from your event loop before. A group that it is in it leaves.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_close(conn: *mut Conn) {
    if conn.is_null() {
        return;
    }
    // SAFETY: the caller's promise. Whoever is inside would lose the ground under their feet: they are left alone, and
    // `conn_error(NULL)` tells this caller.
    unsafe {
        if inside(conn, false, |inner, _| Some(inner.leave_group())) {
            border::free(conn);
        }
    }
}

pub(crate) fn give(mut connection: Connection) -> *mut Conn {
    border::silence();
    connection.set_front(result::FRONT);
    connection.engine_mut().leave_answers(true);
    prepare_for_no_memory();
    let handle = Handle::new(connection);
    allocate(Conn { handle }).unwrap_or(ptr::null_mut())
}
