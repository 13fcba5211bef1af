//! Results and events under the checkers: the program that is compared with libpq, on our library alone. Knows what it prints last.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use testkit::built::root;
use testkit::c::{Checker, Face, Program};
use testkit::shared;

/// Whether a program that checks others is installed.
fn is_there(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        testkit::say!("SKIPPED: {tool} is missing");
    }
    found
}

#[test]
fn results_and_events_pass_under_checkers() {
    let source = root().join("libpq/tests/differential/results.c");
    for (checker, tool) in [(Checker::Address, "clang"), (Checker::Valgrind, "valgrind")] {
        if !is_there(tool) {
            continue;
        }
        let program = Program::compile(&source, Face::Libpq, checker, &["-lpthread"]);
        let said = program.prints(&[&shared().conninfo()], &[]);
        let found = |what| said.lines().any(|line| line.starts_with(what));
        assert!(!found("not aligned") && !found("wrong"), "{checker:?}");
        assert!(said.lines().count() > 10_000, "{checker:?}");
    }
}
