//! How long rows take to be indexed, kept, copied and read, without any connection.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use pgpoll::rows::{Batch, Columns, Gather};
use pgpoll::wire::{DataRow, Field, List, RowDescription};

const HEADER: usize = 5;
const ROWS: usize = 100;

fn columns() -> Arc<Columns> {
    let field = Field {
        name: b"column_name",
        table_oid: 1,
        column: 1,
        type_oid: 25,
        type_size: -1,
        type_modifier: -1,
        format: 0,
    };
    let mut message = Vec::new();
    RowDescription {
        fields: List::from(&[field; 5]),
    }
    .encode(&mut message)
    .unwrap();
    Arc::new(Columns::read(&message[HEADER..]).unwrap())
}

/// As received: DataRow messages one after the other, and what comes behind them.
fn chunk() -> Vec<u8> {
    let values: &[Option<&[u8]>] = &[
        Some(b"123456"),
        Some(b"123456370368"),
        Some(b"e10adc3949ba59abbe56e057f20f883e"),
        Some(b"61728"),
        Some(b"2026-01-02 10:17:36"),
    ];
    let mut chunk = Vec::new();
    for _ in 0..ROWS {
        DataRow {
            values: values.into(),
        }
        .encode(&mut chunk)
        .unwrap();
    }
    chunk.push(b'C');
    chunk
}

/// Indexes all rows of a chunk.
fn index(gather: &mut Gather, columns: &Arc<Columns>, chunk: &mut [u8]) {
    gather.begin(Arc::clone(columns), None);
    let size = (chunk.len() - 1) / ROWS;
    for row in 0..ROWS {
        gather
            .row(chunk, row * size + HEADER, size - HEADER)
            .unwrap();
    }
}

fn receiving(c: &mut Criterion) {
    let columns = columns();
    let mut chunk = chunk();
    let mut gather = Gather::new();
    let mut group = c.benchmark_group("100 rows of five columns");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("indexed", |b| {
        b.iter(|| index(&mut gather, &columns, black_box(&mut chunk)));
    });
    group.bench_function("indexed and copied out", |b| {
        b.iter(|| {
            index(&mut gather, &columns, black_box(&mut chunk));
            gather.batch(&chunk).unwrap()
        });
    });
    group.finish();
}

fn reading(c: &mut Criterion) {
    let mut chunk = chunk();
    let mut gather = Gather::new();
    index(&mut gather, &columns(), &mut chunk);
    let batch = gather.batch(&chunk).unwrap().unwrap();
    let read = |batch: &Batch| {
        let cells = (0..batch.rows()).flat_map(|row| (0..5).map(move |column| (row, column)));
        cells
            .filter_map(|(row, column)| batch.value(row, column))
            .map(<[u8]>::len)
            .sum::<usize>()
    };
    let mut group = c.benchmark_group("100 rows of five columns");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("every cell read", |b| b.iter(|| read(black_box(&batch))));
    group.finish();
}

criterion_group!(benches, receiving, reading);
criterion_main!(benches);
