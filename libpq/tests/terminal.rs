//! psql on our libpq.so.5 in a pseudo-terminal, driven as a person drives it (`terminal/drive.py` types and reads the screen).
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::Command;

use testkit::{Cluster, ClusterOptions, Server, ServerTls, built};

#[test]
fn psql_does_at_the_keyboard_what_it_does_on_libpq() {
    let folders = Server::installed().into_iter().map(|server| server.bin);
    let programs: Vec<PathBuf> = folders
        .map(|folder| folder.join("psql"))
        .filter(|psql| psql.is_file())
        .collect();
    assert!(
        !programs.is_empty(),
        "no psql: apt-get install postgresql-client"
    );

    let options = ClusterOptions::new()
        .tls(ServerTls::default())
        .hba("local all all trust")
        .hba("host all all all scram-sha-256");
    let cluster = Cluster::start(options);
    for psql in programs {
        let driven = Command::new("python3")
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/terminal/drive.py"
            ))
            .arg(&psql)
            .arg(built::libraries())
            .args([cluster.conninfo(), cluster.conninfo_tls_as("typist")])
            .output()
            .unwrap();
        let (said, wrong) = (text(&driven.stdout), text(&driven.stderr));
        assert!(driven.status.success(), "{said}{wrong}");
        testkit::say!("{}", said.trim());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
