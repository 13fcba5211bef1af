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
