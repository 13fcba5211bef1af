//! The cells of one column of a block after the other. Knows the layout of blocks, not what values mean.

use super::error::Problem;
use crate::rows::{Block, LOOK_ASIDE, OutOfMemory, Raw, WIDE};

/// Where the first value of a row lies, counted from the row's start: behind the cell count and its length word.
const FIRST: usize = 6;

/// A block, and the column that it is at.
pub(super) struct Cells<'a> {
    raw: Raw<'a>,
    column: usize,
    /// Where the column's values lie in those rows that are too wide for the index, in order.
    wide: Vec<usize>,
}

/// A value where it lies.
#[derive(Clone, Copy)]
pub(super) struct Cell<'a> {
    /// All bytes of the block.
    pub data: &'a [u8],
    /// Where the value begins; its length word lies before it.
    pub at: usize,
    /// Its bytes.
    pub len: usize,
}

/// The row of the block that could not be taken, and why.
pub(super) type Fault = (usize, Problem);

impl<'a> Cell<'a> {
    #[inline(always)]
    pub(super) fn value(&self) -> &'a [u8] {
        self.data
            .get(self.at..self.at + self.len)
            .unwrap_or_default()
    }

    /// So many bytes from where the value begins, if the block has them.
    #[inline(always)]
    pub(super) fn chunk<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.data.get(self.at..self.at + N)?.first_chunk()
    }

    /// The same without its first byte.
    #[inline(always)]
    pub(super) fn skip_first(&self) -> Self {
        Self {
            data: self.data,
            at: self.at + 1,
            len: self.len.saturating_sub(1),
        }
    }
}

impl<'a> Cells<'a> {
    /// A block at its first column.
    pub(super) fn new(block: &'a Block) -> Result<Self, OutOfMemory> {
        let mut cells = Self {
            raw: block.raw(),
            column: 0,
            wide: Vec::new(),
        };
        for entry in cells.raw.index.chunks_exact(cells.raw.stride) {
            let start = entry
                .first_chunk()
                .map_or(0, |start| u32::from_ne_bytes(*start));
            if start & WIDE != 0 {
                cells.wide.try_reserve(1)?;
                cells.wide.push((start & !WIDE) as usize + FIRST);
            }
        }
        Ok(cells)
    }

    pub(super) fn data(&self) -> &'a [u8] {
        self.raw.data
    }

    /// Goes on to the next column. Only wide rows are walked.
    pub(super) fn next_column(&mut self) {
        self.column += 1;
        let raw = &self.raw;
        for at in &mut self.wide {
            *at += length(raw, *at).unwrap_or(0) + 4;
        }
    }

    /// Calls `each` with the number of every row in the block and the column's cell in it; `None` is NULL.
    #[inline(always)]
    pub(super) fn visit(
        &self,
        mut each: impl FnMut(usize, Option<Cell<'a>>) -> Result<(), Problem>,
    ) -> Result<(), Fault> {
        let raw = self.raw;
        let mut wide = self.wide.iter();
        // For column 0 this is the upper half of the row's offset, and is not used.
        let within = 2 + 2 * self.column;
        let entries = raw.index.chunks_exact(raw.stride).take(raw.rows);
        for (row, entry) in entries.enumerate() {
            let (Some(start), Some(distance)) = (
                entry.first_chunk::<4>(),
                entry.get(within..).and_then(|rest| rest.first_chunk::<2>()),
            ) else {
                break;
            };
            let start = u32::from_ne_bytes(*start);
            let distance = match self.column {
                0 => FIRST,
                _ => usize::from(u16::from_ne_bytes(*distance)),
            };
            let at = if start & WIDE == 0 {
                start as usize + distance
            } else {
                wide.next().copied().unwrap_or(FIRST)
            };
            let word = match raw
                .data
                .get(at - 4..at)
                .and_then(|word| word.first_chunk::<4>())
            {
                Some(word) => u32::from_be_bytes(*word),
                None => LOOK_ASIDE,
            };
            let len = match word {
                LOOK_ASIDE => aside(&raw, at),
                word => Some(word as usize),
            };
            let cell = len.map(|len| Cell {
                data: raw.data,
                at,
                len,
            });
            each(row, cell).map_err(|problem| (row, problem))?;
        }
        Ok(())
    }
}

/// The length of the value at `at`; `None` is NULL.
fn length(raw: &Raw<'_>, at: usize) -> Option<usize> {
    let word = raw.data.get(at - 4..at)?.first_chunk::<4>()?;
    match u32::from_be_bytes(*word) {
        LOOK_ASIDE => aside(raw, at),
        length => Some(length as usize),
    }
}

/// The length of a value that does not say it itself; `None` is NULL.
#[inline(never)]
fn aside(raw: &Raw<'_>, at: usize) -> Option<usize> {
    let found = raw.aside.binary_search_by_key(&(at as u32), |&(at, _)| at);
    raw.aside
        .get(found.ok()?)
        .map(|&(_, length)| length as usize)
}
