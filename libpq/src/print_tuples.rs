//! Results on paper as it was done before `PQprint`: `PQdisplayTuples` and `PQprintTuples`.

use std::ffi::{CStr, c_char, c_int};

use libc::FILE;

use crate::guard::guard;
use crate::print::Table;
use crate::result::PGresult;
use crate::stream::Stream;

/// What a column adds to the border of [`PQprintTuples`].
const BORDER: usize = 14;

struct Display<'a> {
    out: Stream,
    table: Table<'a>,
    separator: &'a [u8],
    /// Of the columns, when they are aligned.
    widths: Vec<usize>,
}

impl Display<'_> {
    /// `false` without memory.
    fn align(&mut self) -> bool {
        let table = self.table;
        if self.widths.try_reserve_exact(table.columns()).is_err() {
            return false;
        }
        self.widths.extend((0..table.columns()).map(|column| {
            let lengths = (0..table.rows()).map(|row| table.length(row, column));
            lengths.fold(table.name(column).len(), usize::max)
        }));
        true
    }

    /// A text, filled up to one more than its column is wide.
    fn cell(&self, column: usize, text: &[u8], filler: u8) {
        self.out.put(text);
        if let Some(width) = self.widths.get(column) {
            self.out
                .fill(filler, (width + 1).saturating_sub(text.len()));
        }
        self.out.put(self.separator);
    }

    fn head(&self) {
        for column in 0..self.table.columns() {
            self.cell(column, self.table.name(column), b' ');
        }
        self.out.put(b"\n");
        for column in 0..self.table.columns() {
            self.cell(column, b"", b'-');
        }
        self.out.put(b"\n");
    }

    fn rows(&self) {
        for row in 0..self.table.rows() {
            for column in 0..self.table.columns() {
                self.cell(column, self.table.text(row, column), b' ');
            }
            self.out.put(b"\n");
        }
    }
}

/// Writes a result to `out` (NULL: the standard output), its columns parted by `separator` (NULL: a blank).
///
/// # Safety
/// `result` is NULL or a result; `out` is NULL or open; `separator` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQdisplayTuples(
    result: *const PGresult,
    out: *mut FILE,
    align: c_int,
    separator: *const c_char,
    header: c_int,
    quiet: c_int,
) {
    guard(|| {
        let mut display = Display {
            out: match out.is_null() {
                true => Stream::stdout(),
                // SAFETY: the caller's promise.
                false => unsafe { Stream::new(out) },
            },
            // SAFETY: the caller's promise.
            table: unsafe { Table::new(result) },
            separator: match separator.is_null() {
                true => b" ",
                // SAFETY: the caller's promise.
                false => unsafe { CStr::from_ptr(separator) }.to_bytes(),
            },
            widths: Vec::new(),
        };
        if align != 0 && !display.align() {
            return Stream::stderr().put(b"out of memory\n");
        }
        if header != 0 {
            display.head();
        }
        display.rows();
        if quiet == 0 {
            let rows = display.table.rows();
            let plural = if rows == 1 { "" } else { "s" };
            let said = format!("\nQuery returned {rows} row{plural}.\n");
            display.out.put(said.as_bytes());
        }
        display.out.flush();
    });
}

/// Writes a result to `out`, with bars and borders unless `terse`; a value takes `width` bytes at least.
///
/// # Safety
/// `result` is NULL or a result; `out` is NULL, which is nowhere, or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQprintTuples(
    result: *const PGresult,
    out: *mut FILE,
    names: c_int,
    terse: c_int,
    width: c_int,
) {
    // SAFETY: the caller's promise.
    let table = unsafe { Table::new(result) };
    if out.is_null() || table.columns() == 0 {
        return;
    }
    guard(|| {
        // SAFETY: the caller's promise.
        let out = unsafe { Stream::new(out) };
        let bar: &[u8] = if terse == 0 { b"|" } else { b"" };
        let width = usize::try_from(width).unwrap_or_default();
        let cell = |text| {
            out.put(bar);
            out.put(b" ");
            out.left(text, width);
        };
        let border = || {
            out.fill(b'-', BORDER * table.columns());
            out.put(b"\n");
        };
        let end = || {
            out.put(bar);
            out.put(b"\n");
            if terse == 0 {
                border();
            }
        };
        if terse == 0 {
            border();
        }
        if names != 0 {
            (0..table.columns()).for_each(|column| cell(table.name(column)));
            end();
        }
        for row in 0..table.rows() {
            (0..table.columns()).for_each(|column| cell(table.text(row, column)));
            end();
        }
    });
}
