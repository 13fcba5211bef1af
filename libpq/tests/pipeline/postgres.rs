//! PostgreSQL's own test program of pipelines, on our shared library: it passes, and the traces are PostgreSQL's own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use testkit::{Cluster, ClusterOptions, Server, built, postgres18};

/// The tests of the program whose traces PostgreSQL's own test compares, and those that it only runs.
const TRACED: &[&str] = &[
    "simple_pipeline",
    "singlerow",
    "pipeline_abort",
    "nosync",
    "disallowed_in_pipeline",
    "multi_pipelines",
    "pipeline_idle",
    "prepared",
    "transaction",
];
const UNTRACED: &[&str] = &["cancel", "pipelined_insert", "protocol_version", "uniqviol"];

#[test]
fn postgresqls_own_program_passes_with_its_own_traces() {
    let mut folder = postgres18().into_os_string();
    folder.push("-src/src/test/modules/libpq_pipeline");
    let folder = PathBuf::from(folder);
    let program = folder.join("libpq_pipeline");
    if !program.exists() || Server::of(18).is_none() {
        testkit::say!(
            "SKIPPED: no PostgreSQL 18 with its test programs; looked for {}",
            program.display()
        );
        return;
    }
    let library = built::libraries();
    let linked = Command::new("ldd")
        .arg(&program)
        .env("LD_LIBRARY_PATH", library)
        .output()
        .unwrap();
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
    assert!(
        linked.contains(&library.display().to_string()),
        "the program takes another libpq: {linked}"
    );
    let cluster = Cluster::start(ClusterOptions::new().version(18));
    let trace = cluster.socket_dir().join("trace");
    for &name in TRACED.iter().chain(UNTRACED) {
        let _ = fs::remove_file(&trace);
        let said = Command::new("timeout")
            .args(["60".as_ref(), program.as_os_str()])
            .args(["-r", "700", "-t"])
            .arg(&trace)
            .arg(name)
            .arg(cluster.conninfo() + " max_protocol_version=latest")
            .env("LD_LIBRARY_PATH", library)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{name}: {}: {words}", said.status);
        if TRACED.contains(&name) {
            let ours = fs::read_to_string(&trace).unwrap();
            let theirs = fs::read_to_string(folder.join(format!("traces/{name}.trace"))).unwrap();
            assert_eq!(ours, theirs, "the trace of {name}");
        }
    }
}
