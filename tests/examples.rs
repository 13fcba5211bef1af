//! The C examples and the program in README.md: they compile strictly, print what they say, and leak nothing.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use testkit::built::{cargo, libraries, root, target};
use testkit::c::{Checker, Face, Program};
use testkit::{Cluster, ClusterOptions, PASSWORD, each_version, shared};

const HELLO: &str = "number  roman  square\n1  I  1\n2  II  4\n3  III  9\nSELECT 3\n";
const POLL_LOOP: &str = "notice: careful\nrow: 3\nerror 22012: division by zero\n\
    notification on greetings: hello\n";
const PARAMS: &str = "O'Reilly has 8 letters; its NULL is NULL\n5! = 120\n10! = 3628800\n\
    20! = 2432902008176640000\n21! is error 22003: bigint out of range\n";
const PIPELINE: &str = "bob has 70\nalice has 80\nthe transfer is committed\n\
    error 23514: new row for relation \"accounts\" violates check constraint \"solvent\"\n(skipped)\n\
    the transfer is undone\n5000 operations are done; the queue was full, and had room again\n";
const EPOLL: &str = "200 connections, 200 answers, 0 failures; the sum of the answers is 20100\n";
const LIBUV: &str = "answered in a libuv loop\n";
const DEADLINE: &str = "1: timeout expired: query not done within 300 ms; it is being cancelled\n\
    1: failed, and the connection is clean\n2: 1\n2: done, and the connection is clean\n\
    3: canceling statement due to user request\n3: failed, and the connection is clean\n";
const OWN_TRANSPORT: &str = "1 squared is 1\n2 squared is 4\n";
const COPY_IN: &str =
    "COPY 100000\ninvalid input syntax for type integer: \"three\"\n100000 rows are there\n";
const COPY_OUT: &str = "1|I\n2|II\n3|III\n3 rows\n";
const GROUP: &str = "50 connections, one descriptor, 50 answers; their sum is 1275\n\
    connection 7 failed first: division by zero\nthe others were given up: 0 are under way\n";
const LISTEN: &str = "listening\nheard: one\nheard: two\n\
    lost: FATAL:  terminating connection due to administrator command\nlistening\nheard: three\n";
const LOGICAL: &str = "begin\ninsert into public.people: id='1' name='Ada'\n\
    update of public.people: id='1' name=NULL\ncommit\nbegin\ndelete from public.people: ( id='1' )\ncommit\n\
    COPY 0\nSTART_REPLICATION\n";
const ARROW: &str = "day: tdD, 5 rows, 0 NULLs\nprice: d:6,2, 5 rows, 1 NULLs\nnote: u, 5 rows, 2 NULLs\n\
    prices in cents: 150 300 NULL 600 750\nnotes: NULL \"2 is even\" NULL \"4 is even\" \"\"\n";
const LIBEVENT: &str = "20 connections, 20 answers; their sum is 210\n";
const GLIB: &str = "timeout expired: query not done within 200 ms; it is being cancelled\n\
    answered in a GLib loop\nheard: hello\n";
const LARGE_OBJECTS: &str = "imported 300000 bytes\nbytes 1000 to 1009: ABC_______\n\
    exported 300000 bytes, of which 3 are not _\nremoved; again: error 42704\n";
const MESSAGES: &str = "F 25 Query \"select pg_sleep(0.2)\"\n\
    B 33 RowDescription 1 \"pg_sleep\" NNNN 0 NNNN 4 -1 0\n\
    B 10 DataRow 1 0 ''\nB 13 CommandComplete \"SELECT 1\"\nB 5 ReadyForQuery I\n\
    F 24 Query \"select pg_sleep(60)\"\nB 33 RowDescription 1 \"pg_sleep\" NNNN 0 NNNN 4 -1 0\n\
    B NN ErrorResponse S \"ERROR\" V \"ERROR\" C \"57014\" M \"canceling statement due to user request\" \
    F \"SSSS\" L \"SSSS\" R \"SSSS\" \\x00\nB 5 ReadyForQuery I\n\
    F 15 Query \"select 1/0\"\n\
    B NN ErrorResponse S \"ERROR\" V \"ERROR\" C \"22012\" M \"division by zero\" \
    F \"SSSS\" L \"SSSS\" R \"SSSS\" \\x00\nB 5 ReadyForQuery I\n";
const README: &str = "1 I\n2 II\n3 III\n";

fn example(name: &str) -> PathBuf {
    root().join("c_examples").join(name).with_extension("c")
}

/// What a role with a password connects with, by TCP and through a name: the descriptor changes on the way.
fn conninfo() -> String {
    let port = shared().port();
    let password = PASSWORD.replace('\'', r"\'");
    format!("host=localhost port={port} user=user_scram dbname=postgres password='{password}'")
}

/// The C program of README.md, word for word.
fn readme() -> String {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.lines().count() <= 200);
    let piece = readme.split("```c\n").nth(1).unwrap();
    let program = piece.split("```").next().unwrap();
    assert!(program.lines().count() <= 25, "{program}");
    program.to_owned()
}

/// The program of README.md as a file.
fn readme_program() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    let write = || written("readme.c", &readme());
    FILE.get_or_init(write).clone()
}

fn written(name: &str, text: &str) -> PathBuf {
    let file = target().join(name);
    std::fs::write(&file, text).unwrap();
    file
}

fn is_there(tool: &str) -> bool {
    let there = Command::new(tool).arg("--version").output().is_ok();
    if !there {
        testkit::say!("SKIPPED: {tool} is missing; `make setup` installs it");
    }
    there
}

fn pkg_config(packages: &[&str]) -> Option<Vec<String>> {
    let said = Command::new("pkg-config")
        .args(["--cflags", "--libs"])
        .args(packages)
        .env("PKG_CONFIG_PATH", libraries())
        .output()
        .unwrap();
    let words = String::from_utf8(said.stdout).unwrap();
    said.status
        .success()
        .then(|| words.split_whitespace().map(str::to_owned).collect())
}

/// Compiles as README.md says, with the flags of pgpoll.pc, and runs.
fn as_a_user_does(source: &Path, packages: &[&str], compiler: &[&str]) -> Option<String> {
    let Some(flags) = pkg_config(packages) else {
        testkit::say!("SKIPPED: one of {packages:?} is missing; `make setup` installs it");
        return None;
    };
    let stem = source.file_stem().unwrap().to_string_lossy();
    let program = target().join(format!("{stem}-as-a-user-{}", compiler.len()));
    let said = Command::new(compiler[0])
        .args(&compiler[1..])
        .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o"])
        .arg(&program)
        .arg(source)
        .args(flags)
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}",
        String::from_utf8_lossy(&said.stderr)
    );
    let said = Command::new("timeout")
        .arg("60")
        .arg(&program)
        .arg(conninfo())
        .env("LD_LIBRARY_PATH", libraries())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{stem}: {} {error}", said.status);
    Some(String::from_utf8(said.stdout).unwrap())
}

fn c99(source: &Path, packages: &[&str]) -> Option<String> {
    let compiler = ["cc", "-std=c99", "-D_POSIX_C_SOURCE=200809L"];
    as_a_user_does(source, packages, &compiler)
}

#[test]
fn examples_print_what_they_say() {
    for (name, expected) in [
        ("02_poll_loop", POLL_LOOP),
        ("03_params_prepared", PARAMS),
        ("04_many_epoll", EPOLL),
        ("08_deadline", DEADLINE),
        ("09_own_transport", OWN_TRANSPORT),
        ("11_copy_in", COPY_IN),
        ("12_copy_out", COPY_OUT),
        ("13_pipeline", PIPELINE),
        ("15_group", GROUP),
        ("17_arrow", ARROW),
        ("14_large_objects", LARGE_OBJECTS),
    ] {
        let said = c99(&example(name), &["pgpoll"]).unwrap();
        assert_eq!(said, expected, "{name}");
    }
    let said = c99(&example("01_hello"), &["pgpoll"]).unwrap();
    let (first, rest) = said.split_once('\n').unwrap();
    assert!(first.starts_with("connected to PostgreSQL 1"), "{first}");
    assert_eq!(rest, HELLO);
}

/// The primary crashes in the middle and its standby is promoted: every number that was written is there, and once.
#[test]
fn failover_survives_a_promotion() {
    let primary = Cluster::start(ClusterOptions::new().setting("synchronous_commit", "on"));
    let Some(standby) = primary.standby(&ClusterOptions::new()) else {
        return;
    };
    // What is committed on one server alone would be lost with it.
    primary.psql("alter system set synchronous_standby_names = '*'; select pg_reload_conf()");
    let (old, new) = (primary.port(), standby.port());
    let conninfo =
        format!("host=127.0.0.1,127.0.0.1 port={old},{new} user=postgres dbname=postgres");
    let program = Program::compile(&example("07_failover"), Face::Pgpoll, Checker::None, &[]);
    let said = std::thread::scope(|scope| {
        let running = scope.spawn(|| program.prints(&[&conninfo], &[]));
        while !matches!(standby.try_psql("select count(*) > 50 from numbers"), Ok(many) if many == "t")
        {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        primary.crash();
        standby.promote();
        running.join().unwrap()
    });
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            &format!("writing to 127.0.0.1, port {old}"),
            "lost: server closed the connection unexpectedly",
            &format!("writing to 127.0.0.1, port {new}"),
            "300 numbers are there",
        ]
    );
    let numbers = standby.psql("select count(*), min(n), max(n) from numbers");
    assert_eq!(numbers, "300|1|300");
}

/// One after the other: what one of them says is heard by all that listen.
#[test]
fn a_listener_outlives_its_connection() {
    assert_eq!(c99(&example("18_listen"), &["pgpoll"]).unwrap(), LISTEN);
    for (checker, tool) in [(Checker::Address, "clang"), (Checker::Valgrind, "valgrind")] {
        if is_there(tool) {
            let program = Program::compile(&example("18_listen"), Face::Pgpoll, checker, &[]);
            assert_eq!(program.prints(&[&conninfo()], &[]), LISTEN, "{checker:?}");
        }
    }
}

/// From the oldest and the newest server; a checker looks on where there is one.
#[test]
fn changes_of_a_table_are_streamed_and_printed() {
    let checkers = [(Checker::Valgrind, "valgrind"), (Checker::Address, "clang")];
    let clusters = each_version(|| ClusterOptions::new().replicating());
    for (server, (checker, tool)) in clusters.iter().zip(checkers) {
        if !server.decodes() {
            continue;
        }
        let checker = if is_there(tool) {
            checker
        } else {
            Checker::None
        };
        let file = example("19_logical_replication");
        let program = Program::compile(&file, Face::Pgpoll, checker, &[]);
        let said = program.prints(&[&server.conninfo_tcp()], &[]);
        assert_eq!(said, LOGICAL, "{}", server.server().version);
        // A second time the table is there already: it says so, and leaves.
        let said = program.run(&[&server.conninfo_tcp()], &[]);
        assert_eq!(said.status.code(), Some(1));
        let error = String::from_utf8_lossy(&said.stderr);
        assert_eq!(error, "ERROR:  relation \"people\" already exists\n");
    }
}

/// A segment of the log is in the file as it is on the server's disk.
#[test]
fn a_segment_of_the_log_is_received_byte_for_byte() {
    let program = Program::compile(
        &example("20_physical_replication"),
        Face::Pgpoll,
        Checker::None,
        &[],
    );
    let file = target().join("segment");
    for server in each_version(|| ClusterOptions::new().replicating()) {
        let arguments = [&server.conninfo_tcp(), file.to_str().unwrap()];
        let said = program.prints(&arguments, &[]);
        let (name, size) = said.split_once(": ").unwrap();
        assert_eq!(size, "1048576 bytes\n");
        let own = std::fs::read(server.data_dir().join("pg_wal").join(name)).unwrap();
        assert!(std::fs::read(&file).unwrap() == own, "{name}");
    }
}

#[test]
fn libuv_drives_a_connection() {
    if let Some(said) = c99(&example("05_libuv"), &["pgpoll", "libuv"]) {
        assert_eq!(said, LIBUV);
    }
}

#[test]
fn libevent_drives_twenty_connections() {
    let Some(said) = c99(&example("21_libevent"), &["pgpoll", "libevent"]) else {
        return;
    };
    assert_eq!(said, LIBEVENT);
    let flags = pkg_config(&["libevent"]).unwrap();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    for (checker, tool) in [(Checker::Address, "clang"), (Checker::Valgrind, "valgrind")] {
        if is_there(tool) {
            let file = example("21_libevent");
            let program = Program::compile(&file, Face::Pgpoll, checker, &flags);
            assert_eq!(program.prints(&[&conninfo()], &[]), LIBEVENT, "{checker:?}");
        }
    }
}

#[test]
fn a_connection_is_a_source_of_a_glib_loop() {
    if let Some(said) = c99(&example("22_glib"), &["pgpoll", "glib-2.0"]) {
        assert_eq!(said, GLIB);
    }
}

/// Half a gigabyte of values in an address space of 48 MB.
#[test]
fn row_batches_fit_where_the_result_does_not() {
    let batches = Program::compile(&example("06_row_batches"), Face::Pgpoll, Checker::None, &[]);
    assert!(
        batches
            .prints(&[&conninfo(), "10"], &[])
            .starts_with("10 rows, 0 MB")
    );
    let program = target().join("c_programs/06_row_batches-pgpoll-none");
    let said = Command::new("/bin/sh")
        .args(["-c", "ulimit -v 49152 && exec timeout 100 \"$@\"", "sh"])
        .arg(program)
        .arg(conninfo())
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let (rows, memory) = said.split_once('\n').unwrap();
    assert_eq!(rows, "5000000 rows, 533 MB of values");
    let memory = memory.strip_prefix("memory at most: ").unwrap();
    let megabytes: u32 = memory
        .trim_end()
        .strip_suffix(" MB")
        .unwrap()
        .parse()
        .unwrap();
    assert!(megabytes < 20, "{megabytes}");
}

/// What the waiting line must say besides times and places; the times go up.
fn check_what_hangs(said: &str) {
    let awaited = [
        "silent server: startup, waits for a message from the server",
        "locked: ready, waits for a reply from the server",
        "not taken: ready, waits for results to be taken",
    ];
    assert_eq!(said.lines().count(), 9, "{said}");
    for (lines, awaited) in said.lines().collect::<Vec<_>>().chunks(3).zip(awaited) {
        let mut before = 0.1;
        for line in lines {
            let (what, rest) = line.split_once(" since ").unwrap();
            let (since, at) = rest.split_once(" s, at ").unwrap();
            let since: f64 = since.parse().unwrap();
            assert_eq!(what, awaited);
            assert!(since > before, "{said}");
            assert!(at.starts_with("src/engine/"), "{at}");
            before = since;
        }
    }
}

#[test]
fn what_hangs_says_what_it_waits_for_and_since_when() {
    check_what_hangs(&c99(&example("10_what_hangs"), &["pgpoll"]).unwrap());
}

/// The messages as they are; of the timeline the order of what goes on at once is not known, and a cancel may be repeated.
fn check_trace(said: &str) {
    let begins = said.find("query 1").unwrap();
    let (messages, timeline) = said.split_at(begins);
    assert_eq!(messages, MESSAGES);
    let timeline: BTreeSet<&str> = timeline.lines().collect();
    let expected = [
        "cancel begun",
        "cancel ended",
        "query 1 ok",
        "query 2 failed",
        "query 3 failed",
    ];
    assert_eq!(timeline, BTreeSet::from(expected));
}

#[test]
fn a_trace_shows_messages_and_operations() {
    check_trace(&c99(&example("16_trace"), &["pgpoll"]).unwrap());
    for (checker, tool) in [(Checker::Address, "clang"), (Checker::Valgrind, "valgrind")] {
        if is_there(tool) {
            let program = Program::compile(&example("16_trace"), Face::Pgpoll, checker, &[]);
            check_trace(&program.prints(&[&conninfo()], &[]));
        }
    }
}

#[test]
fn the_program_of_the_readme_runs_word_for_word() {
    assert_eq!(c99(&readme_program(), &["pgpoll"]).unwrap(), README);
}

#[test]
fn programs_may_be_cplusplus() {
    let compiler = ["c++", "-x", "c++"];
    for (source, expected) in [
        (readme_program(), README),
        (example("02_poll_loop"), POLL_LOOP),
    ] {
        let said = as_a_user_does(&source, &["pgpoll"], &compiler);
        assert_eq!(said.unwrap(), expected);
    }
}

/// As README.md says: the static library, and nothing of ours beside it.
#[test]
fn a_program_may_be_linked_statically() {
    let program = target().join("readme-static");
    let said = Command::new("cc")
        .args(["-std=c99", "-o"])
        .arg(&program)
        .arg(readme_program())
        .arg("-I")
        .arg(root().join("include"))
        .arg(libraries().join("libpgpoll.a"))
        .args(["-lm", "-lpthread", "-ldl", "-lgcc_s"])
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{error}");
    let said = Command::new(program).arg(conninfo()).output().unwrap();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), README);
}

#[test]
fn the_rust_example_prints_what_it_says() {
    let said = cargo()
        .args(["run", "--quiet", "--example", "poll_loop", "--"])
        .arg(conninfo())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{error}");
    let said = String::from_utf8(said.stdout).unwrap();
    let (first, rest) = said.split_once('\n').unwrap();
    assert!(first.starts_with("connected to PostgreSQL 1"), "{first}");
    assert_eq!(
        rest,
        "number=1 roman=I\nnumber=2 roman=II\nnumber=3 roman=III\nSELECT 3\n"
    );
}

/// What the examples do with memory is right, and they give all of it back.
#[test]
fn examples_pass_under_checkers() {
    let conninfo = conninfo();
    for (checker, tool) in [(Checker::Address, "clang"), (Checker::Valgrind, "valgrind")] {
        if !is_there(tool) {
            continue;
        }
        for (source, expected) in [
            (readme_program(), README),
            (example("02_poll_loop"), POLL_LOOP),
            (example("03_params_prepared"), PARAMS),
            (example("04_many_epoll"), EPOLL),
            (example("08_deadline"), DEADLINE),
            (example("11_copy_in"), COPY_IN),
            (example("12_copy_out"), COPY_OUT),
            (example("13_pipeline"), PIPELINE),
            (example("15_group"), GROUP),
            (example("17_arrow"), ARROW),
            (example("14_large_objects"), LARGE_OBJECTS),
        ] {
            let program = Program::compile(&source, Face::Pgpoll, checker, &[]);
            assert_eq!(program.prints(&[&conninfo], &[]), expected, "{checker:?}");
        }
        let batches = example("06_row_batches");
        let program = Program::compile(&batches, Face::Pgpoll, checker, &[]);
        let said = program.prints(&[&conninfo, "20000"], &[]);
        assert!(said.starts_with("20000 rows, 2 MB of values\n"), "{said}");
        let program = Program::compile(&example("07_failover"), Face::Pgpoll, checker, &[]);
        let said = program.prints(&[&conninfo], &[]);
        assert!(said.ends_with("\n300 numbers are there\n"), "{said}");
        let hangs = Program::compile(&example("10_what_hangs"), Face::Pgpoll, checker, &[]);
        check_what_hangs(&hangs.prints(&[&conninfo], &[]));
    }
}

/// Nothing to connect to is an error in words and a failure, not a hang.
#[test]
fn examples_say_why_they_fail() {
    for name in [
        "01_hello",
        "02_poll_loop",
        "03_params_prepared",
        "04_many_epoll",
        "06_row_batches",
        "10_what_hangs",
        "13_pipeline",
        "15_group",
        "17_arrow",
        "16_trace",
        "18_listen",
        "19_logical_replication",
    ] {
        let program = Program::compile(&example(name), Face::Pgpoll, Checker::None, &[]);
        let said = program.run(&["host=127.0.0.1 port=1"], &[]);
        let error = String::from_utf8_lossy(&said.stderr);
        assert!(!said.status.success(), "{name}");
        assert!(
            error.contains("port 1 failed: Connection refused"),
            "{name}: {error}"
        );
    }
}

#[test]
fn examples_are_short_and_say_what_they_print() {
    let files = std::fs::read_dir(root().join("c_examples")).unwrap();
    let mut count = 0;
    for file in files {
        let path = file.unwrap().path();
        // What an example includes is not one.
        if path.extension().is_some_and(|it| it == "h") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // A server that speaks HTTP is more than an example of one thing.
        let most = if path.ends_with("23_http_epoll.c") {
            150
        } else {
            80
        };
        assert!(text.lines().count() < most, "{path:?}");
        let (comment, _) = text.split_once("*/").unwrap();
        assert!(comment.starts_with("/* "), "{path:?}");
        assert!(comment.contains("On the screen:"), "{path:?}");
        count += 1;
    }
    assert!(count >= 7);
}
