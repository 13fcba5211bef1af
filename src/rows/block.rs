//! One stretch of received bytes with the index of the rows in it. Immutable from birth.

use std::mem;

use super::chunk::{SMALL, give_small, take_small, zeroed};
use super::gather::index;
use super::rare::Rare;
use super::{OutOfMemory, RowError};
use crate::wire::short;

/// The length word of a cell that does not say its length: see the block's list, or the cell is NULL.
pub const LOOK_ASIDE: u32 = 0x00FF_FFFF;
/// Set in a row's offset when the row is too wide to be indexed: its cells are found by walking.
pub const WIDE: u32 = 0x8000_0000;

/// Where the first value of a row lies, counted from the row's start: after the cell count and its length.
pub(super) const FIRST: usize = 6;

/// Rows and their index.
///
/// The index has one entry a row, of `stride` bytes: the row's offset from the first row (`u32`), then for each column but the first
/// the distance of its value from the row's offset (`u16`), all in the machine's byte order and unaligned.
#[derive(Debug, Default)]
pub struct Block {
    /// The bytes; in a block made by copying the index follows at `index_at`: one allocation for both.
    data: Vec<u8>,
    large: Rare<Large>,
    /// Where the first row begins. What is before it nobody needs.
    front: u32,
    index_at: u32,
    rows: u32,
    columns: u16,
}

/// What only blocks with much in them have.
#[derive(Debug, Default)]
struct Large {
    /// The index of a block that took over a whole chunk.
    index: Box<[u8]>,
    /// Values that are longer than their length word says: (where the value begins, its length), in ascending order.
    aside: Box<[(u32, u32)]>,
}

/// A block's parts for the C border, which reads checked cells without a second check.
#[derive(Debug, Clone, Copy)]
pub struct Raw<'a> {
    /// The bytes that hold the values.
    pub data: &'a [u8],
    /// The index entries.
    pub index: &'a [u8],
    /// See [`Block`].
    pub aside: &'a [(u32, u32)],
    /// Rows in the block.
    pub rows: usize,
    /// Bytes of one index entry.
    pub stride: usize,
}

/// Bytes of one row's index entry.
#[inline]
pub(super) fn stride(columns: usize) -> usize {
    4 + 2 * columns.saturating_sub(1)
}

#[inline(never)]
fn drop_small(buffer: Vec<u8>) {
    give_small(buffer);
}

impl Drop for Block {
    #[inline(always)]
    fn drop(&mut self) {
        if self.data.len() == SMALL {
            drop_small(mem::take(&mut self.data));
        }
    }
}

impl Block {
    /// Drops it, in line: the compiler would call.
    #[inline(always)]
    pub(super) fn free(mut self) {
        let (data, large) = (mem::take(&mut self.data), mem::take(&mut self.large));
        // Nothing is left in it.
        mem::forget(self);
        drop(large);
        match data.len() {
            SMALL => give_small(data),
            _ => drop(data),
        }
    }

    /// Takes over a chunk as it is, in which the rows begin at `front`. The byte after the last row must have been set to 0.
    pub(super) fn whole(
        data: Vec<u8>,
        front: u32,
        index: &[u8],
        aside: Vec<(u32, u32)>,
        rows: u32,
        columns: u16,
    ) -> Result<Self, OutOfMemory> {
        let mut kept = Vec::new();
        kept.try_reserve_exact(index.len())?;
        kept.extend_from_slice(index);
        Ok(Self {
            data,
            large: Rare::new(Large {
                index: kept.into_boxed_slice(),
                aside: aside.into_boxed_slice(),
            }),
            front,
            index_at: 0,
            rows,
            columns,
        })
    }

    /// Copies rows out of a chunk: `bytes` begins with the first and ends with the last. `front` bytes are left before them.
    #[inline]
    pub(super) fn copied(
        bytes: &[u8],
        front: u16,
        index: &[u8],
        aside: Vec<(u32, u32)>,
        rows: u32,
        columns: u16,
    ) -> Result<Self, OutOfMemory> {
        let mut data = Vec::new();
        data.try_reserve_exact(usize::from(front) + bytes.len() + 1 + index.len())?;
        data.resize(usize::from(front), 0);
        data.extend_from_slice(bytes);
        data.push(0);
        let index_at = data.len();
        data.extend_from_slice(index);
        Ok(Self {
            data,
            large: match aside.is_empty() {
                true => Rare::NONE,
                false => Rare::new(Large {
                    index: Box::default(),
                    aside: aside.into_boxed_slice(),
                }),
            },
            front: front.into(),
            index_at: index_at as u32,
            rows,
            columns,
        })
    }

    /// A row by itself, copied from the body of its message and checked.
    #[inline(always)]
    pub(super) fn of_row(body: &[u8], front: u16, columns: u16) -> Result<Self, RowError> {
        let row_at = usize::from(front);
        let index_at = row_at + body.len() + 1;
        let end = index_at + stride(columns.into());
        let mut data = match end <= SMALL {
            true => take_small()?,
            false => zeroed(end)?,
        };
        if let Some(place) = data.get_mut(row_at..end)
            && let Some((row, rest)) = place.split_at_mut_checked(body.len())
            && let Some((end_of_row, entry)) = rest.split_first_mut()
        {
            short::copy(row, body);
            *end_of_row = 0;
            index(row, columns.into(), 0, entry, None)?;
        }
        Ok(Self {
            data,
            large: Rare::NONE,
            front: front.into(),
            index_at: index_at as u32,
            rows: 1,
            columns,
        })
    }

    /// No rows, but what is left before them.
    #[inline(never)]
    pub(super) fn without_rows(front: u16, columns: u16) -> Result<Self, OutOfMemory> {
        let end = usize::from(front);
        let data = match end {
            0 => Vec::new(),
            1..=SMALL => take_small()?,
            _ => zeroed(end)?,
        };
        Ok(Self {
            data,
            front: front.into(),
            index_at: front.into(),
            large: Rare::NONE,
            rows: 0,
            columns,
        })
    }

    /// Rows in the block.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows as usize
    }

    /// The bytes before the first row.
    pub(super) fn front_mut(&mut self) -> &mut [u8] {
        self.data.get_mut(..self.front as usize).unwrap_or_default()
    }

    /// The bytes that the index counts from the beginning of.
    #[inline]
    fn bytes(&self) -> &[u8] {
        self.data.get(self.front as usize..).unwrap_or_default()
    }

    /// Bytes that the block holds on to.
    #[inline]
    pub fn memory(&self) -> usize {
        let large = self.large.as_ref().map_or(0, |large| {
            large.index.len() + size_of_val(&*large.aside) + size_of::<Large>()
        });
        self.data.capacity() + large
    }

    /// The parts, for readers that address cells by themselves.
    #[inline(always)]
    pub fn raw(&self) -> Raw<'_> {
        let stride = stride(self.columns as usize);
        Raw {
            data: self.bytes(),
            index: self.index(stride),
            aside: self.aside(),
            rows: self.rows(),
            stride,
        }
    }

    /// The value of a cell; `None` is NULL, and what lies outside of the block.
    #[inline]
    pub fn value(&self, row: usize, column: usize) -> Option<&[u8]> {
        let (at, len) = self.locate(row, column)?;
        self.bytes().get(at..at + len)
    }

    /// The value of a cell and the NUL behind it.
    #[inline]
    pub fn value_with_nul(&self, row: usize, column: usize) -> Option<&[u8]> {
        let (at, len) = self.locate(row, column)?;
        self.bytes().get(at..at + len + 1)
    }

    #[inline]
    fn index(&self, stride: usize) -> &[u8] {
        match &*self.large {
            Some(large) if !large.index.is_empty() => &large.index,
            _ => {
                let start = self.index_at as usize;
                let end = start + self.rows() * stride;
                self.data.get(start..end).unwrap_or_default()
            }
        }
    }

    fn aside(&self) -> &[(u32, u32)] {
        self.large.as_ref().map_or(&[], |large| &large.aside)
    }

    /// Where a value lies, and its length.
    #[inline]
    fn locate(&self, row: usize, column: usize) -> Option<(usize, usize)> {
        if column >= self.columns as usize || row >= self.rows as usize {
            return None;
        }
        let stride = stride(self.columns as usize);
        let entry = self.index(stride).get(row * stride..(row + 1) * stride)?;
        let (start, cells) = entry.split_first_chunk::<4>()?;
        let start = u32::from_ne_bytes(*start);
        let at = if start & WIDE != 0 {
            self.walk((start & !WIDE) as usize, column)?
        } else if column == 0 {
            start as usize + FIRST
        } else {
            let cell = cells.get(2 * column - 2..2 * column)?;
            start as usize + usize::from(u16::from_ne_bytes([cell[0], cell[1]]))
        };
        Some((at, self.length(at)?))
    }

    /// The place of a cell in a row too wide for the index.
    fn walk(&self, start: usize, column: usize) -> Option<usize> {
        let mut at = start + FIRST;
        for _ in 0..column {
            at += self.length(at).unwrap_or(0) + 4;
        }
        Some(at)
    }

    /// The length of the value that begins at `at`; `None` is NULL.
    #[inline]
    fn length(&self, at: usize) -> Option<usize> {
        let word = self.bytes().get(at - 4..at)?.first_chunk::<4>()?;
        match u32::from_be_bytes(*word) {
            LOOK_ASIDE => {
                let aside = self.aside();
                let found = aside.binary_search_by_key(&(at as u32), |&(at, _)| at);
                found.ok().map(|found| aside[found].1 as usize)
            }
            length => Some(length as usize),
        }
    }
}
