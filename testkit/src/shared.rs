//! One cluster for all tests of a program. Knows roles and their passwords.

use std::sync::OnceLock;

use crate::{Cluster, ClusterOptions, Server};

/// The password of every role of [`shared`] that has one: a space and a quote, so that quoting is tested by the way.
pub const PASSWORD: &str = "open se'same";

/// The cluster that the tests of one program share: started by the first that asks, stopped when the process ends.
///
/// Roles, each let in through the Unix socket and TCP by the method that it is named after: `user_trust`, `user_scram`, `user_md5`,
/// `user_password` (all with [`PASSWORD`]) and `user_reject`; `postgres` and everybody else is trusted.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| {
        let password = PASSWORD.replace('\'', "''");
        let mut options = ClusterOptions::new();
        for (role, method, encryption) in [
            ("user_trust", "trust", "scram-sha-256"),
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
        let options = options.setup("grant all on schema public to public");
        Cluster::start(
            options
                .method("all", "trust")
                .hba("local replication all trust")
                .hba("host replication all all trust"),
        )
    })
}

/// A cluster of each version under test, 15 and 18, where they are installed; else one of what is.
pub fn each_version(options: impl Fn() -> ClusterOptions) -> Vec<Cluster> {
    let mut clusters = Vec::new();
    for major in [15, 18] {
        match Server::of(major) {
            Some(_) => clusters.push(Cluster::start(options().version(major))),
            None => crate::say!("SKIPPED: PostgreSQL {major} is not installed"),
        }
    }
    if clusters.is_empty() {
        clusters.push(Cluster::start(options()));
    }
    clusters
}
