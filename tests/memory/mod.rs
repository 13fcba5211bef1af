//! An engine without I/O: what a server would say is written by the test. Knows the start-up, and nothing of what follows it.
#![allow(dead_code)] // each test uses a part of it
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use pgpoll::conninfo::{Options, Plan, Surroundings, Tls};
use pgpoll::engine::{Engine, Random, Reply, Room};
use pgpoll::link::{Answer, Ask, Peer};
use pgpoll::wire::{
    Authentication, BackendKeyData, CommandComplete, DataRow, Field, List, ParameterStatus,
    ReadyForQuery, RowDescription, TransactionStatus,
};

/// Room without limits.
pub(crate) const VAST: Room = Room {
    items: usize::MAX,
    ahead: 0,
    bytes: usize::MAX,
    inbox: usize::MAX,
};

/// What a connection string makes of nothing else.
fn plan(conninfo: &str) -> Plan {
    let surroundings = Surroundings::empty().with_account("tester", "/home/tester");
    let mut options = Options::parse(conninfo.as_bytes()).unwrap();
    options.fill_defaults(&surroundings).unwrap();
    options.plan(&surroundings).unwrap().0
}

/// An engine that has not begun to connect.
pub(crate) fn fresh(room: Room) -> Engine {
    thread_local! {
        static PLAN: Plan = plan("host=/nowhere user=tester");
    }
    Engine::new(PLAN.with(Plan::clone), Random::new([7; 32]), room)
}

/// An engine that has not begun to connect, to one of two addresses, and that asks for encryption.
pub(crate) fn encrypting(room: Room, sslmode: &str) -> Engine {
    let conninfo = format!(
        "host=127.0.0.1,127.0.0.2 user=tester password=secret connect_timeout=10 sslmode={sslmode}"
    );
    Engine::new(plan(&conninfo), Random::new([7; 32]), room)
}

/// How TLS is done where the server's certificate does not matter.
pub(crate) fn tls() -> Arc<Tls> {
    plan("host=127.0.0.1 user=tester sslmode=require")
        .tls
        .unwrap()
}

/// An engine that waits for the answer to its startup packet.
pub(crate) fn dialled(room: Room) -> Engine {
    let mut engine = fresh(room);
    engine.advance(1, usize::MAX);
    let (id, ask) = engine.ask().unwrap();
    assert!(matches!(ask, Ask::Dial { .. }));
    engine.answer(id, Answer::Dialled(Peer::default()));
    engine.advance(2, usize::MAX);
    engine
}

/// An engine that is up.
pub(crate) fn up(room: Room) -> Engine {
    let mut engine = dialled(room);
    sent(&mut engine);
    feed(&mut engine, &welcome());
    assert!(engine.facts().is_ready(), "{}", engine.inspect(3));
    engine
}

/// What a trusting server says up to its first ReadyForQuery.
pub(crate) fn welcome() -> Vec<u8> {
    let mut out = Vec::new();
    Authentication::Ok.encode(&mut out).unwrap();
    for (name, value) in [("server_version", "18.6"), ("client_encoding", "UTF8")] {
        let (name, value) = (name.as_bytes(), value.as_bytes());
        ParameterStatus { name, value }.encode(&mut out).unwrap();
    }
    let (process_id, secret_key) = (4711, &[1, 2, 3, 4][..]);
    BackendKeyData {
        process_id,
        secret_key,
    }
    .encode(&mut out)
    .unwrap();
    ready(&mut out);
    out
}

/// Appends a ReadyForQuery.
pub(crate) fn ready(out: &mut Vec<u8>) {
    let status = TransactionStatus::Idle;
    ReadyForQuery { status }.encode(out).unwrap();
}

/// Appends a CommandComplete.
pub(crate) fn complete(out: &mut Vec<u8>, tag: &str) {
    let tag = tag.as_bytes();
    CommandComplete { tag }.encode(out).unwrap();
}

/// Appends a RowDescription of so many columns named `c0`, `c1`, …
pub(crate) fn describe(out: &mut Vec<u8>, columns: usize) {
    let names: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
    let field = |name: &'_ String| Field {
        name: name.as_bytes().to_vec().leak(),
        table_oid: 0,
        column: 0,
        type_oid: 25,
        type_size: -1,
        type_modifier: -1,
        format: 0,
    };
    let fields: Vec<Field<'_>> = names.iter().map(field).collect();
    let fields = List::from(&fields[..]);
    RowDescription { fields }.encode(out).unwrap();
}

/// Appends a DataRow.
pub(crate) fn row(out: &mut Vec<u8>, values: &[Option<&[u8]>]) {
    let values = List::from(values);
    DataRow { values }.encode(out).unwrap();
}

/// Takes the output off the engine, as a socket would.
pub(crate) fn sent(engine: &mut Engine) -> Vec<u8> {
    let output = engine.output().to_vec();
    engine.sent(output.len());
    output
}

/// Gives the engine all of `bytes`, in portions as large as it has room for.
pub(crate) fn feed(engine: &mut Engine, bytes: &[u8]) {
    feed_split(engine, bytes, |left| left);
}

/// Gives the engine all of `bytes`, in portions that `split` chooses from what is left. The engine must have room for what comes of it.
pub(crate) fn feed_split(
    engine: &mut Engine,
    mut bytes: &[u8],
    mut split: impl FnMut(usize) -> usize,
) {
    while !bytes.is_empty() {
        let count = split(bytes.len()).clamp(1, bytes.len());
        let count = engine.feed(&bytes[..count]);
        assert!(count > 0, "room is never empty");
        bytes = &bytes[count..];
        engine.advance(3, usize::MAX);
    }
}

/// All items that are finished.
pub(crate) fn take_all(engine: &mut Engine) -> Vec<Reply> {
    let mut replies = Vec::new();
    while let Some(item) = engine.take() {
        replies.push(item.reply);
    }
    replies
}

/// Small random numbers, the same for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// One of `0..end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}
