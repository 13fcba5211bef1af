//! Finished rows as the caller gets them: a whole result, a batch, or a single row.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Block, Columns};

/// Rows with their columns. Immutable, `Send + Sync`; outlives the connection it came from.
#[derive(Debug)]
pub struct Batch {
    columns: Arc<Columns>,
    /// The format of all values where the Bind message said it; else the columns say.
    format: Option<i16>,
    rows: usize,
    first: Block,
    more: Vec<Block>,
    /// The number of the first row of each block in `more`.
    starts: Vec<usize>,
    /// The block in which a row was looked up last: rows are mostly read in order.
    hint: AtomicUsize,
}

impl Batch {
    pub(super) fn new(
        columns: Arc<Columns>,
        format: Option<i16>,
        blocks: Vec<Block>,
        last: Block,
    ) -> Self {
        let mut batch = Self {
            columns,
            format,
            rows: 0,
            first: Block::default(),
            more: Vec::new(),
            starts: Vec::new(),
            hint: AtomicUsize::new(0),
        };
        if blocks.is_empty() {
            batch.rows = last.rows();
            batch.first = last;
            return batch;
        }
        batch.more = blocks;
        if last.rows() > 0 {
            batch.more.push(last);
        }
        batch.first = batch.more.remove(0);
        batch.rows = batch.first.rows();
        batch.starts.reserve_exact(batch.more.len());
        for block in &batch.more {
            batch.starts.push(batch.rows);
            batch.rows += block.rows();
        }
        batch
    }

    /// How many rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
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

    /// The blocks in order, each with the number of its first row.
    pub fn blocks(&self) -> impl Iterator<Item = (usize, &Block)> {
        std::iter::once((0, &self.first)).chain(self.starts.iter().copied().zip(&self.more))
    }

    /// How many blocks: one at least.
    #[inline]
    pub fn block_count(&self) -> usize {
        1 + self.more.len()
    }

    /// Bytes that the batch holds on to, without its columns.
    pub fn memory(&self) -> usize {
        self.blocks().map(|(_, block)| block.memory()).sum()
    }

    /// The block of a row and the row's number in it.
    #[inline]
    fn find(&self, row: usize) -> Option<(&Block, usize)> {
        if row < self.first.rows() {
            return Some((&self.first, row));
        }
        if row >= self.rows {
            return None;
        }
        let hint = self.hint.load(Ordering::Relaxed);
        if let (Some(&start), Some(block)) = (self.starts.get(hint), self.more.get(hint))
            && row >= start
            && row - start < block.rows()
        {
            return Some((block, row - start));
        }
        let at = self.starts.partition_point(|&start| start <= row) - 1;
        self.hint.store(at, Ordering::Relaxed);
        Some((self.more.get(at)?, row - *self.starts.get(at)?))
    }
}
