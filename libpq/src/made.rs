//! Results that a program makes, copies and changes.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use crate::cells::{NULL, Value, out_of_range};
use crate::columns::{Attributes, PGresAttDesc, column};
use crate::conn::PGconn;
use crate::events::{self, Event};
use crate::guard::guard;
use crate::notice::internal;
use crate::result::{
    COMMAND_OK, COPY_BOTH, COPY_IN, COPY_OUT, EMPTY_QUERY, Origin, Owned, PGresult, SINGLE_TUPLE,
    TUPLES_CHUNK, TUPLES_OK, is_out_of_memory,
};

/// What [`PQcopyResult`] copies: the columns, the rows with them, the events, the notice hooks.
const ATTRIBUTES: c_int = 1;
const TUPLES: c_int = 2;
const EVENTS: c_int = 4;
const NOTICE_HOOKS: c_int = 8;

impl PGconn {
    /// A result of this connection without rows; one that is an error says what the connection's error buffer says.
    pub(crate) fn empty_result(&self, status: c_int) -> Owned {
        match status {
            EMPTY_QUERY | COMMAND_OK | TUPLES_OK | COPY_OUT | COPY_IN | COPY_BOTH
            | SINGLE_TUPLE | TUPLES_CHUNK => PGresult::empty(status, &self.origin),
            _ => PGresult::error(status, &self.origin, self.message.from(0)),
        }
    }
}

impl PGresult {
    /// Gives columns to a result that has none. `None` without memory.
    ///
    /// # Safety
    /// The names are NULL or strings.
    unsafe fn describe(
        &mut self,
        count: usize,
        column: impl Fn(usize) -> Option<PGresAttDesc>,
    ) -> Option<()> {
        let (null, rows) = (self.null_value(), self.rows);
        let extra = self.extra()?;
        let mut own = Vec::new();
        own.try_reserve_exact(count).ok()?;
        for mut column in (0..count).map_while(column) {
            column.name = if column.name.is_null() {
                null.value
            } else {
                // SAFETY: the caller's promise.
                let name = unsafe { CStr::from_ptr(column.name) };
                extra.arena.string(name.to_bytes())?
            };
            own.push(column);
        }
        // Rows without columns get as many NULLs.
        let cells = rows.checked_mul(count)?;
        extra.cells.try_reserve_exact(cells).ok()?;
        extra.cells.resize(cells, null);
        extra.attributes = Attributes::Own(own);
        self.width = count;
        self.show_table();
        Some(())
    }

    /// Sets a cell; the row may be the one behind the last. `None` without memory.
    fn set(&mut self, row: usize, column: usize, value: Option<&[u8]>) -> Option<()> {
        self.spread()?;
        let (width, null, rows) = (self.width, self.null_value(), self.rows);
        let extra = self.extra()?;
        if row == rows {
            extra.cells.try_reserve(width).ok()?;
            extra.cells.resize((rows + 1) * width, null);
            self.rows += 1;
            self.show_table();
        }
        let extra = self.extra()?;
        let value = match value {
            None => null,
            Some(value) => Value::copy(value, null, &mut extra.arena)?,
        };
        if let Some(cell) = extra.cells.get_mut(row * width + column) {
            *cell = value;
        }
        Some(())
    }

    /// A copy; `None` without memory.
    fn copied(&self, flags: c_int) -> Option<Owned> {
        let mut owned = PGresult::empty(TUPLES_OK, &Origin::NONE);
        let copy = owned.edit()?;
        copy.set_tag(self.tag().split(|&byte| byte == 0).next()?);
        if flags & (ATTRIBUTES | TUPLES) != 0 && self.width > 0 {
            // SAFETY: the names of a result's columns.
            unsafe { copy.describe(self.width, |index| self.column(index))? };
        }
        if flags & TUPLES != 0 && self.width > 0 {
            copy.copy_cells(self)?;
        }
        if flags & NOTICE_HOOKS != 0 {
            copy.hooks = self.hooks;
        }
        if flags & EVENTS != 0 && !self.events().is_empty() {
            copy.extra()?.events = Event::copies(self.events())?;
        }
        Some(owned)
    }

    fn copy_cells(&mut self, source: &Self) -> Option<()> {
        let (null, width) = (self.null_value(), source.width);
        let extra = self.extra()?;
        extra
            .cells
            .try_reserve_exact(source.rows.checked_mul(width)?)
            .ok()?;
        for row in 0..source.rows {
            for column in 0..width {
                extra.cells.push(match source.value(row, column) {
                    None => null,
                    Some(value) => Value::copy(value, null, &mut extra.arena)?,
                });
            }
        }
        self.rows = source.rows;
        self.show_table();
        Some(())
    }
}

/// Whether it is there and may be changed.
fn may_change(result: *const PGresult) -> bool {
    !result.is_null() && !is_out_of_memory(result)
}

/// Makes a result without rows; with a connection, one that is an error has its error message. NULL without memory. Free it
/// with [`PQclear`](crate::result::PQclear).
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQmakeEmptyPGresult(conn: *mut PGconn, status: c_int) -> *mut PGresult {
    let made = guard(|| {
        // SAFETY: NULL or valid.
        match unsafe { conn.as_ref() } {
            None => PGresult::empty(status, &Origin::NONE),
            Some(conn) => conn.empty_result(status),
        }
    });
    given(made)
}

/// The result for C; NULL without memory.
fn given(made: Option<Owned>) -> *mut PGresult {
    let made = made.map_or(ptr::null_mut(), Owned::into_raw);
    if is_out_of_memory(made) {
        return ptr::null_mut();
    }
    made
}

/// Gives columns to a result that has none yet; their names are copied. Nonzero when that worked, and when there is nothing
/// to give.
///
/// # Safety
/// `result` is NULL or a result that nobody else uses now; `columns` is NULL or has `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetResultAttrs(
    result: *mut PGresult,
    count: c_int,
    columns: *mut PGresAttDesc,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if !may_change(result) || (*result).width > 0 {
            return 0;
        }
        let count = usize::try_from(count).unwrap_or(0);
        if count == 0 || columns.is_null() {
            return 1;
        }
        let columns = std::slice::from_raw_parts(columns, count);
        let described =
            guard(|| (*result).describe(count, |index| columns.get(index).copied())).flatten();
        c_int::from(described.is_some())
    }
}

/// Sets a cell to a copy of `len` bytes; a length of -1, or NULL, makes it NULL. The row behind the last one is added. Nonzero
/// when that worked.
///
/// # Safety
/// `result` is NULL or a result that nobody else uses now; `value` is NULL or has `len` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQsetvalue(
    result: *mut PGresult,
    row: c_int,
    field: c_int,
    value: *mut c_char,
    len: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        if !may_change(result) {
            return 0;
        }
        let Some(field) = column(result, field) else {
            return 0;
        };
        let rows = (*result).rows;
        if row as usize > rows {
            // What is allowed reaches one further than usual.
            out_of_range(result, "row", row, rows + 1);
            return 0;
        }
        if row == c_int::MAX {
            let text = format_args!("PGresult cannot support more than INT_MAX tuples");
            internal(result, text);
            return 0;
        }
        let value = match usize::try_from(len) {
            _ if len == NULL || value.is_null() => None,
            Ok(len) => Some(std::slice::from_raw_parts(value.cast(), len)),
            Err(_) => Some(&b""[..]),
        };
        if guard(|| (*result).set(row as usize, field, value))
            .flatten()
            .is_some()
        {
            return 1;
        }
        internal(result, format_args!("out of memory"));
        0
    }
}

/// Copies a result, and what `flags` (`PG_COPYRES_…`) say of it: its columns, its rows with them, its events, its notice
/// hooks. The copy is a result with rows, not an error. NULL without memory.
///
/// # Safety
/// `result` is NULL or a result.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQcopyResult(
    result: *const PGresult,
    flags: c_int,
) -> *mut PGresult {
    // SAFETY: the caller's promise; no reference is alive when procedures are called.
    unsafe {
        if result.is_null() {
            return ptr::null_mut();
        }
        let copy = given(guard(|| (*result).copied(flags)).flatten());
        if !copy.is_null() {
            events::tell_copy(result, copy);
        }
        copy
    }
}

/// Memory that is freed with the result, aligned for anything; NULL without memory.
///
/// # Safety
/// `result` is NULL or a result that nobody else uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQresultAlloc(result: *mut PGresult, bytes: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe {
        if !may_change(result) {
            return ptr::null_mut();
        }
        if bytes == 0 {
            return (*result).null().cast();
        }
        let piece = guard(|| (*result).extra()?.arena.aligned(bytes)).flatten();
        piece.map_or(ptr::null_mut(), <*mut u8>::cast)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::thread;

    use super::*;
    use crate::accessors::PQntuples;
    use crate::cells::{PQgetisnull, PQgetlength, PQgetvalue};
    use crate::result::{PQclear, PQresultMemorySize};

    /// A result of two columns without rows.
    fn made() -> *mut PGresult {
        let column = |name: &'static CStr| PGresAttDesc {
            name: name.as_ptr().cast_mut(),
            tableid: 0,
            columnid: 0,
            format: 0,
            typid: 25,
            typlen: -1,
            atttypmod: -1,
        };
        let mut columns = [column(c"a"), column(c"b")];
        // SAFETY: as many columns as said.
        unsafe {
            let result = PQmakeEmptyPGresult(ptr::null_mut(), TUPLES_OK);
            assert_eq!(PQsetResultAttrs(result, 2, columns.as_mut_ptr()), 1);
            result
        }
    }

    fn set(result: *mut PGresult, row: c_int, field: c_int, value: &str) -> c_int {
        let value = value.as_bytes();
        // SAFETY: a result, and as many bytes as said.
        unsafe {
            let first = value.as_ptr().cast_mut().cast();
            PQsetvalue(result, row, field, first, value.len() as c_int)
        }
    }

    fn value(result: *const PGresult, row: c_int, field: c_int) -> String {
        // SAFETY: a result, and a cell of it.
        unsafe {
            let text = CStr::from_ptr(PQgetvalue(result, row, field)).to_str();
            let text = text.unwrap().to_owned();
            assert_eq!(PQgetlength(result, row, field), text.len() as c_int);
            text
        }
    }

    #[test]
    fn values_stay_where_they_are_while_others_are_set() {
        let result = made();
        assert_eq!(set(result, 0, 1, "first"), 1);
        // SAFETY: the cell is there.
        let kept = unsafe { PQgetvalue(result, 0, 1) };
        for row in 1..1000 {
            assert_eq!(
                set(result, row, row % 2, &"x".repeat(row as usize % 300)),
                1
            );
        }
        assert_eq!(set(result, 0, 1, "second"), 1);
        assert_eq!(set(result, 1001, 0, "too far"), 0);
        assert_eq!(set(result, 0, 2, "no such column"), 0);
        // SAFETY: the old value lives as long as the result.
        assert_eq!(unsafe { CStr::from_ptr(kept) }, c"first");
        assert_eq!(value(result, 0, 1), "second");
        // SAFETY: a result, and a copy of it that outlives it.
        unsafe {
            assert_eq!(
                (PQgetisnull(result, 0, 0), PQgetisnull(result, 0, 1)),
                (1, 0)
            );
            assert_eq!(PQgetvalue(result, 1000, 0), ptr::null_mut());
            let copy = PQcopyResult(result, TUPLES);
            PQclear(result);
            assert_eq!(PQntuples(copy), 1000);
            assert_eq!(value(copy, 299, 1), "x".repeat(299));
            assert!(PQresultMemorySize(copy) > 100_000);
            PQclear(copy);
        }
    }

    #[test]
    fn several_threads_read_a_result() {
        struct Shared(*mut PGresult);
        // SAFETY: results may be read from any thread.
        unsafe impl Sync for Shared {}
        let shared = Shared(made());
        for row in 0..100 {
            assert_eq!(set(shared.0, row, 0, &row.to_string()), 1);
        }
        thread::scope(|scope| {
            for _ in 0..4 {
                let shared = &shared;
                scope.spawn(move || {
                    for row in (0..100).rev() {
                        assert_eq!(value(shared.0, row, 0), row.to_string());
                    }
                });
            }
        });
        // SAFETY: nobody reads it any more.
        unsafe { PQclear(shared.0) };
    }
}
