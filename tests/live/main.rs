//! Connections to real, throw-away servers of each major version that is installed. Knows what PostgreSQL does.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cancelling;
mod connecting;
mod copy;
mod deadlines;
#[cfg(target_os = "linux")] // epoll
mod edges;
mod endings;
mod errors;
mod extended;
mod failing;
mod groups;
mod mail;
#[path = "../memory/mod.rs"]
mod memory;
mod mixed;
mod pipelines;
mod portals;
mod prepared;
mod replication;
mod session;
mod simple;
mod startup;

use std::sync::OnceLock;

use testkit::{Cluster, ClusterOptions, each_version};

/// The password of every role that has one.
const PASSWORD: &str = "open se'same";
/// The same as a conninfo string has it.
const QUOTED: &str = r"'open se\'same'";

/// One cluster of each version under test: the oldest and the newest that this project is tried with.
fn servers() -> &'static [Cluster] {
    static SERVERS: OnceLock<Vec<Cluster>> = OnceLock::new();
    SERVERS.get_or_init(|| each_version(options))
}

/// Roles named after the method that lets them in; everybody else is trusted.
fn options() -> ClusterOptions {
    let password = PASSWORD.replace('\'', "''");
    let mut options = ClusterOptions::new();
    for (role, method, encryption) in [
        ("user_scram", "scram-sha-256", "scram-sha-256"),
        ("user_md5", "md5", "md5"),
        ("user_password", "password", "scram-sha-256"),
        ("user_reject", "reject", "scram-sha-256"),
    ] {
        options = options.method(role, method).setup(&format!(
            "set client_min_messages = error; set password_encryption = '{encryption}'; \
             create role {role} login password '{password}'"
        ));
    }
    options
        .method("all", "trust")
        .hba("local replication all trust")
        .hba("host replication all all trust")
        .setting("wal_level", "logical")
        .setup("create role user_trust login")
        .setup("create role reader login; alter role reader set default_transaction_read_only = on")
}
