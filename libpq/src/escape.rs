//! Escaping for C: texts, identifiers and binary strings. Knows C's memory and the error buffer; what is written lies in
//! `quote.rs`.

use std::ffi::{c_char, c_int, c_uchar};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use pgpoll::encoding::{Encoding, Invalid};

use crate::arguments::text;
use crate::conn::PGconn;
use crate::free::Output;
use crate::guard::{edit, guard};
use crate::quote::{self, Bytea, Put, Quoted};

/// What any server said last about texts: for the functions without a connection.
static ENCODING: AtomicI32 = AtomicI32::new(0);
static STANDARD_STRINGS: AtomicBool = AtomicBool::new(false);

/// Servers from 9.0 on read hexadecimal digits.
const HEX: u32 = 90_000;

/// What can be wrong besides the text itself.
#[derive(Debug)]
pub(crate) enum Trouble {
    Invalid(Invalid),
    TooLong,
    Memory,
}

impl PGconn {
    /// Tells the functions without a connection what the server has said since the last time.
    pub(crate) fn remember_texts(&mut self) {
        let texts = self.link.facts().texts();
        if texts.reports == self.texts.reports {
            return;
        }
        if texts.reports.0 != self.texts.reports.0 {
            ENCODING.store(texts.encoding.id(), Ordering::Relaxed);
        }
        if texts.reports.1 != self.texts.reports.1 {
            STANDARD_STRINGS.store(texts.standard_strings, Ordering::Relaxed);
        }
        self.texts = texts;
    }

    pub(crate) fn begin_escaping(&mut self) {
        if self.consumer.queue.is_empty() {
            self.clear_error();
        }
    }

    pub(crate) fn complain(&mut self, invalid: Invalid) {
        self.message.line(match invalid {
            Invalid::Incomplete => "incomplete multibyte character",
            Invalid::Malformed => "invalid multibyte character",
        });
    }

    fn quote<'a>(&mut self, text: &'a [u8], how: How<'a>) -> *mut c_char {
        self.begin_escaping();
        let quoted = how(text, self.encoding()).map_err(Trouble::Invalid);
        match quoted.and_then(|quoted| filled(quoted.len(), |put| quoted.write(put))) {
            Ok(quoted) => return quoted.cast(),
            Err(Trouble::Invalid(invalid)) => self.complain(invalid),
            Err(Trouble::Memory) => self.message.line("out of memory"),
            Err(Trouble::TooLong) => {
                let most = usize::MAX;
                let text = format!("escaped string size exceeds the maximum allowed ({most})");
                self.message.line(&text);
            }
        }
        ptr::null_mut()
    }
}

/// As a literal or as an identifier.
type How<'a> = fn(&'a [u8], Encoding) -> Result<Quoted<'a>, Invalid>;

/// What `write` writes, so many bytes, and a NUL, from malloc.
pub(crate) fn filled(
    length: Option<usize>,
    write: impl FnOnce(&mut Put<'_>),
) -> Result<*mut u8, Trouble> {
    let size = length.and_then(|length| length.checked_add(1));
    let mut output = Output::allocate(size.ok_or(Trouble::TooLong)?).ok_or(Trouble::Memory)?;
    write(&mut |piece| output.put(piece));
    output.put(b"\0");
    Ok(output.into_raw())
}

/// The same when the length shows only in the writing; and the size with the NUL.
fn allocated(write: impl Fn(&mut Put<'_>)) -> Result<(*mut u8, usize), Trouble> {
    let mut length = Some(0_usize);
    write(&mut |piece| length = length.and_then(|length| length.checked_add(piece.len())));
    let filled = filled(length, write)?;
    Ok((filled, length.unwrap_or(0) + 1))
}

/// A text of at most `length` bytes, which ends at a NUL if there is one.
///
/// # Safety
/// `from` is NULL or such a text that lives as long as what is returned.
unsafe fn bounded<'a>(from: *const c_char, length: usize) -> &'a [u8] {
    if from.is_null() {
        return &[];
    }
    // SAFETY: the caller's promise: nothing behind the NUL or the length is looked at.
    unsafe { slice::from_raw_parts(from.cast(), libc::strnlen(from, length)) }
}

/// A binary string.
///
/// # Safety
/// `from` is NULL or has `length` bytes that live as long as what is returned.
unsafe fn bytes<'a>(from: *const c_uchar, length: usize) -> &'a [u8] {
    if from.is_null() || length > isize::MAX as usize {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(from, length) }
}

/// Escapes for the inside of a literal into `to`, with a NUL; the length without it, and what is wrong with the text.
///
/// # Safety
/// `to` has room for twice the text and a NUL.
unsafe fn escape_into(
    to: *mut c_char,
    text: &[u8],
    encoding: Encoding,
    standard_strings: bool,
) -> (usize, Option<Invalid>) {
    if to.is_null() {
        return (0, None);
    }
    // SAFETY: the caller's promise.
    let mut output = unsafe { Output::new(to.cast(), 2 * text.len() + 1) };
    let special = |byte| byte == b'\'' || byte == b'\\' && !standard_strings;
    let wrong = quote::double(text, encoding, special, |piece| output.put(piece));
    let length = output.written();
    output.put(b"\0");
    (length, wrong)
}

/// Escapes a text for the inside of a literal. `to` gets it with a NUL; the length without it is returned. `error` becomes 1
/// when the text is not valid in the client's encoding; what is written then makes the server refuse the command.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; `to` has room for `2 * length + 1` bytes, `from` has `length` bytes
/// or a NUL before; `error` is NULL or an integer's place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQescapeStringConn(
    conn: *mut PGconn,
    to: *mut c_char,
    from: *const c_char,
    length: usize,
    error: *mut c_int,
) -> usize {
    // SAFETY: the caller's promise; without a connection the text is empty.
    unsafe {
        let (length, is_wrong) = edit(conn, None, |conn| {
            conn.begin_escaping();
            let texts = conn.link.facts().texts();
            let text = bounded(from, length);
            let (length, wrong) = escape_into(to, text, texts.encoding, texts.standard_strings);
            if let Some(invalid) = wrong {
                conn.complain(invalid);
            }
            Some((length, wrong.is_some()))
        })
        .unwrap_or_else(|| {
            escape_into(to, b"", Encoding::SQL_ASCII, true);
            (0, true)
        });
        if !error.is_null() {
            *error = is_wrong.into();
        }
        length
    }
}

/// The same as the last server of this process wants it that said something about it: use [`PQescapeStringConn`].
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQescapeString(
    to: *mut c_char,
    from: *const c_char,
    length: usize,
) -> usize {
    let encoding = Encoding::from_id(ENCODING.load(Ordering::Relaxed)).unwrap_or_default();
    let standard_strings = STANDARD_STRINGS.load(Ordering::Relaxed);
    // SAFETY: the caller's promise.
    guard(|| unsafe { escape_into(to, bounded(from, length), encoding, standard_strings).0 })
        .unwrap_or(0)
}

/// A text as a literal, with its quotes; NULL when it is not valid in the client's encoding. Free it with
/// [`PQfreemem`](crate::free::PQfreemem).
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; `text` has `length` bytes or a NUL before.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQescapeLiteral(
    conn: *mut PGconn,
    text: *const c_char,
    length: usize,
) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        edit(conn, ptr::null_mut(), |conn| {
            conn.quote(bounded(text, length), Quoted::literal)
        })
    }
}

/// A text as an identifier, with its quotes; otherwise as [`PQescapeLiteral`].
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQescapeIdentifier(
    conn: *mut PGconn,
    text: *const c_char,
    length: usize,
) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        edit(conn, ptr::null_mut(), |conn| {
            conn.quote(bounded(text, length), Quoted::identifier)
        })
    }
}

/// Escapes a binary string for the inside of a literal. `to_length` becomes its length, with the NUL. Free it with
/// [`PQfreemem`](crate::free::PQfreemem).
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; `from` has `length` bytes; `to_length` is NULL or a size's place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQescapeByteaConn(
    conn: *mut PGconn,
    from: *const c_uchar,
    length: usize,
    to_length: *mut usize,
) -> *mut c_uchar {
    // SAFETY: the caller's promise.
    unsafe {
        edit(conn, ptr::null_mut(), |conn| {
            conn.begin_escaping();
            let facts = conn.link.facts();
            let how = Bytea {
                hex: facts.server_version() >= HEX,
                standard_strings: facts.texts().standard_strings,
            };
            let escaped = escape_bytea(bytes(from, length), how, to_length);
            match escaped {
                Ok(escaped) => return escaped,
                Err(Trouble::TooLong) => {
                    let most = usize::MAX;
                    let text = format!("escaped bytea size exceeds the maximum allowed ({most})");
                    conn.message.line(&text);
                }
                Err(_) => conn.message.line("out of memory"),
            }
            ptr::null_mut()
        })
    }
}

/// The same in octal digits, as the last server of this process wants backslashes that said something about them: use
/// [`PQescapeByteaConn`].
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQescapeBytea(
    from: *const c_uchar,
    length: usize,
    to_length: *mut usize,
) -> *mut c_uchar {
    let how = Bytea {
        hex: false,
        standard_strings: STANDARD_STRINGS.load(Ordering::Relaxed),
    };
    // SAFETY: the caller's promise.
    guard(|| unsafe { escape_bytea(bytes(from, length), how, to_length).ok() })
        .flatten()
        .unwrap_or(ptr::null_mut())
}

/// # Safety
/// `to_length` is NULL or a size's place.
unsafe fn escape_bytea(
    bytes: &[u8],
    how: Bytea,
    to_length: *mut usize,
) -> Result<*mut u8, Trouble> {
    let (escaped, size) = allocated(|put| quote::bytea(bytes, how, put))?;
    if !to_length.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *to_length = size };
    }
    Ok(escaped)
}

/// The binary string in a text that the server sent, in either format. `to_length` becomes its length. Free it with
/// [`PQfreemem`](crate::free::PQfreemem).
///
/// # Safety
/// `from` is NULL or a string; `to_length` is NULL or a size's place.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQunescapeBytea(
    from: *const c_uchar,
    to_length: *mut usize,
) -> *mut c_uchar {
    // SAFETY: the caller's promise.
    let Some(escaped) = (unsafe { text(from.cast()) }) else {
        return ptr::null_mut();
    };
    let written = guard(|| allocated(|put| quote::unescape(escaped, put)).ok());
    let Some((bytes, size)) = written.flatten() else {
        return ptr::null_mut();
    };
    if !to_length.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *to_length = size - 1 };
    }
    bytes
}

#[cfg(test)]
mod tests;
