//! COPY with real servers: data both ways in pieces of any size, errors at every point of it; and COPY in an operation that is not
//! one, refused in words that say so, and the connection kept where that can be done.

use std::time::Duration;

use pgpoll::conn::{Cancel, Readiness};
use pgpoll::engine::{CopyWay, Reply};
use pgpoll::error::{Error, Family};
use testkit::dice::Dice;

use crate::servers;
use crate::session::{FAILED, OK, Session, is_done, texts};

const OUT: &str = "misuse: the statement is a copy, which this call cannot run";

#[test]
fn copy_to_stdout_is_refused_and_drained() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let sql = "copy (select generate_series(1, 100000)) to stdout";
        assert_eq!(session.query(sql), [OUT, FAILED]);
        assert_eq!(session.params(sql, &()), [OUT, FAILED]);
        let one = session.conn.start_query(sql).unwrap();
        let two = session.conn.start_query("select 1 as a").unwrap();
        assert_eq!(session.finish(one), [OUT, FAILED]);
        assert_eq!(session.finish(two), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn copy_from_stdin_alone_is_refused_and_the_connection_kept() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (x int)");
        let refused = "error 57014 COPY from stdin failed: the statement is a COPY, which this call cannot run";
        assert_eq!(session.query("copy t from stdin"), [refused, FAILED]);
        assert_eq!(
            session.query("select 1 as a; copy t from stdin; select 2"),
            ["a: 1", "SELECT 1", refused, FAILED]
        );
        assert_eq!(session.params("copy t from stdin", &()), [refused, FAILED]);
        assert_eq!(session.query("table t"), ["x:", "SELECT 0", OK]);
    }
}

#[test]
fn copy_from_stdin_with_others_behind_it_ends_the_connection_in_words_that_say_why() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (x int)");
        let one = session.conn.start_query("copy t from stdin").unwrap();
        let two = session.conn.start_query("select 1").unwrap();
        let words = "the statement is a COPY FROM STDIN with other operations queued behind it: the server takes their \
                     messages for its data";
        let lost = |outcome: &str| format!("done {outcome} Idle Lost");
        assert_eq!(
            session.finish(one),
            [format!("misuse: {}", words.to_lowercase()), lost("Failed")]
        );
        let replies = session.until(two, is_done);
        assert_eq!(texts(&replies), [lost("Failed")]);
        assert_eq!(session.end().message(), words);
    }
}

#[test]
fn the_statements_around_a_copy_to_stdout_keep_the_order_of_items() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        // What follows the refused statement in the same string is run by the server; its results are not given.
        assert_eq!(
            session.query("select 1 as a; copy (select 1) to stdout; select 2 as b"),
            ["a: 1", "SELECT 1", OUT, FAILED]
        );
        assert_eq!(session.query("select 3 as c"), ["c: 3", "SELECT 1", OK]);
    }
}

/// Bytes of the large tests: of `PGPOLL_COPY_MB` megabytes.
fn volume() -> usize {
    let megabytes = std::env::var("PGPOLL_COPY_MB").map_or(10, |said| said.parse().unwrap());
    megabytes * 1024 * 1024
}

/// What was put is refused from here on: the server has said why.
fn is_over(error: &Error) -> bool {
    error
        .message()
        .starts_with("the server has ended the COPY with an error")
}

impl Session {
    /// Starts a COPY and waits until it has begun, which it has to.
    #[track_caller]
    fn begin_copy(&mut self, sql: &str, way: CopyWay) -> u64 {
        let operation = self.conn.start_copy(sql).unwrap();
        self.begun(operation, way);
        operation
    }

    #[track_caller]
    fn begun(&mut self, operation: u64, way: CopyWay) {
        let item = self.next().unwrap();
        assert_eq!(item.operation, operation);
        match item.reply {
            Reply::Copy(copying) => assert_eq!(copying.way, way),
            other => panic!("{other:?}"),
        }
    }

    /// Puts data, waiting for room; false when the server has ended the COPY.
    #[track_caller]
    fn put(&mut self, data: &[u8]) -> bool {
        loop {
            match self.conn.copy_put(data) {
                Ok(()) => return true,
                Err(error) if error.is_would_block() => {
                    self.step();
                }
                Err(error) => {
                    assert!(is_over(&error), "{error}");
                    return false;
                }
            }
        }
    }

    /// A COPY FROM STDIN of one piece of data, to its end.
    #[track_caller]
    fn copy_in(&mut self, sql: &str, data: &[u8]) -> Vec<String> {
        let operation = self.begin_copy(sql, CopyWay::In);
        self.put(data);
        self.conn.copy_end(None).unwrap();
        self.finish(operation)
    }

    /// The data of a COPY TO STDOUT, and what else it yields.
    #[track_caller]
    fn copy_out(&mut self, sql: &str) -> (Vec<u8>, Vec<String>) {
        let operation = self.begin_copy(sql, CopyWay::Out);
        let mut data = Vec::new();
        let mut replies = Vec::new();
        while !replies.last().is_some_and(is_done) {
            self.step();
            loop {
                let before = data.len();
                self.conn
                    .copy_get(100)
                    .for_each(|message| data.extend_from_slice(message));
                if data.len() == before {
                    break;
                }
            }
            while let Some(item) = self.conn.take() {
                assert_eq!(item.operation, operation);
                replies.push(item.reply);
            }
        }
        (data, texts(&replies))
    }

    #[track_caller]
    fn is_usable(&mut self) {
        assert_eq!(self.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

/// Rows of a number and a text.
fn numbered(bytes: usize) -> Vec<u8> {
    let mut data = Vec::with_capacity(bytes + 100);
    let mut number = 0;
    while data.len() < bytes {
        data.extend_from_slice(format!("{number}\t{}\n", "x".repeat(number % 90)).as_bytes());
        number += 1;
    }
    data
}

#[test]
fn megabytes_each_way_in_odd_pieces() {
    let data = numbered(volume());
    let rows = data.iter().filter(|byte| **byte == b'\n').count();
    for server in servers() {
        for conninfo in [server.conninfo(), server.conninfo_tcp()] {
            let mut session = Session::open(&conninfo);
            session.query("create temp table t (n int, x text)");
            let operation = session.begin_copy("copy t from stdin", CopyWay::In);
            let mut dice = Dice::new(rows as u64);
            let mut rest = &data[..];
            while !rest.is_empty() {
                let size = dice.pick(&[1, 7, 45, 1000, 65_536, 200_000]);
                let size = rest.len().min(1 + dice.below(size) as usize);
                let (piece, more) = rest.split_at(size);
                assert!(session.put(piece));
                rest = more;
            }
            session.conn.copy_end(None).unwrap();
            assert_eq!(session.finish(operation), [&format!("COPY {rows}"), OK]);
            let (back, replies) = session.copy_out("copy (table t order by n) to stdout");
            assert_eq!(replies, [&format!("COPY {rows}"), OK]);
            assert!(back == data, "{} bytes of {}", back.len(), data.len());
        }
    }
}

/// Text, CSV and binary are the server's business: what comes out goes in again, and the tables are the same.
#[test]
fn every_format_passes_as_it_is() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query(
            "create temp table a (n int, x text, b bytea);
             insert into a select n, nullif(repeat(E'\\\\;\"\\n', n), ''), decode(repeat('00ff', n), 'hex')
             from generate_series(0, 50) n; create temp table b (like a)",
        );
        for format in ["text", "csv", "csv, header", "binary"] {
            let (data, replies) = session.copy_out(&format!("copy a to stdout (format {format})"));
            assert_eq!(replies, ["COPY 51", OK]);
            let replies = session.copy_in(&format!("copy b from stdin (format {format})"), &data);
            assert_eq!(replies, ["COPY 51", OK], "{format}");
            let missing =
                session.query("select count(*) as c from (table a except table b) _; truncate b");
            assert_eq!(missing[0], "c: 0", "{format}");
        }
    }
}

/// It is told while data is put, and nothing of what follows is needed for it.
#[test]
fn an_error_in_the_first_a_middle_and_the_last_row() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (n int)");
        for bad in [0, 50_000, 99_999] {
            let operation = session.begin_copy("copy t from stdin", CopyWay::In);
            for row in 0..100_000 {
                let row = if row == bad { "three\n" } else { "3\n" };
                if !session.put(row.as_bytes()) {
                    break;
                }
            }
            session.conn.copy_end(None).unwrap_or_default();
            let error = "error 22P02 invalid input syntax for type integer: \"three\"";
            assert_eq!(session.finish(operation), [error, FAILED]);
            session.is_usable();
        }
        // Without an end of the data.
        let operation = session.begin_copy("copy t from stdin", CopyWay::In);
        session.put(b"three\n");
        while session.put(b"3\n") {}
        let replies = session.finish(operation);
        assert_eq!(replies.len(), 2, "{replies:?}");
        let error = session.conn.copy_end(None).unwrap_err();
        assert!(
            is_over(&error) && error.family() == Family::Misuse,
            "{error}"
        );
        session.is_usable();
    }
}

/// The data ends, or is given up, after each of its bytes.
#[test]
fn every_end_of_a_small_copy() {
    let data = b"1\tone\n2\ttwo\n";
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (n int check (n <> 2), x text)");
        for length in 0..=data.len() {
            for error in [None, Some(&b"no more"[..])] {
                let operation = session.begin_copy("copy t from stdin", CopyWay::In);
                session.put(&data[..length]);
                session.conn.copy_end(error).unwrap_or_default();
                let replies = session.finish(operation);
                let what = match (length, error) {
                    (0, None) => "COPY 0",
                    (2..=6, None) => "COPY 1",
                    (1 | 7, None) => "error 22P04 missing data for column \"x\"",
                    (_, None) => {
                        "error 23514 new row for relation \"t\" violates check constraint \"t_n_check\""
                    }
                    (12, Some(_)) if replies[0].starts_with("error 23514") => &replies[0],
                    (_, Some(_)) => "error 57014 COPY from stdin failed: no more",
                };
                let done = if what.starts_with("COPY") { OK } else { FAILED };
                assert_eq!(replies, [what, done], "{length} bytes, {error:?}");
                session.is_usable();
            }
        }
    }
}

#[test]
fn data_of_another_format() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (n int)");
        let replies = session.copy_in("copy t from stdin (format binary)", b"1\n2\n");
        assert_eq!(
            replies,
            ["error 22P04 COPY file signature not recognized", FAILED]
        );
        let replies = session.copy_in("copy t from stdin", b"PGCOPY\n\xff\r\n\0");
        assert!(replies[0].starts_with("error "), "{replies:?}");
        assert_eq!(replies[1], FAILED);
        session.is_usable();
    }
}

/// The reader takes a few messages and then no more: the server waits, the memory does not grow, and giving up ends it.
#[test]
fn a_reader_that_stops() {
    for server in servers() {
        for deadline in [false, true] {
            let mut session = Session::open(&server.conninfo());
            if deadline {
                session.conn.set_timeout(Some(Duration::from_secs(2)));
            }
            let sql = "copy (select repeat('x', 1000), generate_series(1, 10000000)) to stdout";
            let operation = session.begin_copy(sql, CopyWay::Out);
            session.conn.set_timeout(None);
            while session.conn.copy_get(5).next().is_none() {
                session.step();
            }
            for _ in 0..200 {
                let ready = session.conn.poll();
                assert!(ready.has(Readiness::COPY | Readiness::RESULT) && !ready.wants_read());
            }
            let line = session.conn.inspect();
            let unread = line.split("\"bytes_unread\":").nth(1).unwrap();
            let unread: usize = unread.split(',').next().unwrap().parse().unwrap();
            assert!(unread <= 64 * 1024, "{line}");
            if !deadline {
                assert!(
                    line.contains("\"awaiting\":\"data of the COPY to be taken\""),
                    "{line}"
                );
                assert!(session.conn.abandon(operation));
            }
            let mut replies = texts(&session.until(operation, is_done));
            if deadline {
                let error = replies.remove(0);
                assert_eq!(
                    error,
                    "transport: timeout expired: copy not done within 2000 ms; it is being cancelled"
                );
            }
            assert_eq!(replies, [FAILED]);
            assert!(session.conn.copy_get(1).next().is_none());
            session.is_usable();
        }
    }
}

/// Nothing of what was put is there, and what follows is served.
#[test]
fn a_copy_that_is_given_up_half_way() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (n int)");
        for (pieces, sent) in [(0, false), (1, false), (1, true), (100_000, true)] {
            let operation = session.begin_copy("copy t from stdin", CopyWay::In);
            for _ in 0..pieces {
                assert!(session.put(b"1\n"));
            }
            if sent {
                session.conn.poll();
            }
            assert!(session.conn.abandon(operation));
            let error = session.conn.copy_put(b"2\n").unwrap_err();
            assert_eq!(
                error.message(),
                "the COPY was given up: put no more data, and start it anew"
            );
            assert_eq!(session.finish(operation), [FAILED]);
            assert_eq!(session.query("table t"), ["n:", "SELECT 0", OK]);
        }
        // Before it has begun.
        let operation = session.conn.start_copy("copy t from stdin").unwrap();
        session.conn.poll();
        session.conn.abandon(operation);
        assert_eq!(session.finish(operation), [FAILED]);
        // Nobody puts anything, up to the deadline.
        session.conn.set_timeout(Some(Duration::from_millis(300)));
        let operation = session.begin_copy("copy t from stdin", CopyWay::In);
        let replies = session.finish(operation);
        assert!(
            replies[0].starts_with("transport: timeout expired"),
            "{replies:?}"
        );
        assert_eq!(replies[1], FAILED);
        session.conn.set_timeout(None);
        assert_eq!(session.query("table t"), ["n:", "SELECT 0", OK]);
    }
}

#[test]
fn what_transactions_make_of_it() {
    const IN_BLOCK: &str = "done Ok InTransaction InTransaction";
    const BROKEN: &str = "done Failed Failed InTransaction";
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (n int unique deferrable initially deferred)");
        session.query("begin");
        assert_eq!(
            session.copy_in("copy t from stdin", b"1\n"),
            ["COPY 1", IN_BLOCK]
        );
        let replies = session.copy_in("copy t from stdin", b"x\n");
        assert_eq!(replies[1], BROKEN);
        let operation = session.conn.start_copy("copy t from stdin").unwrap();
        assert_eq!(
            session.finish(operation),
            [
                "error 25P02 current transaction is aborted, commands ignored until end of transaction block",
                BROKEN
            ]
        );
        session.query("rollback");
        // The constraint is checked at the end.
        assert_eq!(
            session.copy_in("copy t from stdin", b"1\n1\n"),
            [
                "error 23505 duplicate key value violates unique constraint \"t_n_key\"",
                FAILED
            ]
        );
        assert_eq!(session.query("table t"), ["n:", "SELECT 0", OK]);
    }
}

#[test]
fn copies_among_other_statements() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (n int)");
        let sql =
            "select 1 as a; copy t from stdin; copy t from stdin; copy t to stdout; select 2 as b";
        let operation = session.conn.start_copy(sql).unwrap();
        let first = session.until(operation, |reply| matches!(reply, Reply::Copy(_)));
        assert_eq!(texts(&first)[..2], ["a: 1", "SELECT 1"]);
        session.put(b"1\n2\n");
        session.conn.copy_end(None).unwrap();
        assert_eq!(
            session.conn.copy_put(b"3\n").unwrap_err().message(),
            "the COPY was ended: no data can be put behind its end"
        );
        let second = session.until(operation, |reply| matches!(reply, Reply::Copy(_)));
        assert_eq!(texts(&second)[0], "COPY 2");
        session.put(b"3\n");
        session.conn.copy_end(None).unwrap();
        let third = session.until(operation, |reply| matches!(reply, Reply::Copy(_)));
        assert_eq!(texts(&third)[0], "COPY 1");
        let mut rows = Vec::new();
        while rows.len() < 3 {
            session.step();
            rows.extend(session.conn.copy_get(2).map(<[u8]>::to_vec));
        }
        assert_eq!(rows, [b"1\n", b"2\n", b"3\n"]);
        assert_eq!(
            session.finish(operation),
            ["COPY 3", "b: 2", "SELECT 1", OK]
        );
        // What is no COPY is just run.
        let operation = session.conn.start_copy("select 1 as a").unwrap();
        assert_eq!(session.finish(operation), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn a_connection_that_ends_in_the_middle_leaves_nothing_behind() {
    for server in servers() {
        server.psql("drop table if exists half; create table half (n int)");
        let begin = || {
            let mut session = Session::open(&server.conninfo());
            let operation = session.begin_copy("copy half from stdin", CopyWay::In);
            assert!(session.put(b"1\n"));
            session.conn.poll();
            (session, operation)
        };
        let (mut session, _) = begin();
        session.conn.close();
        let (mut session, _) = begin();
        session.conn.reset();
        session.come_up().unwrap();
        session.is_usable();
        let (mut session, operation) = begin();
        let pid = session.conn.facts().backend_pid();
        server.psql(&format!("select pg_terminate_backend({pid})"));
        let replies = session.finish(operation);
        assert!(replies[0].starts_with("error 57P01 "), "{replies:?}");
        assert_eq!(replies[1], "done Failed Idle Lost");
        assert!(
            session
                .conn
                .copy_put(b"2\n")
                .unwrap_err()
                .message()
                .starts_with("the connection is over: ")
        );
        let (mut session, operation) = begin();
        server.until_busy(session.conn.facts().backend_pid());
        Cancel::of(&session.conn).unwrap().wait().unwrap();
        // The server heeds it between two rows, and not while it waits for one.
        while session.put(b"2\n") {}
        assert_eq!(
            session.finish(operation),
            [
                "error 57014 canceling statement due to user request",
                FAILED
            ]
        );
        session.is_usable();
        assert_eq!(server.psql("select count(*) from half"), "0");
    }
}

/// Replication, both ways at once: each piece that is put is a message, and the end is the client's.
#[test]
fn both_ways_at_once() {
    for server in servers() {
        let mut session = Session::open(&format!("{} replication=true", server.conninfo()));
        let lsn = server.psql("select pg_current_wal_flush_lsn()");
        let sql = format!("START_REPLICATION PHYSICAL {lsn}");
        session.begin_copy(&sql, CopyWay::Both);
        let refused = session.conn.start_query("IDENTIFY_SYSTEM").unwrap_err();
        assert!(
            refused.message().starts_with("a COPY is under way: "),
            "{refused}"
        );
        let refused = session.conn.copy_end(Some(b"why")).unwrap_err();
        assert!(
            refused.message().contains("has no end with an error"),
            "{refused}"
        );
        // A status that asks for an answer, twice: a keepalive comes for each.
        let mut status = vec![b'r'];
        status.extend_from_slice(&[0; 32]);
        status.push(1);
        let mut keepalives = 0;
        for _ in 0..2 {
            assert!(session.put(&status));
            let expected = keepalives + 1;
            while keepalives < expected {
                session.step();
                let messages = session.conn.copy_get(usize::MAX);
                keepalives += messages.filter(|message| message[0] == b'k').count();
            }
        }
        session.conn.copy_end(None).unwrap();
        let mut replies = Vec::new();
        while !replies.last().is_some_and(is_done) {
            session.step();
            while session.conn.copy_get(1).next().is_some() {}
            replies.extend(std::iter::from_fn(|| session.conn.take()).map(|item| item.reply));
        }
        let replies = texts(&replies);
        assert_eq!(replies.last().map(String::as_str), Some(OK), "{replies:?}");
        assert!(session.query("IDENTIFY_SYSTEM")[0].starts_with("systemid"));
    }
}
