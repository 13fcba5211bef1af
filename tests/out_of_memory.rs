//! What does not fit into memory costs its operation and nothing else. Each case in a process of its own, whose memory is limited.
#![cfg(target_os = "linux")] // it reads /proc
#![allow(clippy::unwrap_used, clippy::panic)]

use std::process::Command as Process;
use std::time::Duration;

use pgpoll::conn::Connection;
use pgpoll::engine::{Command, Done, End, Outcome, Reply, Verdict};
use pgpoll::error::{Error, Family};
use testkit::{Cluster, ClusterOptions, ServerTls, shared};

const MB: u64 = 1024 * 1024;
const CASE: &str = "PGPOLL_TEST_CASE";
const CONNINFO: &str = "PGPOLL_TEST_CONNINFO";
const MORE: &str = "PGPOLL_TEST_MORE";

const HUGE_ROW: &str = "select repeat('x', 300000000)";
const HUGE_ROW_AMONG_SMALL: &str =
    "select repeat('x', case n when 3 then 300000000 else 10 end) from generate_series(1, 9) n";
const HUGE_RESULT: &str = "select n, repeat('x', 200) from generate_series(1, 1000000) n";
const HUGE_COPY: &str = "copy (select repeat('x', 100000000)) to stdout";
const HUGE_COPY_OF_ROWS: &str =
    "copy (select n, repeat('x', 200) from generate_series(1, 200000) n) to stdout";
const HUGE_NOTICE: &str = "do $$ begin raise notice '%', repeat('x', 60000000); end $$";
const HUGE_ERROR: &str = "do $$ begin raise exception '%', repeat('x', 60000000); end $$";

/// Runs one case with so many megabytes more than the process has at its beginning.
fn run(case: &str, megabytes: u64) {
    run_over(&shared().conninfo(), case, megabytes);
}

/// The same over a connection of some kind.
fn run_over(conninfo: &str, case: &str, megabytes: u64) {
    let said = Process::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_limited_process", "--nocapture"])
        .env(CASE, case)
        .env(CONNINFO, conninfo)
        .env(MORE, megabytes.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(
        said.status.success() && text.contains("the case has ended well"),
        "{case} with {megabytes} MB: {}\n{text}{error}",
        said.status
    );
}

#[test]
fn a_row_that_does_not_fit() {
    for megabytes in [4, 200] {
        run("row", megabytes);
    }
}

#[test]
fn a_row_that_does_not_fit_among_others_that_do() {
    run("among", 24);
}

#[test]
fn a_result_that_does_not_fit() {
    for megabytes in [4, 33, 101] {
        run("result", megabytes);
    }
}

#[test]
fn a_parameter_that_cannot_be_queued() {
    for megabytes in [4, 100] {
        run("parameter", megabytes);
    }
}

/// COPY data that nobody asked for is read and dropped: however large, it costs its operation alone.
#[test]
fn copy_data_that_does_not_fit() {
    for megabytes in [4, 70] {
        run("copy", megabytes);
    }
    run("copy of many rows", 4);
}

/// A notice or an error that does not fit cannot be told: the connection ends with an error, the process goes on.
#[test]
fn words_of_the_server_that_do_not_fit() {
    for megabytes in [4, 40] {
        run("notice", megabytes);
        run("error", megabytes);
    }
}

/// Under TLS there are buffers more, none of which grows by what the server sends or the caller queues.
#[test]
fn the_same_under_tls() {
    let cluster = Cluster::start(ClusterOptions::new().tls(ServerTls::default()));
    for (case, megabytes) in [
        ("row", 4),
        ("among", 24),
        ("result", 33),
        ("parameter", 4),
        ("copy", 4),
        ("error", 4),
    ] {
        run_over(&cluster.conninfo_tls(), case, megabytes);
    }
}

/// The cases, when another test of this file has started this process; else nothing.
#[test]
fn in_a_limited_process() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    let megabytes: u64 = std::env::var(MORE).unwrap().parse().unwrap();
    let mut conn = Connection::open(std::env::var(CONNINFO).unwrap());
    while !conn.wait(None).is_idle() {
        assert!(conn.error().is_none(), "{:?}", conn.error());
    }
    let parameter = vec![b'p'; 120_000_000];
    limit(megabytes * MB);
    match case.as_str() {
        "row" => fails(&mut conn, HUGE_ROW),
        "among" => fails(&mut conn, HUGE_ROW_AMONG_SMALL),
        "result" => fails(&mut conn, HUGE_RESULT),
        "copy" => refuses_copy(&mut conn, HUGE_COPY),
        "copy of many rows" => refuses_copy(&mut conn, HUGE_COPY_OF_ROWS),
        "notice" => return ends(conn, HUGE_NOTICE),
        "error" => return ends(conn, HUGE_ERROR),
        _ => {
            let command = Command::Params {
                sql: b"select length($1)",
                types: &[],
                params: &[Some(&parameter[..])],
                format: 0,
                max_rows: 0,
            };
            let error = conn.start(command, End::Sync).unwrap_err();
            assert!(error.message().contains("out of memory"), "{error}");
        }
    }
    // As good as before.
    let last = conn.start_query("select 1").unwrap();
    let seen = finish(&mut conn, last);
    assert_eq!((seen.rows, seen.errors.len()), (1, 0));
    let done = seen.done.unwrap();
    assert_eq!((done.outcome, done.verdict), (Outcome::Ok, Verdict::Clean));
    println!("the case has ended well");
}

/// The statement fails, with one error; what is queued behind it does not.
fn fails(conn: &mut Connection, sql: &str) {
    let first = conn.start_query(sql).unwrap();
    let second = conn.start_query("select 'behind it'").unwrap();
    let seen = finish(conn, first);
    let [error] = &seen.errors[..] else {
        panic!("{:?}, {:?}", seen.errors, conn.error());
    };
    assert_eq!(error.family(), Family::Transport);
    assert!(error.message().starts_with("out of memory: "), "{error}");
    assert_eq!(seen.rows, 0, "rows of a result that has failed");
    let done = seen.done.unwrap();
    assert_eq!(
        (done.outcome, done.verdict),
        (Outcome::Failed, Verdict::Clean)
    );
    let seen = finish(conn, second);
    assert_eq!((seen.rows, seen.errors.len()), (1, 0));
    assert_eq!(seen.done.unwrap().outcome, Outcome::Ok);
}

/// The operation fails because COPY is not for it, whatever its size.
fn refuses_copy(conn: &mut Connection, sql: &str) {
    let operation = conn.start_query(sql).unwrap();
    let seen = finish(conn, operation);
    assert_eq!(seen.errors.len(), 1, "{:?}", seen.errors);
    assert_eq!(seen.done.unwrap().outcome, Outcome::Failed);
}

/// The connection ends; another one works in the same process.
fn ends(mut conn: Connection, sql: &str) {
    conn.start_query(sql).unwrap();
    let mut errors = Vec::new();
    while !conn.wait(Some(Duration::from_secs(60))).is_failed() {
        while let Some(item) = conn.take() {
            if let Reply::Error(error) = item.reply {
                errors.push(error);
            }
        }
    }
    let [error] = &errors[..] else {
        panic!("{errors:?}, {:?}", conn.error());
    };
    let why = "out of memory: a message of the server";
    assert_eq!(error.message(), why);
    assert_eq!(conn.error().unwrap().message(), why);
    drop(conn);
    let mut conn = Connection::open(std::env::var(CONNINFO).unwrap());
    while !conn.wait(None).is_idle() {
        assert!(conn.error().is_none(), "{:?}", conn.error());
    }
    let last = conn.start_query("select 1").unwrap();
    assert_eq!(finish(&mut conn, last).rows, 1);
    println!("the case has ended well");
}

/// What came of one operation.
#[derive(Default)]
struct Seen {
    rows: usize,
    errors: Vec<Error>,
    done: Option<Done>,
}

/// Takes the items of an operation up to its done.
fn finish(conn: &mut Connection, operation: u64) -> Seen {
    let mut seen = Seen::default();
    while seen.done.is_none() {
        while let Some(item) = conn.take() {
            assert_eq!(item.operation, operation);
            match item.reply {
                Reply::Rows(batch) => seen.rows += batch.rows(),
                Reply::Error(error) => seen.errors.push(*error),
                Reply::Done(done) => {
                    seen.done = Some(done);
                    break;
                }
                _ => {}
            }
        }
        if seen.done.is_none() {
            let ready = conn.wait(Some(Duration::from_secs(60)));
            assert!(!ready.is_failed(), "{:?}", conn.error());
            assert!(ready.is_something(), "{}", conn.inspect());
        }
    }
    seen
}

/// Allows the process so many bytes of address space more than it has.
fn limit(more: u64) {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    // SAFETY: all zeroes is a value of rlimit; the calls read and write it alone.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &raw mut limit), 0);
        limit.rlim_cur = pages * libc::sysconf(libc::_SC_PAGESIZE) as u64 + more;
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &raw const limit), 0);
    }
}
