//! What a program reads off a PGresult: status, error, rows, values. Knows results only; nothing here can panic.

use std::ffi::{c_char, c_int};

use crate::notice::internal;
use crate::result::{FATAL_ERROR, PGresult};
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

/// The column number as an index; a notice and `None` when there is no such column.
///
/// # Safety
/// As for [`read`].
pub(crate) unsafe fn column(result: *const PGresult, number: c_int) -> Option<usize> {
    // SAFETY: the caller's promise.
    let count = unsafe { result.as_ref() }?.column_count();
    match usize::try_from(number) {
        Ok(index) if index < count => Some(index),
        _ => {
            let last = count as i64 - 1;
            let text = format!("column number {number} is out of range 0..{last}");
            // SAFETY: not NULL.
            unsafe { internal(result, &text) };
            None
        }
    }
}

/// The row and column number as indexes; a notice and `None` when there is no such cell.
///
/// # Safety
/// As for [`read`].
#[cold]
unsafe fn cell(result: *const PGresult, row: c_int, number: c_int) -> Option<(usize, usize)> {
    // SAFETY: the caller's promise.
    let (rows, columns) = unsafe {
        let result = result.as_ref()?;
        (result.row_count(), result.column_count())
    };
    match (usize::try_from(row), usize::try_from(number)) {
        (Ok(row), Ok(column)) if row < rows && column < columns => Some((row, column)),
        (Ok(index), _) if index < rows => {
            // SAFETY: the caller's promise.
            unsafe { column(result, number) };
            None
        }
        _ => {
            let last = rows as i64 - 1;
            // SAFETY: not NULL.
            unsafe {
                internal(
                    result,
                    &format!("row number {row} is out of range 0..{last}"),
                );
            }
            None
        }
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

/// The name of a status.
#[unsafe(no_mangle)]
pub extern "C" fn PQresStatus(status: c_int) -> *mut c_char {
    let name = match status {
        0 => c"PGRES_EMPTY_QUERY",
        1 => c"PGRES_COMMAND_OK",
        2 => c"PGRES_TUPLES_OK",
        3 => c"PGRES_COPY_OUT",
        4 => c"PGRES_COPY_IN",
        5 => c"PGRES_BAD_RESPONSE",
        6 => c"PGRES_NONFATAL_ERROR",
        7 => c"PGRES_FATAL_ERROR",
        8 => c"PGRES_COPY_BOTH",
        9 => c"PGRES_SINGLE_TUPLE",
        10 => c"PGRES_PIPELINE_SYNC",
        11 => c"PGRES_PIPELINE_ABORTED",
        12 => c"PGRES_TUPLES_CHUNK",
        _ => c"invalid ExecStatusType code",
    };
    name.as_ptr().cast_mut()
}

/// The error message of a result, which ends with a newline; empty when there is none. It belongs to the result.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQresultErrorMessage(result: *const PGresult) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { read(result, EMPTY, |result| result.message().cast_mut()) }
}

/// A field of an error or notice by its code (`PG_DIAG_…`); NULL when the server sent none. It belongs to the result.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQresultErrorField(result: *const PGresult, code: c_int) -> *mut c_char {
    let none = std::ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe {
        read(result, none, |result| {
            let fields = result.fields.as_ref();
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
    unsafe { read(result, 0, |result| result.row_count() as c_int) }
}

/// How many columns.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQnfields(result: *const PGresult) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { read(result, 0, |result| result.column_count() as c_int) }
}

/// 1 when every column is binary.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQbinaryTuples(result: *const PGresult) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        read(result, 0, |result| {
            let count = result.column_count();
            c_int::from(count > 0 && (0..count).all(|column| result.format(column) != 0))
        })
    }
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

/// How many rows the command touched, as the tag says it; empty when it does not. It belongs to the result.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcmdTuples(result: *mut PGresult) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        read(result, EMPTY, |result| match count_in(result.tag()) {
            None => EMPTY,
            Some(at) => result
                .tag()
                .get(at..)
                .map_or(EMPTY, |count| count.as_ptr().cast_mut().cast()),
        })
    }
}

/// Where the number of rows stands in a command tag.
fn count_in(tag: &[u8]) -> Option<usize> {
    const WITH_COUNT: [&[u8]; 7] = [
        b"SELECT ", b"UPDATE ", b"DELETE ", b"FETCH ", b"MERGE ", b"MOVE ", b"COPY ",
    ];
    let at = if tag.starts_with(b"INSERT ") {
        let oid = tag.get(7..)?;
        7 + oid.iter().position(|&byte| byte == b' ')? + 1
    } else {
        let word = WITH_COUNT.iter().find(|word| tag.starts_with(word))?;
        word.len()
    };
    let number = tag.get(at..)?.split(|&byte| byte == 0).next()?;
    let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    is_number.then_some(at)
}

/// The value of a cell, ended by a NUL; empty for NULL. It belongs to the result.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQgetvalue(
    result: *const PGresult,
    row: c_int,
    number: c_int,
) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        match value(result, row, number) {
            Some(value) => value.as_ptr().cast_mut().cast(),
            None if cell(result, row, number).is_some() => EMPTY,
            None => std::ptr::null_mut(),
        }
    }
}

/// The length of a value in bytes; 0 for NULL.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQgetlength(
    result: *const PGresult,
    row: c_int,
    number: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        match value(result, row, number) {
            Some(value) => value.len() as c_int - 1,
            None => {
                cell(result, row, number);
                0
            }
        }
    }
}

/// 1 when a cell is NULL, and when there is no such cell.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQgetisnull(
    result: *const PGresult,
    row: c_int,
    number: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if value(result, row, number).is_some() {
            return 0;
        }
        cell(result, row, number);
        1
    }
}

/// The value of a cell with its NUL. Numbers below 0 become too large ones: whoever gets `None` finds out with [`cell`]
/// whether there is such a cell.
///
/// # Safety
/// As for [`read`].
#[inline]
unsafe fn value<'a>(result: *const PGresult, row: c_int, number: c_int) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    let rows = unsafe { result.as_ref() }?.rows.as_ref()?;
    rows.value_with_nul(row as usize, number as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_tell_how_many_rows() {
        for (tag, at) in [
            (&b"SELECT 3\0"[..], Some(7)),
            (b"INSERT 0 12\0", Some(9)),
            (b"COPY 5\0", Some(5)),
            (b"CREATE TABLE\0", None),
            (b"INSERT x\0", None),
            (b"SELECT \0", None),
            (b"\0", None),
        ] {
            assert_eq!(count_in(tag), at, "{}", String::from_utf8_lossy(tag));
        }
    }
}
