//! Large objects: their functions, and import and export of a file.

use std::ffi::{c_char, c_int};
use std::fs::File;

use pgpoll::conn::Connection;
use pgpoll::engine::{Command, LO_READ, LO_WRITE, LargeObject};
use pgpoll::error::Error;

use crate::border::{Inner, inside};
use crate::open::Conn;

/// conn_start_lo_open: to be read, as it was when the transaction's snapshot was taken.
pub const CONN_LO_READ: c_int = 0x40000;
/// conn_start_lo_open: to be written, and read as it is.
pub const CONN_LO_WRITE: c_int = 0x20000;
const _: () = assert!(CONN_LO_READ == LO_READ && CONN_LO_WRITE == LO_WRITE);

/// Starts to create an empty large object.
///
/// conn: a connection that is up, outside of a group (CONN_MORE). oid: the OID that it is to have; 0 for any that is free.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is its OID.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_create(conn: *mut Conn, oid: u32) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { start(conn, |_| Some(LargeObject::Create { oid })) }
}

/// Starts to open a large object. Its descriptor lives until the end of the transaction: outside of a transaction block that is
/// the end of this very call, and the descriptor is of no use.
///
/// conn: a connection that is up, outside of a group (CONN_MORE). oid: of the large object.
/// mode: CONN_LO_READ, CONN_LO_WRITE or both.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is the descriptor, from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_open(conn: *mut Conn, oid: u32, mode: c_int) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { start(conn, |_| Some(LargeObject::Open { oid, mode })) }
}

/// Starts to close a descriptor. The end of the transaction closes all of them.
///
/// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_close(conn: *mut Conn, fd: c_int) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { start(conn, |_| Some(LargeObject::Close { fd })) }
}

/// Starts to read at the descriptor's position, which moves on.
///
/// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor.
/// length: how many bytes at most; not more than 1 GB less 1 KB, and they come as one piece.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the bytes of a CONN_ITEM_CALLED are conn_result_value and conn_result_length of its result,
/// row 0 and column 0. They are fewer than asked for only at the end of the large object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_read(conn: *mut Conn, fd: c_int, length: usize) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { start(conn, |_| Some(LargeObject::Read { fd, length })) }
}

/// Starts to write at the descriptor's position, which moves on.
///
/// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor, open for writing.
/// data, length: the bytes, not more than 1 GB less 1 KB; not needed after the call.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is the number of bytes written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_write(
    conn: *mut Conn,
    fd: c_int,
    data: *const c_char,
    length: usize,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        start(conn, |inner| {
            if length > 0 && data.is_null() {
                return inner.misuse("data is NULL while length is not 0: pass the bytes");
            }
            if length > isize::MAX as usize {
                return inner.misuse("length is no number of bytes that there can be");
            }
            let data = crate::text::array(data.cast(), length);
            Some(LargeObject::Write { fd, data })
        })
    }
}

/// Starts to move the descriptor's position. It may lie behind the end: what is written there leaves a gap of zeroes.
///
/// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor.
/// offset: in bytes. whence: from where, as with lseek: SEEK_SET, SEEK_CUR or SEEK_END.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is the new position.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_seek(
    conn: *mut Conn,
    fd: c_int,
    offset: i64,
    whence: c_int,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { start(conn, |_| Some(LargeObject::Seek { fd, offset, whence })) }
}

/// Starts to ask for the descriptor's position.
///
/// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is the position.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_tell(conn: *mut Conn, fd: c_int) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { start(conn, |_| Some(LargeObject::Tell { fd })) }
}

/// Starts to cut off a large object, or to make it longer with zeroes.
///
/// conn: a connection that is up, in the transaction block of the descriptor. fd: the descriptor, open for writing.
/// length: how many bytes it is to have.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_truncate(conn: *mut Conn, fd: c_int, length: i64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { start(conn, |_| Some(LargeObject::Truncate { fd, length })) }
}

/// Starts to remove a large object.
///
/// conn: a connection that is up, outside of a group (CONN_MORE). oid: of the large object.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_unlink(conn: *mut Conn, oid: u32) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { start(conn, |_| Some(LargeObject::Unlink { oid })) }
}

/// Starts to make a large object of a file's content, from the file's position on. One operation moves all of it, in pieces, within
/// conn_poll; its memory does not grow with the file. Inside of a transaction block it is part of that; else it has a transaction of
/// its own, which is rolled back when it fails. Until its done no other operation can be started.
///
/// conn: a connection that is up, outside of a group (CONN_MORE). oid: the OID that it is to have; 0 for any that is free.
/// file: a descriptor open for reading, which is duplicated: you may close it after the call. Pipes, sockets and terminals,
/// which could be waited for, are refused.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is its OID. Of an error of the file conn_error_errno tells.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_import(conn: *mut Conn, file: c_int, oid: u32) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        with_file(conn, file, |connection, file| {
            connection.start_lo_import(file, oid)
        })
    }
}

/// Starts to write a large object's content to a file, at the file's position. The rest is as in conn_start_lo_import; what
/// was written to the file before a failure stays there.
///
/// conn: a connection that is up, outside of a group (CONN_MORE). oid: of the large object.
/// file: a descriptor open for writing, which is duplicated: you may close it after the call.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the value of a CONN_ITEM_CALLED is the OID. Of an error of the file conn_error_errno tells.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_lo_export(conn: *mut Conn, oid: u32, file: c_int) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        with_file(conn, file, |connection, file| {
            connection.start_lo_export(oid, file)
        })
    }
}

/// # Safety
/// `conn` as for [`inside`].
unsafe fn start<'a>(
    conn: *mut Conn,
    what: impl FnOnce(&mut Inner) -> Option<LargeObject<'a>>,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let what = what(inner)?;
            inner.start(Command::LargeObject(what), 0)
        })
    }
}

/// # Safety
/// `conn` as for [`inside`].
unsafe fn with_file(
    conn: *mut Conn,
    file: c_int,
    start: impl FnOnce(&mut Connection, File) -> Result<u64, Error>,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let started = Connection::file_of(file);
            match started.and_then(|file| start(&mut inner.connection, file)) {
                Ok(operation) => Some(operation),
                Err(error) => inner.refuse(error),
            }
        })
    }
}
