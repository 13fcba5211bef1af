//! Why a batch cannot be exported, in words that say what to do instead.

use std::borrow::Cow;

use crate::rows::{Batch, OutOfMemory};

/// Bytes of a value that an error shows.
const SHOWN: usize = 40;

/// Why a batch cannot be exported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A value is not one of its column's type, or Arrow's type does not hold it.
    #[error("row {row}, column \"{column}\": {value} {problem}")]
    Value {
        /// The row, from 0.
        row: usize,
        /// The column's name.
        column: String,
        /// The value's beginning.
        value: String,
        /// What is wrong with it, and what to do.
        problem: &'static str,
    },
    /// The name of the column of this number, from 0, is not UTF-8.
    #[error("the name of column {0} is not valid UTF-8: SET client_encoding TO UTF8")]
    Name(usize),
    /// There is no memory for the arrays.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}

/// Why a cell could not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// What is wrong with the value.
    Value(&'static str),
    Memory,
}

impl From<OutOfMemory> for Problem {
    fn from(_: OutOfMemory) -> Self {
        Self::Memory
    }
}

impl From<std::collections::TryReserveError> for Problem {
    fn from(_: std::collections::TryReserveError) -> Self {
        Self::Memory
    }
}

impl Error {
    /// Says where the problem is.
    #[cold]
    pub(super) fn at(batch: &Batch, row: usize, column: usize, problem: Problem) -> Self {
        let problem = match problem {
            Problem::Memory => return Self::Memory(OutOfMemory),
            Problem::Value(problem) => problem,
        };
        let value = batch.value(row, column).unwrap_or_default();
        let name = batch.columns().name(column).unwrap_or_default();
        Self::Value {
            row,
            column: shortened(&String::from_utf8_lossy(name)).into_owned(),
            value: match batch.format(column) {
                0 => text(value),
                _ => binary(value),
            },
            problem,
        }
    }
}

fn text(value: &[u8]) -> String {
    let beginning = value.get(..4 * SHOWN).unwrap_or(value);
    let text = String::from_utf8_lossy(beginning);
    format!("\"{}\"", shortened(&text).escape_debug())
}

fn binary(value: &[u8]) -> String {
    let mut shown = String::from("\\x");
    for byte in value.iter().take(SHOWN / 2) {
        shown.push_str(&format!("{byte:02x}"));
    }
    let more = if value.len() > SHOWN / 2 { "..." } else { "" };
    format!("{shown}{more} ({} bytes)", value.len())
}

fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}
