//! The throw-away clusters themselves: they let in whom they should, and leave nothing behind.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Cluster, ClusterOptions, PASSWORD, shared};

fn connects(cluster: &Cluster, conninfo: &str) -> bool {
    let psql = cluster.server().program("psql");
    let said = Command::new(psql)
        .args([
            "-X",
            "-A",
            "-t",
            "-w",
            "-c",
            "select current_user",
            conninfo,
        ])
        .output()
        .unwrap();
    said.status.success()
}

#[test]
fn shared_roles_are_asked_for_what_their_name_says() {
    let cluster = shared();
    let password = PASSWORD.replace('\'', r"\'");
    for role in ["scram", "md5", "password"] {
        for conninfo in [
            cluster.conninfo_as(&format!("user_{role}")),
            cluster.conninfo_tcp_as(&format!("user_{role}")),
        ] {
            assert!(!connects(cluster, &conninfo), "{conninfo} without password");
            let conninfo = format!("{conninfo} password='{password}'");
            assert!(connects(cluster, &conninfo), "{conninfo}");
        }
    }
    assert!(connects(cluster, &cluster.conninfo_as("user_trust")));
    assert!(!connects(cluster, &cluster.conninfo_as("user_reject")));
    let stored =
        cluster.psql("select left(rolpassword, 3) from pg_authid where rolname = 'user_md5'");
    assert_eq!(stored, "md5");
}

#[test]
fn a_cluster_stops_restarts_and_vanishes() {
    let cluster = Cluster::start(ClusterOptions::new().setting("work_mem", "1234kB"));
    let folder = cluster.socket_dir().to_owned();
    assert!(folder.as_os_str().len() < 80, "{folder:?}");
    assert_eq!(cluster.psql("show work_mem"), "1234kB");
    assert!(connects(&cluster, &cluster.conninfo()));
    assert!(connects(&cluster, &cluster.conninfo_tcp()));
    let port = cluster.port();
    cluster.restart();
    assert_eq!(cluster.port(), port);
    assert_eq!(cluster.psql("select 1; select 2"), "1\n2");
    cluster.stop();
    assert!(cluster.try_psql("select 1").is_err());
    cluster.start_again();
    assert!(
        cluster
            .try_psql("select 1/0")
            .unwrap_err()
            .contains("division by zero")
    );
    drop(cluster);
    assert!(!folder.exists());
}

#[test]
fn nothing_is_left_when_the_process_is_killed() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pgpoll-cluster"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let folder = PathBuf::from(line.split('\'').nth(1).unwrap());
    let postmaster = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    let pid = postmaster.lines().next().unwrap().to_owned();
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = Instant::now();
    while folder.exists() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{folder:?} is still there"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    // Whoever inherited the process may not have collected it yet: a zombie has no command line.
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(&command), "");
}
