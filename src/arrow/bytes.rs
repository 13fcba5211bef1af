//! Columns of text and of bytes: offsets and a copy, or views into the batch. Knows layouts and UTF-8.

use super::cells::{Cell, Cells, Fault};
use super::error::Problem;
use super::scalar::hex;
use super::{Buffer, Own};
use crate::rows::OutOfMemory;

const UTF8: Problem = Problem::Value("is not valid UTF-8: SET client_encoding TO UTF8");
const JSONB: Problem = Problem::Value("is not a jsonb of version 1");
const BYTEA: Problem = Problem::Value("is not a bytea");

/// Values of up to so many bytes are copied as one block of this size, whatever their length.
const AT_ONCE: usize = 32;
/// Bytes of a view's value that lie in the view itself.
const INLINE: usize = 12;
/// The most that is asked for at once on a guess.
const STEP: usize = 1 << 20;
/// Where a buffer of decoded values for views ends.
const FULL: usize = 1 << 30;

/// Appends a decoded value.
pub(super) type Decode = fn(&[u8], &mut Vec<u8>) -> Result<(), Problem>;

/// What becomes of the values of a column.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// They are taken as they are.
    Same,
    /// Behind a version byte: jsonb.
    Versioned,
    /// They are decoded.
    Decoded(Decode),
}

/// What a cell's value is, behind its version.
#[inline(always)]
fn content(cell: Cell<'_>, versioned: bool) -> Result<Cell<'_>, Problem> {
    if !versioned {
        return Ok(cell);
    }
    match cell.value().first() {
        Some(1) => Ok(cell.skip_first()),
        _ => Err(JSONB),
    }
}

/// Offsets and the values one behind the other.
pub(super) struct Strings {
    offsets: Offsets,
    /// Initialised bytes; only those up to `end` mean something.
    data: Vec<u8>,
    end: usize,
    /// How many rows there will be.
    rows: usize,
}

/// Where the values end: 32 bits while that is enough.
enum Offsets {
    Short(Vec<i32>),
    Large(Vec<i64>),
}

impl Strings {
    pub(super) fn new(rows: usize) -> Result<Self, OutOfMemory> {
        let mut offsets = Vec::new();
        offsets.try_reserve_exact(rows + 1)?;
        offsets.push(0);
        Ok(Self {
            offsets: Offsets::Short(offsets),
            data: Vec::new(),
            end: 0,
            rows,
        })
    }

    /// Rows taken so far.
    fn rows(&self) -> usize {
        match &self.offsets {
            Offsets::Short(offsets) => offsets.len() - 1,
            Offsets::Large(offsets) => offsets.len() - 1,
        }
    }

    /// Whether the offsets have 64 bits.
    pub(super) fn is_large(&self) -> bool {
        matches!(self.offsets, Offsets::Large(_))
    }

    pub(super) fn append(
        &mut self,
        cells: &Cells<'_>,
        content: Content,
        null: impl FnMut(usize) -> Result<(), OutOfMemory>,
    ) -> Result<(), Fault> {
        match content {
            Content::Same => self.copy(cells, false, null),
            Content::Versioned => self.copy(cells, true, null),
            Content::Decoded(decode) => self.decode(cells, decode, null),
        }
    }

    fn copy(
        &mut self,
        cells: &Cells<'_>,
        versioned: bool,
        null: impl FnMut(usize) -> Result<(), OutOfMemory>,
    ) -> Result<(), Fault> {
        // A column is not longer than its block.
        if self.end + cells.data().len() > i32::MAX as usize {
            self.widen().map_err(|memory| (0, memory.into()))?;
        }
        let rows = (self.rows(), self.rows);
        let place = (&mut self.data, &mut self.end);
        match (&mut self.offsets, versioned) {
            (Offsets::Short(offsets), false) => copy(cells, place, rows, false, null, |end| {
                offsets.push(end as i32)
            }),
            (Offsets::Short(offsets), true) => copy(cells, place, rows, true, null, |end| {
                offsets.push(end as i32)
            }),
            (Offsets::Large(offsets), versioned) => {
                copy(cells, place, rows, versioned, null, |end| {
                    offsets.push(end as i64)
                })
            }
        }
    }

    fn decode(
        &mut self,
        cells: &Cells<'_>,
        decode: Decode,
        mut null: impl FnMut(usize) -> Result<(), OutOfMemory>,
    ) -> Result<(), Fault> {
        cells.visit(|row, cell| {
            match cell {
                Some(cell) => decode(cell.value(), &mut self.data)?,
                None => null(row)?,
            }
            self.end = self.data.len();
            if self.end > i32::MAX as usize {
                self.widen()?;
            }
            match &mut self.offsets {
                Offsets::Short(offsets) => offsets.push(self.end as i32),
                Offsets::Large(offsets) => offsets.push(self.end as i64),
            }
            Ok(())
        })
    }

    #[cold]
    fn widen(&mut self) -> Result<(), OutOfMemory> {
        if let Offsets::Short(offsets) = &self.offsets {
            let mut large = Vec::new();
            large.try_reserve_exact(offsets.capacity())?;
            large.extend(offsets.iter().map(|&offset| i64::from(offset)));
            self.offsets = Offsets::Large(large);
        }
        Ok(())
    }

    /// Looks whether all values are UTF-8, in one go.
    pub(super) fn check_utf8(&self) -> Result<(), Fault> {
        let data = self.data.get(..self.end).unwrap_or_default();
        let offset = |row| match &self.offsets {
            Offsets::Short(offsets) => offsets.get(row).map_or(0, |&offset| offset as usize),
            Offsets::Large(offsets) => offsets.get(row).map_or(0, |&offset| offset as usize),
        };
        let rows = self.rows();
        if data.is_ascii() {
            return Ok(());
        }
        let whole = simdutf8::basic::from_utf8(data).is_ok();
        // No value may begin in the middle of a character.
        if whole
            && (0..rows).all(|row| {
                data.get(offset(row))
                    .is_none_or(|&byte| byte & 0xC0 != 0x80)
            })
        {
            return Ok(());
        }
        let is_bad = |&row: &usize| {
            str::from_utf8(data.get(offset(row)..offset(row + 1)).unwrap_or_default()).is_err()
        };
        match (0..rows).find(is_bad) {
            Some(row) => Err((row, UTF8)),
            None => Ok(()),
        }
    }

    pub(super) fn buffers<'a>(mut self, out: &mut Vec<Buffer<'a>>) {
        self.data.truncate(self.end);
        out.push(Buffer::Own(match self.offsets {
            Offsets::Short(offsets) => Own::Int(offsets),
            Offsets::Large(offsets) => Own::Long(offsets),
        }));
        out.push(Buffer::Own(Own::Bytes(self.data)));
    }
}

/// Copies the values of a block behind the others, and tells where each ends. `rows` are those of earlier blocks, and all.
#[inline(always)]
fn copy(
    cells: &Cells<'_>,
    (data, end): (&mut Vec<u8>, &mut usize),
    rows: (usize, usize),
    versioned: bool,
    mut null: impl FnMut(usize) -> Result<(), OutOfMemory>,
    mut ends: impl FnMut(usize),
) -> Result<(), Fault> {
    cells.visit(|row, cell| {
        match cell {
            Some(cell) => {
                let cell = content(cell, versioned)?;
                if !append(data, end, cell) {
                    append_long(data, end, cell.value(), (rows.0 + row, rows.1))?;
                }
            }
            None => null(row)?,
        }
        ends(*end);
        Ok(())
    })
}

/// Copies a short value behind the others if there is room.
#[inline(always)]
fn append(data: &mut [u8], end: &mut usize, cell: Cell<'_>) -> bool {
    if cell.len <= AT_ONCE
        && let Some(from) = cell.chunk::<AT_ONCE>()
        && let Some(to) = data.get_mut(*end..*end + AT_ONCE)
    {
        to.copy_from_slice(from);
        *end += cell.len;
        return true;
    }
    false
}

/// Copies any value behind the others, and makes room for as many more as so many rows of all still bring, at this rate.
#[inline(never)]
fn append_long(
    data: &mut Vec<u8>,
    end: &mut usize,
    value: &[u8],
    (row, rows): (usize, usize),
) -> Result<(), OutOfMemory> {
    let wanted = *end + value.len() + AT_ONCE;
    if wanted > data.len() {
        let rate = (*end + value.len()) / (row + 1) + 1;
        let all = rate.saturating_mul(rows).min(2 * data.len() + STEP);
        let size = wanted.max(2 * data.len()).max(all);
        data.try_reserve_exact(size - data.len())?;
        data.resize(size, 0);
    }
    if let Some(to) = data.get_mut(*end..*end + value.len()) {
        to.copy_from_slice(value);
    }
    *end += value.len();
    Ok(())
}

/// Views of 16 bytes: a value of up to 12 bytes, or where it lies.
pub(super) struct Views<'a> {
    views: Vec<i128>,
    /// The blocks that hold values.
    lent: Vec<&'a [u8]>,
    /// Values that were decoded; a column has either.
    own: Vec<Vec<u8>>,
}

impl<'a> Views<'a> {
    pub(super) fn new(rows: usize) -> Result<Self, OutOfMemory> {
        let mut views = Vec::new();
        views.try_reserve_exact(rows)?;
        Ok(Self {
            views,
            lent: Vec::new(),
            own: Vec::new(),
        })
    }

    pub(super) fn append(
        &mut self,
        cells: &Cells<'a>,
        content: Content,
        utf8: bool,
        null: impl FnMut(usize) -> Result<(), OutOfMemory>,
    ) -> Result<(), Fault> {
        match (content, utf8) {
            (Content::Decoded(decode), _) => self.decode(cells, decode, null),
            (Content::Versioned, _) => self.lend(cells, true, true, null),
            (Content::Same, true) => self.lend(cells, false, true, null),
            (Content::Same, false) => self.lend(cells, false, false, null),
        }
    }

    #[inline(always)]
    fn lend(
        &mut self,
        cells: &Cells<'a>,
        versioned: bool,
        utf8: bool,
        mut null: impl FnMut(usize) -> Result<(), OutOfMemory>,
    ) -> Result<(), Fault> {
        // Where the buffer begins that was lent last: in this block, or there is none yet.
        let mut from = None;
        cells.visit(|row, cell| {
            let Some(cell) = cell else {
                self.views.push(0);
                return Ok(null(row)?);
            };
            let cell = content(cell, versioned)?;
            if utf8 && !is_utf8(cell) {
                return Err(UTF8);
            }
            let view = if cell.len <= INLINE {
                short(cell)
            } else {
                let base = match from {
                    Some(base) if cell.at - base <= i32::MAX as usize => base,
                    _ => {
                        self.lent.try_reserve(1)?;
                        // A block of more than 2 GB has more than one buffer.
                        let base = if from.is_none() && cell.at <= i32::MAX as usize {
                            0
                        } else {
                            cell.at
                        };
                        self.lent.push(cells.data().get(base..).unwrap_or_default());
                        *from.insert(base)
                    }
                };
                long(cell.value(), self.lent.len() - 1, cell.at - base)
            };
            self.views.push(view);
            Ok(())
        })
    }

    fn decode(
        &mut self,
        cells: &Cells<'a>,
        decode: Decode,
        mut null: impl FnMut(usize) -> Result<(), OutOfMemory>,
    ) -> Result<(), Fault> {
        cells.visit(|row, cell| {
            let Some(cell) = cell else {
                self.views.push(0);
                return Ok(null(row)?);
            };
            if self.own.last().is_none_or(|last| last.len() > FULL) {
                self.own.try_reserve(1)?;
                self.own.push(Vec::new());
            }
            let index = self.own.len() - 1;
            let Some(own) = self.own.last_mut() else {
                return Err(Problem::Memory);
            };
            let at = own.len();
            decode(cell.value(), own)?;
            let value = Cell {
                rest: own.get(at..).unwrap_or_default(),
                at,
                len: own.len() - at,
            };
            if value.len <= INLINE {
                self.views.push(short(value));
                own.truncate(at);
            } else {
                self.views.push(long(value.value(), index, at));
            }
            Ok(())
        })
    }

    /// The views, the buffers that they lead into, and the sizes of these.
    pub(super) fn buffers(self, out: &mut Vec<Buffer<'a>>) -> Result<(), OutOfMemory> {
        let count = self.lent.len() + self.own.len();
        let mut sizes = Vec::new();
        sizes.try_reserve_exact(count)?;
        out.try_reserve(count + 2)?;
        out.push(Buffer::Own(Own::Wide(self.views)));
        for lent in self.lent {
            sizes.push(lent.len() as i64);
            out.push(Buffer::Lent(lent));
        }
        for own in self.own {
            sizes.push(own.len() as i64);
            out.push(Buffer::Own(Own::Bytes(own)));
        }
        out.push(Buffer::Own(Own::Long(sizes)));
        Ok(())
    }
}

#[inline(always)]
fn is_utf8(cell: Cell<'_>) -> bool {
    // Most are short and ASCII: looked at in one go, without what is behind them.
    if cell.len <= 16
        && let Some(chunk) = cell.chunk::<16>()
    {
        let mask = u128::MAX
            .checked_shr(128 - 8 * cell.len as u32)
            .unwrap_or(0);
        if u128::from_le_bytes(*chunk) & mask & 0x8080_8080_8080_8080_8080_8080_8080_8080 == 0 {
            return true;
        }
    }
    let value = cell.value();
    value.is_ascii() || simdutf8::basic::from_utf8(value).is_ok()
}

/// The view of a value that it holds itself: length, bytes, zeros.
#[inline(always)]
fn short(cell: Cell<'_>) -> i128 {
    let length = (cell.len as i32).to_ne_bytes();
    let mut view = [0; 16];
    if let Some(chunk) = cell.chunk::<INLINE>() {
        view[4..].copy_from_slice(chunk);
        let mask = u128::MAX.checked_shr(96 - 8 * cell.len as u32).unwrap_or(0);
        view = (u128::from_le_bytes(view) & mask).to_le_bytes();
    } else if let Some(place) = view.get_mut(4..4 + cell.len) {
        place.copy_from_slice(cell.value());
    }
    view[..4].copy_from_slice(&length);
    i128::from_ne_bytes(view)
}

/// The view of a value that lies elsewhere: length, first four bytes, buffer, place in it.
#[inline(always)]
fn long(value: &[u8], buffer: usize, at: usize) -> i128 {
    let mut view = [0; 16];
    view[..4].copy_from_slice(&(value.len() as i32).to_ne_bytes());
    view[4..8].copy_from_slice(value.first_chunk::<4>().unwrap_or(&[0; 4]));
    view[8..12].copy_from_slice(&(buffer as i32).to_ne_bytes());
    view[12..].copy_from_slice(&(at as i32).to_ne_bytes());
    i128::from_ne_bytes(view)
}

/// A bytea in text: the hex format, or, with bytea_output = escape, the other (byteaout in the server's bytea.c).
pub(super) fn bytea(text: &[u8], out: &mut Vec<u8>) -> Result<(), Problem> {
    if let Some(digits) = text.strip_prefix(b"\\x") {
        out.try_reserve(digits.len() / 2)?;
        let (pairs, rest) = digits.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(BYTEA);
        }
        for &[high, low] in pairs {
            let (Some(high), Some(low)) = (hex(high), hex(low)) else {
                return Err(BYTEA);
            };
            out.push(high << 4 | low);
        }
        return Ok(());
    }
    out.try_reserve(text.len())?;
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return Ok(()),
            [b'\\', b'\\', behind @ ..] => {
                out.push(b'\\');
                behind
            }
            [
                b'\\',
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                behind @ ..,
            ] => {
                out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                behind
            }
            [b'\\', ..] => return Err(BYTEA),
            [byte, behind @ ..] => {
                out.push(*byte);
                behind
            }
        };
    }
}
