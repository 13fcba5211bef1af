//! Builds one column: chooses by kind and format how its cells are decoded, and counts NULLs. Knows no value.

use std::ffi::CStr;

use super::bytes::{self, Content, Strings, Views};
use super::cells::{Cell, Cells, Fault};
use super::error::Problem;
use super::scalar;
use super::{Buffer, Column, Error, Kind, Options, Own, decimal, time};
use crate::rows::{Batch, OutOfMemory};

/// A column while its blocks come.
pub(super) struct Builder<'a> {
    batch: &'a Batch,
    column: usize,
    kind: Kind,
    binary: bool,
    views: bool,
    nulls: Nulls,
    store: Store<'a>,
}

/// Decoded values of the rows so far, zero for NULL; bits are there for all rows.
enum Store<'a> {
    Bits(Vec<u8>),
    Short(Vec<i16>),
    Int(Vec<i32>),
    Long(Vec<i64>),
    Decimal(Vec<i128>),
    Uuid(Vec<[u8; 16]>),
    Strings(Strings),
    Views(Views<'a>),
}

impl<'a> Builder<'a> {
    pub(super) fn new(batch: &'a Batch, column: usize, options: Options) -> Result<Self, Error> {
        let rows = batch.rows();
        let kind = batch
            .columns()
            .get(column)
            .map_or(Kind::Other, |column| Kind::of(column, options));
        let store = match kind {
            Kind::Bool => Store::Bits(filled(rows.div_ceil(8), 0)?),
            Kind::Int2 => Store::Short(room(rows)?),
            Kind::Int4 | Kind::Oid | Kind::Float4 | Kind::Date => Store::Int(room(rows)?),
            Kind::Int8
            | Kind::Xid8
            | Kind::Float8
            | Kind::Time
            | Kind::Timestamp
            | Kind::Timestamptz => Store::Long(room(rows)?),
            Kind::Decimal { .. } => Store::Decimal(room(rows)?),
            Kind::Uuid => Store::Uuid(room(rows)?),
            _ if options.views => Store::Views(Views::new(rows)?),
            _ => Store::Strings(Strings::new(rows)?),
        };
        Ok(Self {
            batch,
            column,
            kind,
            binary: batch.format(column) != 0,
            views: options.views,
            nulls: Nulls::new(rows),
            store,
        })
    }

    /// Takes the column's cells of a block whose first row has this number.
    pub(super) fn append(&mut self, first: usize, cells: &Cells<'a>) -> Result<(), Error> {
        let decoded = self.decode(first, cells);
        decoded.map_err(|(row, problem)| Error::at(self.batch, first + row, self.column, problem))
    }

    fn decode(&mut self, first: usize, cells: &Cells<'a>) -> Result<(), Fault> {
        let nulls = &mut self.nulls;
        let place = (first, nulls);
        match (&mut self.store, self.kind, self.binary) {
            (Store::Bits(bits), _, false) => fill_bits(bits, place, cells, scalar::bool_text),
            (Store::Bits(bits), _, true) => fill_bits(bits, place, cells, scalar::bool_binary),
            (Store::Short(out), _, false) => fill(out, place, cells, |cell| {
                scalar::integer(cell, 32_767, 32_768).map(|number| number as i16)
            }),
            (Store::Short(out), _, true) => fill(out, place, cells, |cell| {
                cell.exactly().map(i16::from_be_bytes)
            }),
            (Store::Int(out), Kind::Date, false) => fill(out, place, cells, time::date_text),
            (Store::Int(out), Kind::Date, true) => fill(out, place, cells, time::date_binary),
            (Store::Int(out), Kind::Oid, false) => fill(out, place, cells, |cell| {
                scalar::integer(cell, u32::MAX.into(), 0).map(|number| number as i32)
            }),
            (Store::Int(out), Kind::Float4, false) => fill(out, place, cells, |cell| {
                scalar::float(cell.value()).map(|float: f32| float.to_bits().cast_signed())
            }),
            (Store::Int(out), _, false) => fill(out, place, cells, |cell| {
                scalar::integer(cell, 0x7FFF_FFFF, 0x8000_0000).map(|number| number as i32)
            }),
            (Store::Int(out), _, true) => fill(out, place, cells, |cell| {
                cell.exactly().map(i32::from_be_bytes)
            }),
            (Store::Long(out), Kind::Time, false) => fill(out, place, cells, time::time_text),
            (Store::Long(out), Kind::Time, true) => fill(out, place, cells, time::time_binary),
            (Store::Long(out), Kind::Timestamp, false) => {
                fill(out, place, cells, |cell| time::timestamp_text(cell, false))
            }
            (Store::Long(out), Kind::Timestamptz, false) => {
                fill(out, place, cells, |cell| time::timestamp_text(cell, true))
            }
            (Store::Long(out), Kind::Timestamp | Kind::Timestamptz, true) => {
                fill(out, place, cells, time::timestamp_binary)
            }
            (Store::Long(out), Kind::Xid8, false) => fill(out, place, cells, |cell| {
                scalar::integer(cell, u64::MAX, 0).map(u64::cast_signed)
            }),
            (Store::Long(out), Kind::Float8, false) => fill(out, place, cells, |cell| {
                scalar::float8(cell.value()).map(|float| float.to_bits().cast_signed())
            }),
            (Store::Long(out), _, false) => fill(out, place, cells, |cell| {
                scalar::integer(cell, i64::MAX as u64, 1 << 63).map(u64::cast_signed)
            }),
            (Store::Long(out), _, true) => fill(out, place, cells, |cell| {
                cell.exactly().map(i64::from_be_bytes)
            }),
            (Store::Decimal(out), kind, binary) => {
                let Kind::Decimal { precision, scale } = kind else {
                    return Ok(());
                };
                match binary {
                    false => fill(out, place, cells, |cell| {
                        decimal::decimal_text(cell.value(), precision, scale)
                    }),
                    true => fill(out, place, cells, |cell| {
                        decimal::decimal_binary(cell.value(), precision, scale)
                    }),
                }
            }
            (Store::Uuid(out), _, binary) => match binary {
                false => fill(out, place, cells, |cell| scalar::uuid_text(cell.value())),
                true => fill(out, place, cells, |cell| cell.exactly()),
            },
            (Store::Strings(strings), kind, binary) => {
                let content = content(kind, binary);
                let (first, nulls) = place;
                strings.append(cells, content, |row| nulls.set(first + row))
            }
            (Store::Views(views), kind, binary) => {
                let content = content(kind, binary);
                let (first, nulls) = place;
                views.append(cells, content, kind.is_text(binary), |row| {
                    nulls.set(first + row)
                })
            }
        }
    }

    /// The column as a whole.
    pub(super) fn finish(self) -> Result<Column<'a>, Error> {
        let described = self.batch.columns();
        let name = described.name_with_nul(self.column).unwrap_or(b"\0");
        let name = CStr::from_bytes_with_nul(name).unwrap_or_default();
        if name.to_str().is_err() {
            return Err(Error::Name(self.column));
        }
        let metadata = match described.get(self.column) {
            Some(column) => self.kind.metadata(column)?,
            None => Vec::new(),
        };
        let mut buffers = Vec::new();
        buffers.try_reserve(2).map_err(OutOfMemory::from)?;
        let mut large = false;
        match self.store {
            Store::Bits(bits) => buffers.push(Buffer::Own(Own::Bytes(bits))),
            Store::Uuid(uuids) => {
                buffers.push(Buffer::Own(Own::Bytes(uuids.into_flattened())));
            }
            Store::Short(elements) => buffers.push(Buffer::Own(Own::Short(elements))),
            Store::Int(elements) => buffers.push(Buffer::Own(Own::Int(elements))),
            Store::Long(elements) => buffers.push(Buffer::Own(Own::Long(elements))),
            Store::Decimal(elements) => buffers.push(Buffer::Own(Own::Wide(elements))),
            Store::Strings(strings) => {
                if self.kind.is_text(self.binary) {
                    strings.check_utf8().map_err(|(row, problem)| {
                        Error::at(self.batch, row, self.column, problem)
                    })?;
                }
                large = strings.is_large();
                strings.buffers(&mut buffers);
            }
            Store::Views(views) => views.buffers(&mut buffers)?,
        }
        Ok(Column {
            name,
            format: self.kind.format(self.binary, self.views, large),
            metadata,
            nulls: self.nulls.count,
            validity: (self.nulls.count > 0).then_some(self.nulls.bits),
            buffers,
        })
    }
}

/// How the bytes of a column come about.
fn content(kind: Kind, binary: bool) -> Content {
    match (kind, binary) {
        (Kind::Jsonb, true) => Content::Versioned,
        (Kind::Numeric, true) => Content::Decoded(decimal::text),
        (Kind::Bytea, false) => Content::Decoded(bytes::bytea),
        _ => Content::Same,
    }
}

/// Decodes the cells of a block; there is room for them.
#[inline(always)]
fn fill<T: Default>(
    out: &mut Vec<T>,
    (first, nulls): (usize, &mut Nulls),
    cells: &Cells<'_>,
    decode: impl Fn(Cell<'_>) -> Result<T, Problem>,
) -> Result<(), Fault> {
    cells.visit(|row, cell| {
        out.push(match cell {
            Some(cell) => decode(cell)?,
            None => {
                nulls.set(first + row)?;
                T::default()
            }
        });
        Ok(())
    })
}

#[inline(always)]
fn fill_bits(
    bits: &mut [u8],
    (first, nulls): (usize, &mut Nulls),
    cells: &Cells<'_>,
    decode: impl Fn(&[u8]) -> Result<bool, Problem>,
) -> Result<(), Fault> {
    cells.visit(|row, cell| {
        let at = first + row;
        match cell {
            Some(cell) => {
                let bit = u8::from(decode(cell.value())?) << (at % 8);
                if let Some(byte) = bits.get_mut(at / 8) {
                    *byte |= bit;
                }
            }
            None => nulls.set(at)?,
        }
        Ok(())
    })
}

/// Which rows are NULL. Without any there is no bitmap.
struct Nulls {
    bits: Vec<u8>,
    count: usize,
    rows: usize,
}

impl Nulls {
    fn new(rows: usize) -> Self {
        Self {
            bits: Vec::new(),
            count: 0,
            rows,
        }
    }

    #[inline]
    fn set(&mut self, row: usize) -> Result<(), OutOfMemory> {
        if self.bits.is_empty() {
            self.bits = filled(self.rows.div_ceil(8), 0xFF)?;
        }
        if let Some(byte) = self.bits.get_mut(row / 8) {
            *byte &= !(1 << (row % 8));
        }
        self.count += 1;
        Ok(())
    }
}

/// Room for so many elements.
fn room<T>(count: usize) -> Result<Vec<T>, OutOfMemory> {
    let mut elements = Vec::new();
    elements.try_reserve_exact(count)?;
    Ok(elements)
}

/// So many bytes of this value.
fn filled(count: usize, byte: u8) -> Result<Vec<u8>, OutOfMemory> {
    let mut bytes = room(count)?;
    bytes.resize(count, byte);
    Ok(bytes)
}
