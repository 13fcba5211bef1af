//! The cells of a result: read where they lie, without a guard and without a second check. Every cell was checked once, when
//! its row was received (`pgpoll::rows`): its length word and its bytes lie in the block, and a NUL follows.

use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::atomic::Ordering;

use pgpoll::rows::{Batch, LOOK_ASIDE, Raw, WIDE};

use crate::arena::{self, Arena};
use crate::columns::Attributes;
use crate::notice::internal;
use crate::result::PGresult;

/// The length of NULL.
pub(crate) const NULL: c_int = -1;

/// Where the first value of a row lies, counted from the row's start: behind the cell count and its length word.
const FIRST: usize = 6;

/// One block of rows with the addresses that the accessors need. The block lives in the result's batch, on the heap, and
/// never changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    data: *const u8,
    index: *const u8,
    first_row: usize,
    rows: usize,
    /// No value of the block has its length elsewhere: a length word that says to look there is a NULL.
    plain: bool,
}

impl View {
    pub(crate) const NONE: Self = Self {
        data: ptr::null(),
        index: ptr::null(),
        first_row: 0,
        rows: 0,
        plain: true,
    };

    #[inline]
    fn of(first_row: usize, raw: Raw<'_>) -> Self {
        Self {
            data: raw.data.as_ptr(),
            index: raw.index.as_ptr(),
            first_row,
            rows: raw.rows,
            plain: raw.aside.is_empty(),
        }
    }
}

/// A cell of a table: of a result made by hand, or of one with binary values, which have to be aligned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Value {
    /// [`NULL`], or how many bytes the value has.
    pub len: c_int,
    /// It, and a NUL behind it; for NULL the empty string.
    pub value: *mut c_char,
}

impl Value {
    /// A copy of a value, aligned; an empty one shows what NULL shows. `None` without memory.
    pub(crate) fn copy(value: &[u8], null: Self, arena: &mut Arena) -> Option<Self> {
        if value.is_empty() {
            return Some(Self { len: 0, ..null });
        }
        Some(Self {
            len: value.len() as c_int,
            value: arena.value(value)?,
        })
    }
}

impl PGresult {
    /// Takes the rows, which are the first or follow those that are there. `None` without memory.
    #[inline]
    pub(crate) fn hold(&mut self, rows: Batch) -> Option<()> {
        let width = rows.columns().len();
        self.width = width;
        if self.rows == 0 && (0..width).all(|column| rows.format(column) == 0) {
            let raw = rows.first().raw();
            self.rows = rows.rows();
            self.stride = raw.stride;
            self.only = View::of(0, raw);
            let several = rows.block_count() > 1;
            self.batch = Some(rows);
            return if several { self.view_all() } else { Some(()) };
        }
        self.copy_rows(&rows)
    }

    #[cold]
    fn view_all(&mut self) -> Option<()> {
        let batch = self.batch.as_ref()?;
        self.views.try_reserve_exact(batch.block_count()).ok()?;
        let views = batch.blocks();
        self.views
            .extend(views.map(|(row, block)| View::of(row, block.raw())));
        Some(())
    }

    /// Copies the rows behind those that are there, each value aligned.
    fn copy_rows(&mut self, rows: &Batch) -> Option<()> {
        self.spread()?;
        let (width, null) = (self.width, self.null_value());
        let extra = self.extra()?;
        if let Attributes::None = extra.attributes {
            extra.attributes = Attributes::of(rows);
        }
        extra
            .cells
            .try_reserve(rows.rows().checked_mul(width)?)
            .ok()?;
        for (_, block) in rows.blocks() {
            let raw = block.raw();
            for row in 0..raw.rows {
                // SAFETY: the block has the row, and there is room for its cells.
                unsafe { copy_row(&raw, row, width, null, &mut extra.arena, &mut extra.cells)? };
            }
        }
        self.rows += rows.rows();
        self.show_table();
        Some(())
    }

    /// Makes a table of rows that lie in views, which stay where they are. `None` without memory.
    pub(crate) fn spread(&mut self) -> Option<()> {
        if self.rows == 0 || !self.table.is_null() {
            return Some(());
        }
        let null = self.null_value();
        let (rows, width) = (self.rows, self.width);
        let batch = self.batch.take()?;
        let made = self.extra().and_then(|extra| {
            extra.cells.try_reserve(rows.checked_mul(width)?).ok()?;
            for (row, column) in (0..rows).flat_map(|row| (0..width).map(move |at| (row, at))) {
                let value = batch.value(row, column);
                extra.cells.push(value.map_or(null, |value| Value {
                    len: value.len() as c_int,
                    value: value.as_ptr().cast_mut().cast(),
                }));
            }
            Some(())
        });
        self.batch = Some(batch);
        made?;
        self.show_table();
        Some(())
    }

    /// The value of a cell; `None` for NULL, and when there is no such cell.
    pub(crate) fn value(&self, row: usize, column: usize) -> Option<&[u8]> {
        let cell = self.any_cell(row, column)?;
        let len = usize::try_from(cell.len).ok()?;
        // SAFETY: a value that the result owns, which has so many bytes.
        Some(unsafe { std::slice::from_raw_parts(cell.value.cast(), len) })
    }

    /// Any cell: its value and length; the empty string and [`NULL`] for NULL. `None` when there is no such cell.
    pub(crate) fn any_cell(&self, row: usize, column: usize) -> Option<Value> {
        if row >= self.rows || column >= self.width {
            return None;
        }
        if let Some(&value) = self.table_cell(row, column) {
            return Some(value);
        }
        let at = self.views.partition_point(|view| view.first_row <= row);
        if let Some(view) = self.views.get(at.wrapping_sub(1)) {
            self.last
                .store(ptr::from_ref(view).cast_mut(), Ordering::Relaxed);
        }
        let value = self.batch.as_ref()?.value(row, column);
        Some(value.map_or(self.null_value(), |value| Value {
            len: value.len() as c_int,
            value: value.as_ptr().cast_mut().cast(),
        }))
    }
}

/// Copies one row of a block.
///
/// # Safety
/// The block has the row, and there is room for `width` cells more.
#[inline]
unsafe fn copy_row(
    raw: &Raw<'_>,
    row: usize,
    width: usize,
    null: Value,
    arena: &mut Arena,
    cells: &mut Vec<Value>,
) -> Option<()> {
    // SAFETY: the row has an entry in the index; value follows value, as was checked when the row was received.
    unsafe {
        let entry = raw.index.as_ptr().add(row * raw.stride);
        let start = entry.cast::<u32>().read_unaligned() & !WIDE;
        let mut at = start as usize + FIRST;
        for _ in 0..width {
            let place = raw.data.as_ptr().add(at);
            let word = u32::from_be(place.sub(4).cast::<u32>().read_unaligned());
            let len = match word {
                LOOK_ASIDE => aside(raw, at),
                len => Some(len as usize),
            };
            let cell = match len {
                None => null,
                Some(len) => Value {
                    len: len as c_int,
                    value: arena.value_at(place, len, at + arena::SHORT <= raw.data.len())?,
                },
            };
            cells.push(cell);
            at += len.unwrap_or(0) + 4;
        }
    }
    Some(())
}

/// The length of a value that its length word does not say; `None` for NULL.
#[cold]
fn aside(raw: &Raw<'_>, at: usize) -> Option<usize> {
    let found = raw.aside.binary_search_by_key(&(at as u32), |&(at, _)| at);
    let (_, len) = raw.aside.get(found.ok()?)?;
    Some(*len as usize)
}

/// Finds a cell and makes of its address and length what the accessor returns; `slow` does it for all cells that are not
/// where most are, and says what must be said of those that do not exist. A call that ends in `slow` needs no frame: so it
/// returns what the accessor returns.
///
/// # Safety
/// `result` is NULL or a result.
#[inline(always)]
unsafe fn cell<T>(
    result: *const PGresult,
    row: c_int,
    column: c_int,
    nothing: T,
    null: impl Fn(&PGresult) -> T,
    found: impl Fn(*mut c_char, c_int) -> T,
    slow: unsafe fn(*const PGresult, c_int, c_int) -> T,
) -> T {
    // SAFETY: the caller's promise.
    let Some(shown) = (unsafe { result.as_ref() }) else {
        return nothing;
    };
    // Numbers below 0 become too large ones.
    let (at, number) = (row as usize, column as usize);
    // SAFETY: `last` always leads to a view of this result.
    let view = unsafe { &*shown.last.load(Ordering::Relaxed) };
    let local = at.wrapping_sub(view.first_row);
    if local >= view.rows || number >= shown.width {
        return match shown.table_cell(at, number) {
            Some(cell) if cell.len == NULL => null(shown),
            Some(cell) => found(cell.value, cell.len),
            // SAFETY: the caller's promise.
            None => unsafe { slow(result, row, column) },
        };
    }
    // SAFETY: the row has an entry of `stride` bytes in the index; the column is one of its columns; a value lies in the
    // block's bytes, behind its length word.
    unsafe {
        let entry = view.index.add(local * shown.stride);
        let start = entry.cast::<u32>().read_unaligned();
        if start & WIDE != 0 {
            return slow(result, row, column);
        }
        // For column 0 this reads the upper half of the row's offset, and does not use it.
        let distance = entry.add(2 + 2 * number).cast::<u16>().read_unaligned();
        let distance = if number == 0 {
            FIRST
        } else {
            usize::from(distance)
        };
        let value = view.data.add(start as usize + distance);
        match u32::from_be(value.sub(4).cast::<u32>().read_unaligned()) {
            LOOK_ASIDE if view.plain => null(shown),
            LOOK_ASIDE => slow(result, row, column),
            len => found(value.cast_mut().cast(), len as c_int),
        }
    }
}

/// Any cell of a result; where there is none, the program is told so.
///
/// # Safety
/// `result` is a result that lives through the call.
#[inline(never)]
unsafe fn slowly(result: *const PGresult, row: c_int, column: c_int) -> Option<Value> {
    // SAFETY: the caller's promise; the reference ends here.
    let (cell, rows, width) = unsafe {
        let result = &*result;
        let cell = result.any_cell(row as usize, column as usize);
        (cell, result.rows, result.width)
    };
    if cell.is_none() {
        // SAFETY: as above.
        unsafe {
            if (row as usize) < rows {
                out_of_range(result, "column", column, width);
            } else {
                out_of_range(result, "row", row, rows);
            }
        }
    }
    cell
}

/// Tells the program that there is no such row, column or parameter.
///
/// # Safety
/// `result` is a result.
#[cold]
pub(crate) unsafe fn out_of_range(
    result: *const PGresult,
    what: &str,
    number: c_int,
    count: usize,
) {
    let last = count as i64 - 1;
    // SAFETY: the caller's promise.
    unsafe {
        internal(
            result,
            format_args!("{what} number {number} is out of range 0..{last}"),
        );
    }
}

/// The value of a cell, ended by a NUL; empty for NULL. It belongs to the result. Binary values are aligned.
///
/// # Safety
/// `result` is NULL or a result; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQgetvalue(
    result: *const PGresult,
    row: c_int,
    number: c_int,
) -> *mut c_char {
    #[cold]
    #[inline(never)]
    unsafe fn slow(result: *const PGresult, row: c_int, number: c_int) -> *mut c_char {
        // SAFETY: the caller's promise.
        let cell = unsafe { slowly(result, row, number) };
        cell.map_or(ptr::null_mut(), |cell| cell.value)
    }
    // SAFETY: the caller's promise.
    unsafe {
        cell(
            result,
            row,
            number,
            ptr::null_mut(),
            PGresult::null,
            |value, _| value,
            slow,
        )
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
    #[cold]
    #[inline(never)]
    unsafe fn slow(result: *const PGresult, row: c_int, number: c_int) -> c_int {
        // SAFETY: the caller's promise.
        let cell = unsafe { slowly(result, row, number) };
        cell.map_or(0, |cell| cell.len.max(0))
    }
    // SAFETY: the caller's promise.
    unsafe { cell(result, row, number, 0, |_| 0, |_, len| len, slow) }
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
    #[cold]
    #[inline(never)]
    unsafe fn slow(result: *const PGresult, row: c_int, number: c_int) -> c_int {
        // SAFETY: the caller's promise.
        let cell = unsafe { slowly(result, row, number) };
        cell.map_or(1, |cell| c_int::from(cell.len == NULL))
    }
    // SAFETY: the caller's promise.
    unsafe { cell(result, row, number, 1, |_| 1, |_, _| 0, slow) }
}
