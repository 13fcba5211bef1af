//! Rows of any bytes in columns of any type, exported to Arrow: refused, or arrays that nobody reads beyond.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;

use pgpoll::arrow::{self, Buffer, Column, Options, Own};
use pgpoll::rows::{Batch, Columns, Gather};
use pgpoll::wire::{Field, List, RowDescription};

/// One of each kind, and one that Arrow has no type for.
const TYPES: [u32; 24] = [
    16, 17, 18, 19, 20, 21, 23, 25, 26, 28, 114, 700, 701, 1043, 1082, 1083, 1114, 1184, 1700,
    2950, 3802, 5069, 600, 142,
];

/// A length that says NULL.
const NULL: u8 = 255;

fuzz_target!(|data: &[u8]| {
    let Some((&[how, width], mut data)) = data.split_first_chunk() else {
        return;
    };
    let width = usize::from(width % 5);
    let mut fields = Vec::new();
    for _ in 0..width {
        let Some((&[kind, format, high, low], rest)) = data.split_first_chunk() else {
            return;
        };
        data = rest;
        // The modifier of a numeric has its precision in the upper half, four more than the digits in all.
        let type_modifier = i32::from(i8::from_ne_bytes([high])) << 16 | i32::from(low) << 3;
        fields.push(Field {
            name: b"c",
            table_oid: 0,
            column: 0,
            type_oid: TYPES[usize::from(kind) % TYPES.len()],
            type_size: -1,
            type_modifier,
            format: (format & 1).into(),
        });
    }
    let batch = batch(&fields, data, how & 4 != 0);
    let options = Options {
        views: how & 1 != 0,
        numeric_text: how & 2 != 0,
    };
    let Ok(export) = arrow::export(&batch, options).map_err(|why| why.to_string()) else {
        return;
    };
    assert_eq!((export.rows, export.columns.len()), (batch.rows(), width));
    for (number, column) in export.columns.iter().enumerate() {
        let is_null = |row: &usize| batch.value(*row, number).is_none();
        assert_eq!(column.nulls, (0..batch.rows()).filter(is_null).count());
        check(column, &batch, number);
    }
});

fn batch(fields: &[Field<'_>], mut data: &[u8], copied: bool) -> Batch {
    let fields = List::from(fields);
    let mut message = Vec::new();
    RowDescription { fields }
        .encode(&mut message)
        .expect("few columns");
    let columns = Columns::read(&message[5..]).expect("what was encoded can be read");
    let width = columns.len();
    let mut gather = Gather::new();
    gather.begin(Arc::new(columns), None);
    let mut chunk: Vec<u8> = Vec::new();
    while !data.is_empty() {
        let start = chunk.len() + 5;
        chunk.extend_from_slice(&[0; 5]);
        chunk.extend_from_slice(&[0, width as u8]);
        if width == 0 {
            data = &data[1..];
        }
        for _ in 0..width {
            let Some((&len, rest)) = data.split_first() else {
                chunk.extend_from_slice(&[0; 4]);
                continue;
            };
            if len == NULL {
                data = rest;
                chunk.extend_from_slice(&[0xFF; 4]);
                continue;
            }
            let (value, rest) = rest.split_at(usize::from(len).min(rest.len()));
            data = rest;
            chunk.extend_from_slice(&(value.len() as u32).to_be_bytes());
            chunk.extend_from_slice(value);
        }
        let len = chunk.len() - start;
        chunk.push(0xAA);
        gather.row(&mut chunk, start, len).expect("a row");
        chunk.pop();
        if copied && chunk.len() > 100 {
            gather.copy(&chunk).expect("memory");
            chunk.clear();
        }
    }
    chunk.push(0xAA);
    gather.batch(&chunk).expect("memory").expect("open")
}

/// What a reader of the array relies on (Arrow columnar format, "Physical Memory Layout").
fn check(column: &Column<'_>, batch: &Batch, number: usize) {
    let rows = batch.rows();
    match &column.validity {
        None => assert_eq!(column.nulls, 0),
        Some(bits) => {
            for row in 0..rows {
                let valid = bits[row / 8] >> (row % 8) & 1 == 1;
                assert_eq!(valid, batch.value(row, number).is_some());
            }
        }
    }
    let format = column.format.to_bytes();
    let longs = |buffer: &Buffer<'_>| match buffer {
        Buffer::Own(Own::Short(all)) => all.len(),
        Buffer::Own(Own::Int(all)) => all.len(),
        Buffer::Own(Own::Long(all)) => all.len(),
        Buffer::Own(Own::Wide(all)) => all.len(),
        Buffer::Own(Own::Bytes(all)) => all.len(),
        Buffer::Lent(all) => all.len(),
    };
    match format[0] {
        b'u' | b'z' => {
            let [Buffer::Own(Own::Int(offsets)), values] = &column.buffers[..] else {
                panic!("not as its format says");
            };
            assert_eq!((offsets.len(), offsets[0]), (rows + 1, 0));
            for row in 0..rows {
                let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
                text(format, &bytes(values)[from..to]);
            }
        }
        b'v' => {
            let [Buffer::Own(Own::Wide(views)), data @ ..] = &column.buffers[..] else {
                panic!("not as its format says");
            };
            assert_eq!(views.len(), rows);
            for (row, view) in views.iter().enumerate() {
                let view = view.to_ne_bytes();
                let word = |at: usize| {
                    let word = view[at..].first_chunk().expect("four words");
                    i32::from_ne_bytes(*word) as usize
                };
                let value = match word(0) {
                    len @ 0..=12 => &view[4..4 + len],
                    len => &bytes(&data[word(8)])[word(12)..][..len],
                };
                assert!(value.len() <= 12 || view[4..8] == value[..4]);
                // Text lies where it was received; bytes may have been hexadecimal, and numerics may become text here.
                let plain = batch.value(row, number).unwrap_or_default();
                let made = format == b"vz" || batch.format(number) == 1;
                assert!(made || plain.ends_with(value));
                text(&format[1..], value);
            }
        }
        b'b' => assert_eq!(longs(&column.buffers[0]), rows.div_ceil(8)),
        b'w' => assert_eq!(longs(&column.buffers[0]), rows * 16),
        _ => assert_eq!(longs(&column.buffers[0]), rows),
    }
}

fn text(format: &[u8], value: &[u8]) {
    assert!(format[0] != b'u' || std::str::from_utf8(value).is_ok());
}

fn bytes<'a>(buffer: &'a Buffer<'_>) -> &'a [u8] {
    match buffer {
        Buffer::Own(Own::Bytes(bytes)) => bytes,
        Buffer::Lent(bytes) => bytes,
        Buffer::Own(_) => panic!("no bytes"),
    }
}
