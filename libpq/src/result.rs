//! PGresult: rows as the engine yielded them or as a program made them, in libpq's terms. Knows no connection.

use std::alloc::{self, Layout};
use std::ffi::{CStr, c_char, c_int};
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicPtr;

use pgpoll::encoding::Encoding;
use pgpoll::error::ServerError;
use pgpoll::rows::Batch;

use crate::arena::Arena;
use crate::cells::{NULL, Value, View};
use crate::columns::Attributes;
use crate::events::{self, Event};
use crate::guard::guard;
use crate::notice::Hooks;

/// `ExecStatusType` of libpq-fe.h.
pub(crate) const EMPTY_QUERY: c_int = 0;
pub(crate) const COMMAND_OK: c_int = 1;
pub(crate) const TUPLES_OK: c_int = 2;
pub(crate) const COPY_OUT: c_int = 3;
pub(crate) const COPY_IN: c_int = 4;
pub(crate) const NONFATAL_ERROR: c_int = 6;
pub(crate) const FATAL_ERROR: c_int = 7;
pub(crate) const COPY_BOTH: c_int = 8;
pub(crate) const SINGLE_TUPLE: c_int = 9;
pub(crate) const PIPELINE_SYNC: c_int = 10;
pub(crate) const PIPELINE_ABORTED: c_int = 11;
pub(crate) const TUPLES_CHUNK: c_int = 12;

/// Bytes of a command tag with its NUL; longer ones are cut.
const TAG: usize = 64;

const NO_MEMORY: *const c_char = c"out of memory\n".as_ptr();

/// What a result gets from the connection that it comes from.
#[derive(Debug)]
pub(crate) struct Origin {
    pub hooks: Hooks,
    pub events: Vec<Event>,
}

impl Origin {
    /// Nothing: of a result that comes from no connection.
    pub(crate) const NONE: Self = Self {
        hooks: Hooks::NONE,
        events: Vec::new(),
    };
}

/// A result, opaque to C. Accessors only read it: it may be read from several threads at once.
#[derive(Debug)]
pub struct PGresult {
    /// The view that was read last: [`only`](Self::only), or one of `views`.
    pub(crate) last: AtomicPtr<View>,
    pub(crate) rows: usize,
    pub(crate) width: usize,
    /// Bytes of an entry in the views' indexes.
    pub(crate) stride: usize,
    pub(crate) only: View,
    /// All cells, row by row, if they do not lie in views; else null.
    pub(crate) table: *mut Value,
    pub(crate) status: c_int,
    /// What a NULL shows.
    null: [c_char; 4],
    pub(crate) hooks: Hooks,
    tag: [u8; TAG],
    /// The error message; null when there is none.
    message: *const c_char,
    /// All views when there are several.
    pub(crate) views: Vec<View>,
    /// What the views lead into.
    pub(crate) batch: Option<Batch>,
    pub(crate) extra: Option<Box<Extra>>,
}

// SAFETY: the pointers lead into what the result owns, or into what never changes; accessors change nothing but `last`, which
// is atomic and always leads to a view of the same result. Functions that change a result need it alone, as libpq's do.
unsafe impl Send for PGresult {}
// SAFETY: as above.
unsafe impl Sync for PGresult {}

/// What only some results have.
#[derive(Debug)]
pub(crate) struct Extra {
    pub arena: Arena,
    /// Columns, where no batch has them.
    pub attributes: Attributes,
    /// The cells that `table` shows.
    pub cells: Vec<Value>,
    pub events: Vec<Event>,
    /// The types of the parameters of a described statement.
    pub parameters: Box<[u32]>,
    pub fields: Option<ServerError>,
    /// The query that the error's position is in; null where there is none.
    pub query: *const c_char,
    /// The encoding of the texts.
    pub encoding: Encoding,
}

impl Extra {
    fn new() -> Self {
        Self {
            arena: Arena::new(),
            attributes: Attributes::None,
            cells: Vec::new(),
            events: Vec::new(),
            parameters: Box::default(),
            fields: None,
            query: ptr::null(),
            encoding: Encoding::default(),
        }
    }
}

/// What there is when there is no memory for a result. It never changes.
static OUT_OF_MEMORY: PGresult = PGresult::bare(FATAL_ERROR, Hooks::NONE, NO_MEMORY);

impl PGresult {
    const fn bare(status: c_int, hooks: Hooks, message: *const c_char) -> Self {
        Self {
            last: AtomicPtr::new(ptr::null_mut()),
            rows: 0,
            width: 0,
            stride: 0,
            only: View::NONE,
            table: ptr::null_mut(),
            status,
            null: [0; 4],
            hooks,
            tag: [0; TAG],
            message,
            views: Vec::new(),
            batch: None,
            extra: None,
        }
    }

    /// A result without anything.
    #[inline]
    pub(crate) fn empty(status: c_int, origin: &Origin) -> Owned {
        let result = Owned::new(|| Self::bare(status, origin.hooks, ptr::null()));
        if origin.events.is_empty() {
            return result;
        }
        result.or_out_of_memory(|result| {
            result.extra()?.events = Event::copies(&origin.events)?;
            Some(())
        })
    }

    /// Rows with their columns.
    #[inline]
    pub(crate) fn tuples(status: c_int, origin: &Origin, rows: Batch) -> Owned {
        Self::empty(status, origin).or_out_of_memory(|result| result.hold(rows))
    }

    /// Columns without rows: of a described statement, with its parameters, or the end of rows that were given already.
    pub(crate) fn described(
        status: c_int,
        origin: &Origin,
        parameters: Box<[u32]>,
        columns: Attributes,
    ) -> Owned {
        Self::empty(status, origin).or_out_of_memory(|result| {
            result.width = match &columns {
                Attributes::Shared { columns, .. } => columns.len(),
                Attributes::Copied(copying) => copying.columns.len(),
                Attributes::Own(columns) => columns.len(),
                Attributes::None => 0,
            };
            let extra = result.extra()?;
            extra.parameters = parameters;
            extra.attributes = columns;
            Some(())
        })
    }

    /// An error of which there is only a text.
    pub(crate) fn error(status: c_int, origin: &Origin, message: &[u8]) -> Owned {
        let mut result = Self::empty(status, origin);
        if let Some(result) = result.edit() {
            result.set_message(message);
        }
        result
    }

    /// An error or notice of the server, and the text made of it; `query` is what its position is in.
    pub(crate) fn report(
        status: c_int,
        origin: &Origin,
        fields: Option<ServerError>,
        query: Option<&[u8]>,
        encoding: Encoding,
        message: &[u8],
    ) -> Owned {
        let mut result = Self::error(status, origin, message);
        if let Some(extra) = result.edit().and_then(Self::extra) {
            extra.fields = fields;
            extra.encoding = encoding;
            let query = query.and_then(|query| extra.arena.string(query));
            extra.query = query.map_or(ptr::null(), |query| query.cast_const());
        }
        result
    }

    /// What there is when there is no memory for a result.
    #[cold]
    pub(crate) fn out_of_memory() -> Owned {
        Owned(NonNull::from(&OUT_OF_MEMORY))
    }

    /// What only some results have, made when it is first needed; `None` without memory.
    pub(crate) fn extra(&mut self) -> Option<&mut Extra> {
        if self.extra.is_none() {
            // SAFETY: allocated as a box does.
            self.extra = Some(unsafe { Box::from_raw(allocate(Extra::new)?.as_ptr()) });
        }
        self.extra.as_deref_mut()
    }

    pub(crate) fn events(&self) -> &[Event] {
        self.extra.as_ref().map_or(&[], |extra| &extra.events)
    }

    pub(crate) fn events_mut(&mut self) -> &mut [Event] {
        self.extra
            .as_mut()
            .map_or(&mut [], |extra| &mut extra.events)
    }

    pub(crate) fn set_message(&mut self, message: &[u8]) {
        let copy = self.extra().and_then(|extra| extra.arena.string(message));
        self.message = copy.map_or(NO_MEMORY, |copy| copy.cast_const());
    }

    #[inline]
    pub(crate) fn set_tag(&mut self, tag: &[u8]) {
        let len = tag.len().min(TAG - 1);
        self.tag[..len].copy_from_slice(&tag[..len]);
        self.tag[len] = 0;
    }

    /// The command tag and NULs.
    pub(crate) fn tag(&self) -> &[u8; TAG] {
        &self.tag
    }

    /// The error message; null when there is none.
    pub(crate) fn message(&self) -> *const c_char {
        self.message
    }

    /// The same without its NUL.
    pub(crate) fn message_bytes(&self) -> &[u8] {
        if self.message.is_null() {
            return b"";
        }
        // SAFETY: a string in the arena, or a constant.
        unsafe { CStr::from_ptr(self.message) }.to_bytes()
    }

    /// What a NULL shows: the empty string, in memory that programs may write to.
    #[inline]
    pub(crate) fn null(&self) -> *mut c_char {
        (&raw const self.null).cast::<c_char>().cast_mut()
    }

    /// The cell of a table; `None` outside of it, and where there is none.
    #[inline]
    pub(crate) fn table_cell(&self, row: usize, column: usize) -> Option<&Value> {
        if self.table.is_null() || row >= self.rows || column >= self.width {
            return None;
        }
        // SAFETY: a table has `rows` times `width` cells.
        Some(unsafe { &*self.table.add(row * self.width + column) })
    }

    /// Shows the cells in `extra` from now on.
    pub(crate) fn show_table(&mut self) {
        if let Some(extra) = &mut self.extra {
            self.table = extra.cells.as_mut_ptr();
        }
        self.views = Vec::new();
        self.only = View::NONE;
        *self.last.get_mut() = &raw mut self.only;
    }

    pub(crate) fn null_value(&self) -> Value {
        Value {
            len: NULL,
            value: self.null(),
        }
    }

    /// Bytes that the result holds on to.
    fn memory(&self) -> usize {
        let extra = self.extra.as_ref().map_or(0, |extra| {
            size_of::<Extra>()
                + extra.arena.memory()
                + extra.cells.capacity() * size_of::<Value>()
                + extra.events.capacity() * size_of::<Event>()
                + size_of_val(&*extra.parameters)
                + extra
                    .fields
                    .as_ref()
                    .map_or(0, |fields| fields.as_bytes().len())
        });
        let rows = self.batch.as_ref().map_or(0, Batch::memory);
        size_of::<Self>() + self.views.capacity() * size_of::<View>() + rows + extra
    }
}

/// A result that nobody else has; it may be the one that stands for no memory, which nobody changes.
#[derive(Debug)]
pub(crate) struct Owned(NonNull<PGresult>);

impl Owned {
    #[inline]
    fn new(result: impl FnOnce() -> PGresult) -> Self {
        let Some(mut place) = allocate(result) else {
            return PGresult::out_of_memory();
        };
        // SAFETY: made just now, and it stays where it is.
        let result = unsafe { place.as_mut() };
        *result.last.get_mut() = &raw mut result.only;
        Self(place)
    }

    /// The result, to be changed; `None` for the one that is not.
    #[inline]
    pub(crate) fn edit(&mut self) -> Option<&mut PGresult> {
        if is_out_of_memory(self.0.as_ptr()) {
            return None;
        }
        // SAFETY: ours alone, since it is not the shared one.
        Some(unsafe { self.0.as_mut() })
    }

    /// Itself after `work`, which gives `None` without memory: then it is the result that says so.
    #[inline]
    fn or_out_of_memory(mut self, work: impl FnOnce(&mut PGresult) -> Option<()>) -> Self {
        match self.edit().map(work) {
            Some(None) => PGresult::out_of_memory(),
            _ => self,
        }
    }

    /// Hands it to C.
    #[inline]
    pub(crate) fn into_raw(self) -> *mut PGresult {
        let place = self.0.as_ptr();
        std::mem::forget(self);
        place
    }
}

// SAFETY: a result may be sent, and so may its only owner.
unsafe impl Send for Owned {}

impl Deref for Owned {
    type Target = PGresult;

    #[inline]
    fn deref(&self) -> &PGresult {
        // SAFETY: alive as long as its owner.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Owned {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { free(self.0.as_ptr()) };
    }
}

/// Memory for one value, from the same allocator as boxes; `None` without. The value is made where it stays.
#[inline]
fn allocate<T>(value: impl FnOnce() -> T) -> Option<NonNull<T>> {
    // SAFETY: none of the types is of size 0.
    let place = NonNull::new(unsafe { alloc::alloc(Layout::new::<T>()) }.cast::<T>())?;
    // SAFETY: room for it.
    unsafe { place.write(value()) };
    Some(place)
}

/// Whether it is the one result that stands for no memory.
#[inline]
pub(crate) fn is_out_of_memory(result: *const PGresult) -> bool {
    ptr::eq(result, &OUT_OF_MEMORY)
}

/// # Safety
/// `result` came from [`Owned`], and nobody uses it any more.
#[inline]
unsafe fn free(result: *mut PGresult) {
    if !is_out_of_memory(result) {
        // SAFETY: the caller's promise; it was allocated as a box is.
        drop(unsafe { Box::from_raw(result) });
    }
}

/// Tells the procedures that know the result that it ends, then frees it. NULL is fine.
///
/// # Safety
/// `result` is NULL or a result that nobody else uses now; nothing that it lent is used any more.
#[inline]
pub(crate) unsafe fn clear(result: *mut PGresult) {
    if !result.is_null() {
        // SAFETY: the caller's promise; no reference is alive when the procedures are called.
        unsafe {
            events::tell_cleared(result);
            guard(|| free(result));
        }
    }
}

/// Frees a result. NULL is fine.
///
/// # Safety
/// `result` is NULL or a result that was not freed yet; nothing that it lent is used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQclear(result: *mut PGresult) {
    // SAFETY: the caller's promise.
    unsafe { clear(result) };
}

/// Bytes that a result holds on to; 0 for NULL.
///
/// # Safety
/// `result` is NULL or a result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQresultMemorySize(result: *const PGresult) -> usize {
    // SAFETY: NULL or valid.
    unsafe { result.as_ref() }.map_or(0, PGresult::memory)
}
