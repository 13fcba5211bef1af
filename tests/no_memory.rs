//! What a server sends may be larger than the memory: that costs its operation or the connection, never the process. One
//! program by itself, because its allocator refuses large requests of a thread that asked for it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pgpoll::engine::{Command, End, Reply};
use pgpoll::error::Family;
use testkit::script::{
    Script, columns, complete, copy_both, copy_data, copy_done, copy_out, error, framed, oid,
    ready, row,
};
use testkit::sim::Bench;

thread_local! {
    static LARGEST: Cell<usize> = const { Cell::new(usize::MAX) };
}

struct Refusing;

// SAFETY: the system's allocator, or NULL.
unsafe impl GlobalAlloc for Refusing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LARGEST.get() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > LARGEST.get() {
            return std::ptr::null_mut();
        }
        // SAFETY: as the caller promises.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static REFUSING: Refusing = Refusing;

const MOST: usize = 1 << 20;

/// What a client that has so much memory sees in reply to a query, and whether the connection is usable after it.
fn replies(most: usize, bytes: &[u8]) -> (Vec<String>, Option<String>) {
    let mut bench = Bench::connected(&Script::trusting());
    LARGEST.set(most);
    let sql = b"SELECT 1";
    for _ in 0..2 {
        let query = Command::Query { sql };
        bench.engine.start(query, End::Sync).unwrap();
    }
    replies_to(bench, bytes)
}

fn replies_to(mut bench: Bench, bytes: &[u8]) -> (Vec<String>, Option<String>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = bench.engine.feed(&rest[..rest.len().min(10_000)]);
        rest = &rest[count..];
        bench.engine.advance(bench.now, usize::MAX);
    }
    let (mut seen, mut families) = (Vec::new(), Vec::new());
    while let Some(item) = bench.engine.take() {
        seen.push(match item.reply {
            Reply::Rows(batch) => format!("{} rows", batch.rows()),
            Reply::Complete(tag) => format!("{tag:?}"),
            Reply::Error(error) => {
                families.push(error.family());
                error.message().to_owned()
            }
            Reply::Done(done) => format!("{:?} {:?}", done.outcome, done.verdict),
            other => format!("{other:?}"),
        });
        bench.engine.advance(bench.now, usize::MAX);
    }
    let why = bench.engine.error().map(|error| error.message().to_owned());
    LARGEST.set(usize::MAX); // a test that fails has much to say
    assert!(!families.contains(&Family::Server), "{seen:?}");
    (seen, why)
}

fn heading() -> Vec<u8> {
    columns(&[("a", oid::TEXT)])
}

/// The second query is answered as if nothing had happened.
fn well() -> Vec<u8> {
    let parts = [
        heading(),
        row(&[Some("1")]),
        complete("SELECT 1"),
        ready(b'I'),
    ];
    parts.concat()
}

fn costs_its_operation(bytes: &[u8], why: &str) {
    let all = [bytes, &complete("SELECT 1"), &ready(b'I'), &well()].concat();
    let (seen, over) = replies(MOST, &all);
    assert_eq!(over, None);
    let expected = [why, "Failed Clean", "1 rows", "\"SELECT 1\"", "Ok Clean"];
    assert_eq!(seen, expected);
}

#[test]
fn a_row_that_does_not_fit_costs_its_operation() {
    let huge = "x".repeat(3 * MOST);
    let bytes = [heading(), row(&[Some(&huge)]), row(&[Some("2")])].concat();
    costs_its_operation(&bytes, "out of memory: a row of the result");
}

/// Rows of which none is large, in a chunk that cannot be replaced by another one, however full it is.
#[test]
fn rows_that_do_not_fit_cost_their_operation() {
    for width in [1, 3, 10, 100, 1000, 5000] {
        let value = "x".repeat(width);
        let bytes = [heading(), row(&[Some(&value)]).repeat(200_000 / width)].concat();
        let all = [&bytes[..], &complete("SELECT 1"), &ready(b'I'), &well()].concat();
        let (seen, over) = replies(30_000, &all);
        assert_eq!(over, None, "{width}");
        let why = "out of memory: the rows of the result";
        let expected = [why, "Failed Clean", "1 rows", "\"SELECT 1\"", "Ok Clean"];
        assert_eq!(seen, expected, "{width}");
    }
}

/// Data of a COPY that was refused is nobody's: it goes past, however large it is.
#[test]
fn copy_data_that_does_not_fit_costs_its_operation() {
    let huge = vec![b'x'; 3 * MOST];
    let bytes = [copy_out(1), copy_data(&huge), copy_data(b"2"), copy_done()].concat();
    let why = "the statement is a COPY, which this call cannot run";
    costs_its_operation(&bytes, why);
}

/// A message of a COPY that was asked for: the COPY fails, and what follows in it goes past.
#[test]
fn a_message_of_a_copy_that_does_not_fit_costs_its_operation() {
    let huge = vec![b'x'; 3 * MOST];
    let why = "out of memory: a message of the COPY";
    for both in [false, true] {
        let mut bench = Bench::connected(&Script::trusting());
        let sql = b"COPY t TO STDOUT";
        bench
            .engine
            .start(Command::Copy { sql }, End::Sync)
            .unwrap();
        let length = bench.engine.output().len();
        bench.engine.sent(length);
        let begun = if both { copy_both() } else { copy_out(1) };
        let data = [copy_data(&huge), copy_data(b"2\n"), copy_done()].concat();
        let all = [begun, data, complete("COPY 2"), ready(b'I')].concat();
        LARGEST.set(MOST);
        let (seen, over) = replies_to(bench, &all);
        assert_eq!(over, None);
        assert!(seen[0].starts_with("Copy("), "{seen:?}");
        assert_eq!(seen[1..], [why, "Failed Clean"], "{both}");
    }
}

/// Other messages that do not fit end the connection.
#[test]
fn a_message_that_does_not_fit_ends_the_connection() {
    let huge = "x".repeat(3 * MOST);
    let why = "out of memory: a message of the server";
    for bytes in [
        error("ERROR", "42601", &huge),
        framed(b'N', &error("NOTICE", "00000", &huge)[5..]),
        framed(b'A', format!("\0\0\0\x01{huge}\0\0").as_bytes()),
        columns(&[(&huge, oid::TEXT)]),
    ] {
        let (seen, over) = replies(MOST, &bytes);
        assert_eq!(over.as_deref(), Some(why));
        assert_eq!(seen[..2], [why, "Failed Lost"]);
    }
}

/// Of a message that just fits there is no room for a copy.
#[test]
fn a_message_that_cannot_be_kept_ends_the_connection() {
    // The chunk that it lies in has doubled up to 1 MB; the copy would be smaller, but not small enough.
    let long = "x".repeat(600_000);
    let why = "out of memory: a message of the server";
    for bytes in [
        error("ERROR", "42601", &long),
        framed(b'N', &error("NOTICE", "00000", &long)[5..]),
        framed(b'A', format!("\0\0\0\x01{long}\0\0").as_bytes()),
    ] {
        let mut bench = Bench::connected(&Script::trusting());
        let sql = b"SELECT 1";
        bench
            .engine
            .start(Command::Query { sql }, End::Sync)
            .unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let count = bench.engine.feed(rest);
            rest = &rest[count..];
        }
        LARGEST.set(500_000);
        bench.engine.advance(bench.now, usize::MAX);
        let over = bench.engine.error().map(|error| error.message().to_owned());
        LARGEST.set(usize::MAX);
        assert_eq!(over.as_deref(), Some(why));
    }
}
