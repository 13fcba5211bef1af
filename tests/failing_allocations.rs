//! Each large allocation while a result is received fails once, alone or with all after it: the operation fails, with one error,
//! and the connection goes on. The same while it is exported to Arrow. Exact where `out_of_memory.rs` is real.
#![allow(clippy::unwrap_used, clippy::panic)]

mod memory;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use std::sync::Arc;

use memory::{VAST, complete, describe, ready, row, sent, take_all, up};
use pgpoll::arrow::{self, Options};
use pgpoll::engine::{Command, End, Engine, Outcome, Reply};
use pgpoll::rows::{Batch, Columns, Gather, OutOfMemory};

/// Larger than what a connection needs to live: a chunk.
const LARGE: usize = 16 * 1024;

thread_local! {
    /// How many large allocations of this thread succeed before one fails; negative: all do.
    static LEFT: Cell<i64> = const { Cell::new(-1) };
    /// All that follow fail, too.
    static FOR_GOOD: Cell<bool> = const { Cell::new(false) };
    static FAILED: Cell<bool> = const { Cell::new(false) };
}

struct Failing;

#[global_allocator]
static FAILING: Failing = Failing;

fn fails(size: usize) -> bool {
    let left = LEFT.get();
    if size <= LARGE || left < 0 {
        return false;
    }
    if left > 0 || !FOR_GOOD.get() {
        LEFT.set(left - 1);
    }
    FAILED.set(FAILED.get() || left == 0);
    left == 0
}

// SAFETY: the system's allocator, which is allowed to fail.
unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if fails(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() && fails(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }
}

/// Rows of all sizes, the first with a value of `shift` bytes, and an answer to a second query.
fn reply(shift: usize) -> Vec<u8> {
    let mut out = Vec::new();
    describe(&mut out, 2);
    let long = vec![b'l'; 200_000];
    row(&mut out, &[Some(&long[..shift]), None]);
    for turn in 0..30 {
        for _ in 0..100 {
            row(&mut out, &[Some(b"some text"), None]);
        }
        if turn % 10 == 9 {
            row(&mut out, &[Some(&long), Some(b"x")]);
        }
    }
    complete(&mut out, "SELECT 3004");
    ready(&mut out);
    describe(&mut out, 1);
    row(&mut out, &[Some(b"1")]);
    complete(&mut out, "SELECT 1");
    ready(&mut out);
    out
}

/// Receives all of it in pieces while the allocation fails; whether there was one to fail.
fn receive(
    engine: &mut Engine,
    mut bytes: &[u8],
    piece: usize,
    which: i64,
    for_good: bool,
) -> bool {
    FOR_GOOD.set(for_good);
    LEFT.set(which);
    while !bytes.is_empty() {
        let count = engine.feed(&bytes[..piece.min(bytes.len())]);
        bytes = &bytes[count..];
        engine.advance(4, usize::MAX);
        engine.release();
    }
    LEFT.set(-1);
    FAILED.replace(false)
}

#[test]
fn every_large_allocation_fails_once() {
    // The end of a chunk falls on every byte of a message.
    for shift in 0..30 {
        fail_each(&reply(shift));
    }
}

fn fail_each(reply: &[u8]) {
    for (piece, for_good) in [
        (5000, false),
        (5000, true),
        (977, false),
        (977, true),
        (100_000, true),
    ] {
        let mut which = 0;
        loop {
            let mut engine = up(VAST);
            for sql in [&b"TABLE many"[..], b"SELECT 1"] {
                engine.start(Command::Query { sql }, End::Sync).unwrap();
            }
            sent(&mut engine);
            let failed = receive(&mut engine, reply, piece, which, for_good);
            let place = format!("piece {piece}, allocation {which}, for good: {for_good}");
            assert!(engine.error().is_none(), "{place}: {:?}", engine.error());
            let replies = take_all(&mut engine);
            let mut outcomes = Vec::new();
            let mut errors = 0;
            for reply in &replies {
                match reply {
                    Reply::Error(error) => {
                        assert!(
                            error.message().starts_with("out of memory: "),
                            "{place}: {error}"
                        );
                        errors += 1;
                    }
                    Reply::Done(done) => outcomes.push(done.outcome),
                    _ => {}
                }
            }
            let first = if errors == 1 {
                Outcome::Failed
            } else {
                Outcome::Ok
            };
            assert_eq!(outcomes, [first, Outcome::Ok], "{place}");
            assert_eq!(errors, usize::from(failed), "{place}");
            if !failed {
                break;
            }
            which += 1;
        }
        assert!(which > 5, "nothing large was allocated: {which}");
    }
}

/// Rows of every kind of column, the last of them NULL, in text.
fn kinds(rows: usize) -> Batch {
    let columns: [(u32, &[u8]); 7] = [
        (16, b"t"),
        (23, b"-123"),
        (1114, b"2026-01-02 03:04:05.6"),
        (2950, b"00112233-4455-6677-8899-aabbccddeeff"),
        (25, b"longer than a view holds"),
        (17, b"\\x00112233445566778899aabbccddeeff"),
        (25, b"short"),
    ];
    let mut description = (columns.len() as u16).to_be_bytes().to_vec();
    for (oid, _) in columns {
        description.extend(*b"name\0\0\0\0\0\0\0");
        description.extend(oid.to_be_bytes());
        description.extend([0xFF; 6]);
        description.extend([0; 2]);
    }
    let mut gather = Gather::new();
    gather.begin(Arc::new(Columns::read(&description).unwrap()), None);
    for row in 0..rows {
        let mut chunk = vec![0; 5];
        chunk.extend((columns.len() as u16).to_be_bytes());
        for (_, value) in columns {
            let value = (row + 1 < rows).then_some(value);
            chunk.extend(value.map_or(-1, |value| value.len() as i32).to_be_bytes());
            chunk.extend(value.unwrap_or_default());
        }
        let len = chunk.len() - 5;
        gather.row(&mut chunk, 5, len).unwrap();
        gather.copy(&chunk).unwrap();
    }
    gather.batch(&[]).unwrap().unwrap()
}

#[test]
fn every_large_allocation_of_an_export_fails_once() {
    let batch = kinds(10_000);
    for views in [false, true] {
        let options = Options {
            views,
            ..Options::default()
        };
        let mut which = 0;
        loop {
            LEFT.set(which);
            let exported = arrow::export(&batch, options);
            LEFT.set(-1);
            if !FAILED.replace(false) {
                assert_eq!(exported.unwrap().columns.len(), 7);
                break;
            }
            let error = exported.unwrap_err();
            assert_eq!(
                error,
                arrow::Error::Memory(OutOfMemory),
                "allocation {which}"
            );
            which += 1;
        }
        assert!(which > 10, "nothing large was allocated: {which}");
    }
}
