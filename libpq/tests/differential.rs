//! The same C program on PostgreSQL's libpq 18 and on ours: what every call says is compared, line by line.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use testkit::{Cluster, ClusterOptions, Server, built};

/// Trap 33, a drop-in is more than PQ*: what it says is interface, too.
#[test]
fn every_call_says_what_libpq_says() {
    let prefix = testkit::postgres18();
    if !prefix.join("include/libpq-fe.h").exists() || Server::of(18).is_none() {
        testkit::say!("SKIPPED: no PostgreSQL 18 in {}", prefix.display());
        return;
    }
    let folder = env::temp_dir().join(format!("pgpoll-differential-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let program = folder.join("calls");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/calls.c");
    let made = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&program, &source])
        .arg("-I")
        .arg(prefix.join("include"))
        .arg("-L")
        .arg(prefix.join("lib"))
        .arg("-lpq")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    let cluster = Cluster::start(ClusterOptions::new().version(18));
    let theirs = said(&program, &prefix.join("lib"), &cluster);
    let ours = said(&program, built::libraries(), &cluster);
    let _ = fs::remove_dir_all(&folder);
    assert!(theirs.lines().count() > 400, "{theirs}");
    let mut context = String::new();
    for (theirs, ours) in theirs.lines().zip(ours.lines()) {
        assert_eq!(theirs, ours, "after:\n{context}");
        context = context
            .lines()
            .rev()
            .take(5)
            .fold(String::new(), |all, line| format!("{line}\n{all}"));
        context += theirs;
    }
    assert_eq!(theirs.lines().count(), ours.lines().count());
}

/// What the program prints with the libpq of `library`, without what differs from session to session.
fn said(program: &Path, library: &Path, cluster: &Cluster) -> String {
    let said = Command::new("timeout")
        .arg("60")
        .arg(program)
        .arg(cluster.conninfo())
        .env("LD_LIBRARY_PATH", library)
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}: {}",
        said.status,
        text(&said.stderr)
    );
    let mut masked = text(&said.stdout);
    for before in ["pg_temp_", "pg_terminate_backend("] {
        let mut parts = masked.split(before);
        let mut all = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            all += before;
            all += part.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        masked = all;
    }
    masked
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
