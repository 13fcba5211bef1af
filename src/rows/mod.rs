//! Rows where they lie: indexes the DataRow messages of a chunk and hands them out without copying the values.
//! Knows the layout of DataRow and RowDescription; knows no connection.
//!
//! A DataRow is `length value length value …`: the byte after a value is the top byte of the next length, which is 0
//! for every value shorter than 16 MiB. So values are NUL-terminated where they lie. What does not fit that (NULL, a huge
//! value) gets the length [`LOOK_ASIDE`] in place and its true length, if it has one, in a list beside the block.
#![forbid(unsafe_code)]

mod batch;
mod block;
mod chunk;
mod columns;
mod gather;
mod rare;

pub use batch::Batch;
pub use block::{Block, LOOK_ASIDE, Raw, WIDE};
pub use chunk::{CHUNK, give, give_empty, take, take_empty};
pub use columns::ReadError;
pub use columns::{Column, Columns};
pub use gather::{Gather, Limits, RowError};

/// Memory that a peer's message asked for was not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("out of memory")]
pub struct OutOfMemory;

impl From<std::collections::TryReserveError> for OutOfMemory {
    fn from(_: std::collections::TryReserveError) -> Self {
        Self
    }
}

#[cfg(test)]
mod tests;
