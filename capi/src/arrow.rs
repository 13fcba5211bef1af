//! Results as Arrow arrays for C: the structs of the Arrow C data interface and their release callbacks. Decodes nothing.
//!
//! Each struct owns what it shows through its private data, children included, so that a child can be moved out and outlives its
//! parent, as the interface asks. What leads into a result holds it.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use pgpoll::arrow::{self, Buffer, Column, Export, Options, Own};
use pgpoll::error::Error;
use pgpoll::rows::OutOfMemory;

use crate::border::{allocate, guard};
use crate::error::refuse_without;
use crate::result::{ConnResult, Held};

/// Text and bytes as views into the result (formats vu and vz), which are not copied.
pub const CONN_ARROW_VIEWS: u32 = 1;
/// Every numeric as text, those too that have a precision and would be decimals.
pub const CONN_ARROW_NUMERIC_TEXT: u32 = 2;

const NULLABLE: i64 = 2;

/// The Arrow C data interface's, field by field. The header has it in the interface's own words.
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs)]
pub struct ArrowSchema {
    pub format: *const c_char,
    pub name: *const c_char,
    pub metadata: *const c_char,
    pub flags: i64,
    pub n_children: i64,
    pub children: *mut *mut ArrowSchema,
    pub dictionary: *mut ArrowSchema,
    pub release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    pub private_data: *mut c_void,
}

/// As [`ArrowSchema`].
#[repr(C)]
#[derive(Debug)]
#[allow(missing_docs)]
pub struct ArrowArray {
    pub length: i64,
    pub null_count: i64,
    pub offset: i64,
    pub n_buffers: i64,
    pub n_children: i64,
    pub buffers: *mut *const c_void,
    pub children: *mut *mut ArrowArray,
    pub dictionary: *mut ArrowArray,
    pub release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    pub private_data: *mut c_void,
}

/// A result, or a batch of one, as an Arrow array: for pyarrow, polars, DuckDB and whatever else takes the Arrow C data interface
/// (<https://arrow.apache.org/docs/format/CDataInterface.html>). Each column is decoded at once; nothing is asked of the server.
///
/// The array is a struct array (+s) with a child for each column, a record batch. By type: bool b; int2, int4, int8 s, i, l; oid,
/// xid, cid I; xid8 L; float4, float8 f, g; numeric(p,s) up to 38 digits d:p,s, other numerics text; date tdD; time ttu; timestamp
/// tsu:; timestamptz tsu:UTC; uuid w:16 with the extension arrow.uuid; bytea z; text, varchar, char, name, json, jsonb and xml u;
/// all others as the server writes them: u from a text result, z from a binary one. A column of more than 2 GB is U or Z. Infinite
/// dates and timestamps are the largest number of the type and, negative, its negation, as in DuckDB. Each field's metadata have
/// postgresql.type_oid and postgresql.type_modifier, decimal numbers.
///
/// Text results are understood in DateStyle ISO; text must be UTF-8 (client_encoding UTF8).
///
/// result: the result of a CONN_ITEM_ROWS. flags: CONN_ARROW_… together, or 0.
/// schema: where the types go; NULL if they are known from an earlier batch. array: where the values go. Neither needs to be
///   initialised.
/// Returns 1; 0 when a value cannot be had in Arrow, or for misuse: then nothing needs to be released, and conn_error(NULL) says why.
/// Both are yours: call their release, in any order, from any thread. The result can be freed before or after.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_result_export_arrow(
    result: *const ConnResult,
    flags: u32,
    schema: *mut ArrowSchema,
    array: *mut ArrowArray,
) -> c_int {
    // SAFETY: the caller's promise: each is NULL or has room for the struct.
    unsafe {
        if !schema.is_null() {
            schema.write(ArrowSchema::NONE);
        }
        if !array.is_null() {
            array.write(ArrowArray::NONE);
        }
    }
    let work = || {
        // SAFETY: the caller's promise.
        let (types, values) =
            unsafe { export(result, flags, !schema.is_null(), !array.is_null())? };
        // SAFETY: as above; `export` refuses without a place for the array.
        unsafe {
            if let Some(types) = types {
                schema.write(types);
            }
            array.write(values);
        }
        Ok(())
    };
    let broken = || Error::transport("internal error: the library panicked");
    match guard(Err(broken()), work) {
        Ok(()) => 1,
        Err(why) => {
            refuse_without(|| why);
            0
        }
    }
}

/// # Safety
/// The result is NULL or alive.
unsafe fn export(
    result: *const ConnResult,
    flags: u32,
    wants_schema: bool,
    has_array: bool,
) -> Result<(Option<ArrowSchema>, ArrowArray), Error> {
    // SAFETY: the caller's promise.
    let Some(batch) = (unsafe { result.as_ref() }).and_then(ConnResult::batch) else {
        return Err(Error::misuse(
            "the result has no rows to export: pass that of a CONN_ITEM_ROWS",
        ));
    };
    if !has_array {
        return Err(Error::misuse("array is NULL: pass where the array goes"));
    }
    if flags & !(CONN_ARROW_VIEWS | CONN_ARROW_NUMERIC_TEXT) != 0 {
        return Err(Error::misuse(
            "flags has bits that are none of CONN_ARROW_VIEWS and CONN_ARROW_NUMERIC_TEXT",
        ));
    }
    let options = Options {
        views: flags & CONN_ARROW_VIEWS != 0,
        numeric_text: flags & CONN_ARROW_NUMERIC_TEXT != 0,
    };
    let export = arrow::export(batch, options).map_err(|why| match why {
        arrow::Error::Memory(_) => Error::out_of_memory("the Arrow array"),
        why => Error::misuse(why.to_string()),
    })?;
    // SAFETY: it is alive.
    let hold = || unsafe { Held::new(result) };
    let memory = |_: OutOfMemory| Error::out_of_memory("the Arrow array");
    let schema = match wants_schema {
        true => Some(ArrowSchema::of_batch(&export).map_err(memory)?),
        false => None,
    };
    Ok((schema, ArrowArray::of_batch(export, hold).map_err(memory)?))
}

/// What a schema shows.
struct Types {
    format: Cow<'static, CStr>,
    /// With its NUL.
    name: Vec<u8>,
    metadata: Vec<u8>,
    children: Children<ArrowSchema>,
}

/// What an array shows.
struct Values {
    buffers: Vec<*const c_void>,
    /// Those of the buffers that were made for it.
    _own: Vec<Own>,
    children: Children<ArrowArray>,
    _held: Option<Held>,
}

/// Children where they lie, and their addresses. Those that are not moved out are released with them.
struct Children<T> {
    _structs: Vec<T>,
    addresses: Vec<*mut T>,
}

impl<T> Children<T> {
    const fn none() -> Self {
        Self {
            _structs: Vec::new(),
            addresses: Vec::new(),
        }
    }

    fn of(mut structs: Vec<T>) -> Result<Self, OutOfMemory> {
        let mut addresses = Vec::new();
        addresses.try_reserve_exact(structs.len())?;
        let first = structs.as_mut_ptr();
        // The consumer writes to them through these addresses alone.
        addresses.extend((0..structs.len()).map(|at| first.wrapping_add(at)));
        Ok(Self {
            _structs: structs,
            addresses,
        })
    }

    fn len(&self) -> i64 {
        self.addresses.len() as i64
    }
}

impl ArrowSchema {
    /// Released.
    const NONE: Self = Self {
        format: ptr::null(),
        name: ptr::null(),
        metadata: ptr::null(),
        flags: 0,
        n_children: 0,
        children: ptr::null_mut(),
        dictionary: ptr::null_mut(),
        release: None,
        private_data: ptr::null_mut(),
    };

    fn of_batch(export: &Export<'_>) -> Result<Self, OutOfMemory> {
        let mut fields = Vec::new();
        fields.try_reserve_exact(export.columns.len())?;
        for column in &export.columns {
            fields.push(Self::of_column(column)?);
        }
        let types = Types {
            format: Cow::Borrowed(c"+s"),
            name: copy(b"\0")?,
            metadata: Vec::new(),
            children: Children::of(fields)?,
        };
        Self::show(types, 0)
    }

    fn of_column(column: &Column<'_>) -> Result<Self, OutOfMemory> {
        let types = Types {
            format: column.format.clone(),
            name: copy(column.name.to_bytes_with_nul())?,
            metadata: copy(&column.metadata)?,
            children: Children::none(),
        };
        Self::show(types, NULLABLE)
    }

    fn show(types: Types, flags: i64) -> Result<Self, OutOfMemory> {
        let place = allocate(types).map_err(|_| OutOfMemory)?;
        // SAFETY: freshly allocated, and nobody else has it yet.
        let types = unsafe { &mut *place };
        Ok(Self {
            format: types.format.as_ptr(),
            name: types.name.as_ptr().cast(),
            metadata: match types.metadata.is_empty() {
                true => ptr::null(),
                false => types.metadata.as_ptr().cast(),
            },
            flags,
            n_children: types.children.len(),
            children: types.children.addresses.as_mut_ptr(),
            release: Some(release_schema),
            private_data: place.cast(),
            ..Self::NONE
        })
    }
}

impl ArrowArray {
    /// Released.
    const NONE: Self = Self {
        length: 0,
        null_count: 0,
        offset: 0,
        n_buffers: 0,
        n_children: 0,
        buffers: ptr::null_mut(),
        children: ptr::null_mut(),
        dictionary: ptr::null_mut(),
        release: None,
        private_data: ptr::null_mut(),
    };

    fn of_batch(export: Export<'_>, hold: impl Fn() -> Held) -> Result<Self, OutOfMemory> {
        let rows = export.rows as i64;
        let mut children = Vec::new();
        children.try_reserve_exact(export.columns.len())?;
        for column in export.columns {
            children.push(Self::of_column(column, rows, &hold)?);
        }
        let mut buffers = Vec::new();
        buffers.try_reserve_exact(1)?;
        buffers.push(ptr::null());
        let values = Values {
            buffers,
            _own: Vec::new(),
            children: Children::of(children)?,
            _held: None,
        };
        Self::show(values, rows, 0)
    }

    fn of_column(
        column: Column<'_>,
        rows: i64,
        hold: impl Fn() -> Held,
    ) -> Result<Self, OutOfMemory> {
        let mut buffers: Vec<*const c_void> = Vec::new();
        let mut own = Vec::new();
        buffers.try_reserve_exact(1 + column.buffers.len())?;
        own.try_reserve_exact(1 + column.buffers.len())?;
        let mut held = None;
        match column.validity {
            Some(bits) => {
                buffers.push(bits.as_ptr().cast());
                own.push(Own::Bytes(bits));
            }
            None => buffers.push(ptr::null()),
        }
        for buffer in column.buffers {
            match buffer {
                Buffer::Own(elements) => {
                    buffers.push(elements.as_ptr().cast());
                    own.push(elements);
                }
                Buffer::Lent(bytes) => {
                    buffers.push(bytes.as_ptr().cast());
                    held.get_or_insert_with(&hold);
                }
            }
        }
        let values = Values {
            buffers,
            _own: own,
            children: Children::none(),
            _held: held,
        };
        Self::show(values, rows, column.nulls as i64)
    }

    fn show(values: Values, length: i64, null_count: i64) -> Result<Self, OutOfMemory> {
        let place = allocate(values).map_err(|_| OutOfMemory)?;
        // SAFETY: freshly allocated, and nobody else has it yet.
        let values = unsafe { &mut *place };
        Ok(Self {
            length,
            null_count,
            n_buffers: values.buffers.len() as i64,
            n_children: values.children.len(),
            buffers: values.buffers.as_mut_ptr(),
            children: values.children.addresses.as_mut_ptr(),
            release: Some(release_array),
            private_data: place.cast(),
            ..Self::NONE
        })
    }
}

/// Those that are still here when their parent goes, or when the parent cannot be made, are released.
impl Drop for ArrowSchema {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: not released yet.
            unsafe { release(self) };
        }
    }
}

impl Drop for ArrowArray {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: not released yet.
            unsafe { release(self) };
        }
    }
}

unsafe extern "C" fn release_schema(schema: *mut ArrowSchema) {
    // SAFETY: the interface's promise: the struct is one of `show`, perhaps moved, and not released.
    unsafe {
        crate::border::free((*schema).private_data.cast::<Types>());
        (*schema).private_data = ptr::null_mut();
        (*schema).release = None;
    }
}

unsafe extern "C" fn release_array(array: *mut ArrowArray) {
    // SAFETY: as above.
    unsafe {
        crate::border::free((*array).private_data.cast::<Values>());
        (*array).private_data = ptr::null_mut();
        (*array).release = None;
    }
}

fn copy(bytes: &[u8]) -> Result<Vec<u8>, OutOfMemory> {
    let mut copied = Vec::new();
    copied.try_reserve_exact(bytes.len())?;
    copied.extend_from_slice(bytes);
    Ok(copied)
}
