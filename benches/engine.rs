//! How long a query takes through the whole engine, on memory transport.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

#[path = "../bench/memory.rs"]
mod memory;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};

use self::memory::Memory;

fn round_trips(c: &mut Criterion) {
    let mut memory = Memory::connected();
    c.bench_function("prepared query, one parameter, one row", |b| {
        b.iter(|| memory.prepared(black_box(b"12345")));
    });
    c.bench_function("simple query, one row", |b| {
        b.iter(|| memory.simple(black_box(b"select 1")));
    });
}

criterion_group!(benches, round_trips);
criterion_main!(benches);
