//! Encodings by their numbers and names, and the one of a connection. Knows C's strings; what an encoding is lies in pgpoll.

use std::env;
use std::ffi::{c_char, c_int};
use std::os::unix::ffi::OsStrExt;

use pgpoll::encoding::Encoding;

use crate::arguments::text;
use crate::conn::{OK, PGconn};
use crate::exec::execute;
use crate::guard::{guard, look};
use crate::locale;
use crate::result::{COMMAND_OK, clear};

/// Bytes of the longest command that [`PQsetClientEncoding`] sends.
const COMMAND: usize = 125;

/// The encoding with a number of C's; one that is none is no encoding.
fn of(id: c_int) -> Encoding {
    Encoding::from_id(id).unwrap_or_default()
}

/// The number of a name, or -1.
fn id(name: Option<&[u8]>) -> c_int {
    name.and_then(Encoding::named).map_or(-1, Encoding::id)
}

/// Calls `work` with the beginning of a text: as many bytes as `looks_at` says of the first, up to the NUL.
///
/// # Safety
/// `text` is NULL or a string.
unsafe fn head<T>(
    text: *const c_char,
    looks_at: impl Fn(u8) -> usize,
    work: impl FnOnce(&[u8]) -> T,
) -> T {
    let mut head = [0; 4];
    let mut seen = 0;
    if !text.is_null() {
        let text = text.cast::<u8>();
        let mut wanted = 1;
        while seen < wanted && seen < head.len() {
            // SAFETY: the caller's promise; no byte so far was the NUL.
            let byte = unsafe { *text.add(seen) };
            if byte == 0 {
                break;
            }
            head[seen] = byte;
            seen += 1;
            wanted = looks_at(head[0]);
        }
    }
    work(&head[..seen])
}

/// How many bytes the character has that a string begins with. There may be fewer in the string: see [`PQmblenBounded`].
///
/// # Safety
/// `text` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQmblen(text: *const c_char, encoding: c_int) -> c_int {
    let encoding = of(encoding);
    // SAFETY: the caller's promise.
    unsafe {
        head(
            text,
            |first| encoding.length_looks_at(first),
            |head| encoding.length(head) as c_int,
        )
    }
}

/// The same, but no more than there are in the string.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQmblenBounded(text: *const c_char, encoding: c_int) -> c_int {
    let encoding = of(encoding);
    // SAFETY: the caller's promise.
    unsafe {
        head(
            text,
            |first| encoding.max_length().max(encoding.length_looks_at(first)),
            |head| encoding.length(head).min(head.len()) as c_int,
        )
    }
}

/// How many columns of a screen the character takes that a string begins with; -1 for control characters.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQdsplen(text: *const c_char, encoding: c_int) -> c_int {
    let encoding = of(encoding);
    // SAFETY: the caller's promise.
    unsafe {
        head(
            text,
            |first| encoding.width_looks_at(first),
            |head| encoding.width(head),
        )
    }
}

/// [`PQmblen`] for UTF-8.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pg_utf_mblen(text: *const u8) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        head(
            text.cast(),
            |_| 1,
            |head| Encoding::UTF8.length(head) as c_int,
        )
    }
}

/// The encoding that the environment variable `PGCLIENTENCODING` names; 0 (`SQL_ASCII`) when it names none.
#[unsafe(no_mangle)]
pub extern "C" fn PQenv2encoding() -> c_int {
    guard(|| {
        let name = env::var_os("PGCLIENTENCODING")?;
        Encoding::named(name.as_bytes())
    })
    .flatten()
    .unwrap_or_default()
    .id()
}

/// The number of an encoding by any of its names; -1 when there is none.
///
/// # Safety
/// `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pg_char_to_encoding(name: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    id(unsafe { text(name) })
}

/// The name of an encoding; empty for a number that is none.
#[unsafe(no_mangle)]
pub extern "C" fn pg_encoding_to_char(encoding: c_int) -> *const c_char {
    Encoding::from_id(encoding)
        .map_or(c"", Encoding::name)
        .as_ptr()
}

/// The number of an encoding that a database can have; -1 when the name is another's.
///
/// # Safety
/// `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pg_valid_server_encoding(name: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let found = unsafe { text(name) }.and_then(Encoding::named);
    let found = found.filter(|encoding| encoding.is_for_servers());
    found.map_or(-1, Encoding::id)
}

/// 1 when a database can have the encoding.
#[unsafe(no_mangle)]
pub extern "C" fn pg_valid_server_encoding_id(encoding: c_int) -> c_int {
    Encoding::from_id(encoding)
        .is_some_and(Encoding::is_for_servers)
        .into()
}

/// The client's encoding; -1 without a connection.
///
/// # Safety
/// `conn` is NULL or a connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQclientEncoding(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        look(conn, -1, |conn| match conn.status() {
            OK => conn.encoding().id(),
            _ => -1,
        })
    }
}

/// Sets the client's encoding and waits; `auto` is the one of the locale. 0 when it worked, else -1.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; `encoding` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQsetClientEncoding(
    conn: *mut PGconn,
    encoding: *const c_char,
) -> c_int {
    // SAFETY: the caller's promise; results come from boxes. The command lies where a longjmp leaves nothing behind.
    unsafe {
        let mut command = [0; COMMAND];
        let is_up = look(conn, false, |conn| conn.status() == OK);
        let Some(name) = text(encoding).filter(|_| is_up) else {
            return -1;
        };
        let Some(length) = guard(|| write_command(&mut command, name)).flatten() else {
            return -1;
        };
        let result = execute(conn, |conn| conn.send_query(command.get(..length)));
        if result.is_null() {
            return -1;
        }
        let is_done = (*result).status == COMMAND_OK;
        clear(result);
        if is_done { 0 } else { -1 }
    }
}

/// The length of the command that sets the encoding; `None` when the name is too long for one.
fn write_command(command: &mut [u8; COMMAND], name: &[u8]) -> Option<usize> {
    let name = match name {
        b"auto" => locale::encoding().map_or(c"", Encoding::name).to_bytes(),
        name => name,
    };
    let parts = [b"set client_encoding to '", name, b"'"];
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        command.get_mut(length..end)?.copy_from_slice(part);
        length = end;
    }
    Some(length)
}

impl PGconn {
    /// The client's encoding.
    pub(crate) fn encoding(&self) -> Encoding {
        self.link.facts().texts().encoding
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn no_byte_behind_the_string_is_looked_at() {
        for id in -1..43 {
            for byte in 1..=u8::MAX {
                // One byte without a NUL, and one with it: valgrind and the sanitizer watch.
                let first = Box::new(byte);
                let string = Box::new([byte, 0]);
                let string: *const c_char = string.as_ptr().cast();
                // SAFETY: a string.
                let (bounded, length, width) = unsafe {
                    (
                        PQmblenBounded(string, id),
                        PQmblen(string, id),
                        PQdsplen(string, id),
                    )
                };
                assert!(bounded == 1 && (1..=4).contains(&length) && (-1..=2).contains(&width));
                if of(id).length_looks_at(byte) == 1 {
                    // SAFETY: the first byte is all that is looked at.
                    let alone = unsafe { PQmblen((&raw const *first).cast(), id) };
                    assert_eq!(alone, length);
                }
            }
        }
    }

    #[test]
    fn what_is_missing_is_survived() {
        // SAFETY: NULL is allowed.
        unsafe {
            assert_eq!(PQmblen(std::ptr::null(), 6), 1);
            assert_eq!(PQmblenBounded(std::ptr::null(), 6), 0);
            assert_eq!(PQdsplen(std::ptr::null(), 6), 0);
            assert_eq!(pg_char_to_encoding(std::ptr::null()), -1);
            assert_eq!(PQclientEncoding(std::ptr::null()), -1);
            assert_eq!(
                PQsetClientEncoding(std::ptr::null_mut(), c"UTF8".as_ptr()),
                -1
            );
            assert_eq!(CStr::from_ptr(pg_encoding_to_char(42)), c"");
        }
    }

    #[test]
    fn a_command_has_its_limit() {
        let mut command = [0; COMMAND];
        assert_eq!(write_command(&mut command, b"UTF8"), Some(29));
        assert_eq!(&command[..29], b"set client_encoding to 'UTF8'");
        assert_eq!(write_command(&mut command, &[b'x'; 100]), Some(125));
        assert_eq!(write_command(&mut command, &[b'x'; 101]), None);
    }
}
