//! PostgreSQL's own client programs, of each version that is installed, on a server of that version.

use std::process::Command;

use testkit::{Cluster, Server, say};

use crate::run::{compare, options, source};

#[test]
fn clients_of_15() {
    clients(15);
}

#[test]
fn clients_of_18() {
    clients(18);
}

fn clients(major: u32) {
    match Server::of(major).filter(|server| server.bin.join("pg_dump").is_file()) {
        Some(server) => {
            let cluster = Cluster::start(options().version(major));
            let name = format!("clients_{major}");
            compare(&name, &cluster, &[], || {
                let mut shell = Command::new("sh");
                shell.arg(source("clients.sh")).arg(&server.bin);
                shell
            });
        }
        None => say!("SKIPPED: no client programs of PostgreSQL {major}"),
    }
}
