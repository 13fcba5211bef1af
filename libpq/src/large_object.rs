//! Large objects: the functions of the server that they are made of, and files that become one or come out of one.

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pgpoll::net::file::words;
use pgpoll::wire::TransactionStatus;

use crate::arguments::array;
use crate::conn::PGconn;
use crate::exec::make_idle;
use crate::function::{Argument, Returned, call};
use crate::guard::enter;

/// How much of a file is moved at once.
const PIECE: usize = 8192;

/// Large objects are opened to be written.
const INV_WRITE: i32 = 0x0002_0000;
/// And to be read.
const INV_READ: i32 = 0x0004_0000;

/// The functions' object IDs, which never change.
mod function {
    pub(super) const CREATE: u32 = 715;
    pub(super) const OPEN: u32 = 952;
    pub(super) const CLOSE: u32 = 953;
    pub(super) const READ: u32 = 954;
    pub(super) const WRITE: u32 = 955;
    pub(super) const LSEEK: u32 = 956;
    pub(super) const CREAT: u32 = 957;
    pub(super) const TELL: u32 = 958;
    pub(super) const UNLINK: u32 = 964;
    pub(super) const TRUNCATE: u32 = 1004;
    pub(super) const LSEEK64: u32 = 3170;
    pub(super) const TELL64: u32 = 3171;
    pub(super) const TRUNCATE64: u32 = 3172;
}

/// What an object ID is that there is none of.
const INVALID: u32 = 0;

impl PGconn {
    fn refuse_large_object(&mut self, text: &str) {
        self.message.line(text);
    }

    fn is_in_failed_transaction(&self) -> bool {
        self.link.facts().transaction() == Some(TransactionStatus::Failed)
    }
}

/// What must hold before a large object is turned to. The first time libpq runs a query, which asks for the functions: what would
/// have been in its way is in the way here.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now.
unsafe fn begin(conn: *mut PGconn) -> bool {
    // SAFETY: the caller's promise.
    unsafe {
        let first = enter(conn, None, |conn| {
            conn.clear_error();
            Some(!conn.knows_large_objects)
        });
        match first {
            None => false,
            Some(false) => true,
            Some(true) => make_idle(conn) && enter(conn, false, PGconn::may_send),
        }
    }
}

/// Calls a function; what it has returned, if all went well.
///
/// # Safety
/// `conn` is a connection that nobody else uses now.
unsafe fn ask(conn: *mut PGconn, function: u32, arguments: &[Argument<'_>]) -> Option<Returned> {
    // SAFETY: the caller's promise.
    unsafe {
        let in_vain = !(*conn).knows_large_objects && (*conn).is_in_failed_transaction();
        let returned = call(conn, function, arguments)?;
        if in_vain {
            refuse(
                conn,
                "query to initialize large object functions did not return data",
            );
            return None;
        }
        (*conn).knows_large_objects = true;
        returned.is_ok().then_some(returned)
    }
}

/// Calls a function that returns an integer of 4 bytes.
///
/// # Safety
/// As for [`ask`].
unsafe fn number(conn: *mut PGconn, function: u32, arguments: &[Argument<'_>]) -> Option<i32> {
    // SAFETY: the caller's promise.
    unsafe {
        let returned = ask(conn, function, arguments)?;
        let value = returned.value()?;
        match value.try_into() {
            Ok(bytes) => Some(i32::from_be_bytes(bytes)),
            Err(_) => {
                enter(conn, (), PGconn::too_much);
                None
            }
        }
    }
}

/// Calls a function that returns an integer of 8 bytes.
///
/// # Safety
/// As for [`ask`].
unsafe fn large(conn: *mut PGconn, function: u32, arguments: &[Argument<'_>]) -> Option<i64> {
    // SAFETY: the caller's promise.
    unsafe {
        let returned = ask(conn, function, arguments)?;
        let value = returned.value()?;
        if value.len() > size_of::<i64>() {
            enter(conn, (), PGconn::too_much);
        }
        value.try_into().ok().map(i64::from_be_bytes)
    }
}

/// Says why nothing is done.
///
/// # Safety
/// As for [`ask`].
unsafe fn refuse(conn: *mut PGconn, text: &str) {
    // SAFETY: the caller's promise.
    unsafe { enter(conn, (), |conn| conn.refuse_large_object(text)) };
}

/// The same about a file, in the place of what was said before.
///
/// # Safety
/// As for [`ask`].
unsafe fn refuse_file(conn: *mut PGconn, what: &str, file: &CStr, error: &io::Error) {
    let reason = words(error);
    let parts = [what.as_bytes(), b" \"", file.to_bytes(), b"\": "];
    // SAFETY: the caller's promise.
    unsafe {
        enter(conn, (), |conn| {
            conn.clear_error();
            for part in parts {
                conn.message.push(part);
            }
            conn.message.line(&reason);
        });
    }
}

/// A length that the server's function takes.
///
/// # Safety
/// As for [`ask`].
unsafe fn length(conn: *mut PGconn, name: &str, len: usize) -> Option<i32> {
    let fits = i32::try_from(len).ok();
    if fits.is_none() {
        // SAFETY: the caller's promise.
        unsafe { refuse(conn, &format!("argument of {name} exceeds integer range")) };
    }
    fits
}

/// Opens a large object: its descriptor, which lives until the end of the transaction; -1 when there is trouble. `mode`:
/// `INV_READ`, `INV_WRITE` or both.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lo_open(conn: *mut PGconn, oid: u32, mode: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { open(conn, oid, mode).unwrap_or(-1) }
}

unsafe fn open(conn: *mut PGconn, oid: u32, mode: c_int) -> Option<c_int> {
    // SAFETY: the caller's promise.
    unsafe {
        let arguments = [oid.into(), mode.into()];
        if !begin(conn) {
            return None;
        }
        number(conn, function::OPEN, &arguments)
    }
}

/// Closes a descriptor. 0, or -1 when there is trouble.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lo_close(conn: *mut PGconn, fd: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { close(conn, fd) }
}

unsafe fn close(conn: *mut PGconn, fd: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if !begin(conn) {
            return -1;
        }
        number(conn, function::CLOSE, &[fd.into()]).unwrap_or(-1)
    }
}

/// Reads at the descriptor's position into a buffer of `len` bytes: how many, or -1 when there is trouble.
///
/// # Safety
/// As above; `buffer` has that many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lo_read(
    conn: *mut PGconn,
    fd: c_int,
    buffer: *mut c_char,
    len: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { read(conn, fd, buffer.cast(), len).unwrap_or(-1) }
}

unsafe fn read(conn: *mut PGconn, fd: c_int, buffer: *mut u8, len: usize) -> Option<c_int> {
    // SAFETY: the caller's promise; no more is written than there is room for.
    unsafe {
        if !begin(conn) {
            return None;
        }
        let most = length(conn, "lo_read", len)?;
        let returned = ask(conn, function::READ, &[fd.into(), most.into()])?;
        let value = returned.value()?;
        if value.len() > len {
            enter(conn, (), PGconn::too_much);
            return None;
        }
        buffer.copy_from_nonoverlapping(value.as_ptr(), value.len());
        Some(value.len() as c_int)
    }
}

/// Writes `len` bytes at the descriptor's position: how many were written, or -1 when there is trouble.
///
/// # Safety
/// As above; `buffer` has that many bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lo_write(
    conn: *mut PGconn,
    fd: c_int,
    buffer: *const c_char,
    len: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if !begin(conn) {
            return -1;
        }
        let Some(size) = length(conn, "lo_write", len) else {
            return -1;
        };
        write(conn, fd, array(buffer.cast(), size)).unwrap_or(-1)
    }
}

unsafe fn write(conn: *mut PGconn, fd: c_int, data: &[u8]) -> Option<c_int> {
    // SAFETY: the caller's promise.
    unsafe { number(conn, function::WRITE, &[fd.into(), Argument::Bytes(data)]) }
}

macro_rules! of_descriptor {
    ($(#[doc = $text:literal])+ $name:ident($($argument:ident: $type:ty),*) -> $returned:ty,
     $call:ident($function:ident), $failed:expr) => {
        $(#[doc = $text])+
        ///
        /// # Safety
        /// As above.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(conn: *mut PGconn, $($argument: $type),*) -> $returned {
            // SAFETY: the caller's promise.
            unsafe {
                if !begin(conn) {
                    return $failed;
                }
                $call(conn, function::$function, &[$($argument.into()),*]).unwrap_or($failed)
            }
        }
    };
}

of_descriptor!(
    /// Moves the descriptor's position: the new one, or -1 when there is trouble.
    lo_lseek(fd: c_int, offset: c_int, whence: c_int) -> c_int, number(LSEEK), -1);
of_descriptor!(
    /// The same beyond 2 GB.
    lo_lseek64(fd: c_int, offset: i64, whence: c_int) -> i64, large(LSEEK64), -1);
of_descriptor!(
    /// The descriptor's position, or -1 when there is trouble.
    lo_tell(fd: c_int) -> c_int, number(TELL), -1);
of_descriptor!(
    /// The same beyond 2 GB.
    lo_tell64(fd: c_int) -> i64, large(TELL64), -1);
of_descriptor!(
    /// Makes a large object so long. 0, or -1 when there is trouble.
    lo_truncate64(fd: c_int, len: i64) -> c_int, number(TRUNCATE64), -1);
of_descriptor!(
    /// Removes a large object. 1, or -1 when there is trouble.
    lo_unlink(oid: u32) -> c_int, number(UNLINK), -1);

/// As [`lo_truncate64`], up to 2 GB.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lo_truncate(conn: *mut PGconn, fd: c_int, len: usize) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if !begin(conn) {
            return -1;
        }
        let Some(len) = length(conn, "lo_truncate", len) else {
            return -1;
        };
        number(conn, function::TRUNCATE, &[fd.into(), len.into()]).unwrap_or(-1)
    }
}

/// Creates an empty large object: its object ID, or 0 when there is trouble. The mode has no meaning any more.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lo_creat(conn: *mut PGconn, mode: c_int) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { create(conn, function::CREAT, mode.into()) }
}

/// The same with an object ID that the caller chooses; 0 for any.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lo_create(conn: *mut PGconn, oid: u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { create(conn, function::CREATE, oid.into()) }
}

unsafe fn create(conn: *mut PGconn, function: u32, argument: Argument<'_>) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        if !begin(conn) {
            return INVALID;
        }
        number(conn, function, &[argument]).map_or(INVALID, |oid| oid as u32)
    }
}

/// Makes a large object of a file: its object ID, or 0 when there is trouble.
///
/// # Safety
/// As above; `file` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lo_import(conn: *mut PGconn, file: *const c_char) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { import(conn, file, INVALID).unwrap_or(INVALID) }
}

/// The same with an object ID that the caller chooses; 0 for any.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lo_import_with_oid(
    conn: *mut PGconn,
    file: *const c_char,
    oid: u32,
) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { import(conn, file, oid).unwrap_or(INVALID) }
}

unsafe fn import(conn: *mut PGconn, file: *const c_char, oid: u32) -> Option<u32> {
    if conn.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    unsafe {
        let name = name(file);
        let mut file = match named(file).and_then(File::open) {
            Ok(file) => file,
            Err(error) => {
                refuse_file(conn, "could not open file", name, &error);
                return None;
            }
        };
        let created = match oid {
            INVALID => create(conn, function::CREAT, (INV_READ | INV_WRITE).into()),
            oid => create(conn, function::CREATE, oid.into()),
        };
        if created == INVALID {
            return None;
        }
        let fd = open(conn, created, INV_WRITE)?;
        let mut piece = [0; PIECE];
        loop {
            let count = match file.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    close(conn, fd);
                    refuse_file(conn, "could not read from file", name, &error);
                    return None;
                }
            };
            // After a failure the transaction is over, and the descriptor with it.
            if !begin(conn) || write(conn, fd, &piece[..count]) != Some(count as c_int) {
                return None;
            }
        }
        (close(conn, fd) == 0).then_some(created)
    }
}

/// Makes a file of a large object. 1, or -1 when there is trouble.
///
/// # Safety
/// As above; `file` is a string.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lo_export(
    conn: *mut PGconn,
    oid: u32,
    file: *const c_char,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { export(conn, oid, file).map_or(-1, |()| 1) }
}

unsafe fn export(conn: *mut PGconn, oid: u32, file: *const c_char) -> Option<()> {
    // SAFETY: the caller's promise.
    unsafe {
        let name = name(file);
        let fd = open(conn, oid, INV_READ)?;
        let mut file = match named(file).and_then(File::create) {
            Ok(file) => file,
            Err(error) => {
                close(conn, fd);
                refuse_file(conn, "could not open file", name, &error);
                return None;
            }
        };
        let mut piece = [0; PIECE];
        loop {
            // After a failure the transaction is over, and the descriptor with it.
            let count = read(conn, fd, piece.as_mut_ptr(), PIECE)? as usize;
            if count == 0 {
                break;
            }
            if let Err(error) = file.write_all(&piece[..count]) {
                close(conn, fd);
                refuse_file(conn, "could not write to file", name, &error);
                return None;
            }
        }
        if close(conn, fd) != 0 {
            return None;
        }
        // Some file systems tell here that they have not written all.
        if libc::close(file.into_raw_fd()) != 0 {
            let error = io::Error::last_os_error();
            refuse_file(conn, "could not write to file", name, &error);
            return None;
        }
        Some(())
    }
}

/// A file in a message, where C's printf says this of NULL.
///
/// # Safety
/// `file` is NULL or a string.
unsafe fn name<'a>(file: *const c_char) -> &'a CStr {
    match file.is_null() {
        true => c"(null)",
        // SAFETY: the caller's promise.
        false => unsafe { CStr::from_ptr(file) },
    }
}

/// The path to open; for NULL the error of the system call.
///
/// # Safety
/// As above.
unsafe fn named<'a>(file: *const c_char) -> io::Result<&'a Path> {
    if file.is_null() {
        return Err(io::Error::from_raw_os_error(libc::EFAULT));
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(file) };
    Ok(Path::new(OsStr::from_bytes(name.to_bytes())))
}
