//! C programs that use the library as C programs do, under what finds their mistakes and the library's. Knows what each proves.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use testkit::built::{libraries, root};
use testkit::c::{Checker, Face, Program};
use testkit::shared;

fn compile(name: &str, checker: Checker, more: &[&str]) -> Program {
    let source: PathBuf = root().join("capi/tests/c").join(name);
    Program::compile(&source, Face::Pgpoll, checker, more)
}

/// Everything in any order, for a few seconds each; a seed that fails is printed, to be tried again.
#[test]
fn any_order_of_calls_under_the_sanitizers_and_valgrind() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = seed.as_nanos().to_string();
    let sanitizers = ["-fsanitize=undefined", "-fno-sanitize-recover=all"];
    let conninfo = shared().conninfo();
    let program = compile("stress.c", Checker::Address, &sanitizers);
    println!("{}", program.prints(&[&conninfo, &seed, "3000"], &[]));
    let program = compile("stress.c", Checker::Valgrind, &[]);
    println!("{}", program.prints(&[&conninfo, &seed, "4000"], &[]));
}

/// Groups, their members and their owners in any order, from two threads too; a seed that fails is printed, to be tried again.
#[test]
fn any_order_of_calls_of_groups_under_the_sanitizers_and_valgrind() {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = seed.as_nanos().to_string();
    let sanitizers = [
        "-pthread",
        "-fsanitize=undefined",
        "-fno-sanitize-recover=all",
    ];
    let conninfo = shared().conninfo();
    let program = compile("group.c", Checker::Address, &sanitizers);
    println!("{}", program.prints(&[&conninfo, &seed, "2000"], &[]));
    let program = compile("group.c", Checker::Valgrind, &["-pthread"]);
    println!("{}", program.prints(&[&conninfo, &seed, "3000"], &[]));
}

/// A row, a result and a parameter that do not fit, in a process with so many megabytes left.
#[test]
fn what_does_not_fit_into_memory_fails_alone() {
    let program = compile("out_of_memory.c", Checker::None, &[]);
    for megabytes in ["16", "100"] {
        let said = program.prints(&[&shared().conninfo(), megabytes], &[]);
        assert_eq!(said.matches("out of memory").count(), 3, "{said}");
    }
}

/// Arrays outlive results, children their parents, and nothing is left or freed twice.
#[test]
fn arrow_arrays_are_released_in_every_order() {
    for checker in [Checker::Address, Checker::Valgrind] {
        let program = compile("arrow.c", checker, &[]);
        let said = program.prints(&[&shared().conninfo()], &[]);
        assert_eq!(said, "released in every order\n", "{checker:?}");
    }
}

/// Trap 22, the DNS helper thread and fork, exit, unload: the threads own what they touch, and the library stays mapped.
#[test]
fn trap_22_the_helper_thread_and_fork_exit_and_unload() {
    let library = libraries().join("libpgpoll.so");
    let library = library.to_str().unwrap();
    let program = compile("leaving.c", Checker::None, &["-Wl,--as-needed", "-ldl"]);
    for way in ["unload", "exit", "fork"] {
        assert_eq!(program.prints(&[library, way], &[]), "left\n", "{way}");
    }
}

/// Trap 23, SIGPIPE, with the disposition that C programs have.
#[test]
fn trap_23_sigpipe() {
    let program = compile("sigpipe.c", Checker::None, &[]);
    let said = program.prints(&[&shared().conninfo()], &[]);
    assert!(said.contains("terminating connection"), "{said}");
}

/// Trap 28, thread rules: two threads in one connection at once, and a third that may ask at any time.
#[test]
fn trap_28_thread_rules_are_checked_and_nothing_breaks() {
    for checker in [Checker::None, Checker::Address] {
        let program = compile("threads.c", checker, &["-pthread"]);
        println!("{}", program.prints(&[&shared().conninfo(), "500"], &[]));
    }
}
