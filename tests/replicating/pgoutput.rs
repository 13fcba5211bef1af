//! The decoder of the C example: every byte of its input is tried, and none behind it is read.

use testkit::built::root;
use testkit::c::{Checker, Face, Program};

const SAID: &str = "begin\ninsert into public.t: id='1' name='Ada'\n\
    update of public.t: ( id='1' ) id='2' name=(unchanged)\ndelete from public.t: ( id='2' )\n\
    truncate public.t\ncommit\n--\n";

#[test]
fn the_decoder_of_the_example_believes_nothing() {
    for (checker, tool) in [
        (Checker::None, "cc"),
        (Checker::Address, "clang"),
        (Checker::Valgrind, "valgrind"),
    ] {
        let there = std::process::Command::new(tool).arg("--version").output();
        if there.is_err() {
            testkit::say!("SKIPPED: {tool} is missing; `make setup` installs it");
            continue;
        }
        let source = root().join("tests/replicating/pgoutput.c");
        let program = Program::compile(&source, Face::Pgpoll, checker, &[]);
        let said = program.prints(&[], &[]);
        assert!(said.starts_with(SAID), "{checker:?}: {said:.1000}");
    }
}
