//! The columns of a result, and what a program reads off them and off the parameters of a described statement.

use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::sync::Arc;

use pgpoll::engine::Copying;
use pgpoll::rows::{Batch, Column, Columns};

use crate::cells::out_of_range;
use crate::result::PGresult;

/// A column as a program describes it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
#[allow(non_camel_case_types)]
pub struct PGresAttDesc {
    /// Its name.
    pub name: *mut c_char,
    /// The table that it comes from, or 0.
    pub tableid: u32,
    /// Its number in that table, or 0.
    pub columnid: c_int,
    /// The format of its values: 0 text, 1 binary.
    pub format: c_int,
    /// Its type.
    pub typid: u32,
    /// The size of that type; negative where it varies.
    pub typlen: c_int,
    /// The type modifier.
    pub atttypmod: c_int,
}

impl PGresAttDesc {
    const NONE: Self = Self {
        name: ptr::null_mut(),
        tableid: 0,
        columnid: 0,
        format: 0,
        typid: 0,
        typlen: 0,
        atttypmod: 0,
    };
}

/// Where the columns of a result are, if they are not those of a batch.
#[derive(Debug)]
pub(crate) enum Attributes {
    None,
    /// Described by the server; `format` is that of all values where Bind said it.
    Shared {
        columns: Arc<Columns>,
        format: Option<i16>,
    },
    /// Of a COPY that has begun: they have formats and nothing else.
    Copied(Copying),
    /// Made by the program. The names lie in the result's arena.
    Own(Vec<PGresAttDesc>),
}

impl Attributes {
    /// Of a statement that was described.
    pub(crate) fn shared(columns: Arc<Columns>) -> Self {
        Self::Shared {
            columns,
            format: None,
        }
    }

    /// Those of a batch.
    pub(crate) fn of(rows: &Batch) -> Self {
        let columns = rows.columns().clone();
        let first = rows.format(0);
        let said = (0..).zip(columns.iter());
        let same = said.fold(true, |same, (at, column)| {
            same && rows.format(at) == column.format
        });
        Self::Shared {
            columns,
            format: (!same).then_some(first),
        }
    }
}

impl PGresult {
    fn columns(&self) -> Option<(&Columns, Option<i16>)> {
        match self.extra.as_ref().map(|extra| &extra.attributes) {
            Some(Attributes::Shared { columns, format }) => Some((columns, *format)),
            _ => self.batch.as_ref().map(|rows| (&**rows.columns(), None)),
        }
    }

    /// The same columns for another result.
    pub(crate) fn attributes(&self) -> Attributes {
        match (
            self.extra.as_ref().map(|extra| &extra.attributes),
            &self.batch,
        ) {
            (Some(Attributes::Shared { columns, format }), _) => Attributes::Shared {
                columns: columns.clone(),
                format: *format,
            },
            (_, Some(rows)) => Attributes::of(rows),
            _ => Attributes::None,
        }
    }

    fn own(&self) -> Option<&[PGresAttDesc]> {
        match &self.extra.as_ref()?.attributes {
            Attributes::Own(columns) => Some(columns),
            _ => None,
        }
    }

    /// 0 text, 1 binary.
    fn format(&self, column: usize) -> c_int {
        match self.columns() {
            Some((_, Some(format))) => format.into(),
            Some((columns, None)) => match &self.batch {
                Some(rows) => rows.format(column).into(),
                None => columns.get(column).map_or(0, |column| column.format.into()),
            },
            None => 0,
        }
    }

    /// Everything about a column; `None` when there is no such column.
    pub(crate) fn column(&self, index: usize) -> Option<PGresAttDesc> {
        match self.extra.as_ref().map(|extra| &extra.attributes) {
            Some(Attributes::Own(own)) => return own.get(index).copied(),
            Some(Attributes::Copied(copying)) => {
                let format = *copying.columns.get(index)?;
                return Some(PGresAttDesc {
                    format: format.into(),
                    ..PGresAttDesc::NONE
                });
            }
            _ => {}
        }
        let (columns, _) = self.columns()?;
        let column: &Column = columns.get(index)?;
        Some(PGresAttDesc {
            name: columns.name_with_nul(index)?.as_ptr().cast_mut().cast(),
            tableid: column.table_oid,
            columnid: column.attribute.into(),
            format: self.format(index),
            typid: column.type_oid,
            typlen: column.type_size.into(),
            atttypmod: column.type_modifier,
        })
    }

    /// The name of a column; empty when there is none.
    pub(crate) fn name(&self, index: usize) -> &[u8] {
        match self.column(index) {
            Some(column) if !column.name.is_null() => {
                // SAFETY: a string that the result owns.
                unsafe { CStr::from_ptr(column.name) }.to_bytes()
            }
            _ => b"",
        }
    }

    /// Whether the values of all columns are binary, or the data of the COPY that has begun.
    pub(crate) fn all_binary(&self) -> bool {
        let extra = self.extra.as_ref();
        if let Some(Attributes::Copied(copying)) = extra.map(|extra| &extra.attributes) {
            return copying.format != 0;
        }
        let mut formats = (0..self.width).filter_map(|index| self.column(index));
        // Of columns that the program made, libpq counts everything but 0.
        let own = self.own().is_some();
        self.width > 0 && formats.all(|column| column.format == 1 || own && column.format != 0)
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        match (self.own(), self.columns()) {
            (Some(own), _) => own.iter().position(|column| {
                // SAFETY: a string in the result's arena.
                unsafe { CStr::from_ptr(column.name) }.to_bytes() == name
            }),
            (None, Some((columns, _))) => columns.find(name),
            (None, None) => None,
        }
    }
}

/// The column number as an index; a notice and `None` when there is no such column.
///
/// # Safety
/// `result` is NULL or a result.
pub(crate) unsafe fn column(result: *const PGresult, number: c_int) -> Option<usize> {
    // SAFETY: the caller's promise.
    let width = unsafe { result.as_ref() }?.width;
    let index = number as usize;
    if index < width {
        return Some(index);
    }
    // SAFETY: not NULL.
    unsafe { out_of_range(result, "column", number, width) };
    None
}

/// Something about a column.
///
/// # Safety
/// `result` is NULL or a result.
unsafe fn of<T>(
    result: *const PGresult,
    number: c_int,
    nothing: T,
    what: impl FnOnce(PGresAttDesc) -> T,
) -> T {
    // SAFETY: the caller's promise.
    unsafe {
        let Some(index) = column(result, number) else {
            return nothing;
        };
        (*result).column(index).map_or(nothing, what)
    }
}

/// The name of a column; NULL for a number out of range. It belongs to the result.
///
/// # Safety
/// `result` is NULL or a result; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQfname(result: *const PGresult, number: c_int) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { of(result, number, ptr::null_mut(), |column| column.name) }
}

/// The number of the column with a name written as in SQL: folded to small letters unless quoted; -1 when there is none.
///
/// # Safety
/// As above; `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQfnumber(result: *const PGresult, name: *const c_char) -> c_int {
    if result.is_null() || name.is_null() {
        return -1;
    }
    // SAFETY: the caller's promise.
    let (result, name) = unsafe { (&*result, CStr::from_ptr(name)) };
    let found = folded(name.to_bytes()).and_then(|name| result.find(&name));
    found.map_or(-1, |index| index as c_int)
}

/// A name as SQL reads it; `None` for none, and without memory.
fn folded(name: &[u8]) -> Option<Vec<u8>> {
    let mut wanted = Vec::new();
    wanted.try_reserve_exact(name.len()).ok()?;
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
    (!name.is_empty()).then_some(wanted)
}

macro_rules! of_column {
    ($(#[doc = $text:literal])+ $name:ident -> $type:ty, $field:ident) => {
        $(#[doc = $text])+
        ///
        /// # Safety
        /// As above.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $name(result: *const PGresult, number: c_int) -> $type {
            // SAFETY: the caller's promise.
            unsafe { of(result, number, 0, |column| column.$field) }
        }
    };
}

of_column!(
    /// The table that a column comes from, or 0.
    PQftable -> u32, tableid);
of_column!(
    /// The number of a column in its table, or 0.
    PQftablecol -> c_int, columnid);
of_column!(
    /// The format of a column: 0 text, 1 binary.
    PQfformat -> c_int, format);
of_column!(
    /// The type of a column.
    PQftype -> u32, typid);
of_column!(
    /// The size of a column's type; negative where it varies.
    PQfsize -> c_int, typlen);
of_column!(
    /// The type modifier of a column.
    PQfmod -> c_int, atttypmod);

/// How many parameters a described statement has.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQnparams(result: *const PGresult) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { parameters(result) }.len() as c_int
}

/// The type of a parameter of a described statement.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQparamtype(result: *const PGresult, number: c_int) -> u32 {
    // SAFETY: the caller's promise.
    unsafe {
        let types = parameters(result);
        let (found, count) = (types.get(number as usize).copied(), types.len());
        if found.is_none() && !result.is_null() {
            out_of_range(result, "parameter", number, count);
        }
        found.unwrap_or(0)
    }
}

/// # Safety
/// `result` is NULL or a result that lives as long as what is returned.
unsafe fn parameters<'a>(result: *const PGresult) -> &'a [u32] {
    // SAFETY: the caller's promise.
    let result = unsafe { result.as_ref() };
    let extra = result.and_then(|result| result.extra.as_ref());
    extra.map_or(&[], |extra| &extra.parameters)
}
