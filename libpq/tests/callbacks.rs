//! What callbacks may do: a C program whose notice processors call in again and jump out. Knows what it prints.
#![allow(clippy::unwrap_used)]

use testkit::built::root;
use testkit::c::{Checker, Face, Program};
use testkit::shared;

/// Trap 11, a user's callback re-enters: it runs after the state is stored, with nothing of ours on the stack.
#[test]
fn trap_11_a_callback_re_enters_or_never_returns() {
    let source = root().join("libpq/tests/callbacks.c");
    for checker in [Checker::None, Checker::Address] {
        let program = Program::compile(&source, Face::Libpq, checker, &[]);
        // What is called and does not return cannot be freed behind its back: not in libpq either.
        let environment = [("ASAN_OPTIONS", "detect_leaks=0")];
        for _ in 0..5 {
            let said = program.prints(&[&shared().conninfo()], &environment);
            assert!(said.ends_with("alive\n"), "{said}");
            assert_eq!(said.matches("nested").count(), 3, "{said}");
        }
    }
}
