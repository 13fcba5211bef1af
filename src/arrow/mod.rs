//! Batches as Arrow arrays: each column's cells decoded into the buffers that the Arrow columnar format asks for. Knows rows, type OIDs
//! and both result formats; knows no connection, and no pointer: `capi` makes C structs of the buffers.
//!
//! What a column becomes is decided by its type's OID alone, so that nothing is asked of the server ([`Kind`]). Blocks are gone through
//! in order, and in a block one column after the other, while its bytes are in the cache. Without [`Options::views`] each column of text
//! or bytes is copied once; with them it lies where it was received.
#![forbid(unsafe_code)]

mod build;
mod bytes;
mod cells;
mod decimal;
mod error;
mod kind;
mod scalar;
mod time;

use std::borrow::Cow;
use std::ffi::CStr;

use crate::rows::{Batch, OutOfMemory};

use self::build::Builder;
use self::cells::Cells;
pub use self::error::Error;
pub use self::kind::Kind;

/// How a batch is to be exported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Text and bytes as views (`vu`, `vz`) into the batch, which are not copied, instead of as offsets and a copy (`u`, `z`).
    pub views: bool,
    /// Every numeric as text, those too that have a precision and would be decimals.
    pub numeric_text: bool,
}

/// A batch as Arrow sees it: a struct array without NULLs of its own, with these children.
#[derive(Debug)]
pub struct Export<'a> {
    /// The length of each column.
    pub rows: usize,
    /// The columns in order.
    pub columns: Vec<Column<'a>>,
}

/// One column: what ArrowSchema and ArrowArray say of it.
#[derive(Debug)]
pub struct Column<'a> {
    /// The name, UTF-8, with its NUL.
    pub name: &'a CStr,
    /// The format string (Arrow C data interface, "Data type description").
    pub format: Cow<'static, CStr>,
    /// The metadata of the field in their binary encoding.
    pub metadata: Vec<u8>,
    /// How many NULLs.
    pub nulls: usize,
    /// One bit a row, 0 for NULL; `None` when there is no NULL.
    pub validity: Option<Vec<u8>>,
    /// The buffers behind the validity bitmap, in the order of the format.
    pub buffers: Vec<Buffer<'a>>,
}

/// A buffer, aligned for its elements, in the machine's byte order.
#[derive(Debug)]
pub enum Buffer<'a> {
    /// Made for this export.
    Own(Own),
    /// Bytes of the batch: they live as long as it.
    Lent(&'a [u8]),
}

/// Elements of a buffer that was made.
#[derive(Debug)]
pub enum Own {
    /// Bits, or bytes.
    Bytes(Vec<u8>),
    /// 16 bits each.
    Short(Vec<i16>),
    /// 32 bits each, those of a float4 too.
    Int(Vec<i32>),
    /// 64 bits each, those of a float8 too.
    Long(Vec<i64>),
    /// 128 bits each: decimals, views.
    Wide(Vec<i128>),
}

impl Own {
    /// Where the elements lie; they stay there when the buffer is moved.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        match self {
            Self::Bytes(elements) => elements.as_ptr(),
            Self::Short(elements) => elements.as_ptr().cast(),
            Self::Int(elements) => elements.as_ptr().cast(),
            Self::Long(elements) => elements.as_ptr().cast(),
            Self::Wide(elements) => elements.as_ptr().cast(),
        }
    }
}

/// Decodes all rows of a batch.
pub fn export(batch: &Batch, options: Options) -> Result<Export<'_>, Error> {
    let width = batch.columns().len();
    let mut builders = Vec::new();
    builders
        .try_reserve_exact(width)
        .map_err(OutOfMemory::from)?;
    for column in 0..width {
        builders.push(Builder::new(batch, column, options)?);
    }
    for (first, block) in batch.blocks() {
        let mut cells = Cells::new(block)?;
        for builder in &mut builders {
            builder.append(first, &cells)?;
            cells.next_column();
        }
    }
    let mut columns = Vec::new();
    columns
        .try_reserve_exact(width)
        .map_err(OutOfMemory::from)?;
    for builder in builders {
        columns.push(builder.finish()?);
    }
    Ok(Export {
        rows: batch.rows(),
        columns,
    })
}

#[cfg(test)]
mod tests;
