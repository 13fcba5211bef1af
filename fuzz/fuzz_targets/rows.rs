//! Any bodies of DataRow, in chunks that are kept, copied and cut at any moment: what is taken and what it holds agrees with the
//! decoder of the wire, and every value ends with a NUL.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;

use pgpoll::rows::{Batch, Columns, Gather, Limits, RowError};
use pgpoll::wire::{DataRow, Field, List, RowDescription};

type Row = Vec<Option<Vec<u8>>>;

fuzz_target!(|data: &[u8]| {
    let Some((&[width, rows, bytes], mut data)) = data.split_first_chunk() else {
        return;
    };
    let width = usize::from(width % 10);
    let columns = columns(width);
    let limits = Limits {
        rows: if rows == 0 { usize::MAX } else { rows.into() },
        bytes: if bytes == 0 {
            usize::MAX
        } else {
            usize::from(bytes) * 16
        },
    };
    let mut gather = Gather::new();
    gather.begin(columns.clone(), None);
    let mut chunk: Vec<u8> = Vec::new();
    let mut expected: Vec<Row> = Vec::new();
    let mut batches: Vec<Batch> = Vec::new();
    while let Some((&[op, low, high], rest)) = data.split_first_chunk() {
        // Long bodies cost no input: the last bytes are repeated.
        let len = usize::from(u16::from_le_bytes([low, high & 3]));
        let times = if high & 4 == 0 {
            1
        } else {
            usize::from(high >> 3) * 40
        };
        let (body, rest) = rest.split_at(len.min(rest.len()));
        data = rest;
        match op % 8 {
            0 if gather.in_chunk() > 0 => gather.keep(std::mem::take(&mut chunk)).expect("memory"),
            1 => {
                gather.copy(&chunk).expect("memory");
                chunk.fill(0x55);
                chunk.clear();
            }
            2 => {
                batches.push(gather.batch(&chunk).expect("memory").expect("open"));
                chunk.clear();
            }
            3 => chunk.extend_from_slice(&[0, 1, 2, 3]),
            _ => {
                let body = body.repeat(times.max(1));
                let start = chunk.len() + 5;
                chunk.extend_from_slice(&[0; 5]);
                chunk.extend_from_slice(&body);
                chunk.push(0xAA);
                let taken = gather.row(&mut chunk, start, body.len());
                chunk.pop();
                match (taken, decode(&body, width)) {
                    (Ok(()), Some(row)) => expected.push(row),
                    (Err(RowError::Wire(_)), None) => {
                        // The connection would be over; what came before is still whole.
                        chunk.truncate(start - 5);
                        break;
                    }
                    (taken, row) => panic!("{taken:?}, but the decoder says {row:?}"),
                }
                if gather.is_full(limits) {
                    batches.push(gather.batch(&chunk).expect("memory").expect("open"));
                }
            }
        }
    }
    chunk.push(0xAA);
    if gather.rows() > 0 {
        batches.extend(gather.batch(&chunk).expect("memory"));
    }
    drop(chunk);
    let mut expected = expected.iter();
    for batch in &batches {
        for at in 0..batch.rows() {
            let row = expected.next().expect("no more rows than were given");
            for (column, value) in row.iter().enumerate() {
                assert_eq!(batch.value(at, column), value.as_deref());
                let with_nul = batch.value_with_nul(at, column);
                assert_eq!(
                    with_nul.map(|value| value.split_last()),
                    value.as_deref().map(|value| Some((&0, value)))
                );
            }
            assert_eq!(batch.value(at, width), None);
        }
        assert_eq!(batch.value(batch.rows(), 0), None);
    }
    assert!(expected.next().is_none(), "no row is lost");
});

fn columns(width: usize) -> Arc<Columns> {
    let field = Field {
        name: b"name",
        table_oid: 1,
        column: 2,
        type_oid: 3,
        type_size: 4,
        type_modifier: 5,
        format: 0,
    };
    let fields = vec![field; width];
    let fields = List::from(&fields[..]);
    let mut message = Vec::new();
    RowDescription { fields }
        .encode(&mut message)
        .expect("few columns");
    Arc::new(Columns::read(&message[5..]).expect("what was encoded can be read"))
}

fn decode(body: &[u8], width: usize) -> Option<Row> {
    let row = DataRow::decode(body).ok()?;
    let values = row.values.iter().map(|value| value.map(<[u8]>::to_vec));
    (row.values.len() == width).then(|| values.collect())
}
