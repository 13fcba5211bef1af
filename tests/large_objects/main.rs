//! Function calls and large objects on real servers, beside psql. Knows the Rust API and what PostgreSQL does.
#![allow(clippy::unwrap_used, clippy::panic)]

mod calls;
mod moving;
mod objects;
#[allow(dead_code)] // what other tests need of it
#[path = "../live/session.rs"]
mod session;

use std::sync::OnceLock;

use pgpoll::engine::{LO_READ, LO_WRITE, Reply};
use testkit::{Cluster, ClusterOptions, each_version};

use crate::session::{Session, is_done};

/// The done of an operation that went well inside of a transaction block.
const IN_BLOCK: &str = "done Ok InTransaction InTransaction";
/// The done of one that the server refused there.
const FAILED_IN_BLOCK: &str = "done Failed Failed InTransaction";

/// One cluster of each version under test.
fn servers() -> &'static [Cluster] {
    static SERVERS: OnceLock<Vec<Cluster>> = OnceLock::new();
    SERVERS.get_or_init(|| {
        each_version(|| {
            ClusterOptions::new()
                .setup("create role stranger login; create role mover login")
                .setup("create role clumsy login; create role fickle login")
                .method("all", "trust")
        })
    })
}

impl Session {
    /// What the operation that has just been started returned, which must have gone well.
    #[track_caller]
    fn called(&mut self, operation: Result<u64, pgpoll::error::Error>) -> Reply {
        let replies = self.until(operation.unwrap(), is_done);
        let texts = session::texts(&replies);
        assert!(texts.last().unwrap().starts_with("done Ok"), "{texts:?}");
        replies.into_iter().next().unwrap()
    }

    /// The number that it returned.
    #[track_caller]
    fn number(&mut self, operation: Result<u64, pgpoll::error::Error>) -> i64 {
        let reply = self.called(operation);
        reply.number().unwrap_or_else(|| panic!("{reply:?}"))
    }

    /// A new large object, open for both, in a transaction block: its object ID and descriptor.
    #[track_caller]
    fn new_object(&mut self) -> (u32, i32) {
        self.query("begin");
        let oid = self.conn.start_lo_create(0);
        let oid = self.number(oid) as u32;
        let fd = self.conn.start_lo_open(oid, LO_READ | LO_WRITE);
        (oid, self.number(fd) as i32)
    }

    /// The bytes that are read.
    #[track_caller]
    fn read(&mut self, fd: i32, length: usize) -> Vec<u8> {
        let read = self.conn.start_lo_read(fd, length);
        match self.called(read) {
            Reply::Called(batch) => batch.value(0, 0).unwrap().to_vec(),
            other => panic!("{other:?}"),
        }
    }
}

/// How many large objects a role has.
fn count(server: &Cluster, role: &str) -> String {
    let count = "select count(*) from pg_largeobject_metadata where lomowner";
    server.psql(&format!("{count} = '{role}'::regrole"))
}

/// So many bytes that look like nothing else.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}
