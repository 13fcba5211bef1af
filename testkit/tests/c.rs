//! The checkers of C programs find what they are there for.
#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use testkit::built::target;
use testkit::c::{Checker, Face, Program};

const SOURCE: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <pgpoll.h>

int main(int argc, char **argv)
{
    const char *sin = argc > 1 ? argv[1] : "";
    char *volatile block = malloc(10);
    int sum = 0;

    memset(block, 1, 10);
    if (strcmp(sin, "overrun") == 0)
        sum += *(volatile char *)(block + 10 + argc - 2);
    if (strcmp(sin, "leak") == 0)
        block = malloc(20);
    free(block);
    if (strcmp(sin, "late") == 0)
        sum += *(volatile char *)block;
    fprintf(stderr, "%d\n", sum);
    printf("%s done\n", sin);
    return 0;
}
"#;

fn source(name: &str, text: &str) -> PathBuf {
    let path = target().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn checkers_find_overruns_leaks_and_late_reads() {
    let source = source("checkers.c", SOURCE);
    for checker in [Checker::None, Checker::Address, Checker::Valgrind] {
        // The read after free is what the program is for.
        let more = ["-Wno-use-after-free", "-Wno-unknown-warning-option"];
        let program = Program::compile(&source, Face::Pgpoll, checker, &more);
        assert_eq!(program.prints(&["no"], &[]), "no done\n", "{checker:?}");
        for sin in ["overrun", "leak", "late"] {
            let said = program.run(&[sin], &[]);
            let found = checker != Checker::None;
            assert_eq!(said.status.success(), !found, "{checker:?} {sin}: {said:?}");
        }
    }
}

#[test]
#[should_panic(expected = "unused")]
fn warnings_are_errors() {
    let source = source("warning.c", "int main(void) { int x; return 0; }\n");
    let _ = Program::compile(&source, Face::Pgpoll, Checker::None, &[]);
}
