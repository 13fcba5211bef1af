//! How long messages take to encode and decode, without any connection.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use pgpoll::wire::{
    DataRow, Field, List, Parameters, ReadyForQuery, RowDescription, encode_bind, encode_execute,
    encode_query, encode_sync, frame,
};

fn encoding(c: &mut Criterion) {
    let mut out = Vec::with_capacity(4096);
    c.bench_function("encode Query", |b| {
        b.iter(|| {
            out.clear();
            encode_query(&mut out, black_box(b"SELECT * FROM t WHERE id = 1")).unwrap();
        });
    });
    let value: &[Option<&[u8]>] = &[Some(b"12345")];
    let parameters: &dyn Parameters = black_box(&value);
    c.bench_function("encode Bind, Execute, Sync of one parameter", |b| {
        b.iter(|| {
            out.clear();
            encode_bind(&mut out, b"", black_box(b"stmt1"), parameters, &[1]).unwrap();
            encode_execute(&mut out, b"", 0).unwrap();
            encode_sync(&mut out).unwrap();
        });
    });
}

fn decoding(c: &mut Criterion) {
    let values: &[Option<&[u8]>] = &[
        Some(b"12345"),
        Some(b"hello world"),
        None,
        Some(b"t"),
        Some(b"3.14"),
    ];
    let mut rows = Vec::new();
    for _ in 0..100 {
        DataRow {
            values: values.into(),
        }
        .encode(&mut rows)
        .unwrap();
    }
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Bytes(rows.len() as u64));
    group.bench_function("100 DataRows of five columns", |b| {
        b.iter(|| {
            let mut rest = black_box(&rows[..]);
            let mut bytes = 0;
            while let Some(header) = frame::header(rest).unwrap() {
                let (message, after) = rest.split_at(frame::Header::SIZE + header.len);
                rest = after;
                let row = DataRow::decode(&message[frame::Header::SIZE..]).unwrap();
                bytes += row.values.iter().flatten().map(<[u8]>::len).sum::<usize>();
            }
            bytes
        });
    });
    group.finish();

    let field = Field {
        name: b"column_name",
        table_oid: 1,
        column: 1,
        type_oid: 23,
        type_size: 4,
        type_modifier: -1,
        format: 0,
    };
    let mut description = Vec::new();
    RowDescription {
        fields: List::from(&[field; 5]),
    }
    .encode(&mut description)
    .unwrap();
    let body = &description[frame::Header::SIZE..];
    c.bench_function("decode RowDescription of five columns", |b| {
        b.iter(|| {
            let description = RowDescription::decode(black_box(body)).unwrap();
            description
                .fields
                .iter()
                .map(|field| field.name.len())
                .sum::<usize>()
        });
    });
    c.bench_function("decode ReadyForQuery", |b| {
        b.iter(|| ReadyForQuery::decode(black_box(b"I")).unwrap().status);
    });
}

criterion_group!(benches, encoding, decoding);
criterion_main!(benches);
