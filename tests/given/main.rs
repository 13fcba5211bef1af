//! Connections over transports that the caller has made, to real servers: a descriptor, and bytes that the test carries itself.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cancel;
mod carrier;
mod descriptor;
mod ends;
mod stream;

use std::sync::OnceLock;

use testkit::{Cluster, ClusterOptions, ServerTls, certificates};

/// A server with TLS and a password, for the tests of this program.
fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    SERVER.get_or_init(|| {
        let options = ClusterOptions::new()
            .tls(ServerTls::default())
            .method("all", "scram-sha-256")
            .superuser_password("a secret");
        Cluster::start(options)
    })
}

/// What is said of the server, without where it is; with TLS, its certificate is checked.
fn conninfo(tls: bool) -> String {
    let tls = match tls {
        false => String::from("sslmode=disable"),
        true => format!(
            "sslmode=verify-full sslrootcert={}",
            certificates().path("root+server_ca.crt")
        ),
    };
    format!("host=localhost user=postgres password='a secret' {tls}")
}
