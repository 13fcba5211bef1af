//! Finished rows as the caller gets them: a whole result, a batch, or a single row.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::rare::Rare;
use super::{Block, Columns, OutOfMemory};

/// Rows with their columns. Immutable, `Send + Sync`; outlives the connection it came from.
#[derive(Debug)]
pub struct Batch {
    columns: Arc<Columns>,
    first: Block,
    /// The format of all values where the Bind message said it; else the columns say.
    format: Option<i16>,
    /// What a large result has besides.
    more: Rare<More>,
}

/// The blocks behind the first.
#[derive(Debug, Default)]
struct More {
    blocks: Vec<Block>,
    /// The number of the first row of each.
    starts: Vec<usize>,
    /// The number behind the last row.
    end: usize,
    /// Bytes that they hold on to.
    memory: usize,
    /// The block in which a row was looked up last: rows are mostly read in order.
    hint: AtomicUsize,
}

impl Batch {
    #[inline(always)]
    pub(super) fn new(columns: Arc<Columns>, format: Option<i16>, last: Block) -> Self {
        Self {
            columns,
            format,
            first: last,
            more: Rare::NONE,
        }
    }

    /// The rows that [`Gather::only_row`](super::Gather::only_row) has made of one.
    #[inline(always)]
    pub fn of_row(columns: Arc<Columns>, format: Option<i16>, row: Block) -> Self {
        Self::new(columns, format, row)
    }

    /// Drops it, in line: the compiler would call.
    #[inline(always)]
    pub fn free(self) {
        let Self {
            columns,
            first,
            more,
            ..
        } = self;
        first.free();
        drop(more);
        drop(columns);
    }

    /// A batch of several blocks.
    pub(super) fn of_many(
        columns: Arc<Columns>,
        format: Option<i16>,
        blocks: Vec<Block>,
        last: Block,
    ) -> Result<Self, OutOfMemory> {
        let mut blocks = blocks.into_iter();
        let Some(first) = blocks.next() else {
            return Ok(Self::new(columns, format, last));
        };
        let mut batch = Self::new(columns, format, first);
        let mut more = More {
            end: batch.rows(),
            ..More::default()
        };
        more.blocks.try_reserve_exact(blocks.len() + 1)?;
        more.starts.try_reserve_exact(blocks.len() + 1)?;
        for block in blocks.chain((last.rows() > 0).then_some(last)) {
            more.starts.push(more.end);
            more.end += block.rows();
            more.memory += block.memory();
            more.blocks.push(block);
        }
        if !more.blocks.is_empty() {
            batch.more = Rare::new(more);
        }
        Ok(batch)
    }

    /// How many rows.
    #[inline]
    pub fn rows(&self) -> usize {
        match &*self.more {
            None => self.first.rows(),
            Some(more) => more.end,
        }
    }

    /// The columns.
    #[inline]
    pub fn columns(&self) -> &Arc<Columns> {
        &self.columns
    }

    /// The format of a column's values: 0 text, 1 binary.
    #[inline]
    pub fn format(&self, column: usize) -> i16 {
        self.format
            .unwrap_or_else(|| self.columns.get(column).map_or(0, |column| column.format))
    }

    /// The value of a cell where it lies; `None` is NULL, and what lies outside of the batch.
    #[inline]
    pub fn value(&self, row: usize, column: usize) -> Option<&[u8]> {
        let (block, row) = self.find(row)?;
        block.value(row, column)
    }

    /// The value of a cell with the NUL that ends it, for C.
    #[inline]
    pub fn value_with_nul(&self, row: usize, column: usize) -> Option<&[u8]> {
        let (block, row) = self.find(row)?;
        block.value_with_nul(row, column)
    }

    /// The first block, which is all of a small result.
    #[inline]
    pub fn first(&self) -> &Block {
        &self.first
    }

    /// The blocks in order, each with the number of its first row.
    pub fn blocks(&self) -> impl Iterator<Item = (usize, &Block)> {
        let more = self.more.iter();
        let more = more.flat_map(|more| more.starts.iter().copied().zip(&more.blocks));
        std::iter::once((0, &self.first)).chain(more)
    }

    /// How many blocks: one at least.
    #[inline]
    pub fn block_count(&self) -> usize {
        1 + self.more.as_ref().map_or(0, |more| more.blocks.len())
    }

    /// Bytes that the batch holds on to, without its columns.
    #[inline]
    pub fn memory(&self) -> usize {
        self.first.memory() + self.more.as_ref().map_or(0, |more| more.memory)
    }

    /// Bytes in front of the first row that mean nothing: room for what the owner keeps of the batch, in the same allocation
    /// as the rows. As many as [`Gather::set_front`](super::Gather::set_front) asked for in a small result, else any number.
    pub fn front_mut(&mut self) -> &mut [u8] {
        self.first.front_mut()
    }

    /// The block of a row and the row's number in it.
    #[inline]
    fn find(&self, row: usize) -> Option<(&Block, usize)> {
        if row < self.first.rows() {
            return Some((&self.first, row));
        }
        self.more.as_ref()?.find(row)
    }
}

impl More {
    fn find(&self, row: usize) -> Option<(&Block, usize)> {
        let hint = self.hint.load(Ordering::Relaxed);
        if let Some(found) = self.row_in(hint, row) {
            return Some(found);
        }
        let at = self
            .starts
            .partition_point(|&start| start <= row)
            .checked_sub(1)?;
        self.hint.store(at, Ordering::Relaxed);
        self.row_in(at, row)
    }

    #[inline]
    fn row_in(&self, at: usize, row: usize) -> Option<(&Block, usize)> {
        let block = self.blocks.get(at)?;
        let row = row.checked_sub(*self.starts.get(at)?)?;
        (row < block.rows()).then_some((block, row))
    }
}
