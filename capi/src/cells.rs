//! The cells of a result, read where they lie: the one place at the border without a guard and without second checks.
//!
//! Measured: a guard and checked reads cost 820 instructions for the value and length of five cells, this about half. Every
//! cell was checked once, when its row was received (`pgpoll::rows`): its length word and its bytes lie in the block, and a
//! NUL follows. Nothing here can panic.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::atomic::Ordering;

use pgpoll::rows::{LOOK_ASIDE, WIDE};

use crate::result::{ConnResult, View};

/// Where the first value of a row lies, counted from the row's start: behind the cell count and its length word.
const FIRST: usize = 6;

/// The value of a cell, where it lies. A NUL follows it, so that a text value is a C string.
///
/// result: the result. row, column: their numbers, from 0.
/// Returns the value; NULL for SQL NULL, for what lies outside of the result, and for NULL. Not aligned: copy a binary value
///   out before you read it as a number.
/// Borrowed from the result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_value(
    result: *const ConnResult,
    row: usize,
    column: usize,
) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe {
        cell(
            result,
            row,
            column,
            ptr::null(),
            |value, _| value.cast(),
            slow_value,
        )
    }
}

/// The length of a cell's value in bytes, without the NUL that follows it.
///
/// result: the result. row, column: their numbers, from 0.
/// Returns the length; 0 for SQL NULL, for what lies outside of the result, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_length(
    result: *const ConnResult,
    row: usize,
    column: usize,
) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        cell(
            result,
            row,
            column,
            0,
            |_, length| length as usize,
            slow_length,
        )
    }
}

/// Whether a cell is SQL NULL.
///
/// result: the result. row, column: their numbers, from 0.
/// Returns 1 for SQL NULL, for what lies outside of the result, and for NULL; else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_is_null(
    result: *const ConnResult,
    row: usize,
    column: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { cell(result, row, column, 1, |_, _| 0, slow_is_null) }
}

/// All cells of some rows in one call: row after row, and in a row column after column.
///
/// result: the result. first_row: from which row, from 0. row_count: how many rows at most.
/// values: room for row_count times conn_result_columns pointers; NULL for SQL NULL, else as conn_result_value.
/// lengths: room for as many lengths in bytes; 0 for SQL NULL.
/// Returns how many rows were filled: fewer than row_count where the result ends, 0 for NULL.
/// The values are borrowed from the result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_cells(
    result: *const ConnResult,
    first_row: usize,
    row_count: usize,
    values: *mut *const c_char,
    lengths: *mut usize,
) -> usize {
    // SAFETY: the caller's promise.
    let Some(result) = (unsafe { result.as_ref() }) else {
        return 0;
    };
    if first_row >= result.rows || values.is_null() || lengths.is_null() {
        return 0;
    }
    let count = row_count.min(result.rows - first_row);
    if result.columns == 0 {
        return count;
    }
    let (mut values, mut lengths) = (values, lengths);
    let mut row = first_row;
    let end = first_row + count;
    while row < end {
        let view = result.find(row);
        let here = view.rows.min(end - view.first_row);
        // SAFETY: the rows from `row` to `here` are in the view, and there is room for all cells of `count` rows.
        unsafe {
            for row in row - view.first_row..here {
                result.row_cells(view, row, values, lengths);
                values = values.add(result.columns);
                lengths = lengths.add(result.columns);
            }
        }
        row = view.first_row + here;
    }
    count
}

/// Finds a cell and makes of its address and length word what the accessor returns; `slow` does it for all cells that are
/// not where most are. A call that ends in `slow` needs no frame: so it returns what the accessor returns.
///
/// # Safety
/// `result` is NULL, or a result that is alive.
#[inline(always)]
unsafe fn cell<T>(
    result: *const ConnResult,
    row: usize,
    column: usize,
    nothing: T,
    found: impl FnOnce(*const u8, u32) -> T,
    slow: fn(&ConnResult, usize, usize) -> T,
) -> T {
    // SAFETY: the caller's promise.
    let Some(result) = (unsafe { result.as_ref() }) else {
        return nothing;
    };
    // SAFETY: `last` always leads to a view of this result.
    let view = unsafe { &*result.last.load(Ordering::Relaxed) };
    let local = row.wrapping_sub(view.first_row);
    if local >= view.rows || column >= result.columns {
        return slow(result, row, column);
    }
    // SAFETY: the row has an entry of `stride` bytes in the index; the column is one of its columns; a value lies in the
    // block's bytes, behind its length word.
    unsafe {
        let entry = view.index.add(local * result.stride);
        let start = entry.cast::<u32>().read_unaligned();
        if start & WIDE != 0 {
            return slow(result, row, column);
        }
        // For column 0 this reads the upper half of the row's offset, and does not use it.
        let distance = entry.add(2 + 2 * column).cast::<u16>().read_unaligned();
        let distance = if column == 0 {
            FIRST
        } else {
            usize::from(distance)
        };
        let value = view.data.add(start as usize + distance);
        match u32::from_be(value.sub(4).cast::<u32>().read_unaligned()) {
            LOOK_ASIDE if view.plain => nothing,
            LOOK_ASIDE => slow(result, row, column),
            length => found(value, length),
        }
    }
}

#[cold]
#[inline(never)]
fn slow_value(result: &ConnResult, row: usize, column: usize) -> *const c_char {
    result.slowly(row, column).0.cast()
}

#[cold]
#[inline(never)]
fn slow_length(result: &ConnResult, row: usize, column: usize) -> usize {
    result.slowly(row, column).1
}

#[cold]
#[inline(never)]
fn slow_is_null(result: &ConnResult, row: usize, column: usize) -> c_int {
    result.slowly(row, column).0.is_null().into()
}

impl ConnResult {
    /// The cells of the view's row `local`, in order.
    ///
    /// # Safety
    /// The view has the row; there is room for a row's cells.
    #[inline(always)]
    unsafe fn row_cells(
        &self,
        view: &View,
        local: usize,
        values: *mut *const c_char,
        lengths: *mut usize,
    ) {
        // SAFETY: the row has an entry in the index; value follows value, as was checked when the row was received.
        unsafe {
            let entry = view.index.add(local * self.stride);
            let start = entry.cast::<u32>().read_unaligned() & !WIDE;
            let mut value = view.data.add(start as usize + FIRST);
            for column in 0..self.columns {
                let word = u32::from_be(value.sub(4).cast::<u32>().read_unaligned());
                let (shown, length) = if word != LOOK_ASIDE {
                    (value, word as usize)
                } else if view.plain {
                    (ptr::null(), 0)
                } else {
                    self.slowly(view.first_row + local, column)
                };
                values.add(column).write(shown.cast());
                lengths.add(column).write(length);
                value = value.add(length + 4);
            }
        }
    }

    /// The view that has the row, which the result must have.
    fn find(&self, row: usize) -> &View {
        let at = self.views.partition_point(|view| view.first_row <= row);
        match self.views.get(at.wrapping_sub(1)) {
            Some(view) => view,
            None => &self.only,
        }
    }

    /// Any cell, by the checked way: its address and length; null and 0 where there is none.
    #[cold]
    #[inline(never)]
    fn slowly(&self, row: usize, column: usize) -> (*const u8, usize) {
        if row < self.rows {
            let view = ptr::from_ref(self.find(row)).cast_mut();
            self.last.store(view, Ordering::Relaxed);
        }
        match self.batch().and_then(|batch| batch.value(row, column)) {
            Some(value) => (value.as_ptr(), value.len()),
            None => (ptr::null(), 0),
        }
    }
}

#[cfg(test)]
mod tests;
