//! The ten invariants of the poll contract, and the traps of "async inside, poll outside" that others fell into: a test
//! for each, by name.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "invariants/contract.rs"]
mod contract;
#[path = "invariants/loops.rs"]
mod loops;
#[path = "invariants/orders.rs"]
mod orders;
#[path = "invariants/traps.rs"]
mod traps;
#[path = "invariants/traps_in_memory.rs"]
mod traps_in_memory;
#[path = "invariants/traps_of_endings.rs"]
mod traps_of_endings;
#[path = "invariants/trust.rs"]
mod trust;

use std::time::Duration;

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::{Command, End, Item, Reply};
use testkit::script::{Script, Scripted, columns, complete, oid, ready, row};
use testkit::sim::Bench;

const LONG: Option<Duration> = Some(Duration::from_secs(30));

/// A server that answers `SELECT 1` so many times.
fn answering(times: usize) -> Script {
    (0..times).fold(Script::trusting(), |script, _| {
        script.query("SELECT 1").send(one_row())
    })
}

/// The whole answer to `SELECT 1`.
fn one_row() -> Vec<u8> {
    [
        columns(&[("?column?", oid::INT4)]),
        row(&[Some("1")]),
        complete("SELECT 1"),
        ready(b'I'),
    ]
    .concat()
}

/// A connection that is up, on a real socket.
fn connected(server: &Scripted) -> Connection {
    let mut connection = Connection::open(server.conninfo());
    let ready = connection.wait_for(Readiness::IDLE | Readiness::FAILED, LONG);
    assert!(ready.is_idle(), "{}", connection.inspect());
    connection
}

fn start(bench: &mut Bench, sql: &str) {
    let sql = sql.as_bytes();
    bench
        .engine
        .start(Command::Query { sql }, End::Sync)
        .unwrap();
}

/// Sleeps until the descriptor is readable; what the kernel says of it.
fn readable(connection: &Connection) -> i16 {
    let mut entry = libc::pollfd {
        fd: connection.socket().unwrap(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one entry, on the stack.
    let count = unsafe { libc::poll(&raw mut entry, 1, 30_000) };
    assert_eq!(count, 1, "{}", connection.inspect());
    entry.revents
}

fn is_done(item: &Item) -> bool {
    matches!(item.reply, Reply::Done(_))
}

/// Everything there is, without a poll.
fn take_all(connection: &mut Connection) -> Vec<Item> {
    std::iter::from_fn(|| connection.take()).collect()
}
