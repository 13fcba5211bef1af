//! Results as C sees them: rows, columns, parameters. Cells are in `cells`.

use std::collections::TryReserveError;
use std::ffi::{c_char, c_int};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use pgpoll::rows::{Batch, Column, Columns};

use crate::border::{allocate, guard};
use crate::start::CONN_TEXT;
use crate::text;

/// Rows with their columns, or the description of a statement. Never changes; may be read from several threads, and
/// outlives its connection.
#[derive(Debug)]
pub struct ConnResult {
    /// The view that was read last: one of `only` and `views`, or, without rows, `only`, which is empty.
    pub(crate) last: AtomicPtr<View>,
    pub(crate) columns: usize,
    /// Bytes of one index entry.
    pub(crate) stride: usize,
    pub(crate) rows: usize,
    pub(crate) only: View,
    /// All views when there are several.
    pub(crate) views: Vec<View>,
    pub(crate) content: Content,
    /// Who needs it besides the caller: see [`Held`].
    holders: AtomicUsize,
    /// It lies in front of the rows of its own content, and goes with them.
    in_front: bool,
}

/// The bytes that a connection leaves in front of the rows of a small result: room for a [`ConnResult`], wherever they begin.
pub(crate) const FRONT: u16 = {
    let most = size_of::<ConnResult>() + align_of::<ConnResult>() - 1;
    assert!(most <= u16::MAX as usize);
    most as u16
};

/// A result that stays alive behind the caller's back: Arrow arrays may lead into it.
#[derive(Debug)]
pub(crate) struct Held(*mut ConnResult);

// SAFETY: the result is `Send` and `Sync`, and how many hold it is counted atomically.
unsafe impl Send for Held {}

impl Held {
    /// # Safety
    /// The result came from [`give`] and is alive.
    pub(crate) unsafe fn new(result: *const ConnResult) -> Self {
        // SAFETY: the caller's promise.
        unsafe { &*result }.holders.fetch_add(1, Ordering::Relaxed);
        Self(result.cast_mut())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: it was counted when this was made, so it is alive.
        unsafe { leave(self.0) };
    }
}

/// One who needed the result does not any more; the last one frees it.
///
/// # Safety
/// The result came from [`give`], and the caller is one who needs it.
#[inline(always)]
unsafe fn leave(result: *mut ConnResult) {
    // SAFETY: alive, since the caller needs it still.
    let holders = &unsafe { &*result }.holders;
    // Without others nobody can become one, so that the usual case is a mere load.
    if holders.load(Ordering::Acquire) == 0 || holders.fetch_sub(1, Ordering::AcqRel) == 0 {
        // SAFETY: nobody else has it.
        unsafe { free(result) };
    }
}

/// What a result holds.
#[derive(Debug)]
pub(crate) enum Content {
    Rows(Batch),
    Described {
        parameters: Box<[u32]>,
        columns: Option<Arc<Columns>>,
    },
}

/// One block of rows with the addresses that the accessors need. The block lives in the result's batch, on the heap, and
/// never changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View {
    pub data: *const u8,
    pub index: *const u8,
    pub first_row: usize,
    pub rows: usize,
    /// No value of the block has its length elsewhere: a length word that says to look there is a NULL.
    pub plain: bool,
}

// SAFETY: the pointers lead into the batch that the result owns, which is immutable, `Send` and `Sync`; `last` is atomic and
// always leads to a view of the same result.
unsafe impl Send for ConnResult {}
// SAFETY: as above.
unsafe impl Sync for ConnResult {}

impl View {
    const NONE: Self = Self {
        data: ptr::null(),
        index: ptr::null(),
        first_row: 0,
        rows: 0,
        plain: true,
    };
}

impl ConnResult {
    pub(crate) fn batch(&self) -> Option<&Batch> {
        match &self.content {
            Content::Rows(batch) => Some(batch),
            Content::Described { .. } => None,
        }
    }

    fn described(&self) -> Option<&Columns> {
        match &self.content {
            Content::Rows(batch) => Some(batch.columns()),
            Content::Described { columns, .. } => columns.as_deref(),
        }
    }

    fn column(&self, column: usize) -> Option<&Column> {
        self.described()?.get(column)
    }

    /// Looks at the blocks of the batch.
    #[cold]
    fn view_all(&mut self) -> Result<(), TryReserveError> {
        if let Content::Rows(batch) = &self.content {
            self.views.try_reserve_exact(batch.block_count())?;
            let views = batch.blocks().map(|(row, block)| view(row, block.raw()));
            self.views.extend(views);
        }
        Ok(())
    }
}

#[inline]
fn view(first_row: usize, raw: pgpoll::rows::Raw<'_>) -> View {
    View {
        data: raw.data.as_ptr(),
        index: raw.index.as_ptr(),
        first_row,
        rows: raw.rows,
        plain: raw.aside.is_empty(),
    }
}

/// Hands a result to C; `None` when there is no memory for it.
#[inline(always)]
pub(crate) fn give(mut content: Content) -> Option<*mut ConnResult> {
    let front = front(&mut content);
    let (rows, columns, blocks, only, stride) = match &content {
        Content::Rows(batch) => {
            // On the heap: the bytes stay where they are when the batch is moved.
            let raw = batch.first().raw();
            let (blocks, columns) = (batch.block_count(), batch.columns().len());
            (batch.rows(), columns, blocks, view(0, raw), raw.stride)
        }
        Content::Described { columns, .. } => {
            let columns = columns.as_ref().map_or(0, |columns| columns.len());
            (0, columns, 1, View::NONE, 0)
        }
    };
    let result = ConnResult {
        last: AtomicPtr::new(ptr::null_mut()),
        columns,
        stride,
        rows,
        only,
        views: Vec::new(),
        content,
        holders: AtomicUsize::new(0),
        in_front: !front.is_null(),
    };
    let place = if front.is_null() {
        allocate(result).ok()?
    } else {
        // SAFETY: room for a result, aligned, which nobody else uses: the batch hands it out to whoever owns it, and that
        // is the result from now on.
        unsafe { front.write(result) };
        front
    };
    // SAFETY: made just now, and nobody else has it yet.
    let result = unsafe { &mut *place };
    if blocks > 1 && result.view_all().is_err() {
        // SAFETY: as above.
        unsafe { free(place) };
        return None;
    }
    *result.last.get_mut() = &raw mut result.only;
    Some(place)
}

/// The room for a result in front of its rows; null where there is none, or where it has views besides.
#[inline(always)]
fn front(content: &mut Content) -> *mut ConnResult {
    let batch = match content {
        Content::Rows(batch) if batch.block_count() == 1 => batch,
        _ => return ptr::null_mut(),
    };
    let front = batch.front_mut();
    let skip = front.as_ptr().align_offset(align_of::<ConnResult>());
    match front.get_mut(skip..skip.saturating_add(size_of::<ConnResult>())) {
        Some(room) => room.as_mut_ptr().cast(),
        None => ptr::null_mut(),
    }
}

/// # Safety
/// `result` came from [`give`] and was not freed.
#[inline(always)]
unsafe fn free(result: *mut ConnResult) {
    // SAFETY: the caller's promise. In front of its rows it lies in memory that goes with its content, which is moved out of
    // it before; it has no views besides, so that nothing else in it has to be dropped.
    unsafe {
        match &(*result).content {
            Content::Rows(batch) if (*result).in_front => ptr::read(batch).free(),
            _ => guard((), || drop(Box::from_raw(result))),
        }
    }
}

/// Frees a result. Everything that was borrowed from it goes with it; what was exported stays (conn_result_export_arrow).
///
/// result: the result, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_free(result: *mut ConnResult) {
    if !result.is_null() {
        // SAFETY: the caller's promise.
        unsafe { leave(result) };
    }
}

/// How many rows.
///
/// result: the result.
/// Returns the number; 0 for a description, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_rows(result: *const ConnResult) -> usize {
    // SAFETY: the caller's promise.
    unsafe { result.as_ref() }.map_or(0, |result| result.rows)
}

/// How many columns.
///
/// result: the result.
/// Returns the number; 0 for the description of a statement that returns no rows, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_columns(result: *const ConnResult) -> usize {
    // SAFETY: the caller's promise.
    unsafe { result.as_ref() }.map_or(0, |result| result.columns)
}

/// The name of a column.
///
/// result: the result. column: its number, from 0.
/// Returns the name; NULL when there is no such column, and for NULL.
/// Borrowed from the result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_name(
    result: *const ConnResult,
    column: usize,
) -> *const c_char {
    // SAFETY: the caller's promise.
    let columns = unsafe { result.as_ref() }.and_then(ConnResult::described);
    text::borrowed(columns.and_then(|columns| columns.name_with_nul(column)))
}

/// The first column of a name, compared byte by byte.
///
/// result: the result. name: the column's name as the server spells it.
/// Returns the column's number, from 0; -1 when there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_find(result: *const ConnResult, name: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    let (result, name) = unsafe { (result.as_ref(), text::bytes(name)) };
    let columns = result.and_then(ConnResult::described);
    let found = columns.and_then(|columns| columns.find(name?));
    found
        .and_then(|column| c_int::try_from(column).ok())
        .unwrap_or(-1)
}

/// The type of a column.
///
/// result: the result. column: its number, from 0.
/// Returns the OID in pg_type; 0 when there is no such column, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_type(result: *const ConnResult, column: usize) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { of(result, column, 0, |column| column.type_oid) }
}

/// The type modifier of a column (pg_attribute.atttypmod): the 20 of varchar(20) is in it.
///
/// result: the result. column: its number, from 0.
/// Returns the modifier; -1 when the type has none; 0 when there is no such column, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_type_modifier(
    result: *const ConnResult,
    column: usize,
) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { of(result, column, 0, |column| column.type_modifier) }
}

/// The size of a column's type in the server (pg_type.typlen).
///
/// result: the result. column: its number, from 0.
/// Returns bytes; negative for types of variable length; 0 when there is no such column, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_type_size(result: *const ConnResult, column: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { of(result, column, 0, |column| i32::from(column.type_size)) }
}

/// The table that a column comes from.
///
/// result: the result. column: its number, from 0.
/// Returns the OID in pg_class; 0 when it is no simple reference to a table's column, or there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_table(result: *const ConnResult, column: usize) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { of(result, column, 0, |column| column.table_oid) }
}

/// A column's attribute number in the table that it comes from (pg_attribute.attnum).
///
/// result: the result. column: its number, from 0.
/// Returns the number; 0 when it is no simple reference to a table's column, or there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_attribute(result: *const ConnResult, column: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { of(result, column, 0, |column| i32::from(column.attribute)) }
}

/// The format of a column's values.
///
/// result: the result. column: its number, from 0.
/// Returns CONN_TEXT or CONN_BINARY; CONN_TEXT in a description, where it is not known, when there is no such column, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_format(result: *const ConnResult, column: usize) -> c_int {
    // SAFETY: the caller's promise.
    match unsafe { result.as_ref() } {
        Some(result) if column < result.columns => result
            .batch()
            .map_or(CONN_TEXT, |batch| batch.format(column).into()),
        _ => CONN_TEXT,
    }
}

/// The parameters of a statement that was described.
///
/// result: the result of a CONN_ITEM_DESCRIBED. count: where their number goes.
/// Returns their type OIDs; NULL when there are none (count is 0), and for NULL.
/// Borrowed from the result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_parameters(
    result: *const ConnResult,
    count: *mut usize,
) -> *const u32 {
    // SAFETY: the caller's promise.
    let parameters = match unsafe { result.as_ref() }.map(|result| &result.content) {
        Some(Content::Described { parameters, .. }) => &parameters[..],
        _ => &[],
    };
    if !count.is_null() {
        // SAFETY: not NULL, so room for a number.
        unsafe { count.write(parameters.len()) };
    }
    if parameters.is_empty() {
        return ptr::null();
    }
    parameters.as_ptr()
}

/// Asks a column for something. Nothing in it can panic, so there is no guard.
///
/// # Safety
/// `result` is NULL, or a result that is alive.
unsafe fn of<T>(
    result: *const ConnResult,
    column: usize,
    fallback: T,
    ask: impl FnOnce(&Column) -> T,
) -> T {
    // SAFETY: the caller's promise.
    let column = unsafe { result.as_ref() }.and_then(|result| result.column(column));
    column.map_or(fallback, ask)
}
