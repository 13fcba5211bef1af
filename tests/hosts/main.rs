//! Several servers to choose from: a primary and its hot standby, dead and silent addresses, failover. Knows only the Rust API.
#![allow(clippy::unwrap_used, clippy::panic)]

mod addresses;
mod failover;
mod kinds;
mod refusing;
#[path = "../live/session.rs"]
#[allow(dead_code)] // what only the other program needs
mod session;

use std::net::TcpListener;
use std::sync::OnceLock;

use testkit::{Cluster, ClusterOptions, Server};

/// A primary and its hot standby of each version under test, for tests that leave them as they are.
fn pairs() -> &'static [(Cluster, Cluster)] {
    static PAIRS: OnceLock<Vec<(Cluster, Cluster)>> = OnceLock::new();
    PAIRS.get_or_init(|| {
        let mut pairs = Vec::new();
        for major in [15, 18] {
            match Server::of(major) {
                Some(_) => pairs.extend(pair(options().version(major))),
                None => testkit::say!("SKIPPED: PostgreSQL {major} is not installed"),
            }
        }
        pairs
    })
}

fn options() -> ClusterOptions {
    ClusterOptions::new()
        .setup("create role reader login; alter role reader set default_transaction_read_only = on")
}

/// A primary and its standby, which knows all that the primary knew in the beginning.
fn pair(options: ClusterOptions) -> Option<(Cluster, Cluster)> {
    let primary = Cluster::start(options);
    let standby = primary.standby(&ClusterOptions::new())?;
    standby.catch_up(&primary);
    Some((primary, standby))
}

/// How to connect to one of several clusters through TCP, in this order.
fn hosts(clusters: &[&Cluster]) -> String {
    let ports: Vec<u16> = clusters.iter().map(|cluster| cluster.port()).collect();
    on_ports(&ports)
}

/// The same for ports of 127.0.0.1.
fn on_ports(ports: &[u16]) -> String {
    let hosts = vec!["127.0.0.1"; ports.len()].join(",");
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let ports = ports.join(",");
    format!("host={hosts} port={ports} user=postgres dbname=postgres")
}

/// A port on which nobody listens.
fn dead_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// What libpq calls a port of 127.0.0.1 in front of an error.
fn at(port: u16) -> String {
    format!("connection to server at \"127.0.0.1\", port {port} failed: ")
}

const REFUSED: &str =
    "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?";
