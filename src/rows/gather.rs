//! Collects the rows of the result that is being received: checks and indexes each DataRow once.

use std::mem;
use std::sync::Arc;

use super::block::{FIRST, stride};
use super::{Batch, Block, CHUNK, Columns, LOOK_ASIDE, OutOfMemory, WIDE, chunk};
use crate::wire;

/// Bytes of index that a connection keeps: enough for a few rows, so that small results need nothing else.
const SMALL: usize = 128;

/// When a batch is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// At most this many rows.
    pub rows: usize,
    /// Cut after the row that brings the bytes of the batch to this.
    pub bytes: usize,
}

impl Limits {
    /// The whole result is one batch.
    pub const NONE: Self = Self {
        rows: usize::MAX,
        bytes: usize::MAX,
    };
}

/// The rows received so far of one result.
///
/// Rows lie in the chunk that they were received into until [`keep`](Gather::keep) or [`copy`](Gather::copy) makes a
/// block of them. The owner of the chunk must call one of the two before it moves the chunk's bytes.
#[derive(Debug)]
pub struct Gather {
    columns: Option<Arc<Columns>>,
    format: Option<i16>,
    width: usize,
    /// Blocks finished.
    blocks: Vec<Block>,
    block_rows: usize,
    block_bytes: usize,
    /// Index entries of the rows that lie in the chunk; only the first `used` bytes mean something.
    index: Vec<u8>,
    used: usize,
    rows: u32,
    /// Where the first and behind the last of them lie in the chunk.
    from: usize,
    to: usize,
    aside: Vec<(u32, u32)>,
    /// How many bytes are left before the rows of a small result.
    front: u16,
}

impl Default for Gather {
    fn default() -> Self {
        Self::new()
    }
}

impl Gather {
    /// Nothing received.
    pub const fn new() -> Self {
        Self {
            columns: None,
            format: None,
            width: 0,
            blocks: Vec::new(),
            block_rows: 0,
            block_bytes: 0,
            index: Vec::new(),
            used: 0,
            rows: 0,
            from: 0,
            to: 0,
            aside: Vec::new(),
            front: 0,
        }
    }

    /// Leaves so many bytes before the rows of small results from now on, for [`Batch::front_mut`].
    pub fn set_front(&mut self, front: u16) {
        self.front = front;
    }

    /// Begins a result of these columns; `format` is that of all values where Bind said it.
    #[inline]
    pub fn begin(&mut self, columns: Arc<Columns>, format: Option<i16>) {
        self.forget();
        self.width = columns.len();
        self.columns = Some(columns);
        self.format = format;
    }

    /// Whether a result has begun.
    pub fn is_open(&self) -> bool {
        self.columns.is_some()
    }

    /// The columns of the result that has begun.
    pub fn columns(&self) -> Option<&Arc<Columns>> {
        self.columns.as_ref()
    }

    /// Drops the result and its rows.
    pub fn abandon(&mut self) {
        self.forget();
        // A row that found no memory has left its own here.
        self.aside.clear();
        self.columns = None;
    }

    /// Rows received since the last batch.
    pub fn rows(&self) -> usize {
        self.block_rows + self.rows as usize
    }

    /// Bytes of those rows.
    pub fn bytes(&self) -> usize {
        self.block_bytes + (self.to - self.from)
    }

    /// Bytes of the rows that still lie in the chunk; 0 when none do.
    pub fn in_chunk(&self) -> usize {
        self.to - self.from
    }

    /// Whether a batch is to be cut now.
    #[inline]
    pub fn is_full(&self, limits: Limits) -> bool {
        self.rows() >= limits.rows || self.bytes() >= limits.bytes
    }

    /// Checks and indexes the DataRow whose body is `chunk[start..start + len]`.
    #[inline(always)]
    pub fn row(&mut self, chunk: &mut [u8], start: usize, len: usize) -> Result<(), RowError> {
        let Some(body) = chunk.get_mut(start..start + len) else {
            return Err(malformed("cells", wire::Problem::EndsEarly));
        };
        let stride = stride(self.width);
        if self.index.len() - self.used < stride {
            self.grow(stride)?;
        }
        let Some(entry) = self.index.get_mut(self.used..self.used + stride) else {
            return Err(RowError::Memory(OutOfMemory));
        };
        // The first: none lies there before it, also if it is refused.
        if self.rows == 0 {
            (self.from, self.to) = (start, start);
        }
        let aside = Some(&mut self.aside);
        index(body, self.width, start - self.from, entry, aside)?;
        self.used += stride;
        self.to = start + len;
        self.rows += 1;
        Ok(())
    }

    /// The same for a row that is to be a batch by itself, if it is the first.
    pub fn row_alone(
        &mut self,
        chunk: &mut [u8],
        start: usize,
        len: usize,
    ) -> Result<Option<Batch>, RowError> {
        let columns = self.columns.as_ref().filter(|_| self.rows() == 0);
        match (columns, chunk.get(start..start + len)) {
            (Some(columns), Some(body)) => {
                let row = Block::of_row(body, self.front, self.width as u16)?;
                Ok(Some(Batch::of_row(columns.clone(), self.format, row)))
            }
            _ => self.row(chunk, start, len).map(|()| None),
        }
    }

    /// Checks and indexes a single value, whose length word is `chunk[start..start + 4]`, as a row of one column: `len` bytes
    /// with that word. In the place of a row's cell count there are two bytes of something else, which are not looked at.
    pub fn cell(&mut self, chunk: &mut [u8], start: usize, len: usize) -> Result<(), RowError> {
        let Some(row) = start.checked_sub(2) else {
            return Err(malformed("cell", wire::Problem::EndsEarly));
        };
        let Some(body) = chunk.get_mut(row..start + len) else {
            return Err(malformed("cell", wire::Problem::EndsEarly));
        };
        let stride = stride(1);
        if self.index.len() - self.used < stride {
            self.grow(stride)?;
        }
        if FIRST + value(body, FIRST, 0, Some(&mut self.aside))? != body.len() {
            return Err(malformed("cell", wire::Problem::EndsEarly));
        }
        if let Some(entry) = self.index.get_mut(self.used..self.used + stride) {
            entry.fill(0);
        }
        self.used += stride;
        self.from = row;
        self.to = start + len;
        self.rows = 1;
        Ok(())
    }

    /// The rows of a result by itself, of one row, the body of whose message this is, or of none: checked, indexed and copied at
    /// once, for [`Batch::of_row`]. `width`: how many columns. A row with a value of 16 MiB and more is not for this.
    #[inline(always)]
    pub fn only_row(&self, width: usize, row: Option<&[u8]>) -> Result<Block, RowError> {
        match row {
            Some(body) => Block::of_row(body, self.front, width as u16),
            None => Ok(Block::without_rows(self.front, width as u16)?),
        }
    }

    /// Takes over the chunk that the rows lie in. The caller has copied what follows them elsewhere.
    pub fn keep(&mut self, mut chunk: Vec<u8>) -> Result<(), OutOfMemory> {
        match chunk.get_mut(self.to) {
            Some(end) => *end = 0,
            None => {
                chunk.try_reserve(1)?;
                chunk.push(0);
            }
        }
        let aside = mem::take(&mut self.aside);
        let index = &self.index[..self.used];
        let front = self.from as u32;
        let block = Block::whole(chunk, front, index, aside, self.rows, self.width as u16)?;
        self.push(block)
    }

    /// Copies the rows out of the chunk.
    pub fn copy(&mut self, chunk: &[u8]) -> Result<(), OutOfMemory> {
        if self.rows > 0 {
            let block = self.copied(chunk)?;
            self.push(block)?;
        }
        Ok(())
    }

    /// Everything received since the last batch, as one. Rows that still lie in `chunk` are copied out.
    pub fn batch(&mut self, chunk: &[u8]) -> Result<Option<Batch>, OutOfMemory> {
        match self.columns.clone() {
            Some(columns) => self.batch_of(columns, chunk).map(Some),
            None => Ok(None),
        }
    }

    /// The same at the end of the result.
    #[inline]
    pub fn last_batch(&mut self, chunk: &[u8]) -> Result<Option<Batch>, OutOfMemory> {
        match self.columns.take() {
            Some(columns) => self.batch_of(columns, chunk).map(Some),
            None => Ok(None),
        }
    }

    #[inline(always)]
    fn batch_of(&mut self, columns: Arc<Columns>, chunk: &[u8]) -> Result<Batch, OutOfMemory> {
        let last = if self.rows > 0 {
            self.copied(chunk)?
        } else {
            Block::default()
        };
        let batch = if self.blocks.is_empty() {
            Batch::new(columns, self.format, last)
        } else {
            Batch::of_many(columns, self.format, mem::take(&mut self.blocks), last)?
        };
        self.forget();
        Ok(batch)
    }

    #[inline(always)]
    fn copied(&mut self, chunk: &[u8]) -> Result<Block, OutOfMemory> {
        let aside = mem::take(&mut self.aside);
        let bytes = chunk.get(self.from..self.to).unwrap_or_default();
        let index = &self.index[..self.used];
        Block::copied(
            bytes,
            self.front,
            index,
            aside,
            self.rows,
            self.width as u16,
        )
    }

    fn push(&mut self, block: Block) -> Result<(), OutOfMemory> {
        self.blocks.try_reserve(1)?;
        self.block_rows += block.rows();
        self.block_bytes += self.to - self.from;
        self.blocks.push(block);
        self.clear_chunk();
        Ok(())
    }

    /// Makes the index longer: a small one of its own first, then one from the pool, then by doubling.
    #[cold]
    fn grow(&mut self, stride: usize) -> Result<(), OutOfMemory> {
        if self.index.is_empty() && stride <= SMALL {
            self.index = chunk::zeroed(SMALL)?;
        } else if self.index.len() <= SMALL && self.used + stride <= CHUNK {
            let mut larger = chunk::take()?;
            larger[..self.used].copy_from_slice(&self.index[..self.used]);
            self.index = larger;
        } else {
            let more = self.index.len().max(stride);
            self.index.try_reserve_exact(more)?;
            self.index.resize(self.index.len() + more, 0);
        }
        Ok(())
    }

    /// Forgets rows, keeps the columns; a large index goes back to the pool.
    #[inline]
    fn forget(&mut self) {
        if self.rows > 0 {
            self.clear_chunk();
            self.aside.clear();
        }
        if self.block_rows > 0 || self.index.len() > SMALL {
            self.forget_large();
        }
    }

    #[cold]
    fn forget_large(&mut self) {
        self.blocks = Vec::new();
        self.block_rows = 0;
        self.block_bytes = 0;
        if self.index.len() > SMALL {
            chunk::give(mem::take(&mut self.index));
        }
    }

    #[inline]
    fn clear_chunk(&mut self) {
        self.used = 0;
        self.rows = 0;
        self.from = 0;
        self.to = 0;
    }
}

/// Checks a row of `width` columns and fills its entry in the index; `row` is where it lies. `aside`: the list of values that are
/// longer than their length word can say; `None` where the row is too short to have one.
#[inline(always)]
pub(super) fn index(
    body: &mut [u8],
    width: usize,
    row: usize,
    entry: &mut [u8],
    mut aside: Option<&mut Vec<(u32, u32)>>,
) -> Result<(), RowError> {
    let Some(count) = body.first_chunk::<2>() else {
        return Err(malformed("cell count", wire::Problem::EndsEarly));
    };
    let count = usize::from(u16::from_be_bytes(*count));
    if count != width {
        return Err(malformed(
            "cell count",
            wire::Problem::BadValue(count as i64),
        ));
    }
    let Some((offset, cells)) = entry.split_first_chunk_mut::<4>() else {
        return Err(RowError::Memory(OutOfMemory));
    };
    let wide = body.len() > usize::from(u16::MAX);
    *offset = (row as u32 | if wide { WIDE } else { 0 }).to_ne_bytes();
    let mut at = FIRST;
    if count > 0 {
        at += value(body, at, row, aside.as_deref_mut())?;
        for cell in cells.chunks_exact_mut(2) {
            at += 4;
            cell.copy_from_slice(&(at as u16).to_ne_bytes());
            at += value(body, at, row, aside.as_deref_mut())?;
        }
    } else {
        at = 2;
    }
    if at != body.len() {
        return Err(if at < body.len() {
            malformed("cells", wire::Problem::TrailingBytes(body.len() - at))
        } else {
            malformed("cell", wire::Problem::EndsEarly)
        });
    }
    Ok(())
}

/// Checks the value at `at`, whose length word lies before it, and says how many bytes it has.
#[inline]
fn value(
    body: &mut [u8],
    at: usize,
    start: usize,
    aside: Option<&mut Vec<(u32, u32)>>,
) -> Result<usize, RowError> {
    let Some(word) = body
        .get_mut(at - 4..at)
        .and_then(|word| word.first_chunk_mut::<4>())
    else {
        return Err(malformed("cell length", wire::Problem::EndsEarly));
    };
    let length = u32::from_be_bytes(*word);
    if length < LOOK_ASIDE {
        return Ok(length as usize);
    }
    look_aside(word, length, start + at, aside)
}

/// NULL and values of 16 MiB and more: the length word loses its first byte to the NUL of the value before it.
#[cold]
fn look_aside(
    word: &mut [u8; 4],
    length: u32,
    at: usize,
    aside: Option<&mut Vec<(u32, u32)>>,
) -> Result<usize, RowError> {
    *word = LOOK_ASIDE.to_be_bytes();
    match i32::from_be_bytes(length.to_be_bytes()) {
        -1 => Ok(0),
        ..0 => Err(malformed(
            "cell length",
            wire::Problem::BadLength(i64::from(length as i32)),
        )),
        _ => {
            let Some(aside) = aside else {
                return Err(malformed("cell", wire::Problem::EndsEarly));
            };
            aside.try_reserve(1).map_err(OutOfMemory::from)?;
            aside.push((at as u32, length));
            Ok(length as usize)
        }
    }
}

#[cold]
fn malformed(field: &'static str, problem: wire::Problem) -> RowError {
    RowError::Wire(wire::Error {
        message: "DataRow",
        field,
        problem,
    })
}

/// Why a row could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// It is malformed.
    #[error(transparent)]
    Wire(#[from] wire::Error),
    /// There is no memory for it.
    #[error(transparent)]
    Memory(#[from] OutOfMemory),
}
