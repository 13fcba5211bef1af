//! Encryption against real servers: which connections come about, with which errors, as `psql` and its libpq say; cancel
//! requests and passwords over TLS.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cancelling;
mod choosing;
mod deadlines;
mod scram;
#[path = "../live/session.rs"]
#[allow(dead_code)] // it is the other test's
mod session;

use std::sync::OnceLock;

use testkit::{Cluster, ClusterOptions, ServerTls, each_version};

/// The password of every role that has one.
const PASSWORD: &str = "open sesame";

/// One cluster with TLS of each version under test.
fn servers() -> &'static [Cluster] {
    static SERVERS: OnceLock<Vec<Cluster>> = OnceLock::new();
    SERVERS.get_or_init(|| each_version(options))
}

/// Roles named after the connections that they may have.
fn options() -> ClusterOptions {
    let mut options = ClusterOptions::new()
        .tls(ServerTls::default())
        .setup("create role encrypted login; create role plain login; create role nobody login")
        .hba("hostssl all encrypted all trust")
        .hba("hostnossl all plain all trust")
        .hba("host all nobody all reject");
    for (role, method, kept) in [
        ("user_scram", "scram-sha-256", "scram-sha-256"),
        ("user_md5", "md5", "md5"),
        ("user_password", "password", "scram-sha-256"),
    ] {
        options = options.method(role, method).setup(&format!(
            "set client_min_messages = error; set password_encryption = '{kept}'; \
             create role {role} login password '{PASSWORD}'"
        ));
    }
    options.method("postgres", "trust")
}
