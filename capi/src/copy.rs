//! COPY: data put and taken, where it lies. Knows no row of it.

use std::ffi::{c_char, c_int, c_void};

use pgpoll::engine::Command;

use crate::border::inside;
use crate::open::Conn;
use crate::text;

/// Bytes and how many there are, laid out as struct iovec is: writev takes an array of them.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ConnBytes {
    /// The bytes; no NUL follows them.
    pub data: *const c_void,
    /// How many.
    pub length: usize,
}

/// Starts a COPY: FROM STDIN, TO STDOUT, or the START_REPLICATION of a replication connection, which goes both ways. It is a simple
/// query: other statements and other COPYs may be in the string, and what is none is just run. Until it is done nothing else can
/// be started.
///
/// conn: a connection that is up. sql: the statements; not needed after the call.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, until conn_get_result gives CONN_ITEM_COPY for each COPY as it begins. item.copy says which way:
///   CONN_COPY_IN: conn_copy_put, then conn_copy_end. CONN_COPY_OUT: conn_copy_get. CONN_COPY_BOTH: all of them. The last item
///   is CONN_ITEM_DONE as ever. conn_abandon is safe at any moment, and what was put then comes to nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_copy(conn: *mut Conn, sql: *const c_char) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let sql = inner.text(sql, "sql is NULL: pass the statements")?;
            inner.start(Command::Copy { sql }, 0)
        })
    }
}

/// Puts data of a COPY, and sends nothing: conn_poll does.
///
/// conn: a connection whose COPY has begun and goes to the server, or both ways.
/// data: length bytes, which need not be a row: pieces of any size do, and small ones are put together. Of a COPY that goes both ways
///   each piece is a message. Not needed after the call.
/// Returns 1; 0 when nothing of it was taken, and conn_error(conn) says why: CONN_ERROR_WOULD_BLOCK when too much is queued. After
///   an error of the server, which is an item, it is refused too.
/// Next: more of it; conn_poll now and then, at the latest when it would block: when that says CONN_ROOM, put the same again.
///   conn_copy_end behind the last piece.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_copy_put(
    conn: *mut Conn,
    data: *const c_void,
    length: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            if data.is_null() && length > 0 {
                return inner.misuse("data is NULL: pass the data to be copied");
            }
            match inner.connection.copy_put(text::array(data.cast(), length)) {
                Ok(()) => Some(1),
                Err(error) => inner.refuse(error),
            }
        })
    }
}

/// Ends the data that is put.
///
/// conn: as for conn_copy_put.
/// error: NULL when the data is complete; else why it is not: the server undoes the COPY, and fails with that text. Not with a COPY
///   that goes both ways. Not needed after the call.
/// Returns 1; 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result. Of a COPY that goes both ways the server may still give data: take it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_copy_end(conn: *mut Conn, error: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            match inner.connection.copy_end(text::bytes(error)) {
                Ok(()) => Some(1),
                Err(error) => inner.refuse(error),
            }
        })
    }
}

/// Takes data of a COPY: messages as the server sent them. In text form each is a row with its newline. Data that is not taken stops
/// the reading, so memory stays bounded.
///
/// conn: a connection whose COPY has begun. messages: is filled, where they were received: none is copied. most: room for so many.
/// Returns how many there were; 0 when there is none now, while an item is there to be taken first, and when it is refused.
/// Borrowed until the next call with this connection.
/// Next: the same again until it is 0, then conn_poll, which says CONN_COPY when there is more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_copy_get(
    conn: *mut Conn,
    messages: *mut ConnBytes,
    most: usize,
) -> usize {
    // SAFETY: the caller's promise; `messages` is NULL or has room for `most`.
    unsafe {
        inside(conn, 0, |inner, _| {
            if messages.is_null() && most > 0 {
                return inner.misuse("messages is NULL: pass an array of ConnBytes");
            }
            let mut count = 0;
            for message in inner.connection.copy_get(most) {
                messages.add(count).write(ConnBytes {
                    data: message.as_ptr().cast(),
                    length: message.len(),
                });
                count += 1;
            }
            Some(count)
        })
    }
}
