//! What a program reads off a PGresult's columns, and off the parameters of a described statement.

use std::ffi::{CStr, c_char, c_int};

use crate::accessors::{column, read};
use crate::notice::internal;
use crate::result::PGresult;

/// The name of a column; NULL for a number out of range. It belongs to the result.
///
/// # Safety
/// `result` is NULL or a result; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQfname(result: *const PGresult, number: c_int) -> *mut c_char {
    let none = std::ptr::null_mut();
    // SAFETY: the caller's promise.
    unsafe {
        let Some(index) = column(result, number) else {
            return none;
        };
        read(result, none, |result| {
            let columns = result.columns.as_ref();
            let name = columns.and_then(|columns| columns.name_with_nul(index));
            name.map_or(none, |name| name.as_ptr().cast_mut().cast())
        })
    }
}

/// The number of the column with a name written as in SQL: folded to small letters unless quoted; -1 when there is none.
///
/// # Safety
/// As above; `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQfnumber(result: *const PGresult, name: *const c_char) -> c_int {
    if name.is_null() {
        return -1;
    }
    // SAFETY: the caller's promise.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    if name.is_empty() {
        return -1;
    }
    let mut wanted = Vec::new();
    let mut quoted = false;
    let mut rest = name.iter().peekable();
    while let Some(&byte) = rest.next() {
        match byte {
            b'"' if quoted && rest.peek() == Some(&&b'"') => {
                rest.next();
                wanted.push(b'"');
            }
            b'"' => quoted = !quoted,
            _ if quoted => wanted.push(byte),
            _ => wanted.push(byte.to_ascii_lowercase()),
        }
    }
    // SAFETY: the caller's promise.
    unsafe {
        read(result, -1, |result| {
            let columns = result.columns.as_ref();
            let found = columns.and_then(|columns| columns.find(&wanted));
            found.map_or(-1, |index| index as c_int)
        })
    }
}

macro_rules! of_column {
    ($(#[doc = $text:literal])+ $name:ident -> $type:ty, $result:ident, $index:ident, $value:expr) => {
        $(#[doc = $text])+
        ///
        /// # Safety
        /// As above.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(result: *const PGresult, number: c_int) -> $type {
            // SAFETY: the caller's promise.
            unsafe {
                let Some($index) = column(result, number) else {
                    return 0;
                };
                read(result, 0, |$result| $value)
            }
        }
    };
}

of_column!(
    /// The table that a column comes from, or 0.
    PQftable -> u32, result, index, result.column(index).map_or(0, |column| column.table_oid));
of_column!(
    /// The number of a column in its table, or 0.
    PQftablecol -> c_int, result, index,
    result.column(index).map_or(0, |column| c_int::from(column.attribute)));
of_column!(
    /// The format of a column: 0 text, 1 binary.
    PQfformat -> c_int, result, index, c_int::from(result.format(index)));
of_column!(
    /// The type of a column.
    PQftype -> u32, result, index, result.column(index).map_or(0, |column| column.type_oid));
of_column!(
    /// The size of a column's type; negative where it varies.
    PQfsize -> c_int, result, index,
    result.column(index).map_or(0, |column| c_int::from(column.type_size)));
of_column!(
    /// The type modifier of a column.
    PQfmod -> c_int, result, index, result.column(index).map_or(0, |column| column.type_modifier));

/// How many parameters a described statement has.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQnparams(result: *const PGresult) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { read(result, 0, |result| result.parameters.len() as c_int) }
}

/// The type of a parameter of a described statement.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQparamtype(result: *const PGresult, number: c_int) -> u32 {
    // SAFETY: the caller's promise.
    let Some(described) = (unsafe { result.as_ref() }) else {
        return 0;
    };
    let index = usize::try_from(number).ok();
    match index.and_then(|index| described.parameters.get(index)) {
        Some(&oid) => oid,
        None => {
            let last = described.parameters.len() as i64 - 1;
            let text = format!("parameter number {number} is out of range 0..{last}");
            // SAFETY: not NULL.
            unsafe { internal(result, &text) };
            0
        }
    }
}
