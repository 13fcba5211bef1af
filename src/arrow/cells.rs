//! The cells of one column of a block after the other. Knows the layout of blocks, not what values mean.

use super::error::Problem;
use crate::rows::{Block, LOOK_ASIDE, OutOfMemory, Raw, WIDE};

/// Where the first value of a row lies, counted from the row's start: behind the cell count and its length word.
const FIRST: usize = 6;

const LENGTH: Problem =
    Problem::Value("has not as many bytes as a binary value of the column's type");
const BROKEN: Problem = Problem::Value("cannot be found: the row index is broken");

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
    /// The bytes of the block from where the value begins.
    pub rest: &'a [u8],
    /// Where that is in the block.
    pub at: usize,
    /// The value's bytes.
    pub len: usize,
}

/// The row of the block that could not be taken, and why.
pub(super) type Fault = (usize, Problem);

impl<'a> Cell<'a> {
    #[inline(always)]
    pub(super) fn value(&self) -> &'a [u8] {
        self.rest.get(..self.len).unwrap_or_default()
    }

    /// A value of just so many bytes.
    #[inline(always)]
    pub(super) fn exactly<const N: usize>(&self) -> Result<[u8; N], Problem> {
        match self.chunk() {
            Some(value) if self.len == N => Ok(*value),
            _ => Err(LENGTH),
        }
    }

    /// So many bytes from where the value begins, if the block has them.
    #[inline(always)]
    pub(super) fn chunk<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.rest.first_chunk()
    }

    /// The same without its first byte.
    #[inline(always)]
    pub(super) fn skip_first(&self) -> Self {
        Self {
            rest: self.rest.get(1..).unwrap_or_default(),
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
        for (row, entry) in raw.index.chunks_exact(raw.stride).enumerate() {
            // Nothing of this can be missing: rows are checked when they are received.
            let Some(start) = entry.first_chunk() else {
                return Err((row, BROKEN));
            };
            let Some(distance) = entry.get(within..within + 2) else {
                return Err((row, BROKEN));
            };
            let start = u32::from_ne_bytes(*start);
            let distance = match self.column {
                0 => FIRST,
                _ => usize::from(u16::from_ne_bytes([distance[0], distance[1]])),
            };
            let at = if start & WIDE == 0 {
                start as usize + distance
            } else {
                wide.next().copied().unwrap_or(FIRST)
            };
            let Some(before) = raw.data.get(at - 4..) else {
                return Err((row, BROKEN));
            };
            let Some((word, rest)) = before.split_first_chunk() else {
                return Err((row, BROKEN));
            };
            let len = match u32::from_be_bytes(*word) {
                LOOK_ASIDE => aside(&raw, at),
                word => Some(word as usize),
            };
            let cell = len.map(|len| Cell { rest, at, len });
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
