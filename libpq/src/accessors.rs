//! What a program reads off a PGresult: status, error, command tag. Knows results only; nothing here can panic.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::free;
use crate::guard::guard;
use crate::notice::internal;
use crate::report;
use crate::result::{FATAL_ERROR, NONFATAL_ERROR, PGresult};
use crate::text::EMPTY;

/// Reads something off a result.
///
/// # Safety
/// `result` is NULL or a result.
#[inline]
pub(crate) unsafe fn read<T>(
    result: *const PGresult,
    fallback: T,
    work: impl FnOnce(&PGresult) -> T,
) -> T {
    // SAFETY: the caller's promise.
    match unsafe { result.as_ref() } {
        None => fallback,
        Some(result) => work(result),
    }
}

/// How the command ended (`ExecStatusType`); NULL is a fatal error.
///
/// # Safety
/// `result` is NULL or a result; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQresultStatus(result: *const PGresult) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { read(result, FATAL_ERROR, |result| result.status) }
}

/// The error message of a result, which ends with a newline; empty when there is none. It belongs to the result.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQresultErrorMessage(result: *const PGresult) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        read(result, EMPTY, |result| {
            let message = result.message();
            if message.is_null() {
                EMPTY
            } else {
                message.cast_mut()
            }
        })
    }
}

/// The error message of a result as it would be with other settings (see
/// [`PQsetErrorVerbosity`](crate::notice::PQsetErrorVerbosity)). Free it with [`PQfreemem`](crate::free::PQfreemem); NULL without
/// memory.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQresultVerboseErrorMessage(
    result: *const PGresult,
    verbosity: c_int,
    context: c_int,
) -> *mut c_char {
    const NO_ERROR: &[u8] = b"PGresult is not an error result\n";
    // SAFETY: the caller's promise.
    match unsafe { result.as_ref() } {
        Some(result) if matches!(result.status, FATAL_ERROR | NONFATAL_ERROR) => {
            guard(|| free::string(&verbose(result, verbosity, context))).unwrap_or(ptr::null_mut())
        }
        _ => free::string(NO_ERROR),
    }
}

/// The error message of a result, made of its fields if it has any.
fn verbose(result: &PGresult, verbosity: c_int, context: c_int) -> Vec<u8> {
    let extra = result.extra.as_ref();
    let Some((extra, fields)) = extra.and_then(|extra| Some((extra, extra.fields.as_ref()?)))
    else {
        let message = match result.message_bytes() {
            b"" => b"no error message available\n",
            message => message,
        };
        return message.to_vec();
    };
    // SAFETY: null, or a string in the result's arena.
    let query = (!extra.query.is_null()).then(|| unsafe { CStr::from_ptr(extra.query) });
    let manner = report::Manner {
        verbosity,
        context,
        is_error: result.status == FATAL_ERROR,
        query: query.map(CStr::to_bytes),
        encoding: extra.encoding,
    };
    report::message(fields, &manner)
}

/// A field of an error or notice by its code (`PG_DIAG_…`); NULL when the server sent none. It belongs to the result.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQresultErrorField(result: *const PGresult, code: c_int) -> *mut c_char {
    let none = ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe {
        read(result, none, |result| {
            let extra = result.extra.as_ref();
            let fields = extra.and_then(|extra| extra.fields.as_ref());
            let field = fields.zip(u8::try_from(code).ok());
            let field = field.and_then(|(fields, code)| fields.field_with_nul(code));
            field.map_or(none, |field| field.as_ptr().cast_mut().cast())
        })
    }
}

/// How many rows.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQntuples(result: *const PGresult) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { read(result, 0, |result| result.rows as c_int) }
}

/// How many columns.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQnfields(result: *const PGresult) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { read(result, 0, |result| result.width as c_int) }
}

/// 1 when every column is binary, or the data of the COPY that has begun.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQbinaryTuples(result: *const PGresult) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { read(result, 0, |result| c_int::from(result.all_binary())) }
}

/// The command tag; empty when there is none. It belongs to the result.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcmdStatus(result: *mut PGresult) -> *mut c_char {
    let none = std::ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe {
        read(result, none, |result| {
            result.tag().as_ptr().cast_mut().cast()
        })
    }
}

/// The digits behind "INSERT " of a command tag.
fn inserted(tag: &[u8]) -> Option<&[u8]> {
    let rest = tag.strip_prefix(b"INSERT ")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
    rest.get(..digits.count())
}

/// The OID of the row that an INSERT of an old server inserted, as its command tag says it; empty when it does not. It lives
/// until the next call.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQoidStatus(result: *const PGresult) -> *mut c_char {
    /// As in libpq, of all threads.
    static SHOWN: [AtomicU8; 24] = [const { AtomicU8::new(0) }; 24];
    // SAFETY: the caller's promise.
    let result = unsafe { result.as_ref() };
    let Some(digits) = result.and_then(|result| inserted(result.tag())) else {
        return EMPTY;
    };
    let (last, places) = SHOWN
        .split_last()
        .map_or((None, &[][..]), |(last, places)| (Some(last), places));
    let mut shown = digits.iter().copied().chain(std::iter::repeat(0));
    for place in places.iter().chain(last) {
        place.store(shown.next().unwrap_or(0), Ordering::Relaxed);
    }
    SHOWN.as_ptr().cast_mut().cast()
}

/// The same as a number; 0 when there is none.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQoidValue(result: *const PGresult) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { read(result, 0, |result| oid(result.tag()).unwrap_or(0)) }
}

fn oid(tag: &[u8]) -> Option<u32> {
    let digits = inserted(tag).filter(|digits| !digits.is_empty())?;
    let behind = tag.get("INSERT ".len() + digits.len()).copied();
    if !matches!(behind, Some(b' ' | 0)) {
        return None;
    }
    // As strtoul reads it, and what of that fits.
    let number = std::str::from_utf8(digits).ok()?.parse::<u64>();
    Some(number.unwrap_or(u64::MAX) as u32)
}

/// How many rows the command touched, as the tag says it; empty when it does not. It belongs to the result.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQcmdTuples(result: *mut PGresult) -> *mut c_char {
    // SAFETY: the caller's promise.
    let counted = unsafe { read(result, Count::None, |result| count_in(result.tag())) };
    match counted {
        Count::None => EMPTY,
        // SAFETY: a place in the tag of a result.
        Count::At(at) => unsafe { (*result).tag().as_ptr().add(at).cast_mut().cast() },
        Count::Wrong => {
            // SAFETY: not NULL, since it has a tag; no reference to it is alive when the program is told.
            unsafe {
                let tag = CStr::from_ptr((*result).tag().as_ptr().cast());
                let tag = tag.to_str().unwrap_or_default();
                let text = format_args!("could not interpret result from server: {tag}");
                internal(result, text);
            }
            EMPTY
        }
    }
}

/// What a command tag says about rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    None,
    /// How many they are, from there on.
    At(usize),
    /// There should be a number.
    Wrong,
}

/// Where the number of rows stands in a command tag.
fn count_in(tag: &[u8]) -> Count {
    const WITH_COUNT: [&[u8]; 7] = [
        b"SELECT ", b"UPDATE ", b"DELETE ", b"FETCH ", b"MERGE ", b"MOVE ", b"COPY ",
    ];
    let text = tag.split(|&byte| byte == 0).next().unwrap_or_default();
    let at = if let Some(rest) = text.strip_prefix(b"INSERT ") {
        match rest.iter().position(|&byte| byte == b' ') {
            Some(oid) => "INSERT ".len() + oid + 1,
            None => return Count::Wrong,
        }
    } else {
        match WITH_COUNT.iter().find(|word| text.starts_with(word)) {
            Some(word) => word.len(),
            None => return Count::None,
        }
    };
    match text.get(at..) {
        Some(number) if !number.is_empty() && number.iter().all(u8::is_ascii_digit) => {
            Count::At(at)
        }
        _ => Count::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_tell_how_many_rows() {
        for (tag, at) in [
            (&b"SELECT 3\0"[..], Count::At(7)),
            (b"INSERT 0 12\0", Count::At(9)),
            (b"COPY 5\0", Count::At(5)),
            (b"CREATE TABLE\0", Count::None),
            (b"INSERT x\0", Count::Wrong),
            (b"SELECT \0", Count::Wrong),
            (b"\0", Count::None),
        ] {
            assert_eq!(count_in(tag), at, "{}", String::from_utf8_lossy(tag));
        }
    }
}
