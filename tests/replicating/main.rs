//! Replication: streams in both directions, and the commands around them, against real servers of each major version that is
//! installed. What is sent is understood as far as these tests need it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod backup;
mod ends;
mod logical;
mod pgoutput;
mod physical;
#[allow(dead_code)] // a part of it is used here
#[path = "../live/session.rs"]
mod session;
mod stream;
mod volume;

use std::sync::OnceLock;

use testkit::{Cluster, ClusterOptions, each_version};

/// One cluster of each version under test, which no test stops.
fn servers() -> &'static [Cluster] {
    static SERVERS: OnceLock<Vec<Cluster>> = OnceLock::new();
    SERVERS.get_or_init(|| each_version(options))
}

fn options() -> ClusterOptions {
    ClusterOptions::new().replicating()
}

/// Whether this server can decode for logical replication. Some packages come without their plugins.
fn decodes(server: &Cluster) -> bool {
    let sql = "select count(pg_create_logical_replication_slot('a_try', 'pgoutput', true))";
    let can = server.try_psql(sql);
    match can {
        Ok(_) => true,
        Err(error) if error.contains("could not access file") => {
            testkit::say!("SKIPPED: this server came without pgoutput");
            false
        }
        // Another test is trying at this moment.
        Err(error) => error.contains("already exists") || panic!("{error}"),
    }
}
