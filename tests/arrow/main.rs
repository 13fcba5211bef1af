//! Exports as Arrow's own library reads them: pyarrow, in a Python of its own. Knows how to start it, not what it checks.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::process::Command;

use testkit::built::{libraries, root, target};
use testkit::{Cluster, ClusterOptions, each_version};

/// The Python that `build/setup` has made, with pyarrow.
fn python() -> Option<PathBuf> {
    let python = target().join("python/bin/python");
    let has = |module: &str| {
        let said = Command::new(&python).args(["-c", module]).output();
        said.is_ok_and(|said| said.status.success())
    };
    if has("import pyarrow") {
        return Some(python);
    }
    testkit::say!("SKIPPED: pyarrow is missing; `make setup` installs it");
    None
}

/// Every type, in both formats and layouts, on each version: see the program.
#[test]
fn pyarrow_reads_what_is_exported() {
    let Some(python) = python() else {
        return;
    };
    let clusters = each_version(ClusterOptions::new);
    let said = Command::new("timeout")
        .arg("300")
        .arg(python)
        .arg("-B")
        .arg(root().join("tests/arrow/pyarrow_reads.py"))
        .arg(libraries().join("libpgpoll.so"))
        .args(clusters.iter().map(Cluster::conninfo))
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{error}");
    let said = String::from_utf8(said.stdout).unwrap();
    println!("{said}");
    assert!(said.ends_with(" checks\n"), "{said}");
}
