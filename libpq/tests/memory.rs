//! PQExpBuffer and the print functions under AddressSanitizer, and PQExpBuffer where there is no memory. Knows what the
//! programs print at those places; all that they print is compared with libpq in differential.rs.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use testkit::built::root;
use testkit::c::{Checker, Face, Program};
use testkit::shared;

fn source(name: &str) -> PathBuf {
    root().join("libpq/tests/differential").join(name)
}

#[test]
fn a_buffer_without_memory_is_broken_until_there_is_some() {
    let source = source("expbuffer.c");
    let program = Program::compile(&source, Face::Libpq, Checker::None, &["-Wno-format"]);
    let said = program.prints(&[], &[]);
    for line in [
        "enlarged 0 created 0",
        "no memory: len=0 maxlen=0 broken=1 sum=0 end=0 text=[]",
        "no more memory: len=0 maxlen=0 broken=1 sum=0 end=0 text=[]",
        "still broken: len=0 maxlen=0 broken=1 sum=0 end=0 text=[]",
    ] {
        assert!(said.lines().any(|said| said == line), "{line}:\n{said}");
    }
    assert_eq!(said.matches("text=[memory again]").count(), 2, "{said}");
}

#[test]
fn buffers_stay_within_their_memory() {
    let source = source("expbuffer.c");
    let program = Program::compile(&source, Face::Libpq, Checker::Address, &["-Wno-format"]);
    let said = program.prints(&["plenty"], &[]);
    assert!(
        said.contains("as long as can be: len=0 maxlen=0 broken=1"),
        "{said}"
    );
}

#[test]
fn results_are_printed_within_their_memory() {
    let program = Program::compile(&source("print.c"), Face::Libpq, Checker::Address, &[]);
    let said = program.prints(&[&shared().conninfo()], &[]);
    assert!(said.contains("P 1|xxxxx \r\n"), "{said}");
    assert!(said.ends_with("masked 0 pending 0\r\nstatus 0\n"), "{said}");
}
