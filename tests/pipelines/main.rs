//! Pipelines: how much may be queued, what heals, and volumes both ways at once. Knows the Rust API.
#![allow(clippy::unwrap_used, clippy::panic)]

mod heal;
mod left;
#[path = "../memory/mod.rs"]
mod memory;
mod queue;
#[path = "../live/session.rs"]
#[allow(dead_code)] // what only the other program needs
mod session;

use std::sync::OnceLock;

use testkit::{Cluster, ClusterOptions, each_version};

/// One cluster of each version under test.
fn servers() -> &'static [Cluster] {
    static SERVERS: OnceLock<Vec<Cluster>> = OnceLock::new();
    SERVERS.get_or_init(|| each_version(|| ClusterOptions::new().method("all", "trust")))
}
