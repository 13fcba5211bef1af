//! COPY, looked at closely: what is refused and why, what a broken server gets, how data is put and taken, and what it costs in
//! memory. Knows the engine's outside, and a server that is written by the test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod hostile;
#[path = "../memory/mod.rs"]
mod memory;
mod polling;
mod putting;
mod refusals;
mod taking;

use memory::{VAST, feed, sent, up};
use pgpoll::engine::{Command, CopyWay, End, Engine, Reply};
use testkit::script::{copy_both, copy_in, copy_out};

#[global_allocator]
static COUNTING: testkit::Counting = testkit::Counting;

/// An engine in the middle of a COPY whose item was taken.
fn copying(way: CopyWay) -> Engine {
    let mut engine = up(VAST);
    start(&mut engine);
    feed(
        &mut engine,
        &match way {
            CopyWay::In => copy_in(2),
            CopyWay::Out => copy_out(2),
            CopyWay::Both => copy_both(),
        },
    );
    let item = engine.take().unwrap();
    assert!(matches!(item.reply, Reply::Copy(copying) if copying.way == way));
    engine
}

fn start(engine: &mut Engine) -> u64 {
    let sql = b"COPY t";
    let operation = engine.start(Command::Copy { sql }, End::Sync).unwrap();
    sent(engine);
    operation
}

/// The server says something, and the engine is run on it.
fn says(engine: &mut Engine, bytes: &[u8]) {
    feed(engine, bytes);
    engine.advance(4, usize::MAX);
}

/// What waits to be sent, message by message: the tag and the length of the body.
fn messages(engine: &Engine) -> Vec<(char, usize)> {
    let mut rest = engine.output();
    let mut found = Vec::new();
    while let Ok(Some(head)) = pgpoll::wire::frame::frontend_header(rest) {
        found.push((char::from(head.tag), head.len));
        rest = &rest[5 + head.len..];
    }
    assert!(rest.is_empty());
    found
}
