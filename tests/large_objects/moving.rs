//! Import and export of files: in a transaction of their own or the caller's, beside psql, and whatever goes wrong.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::Duration;

use pgpoll::conn::Connection;
use pgpoll::error::{Error, Family};

use crate::session::{FAILED, OK, Session};
use crate::{FAILED_IN_BLOCK, IN_BLOCK, count, noise, servers};

/// A file of the tests' own.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("large-{}-{name}", std::process::id()))
}

/// One with this content, open at its beginning.
fn file_with(name: &str, content: &[u8]) -> File {
    let path = path(name);
    fs::write(&path, content).unwrap();
    let file = File::open(&path).unwrap();
    fs::remove_file(path).unwrap();
    file
}

/// An empty one, open for both.
fn empty_file(name: &str) -> File {
    let path = path(name);
    let file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    fs::remove_file(path).unwrap();
    file
}

fn content(mut file: File) -> Vec<u8> {
    let mut content = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut content).unwrap();
    content
}

/// Polls until some pieces of what is imported were sent.
fn until_under_way(session: &mut Session) {
    let sent = |session: &Session| {
        let line = session.conn.inspect();
        let (_, sent) = line.split_once("\"bytes_sent\":").unwrap();
        sent.split(',').next().unwrap().parse::<usize>().unwrap()
    };
    while sent(session) < 1_000_000 {
        if !session.conn.poll().is_runnable() {
            session.sleep();
        }
    }
}

#[test]
fn a_file_becomes_a_large_object_and_a_file_again() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo_as("mover"));
        for size in [0, 1, 256 * 1024, 256 * 1024 + 1, 20_000_000] {
            let data = noise(size, size as u64);
            let import = session
                .conn
                .start_lo_import(file_with("in", &data), 0)
                .unwrap();
            let said = session.finish(import);
            let oid: u32 = said[0].strip_prefix("called ").unwrap().parse().unwrap();
            assert_eq!(said[1], OK);
            let digest = server.psql(&format!("select md5(lo_get({oid})) = md5($${size}$$)"));
            assert_eq!(digest, "f", "{size}");
            let out = empty_file("out");
            let export = session
                .conn
                .start_lo_export(oid, out.try_clone().unwrap())
                .unwrap();
            assert_eq!(
                session.finish(export),
                [format!("called {oid}").as_str(), OK]
            );
            assert!(content(out) == data, "{size} bytes");
        }
        assert_eq!(count(server, "mover"), "5");
    }
}

/// psql reads what we wrote, and writes what we read.
#[test]
fn psql_understands_us_and_we_understand_psql() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let data = noise(600_000, 4);
        let import = session
            .conn
            .start_lo_import(file_with("psql", &data), 424_242);
        assert_eq!(session.number(import), 424_242);
        let (out, back) = (path("psql-out"), path("psql-back"));
        server.psql(&format!("\\lo_export 424242 {}", out.display()));
        assert!(fs::read(&out).unwrap() == data);
        fs::write(&back, &data[1..]).unwrap();
        server.psql(&format!("\\lo_import {} psql", back.display()));
        let by_comment = "select objoid from pg_description where description = 'psql'";
        let oid = server.psql(by_comment).parse().unwrap();
        let file = empty_file("ours");
        let export = session.conn.start_lo_export(oid, file.try_clone().unwrap());
        assert_eq!(session.number(export), i64::from(oid));
        assert!(content(file) == data[1..]);
        fs::remove_file(out).unwrap();
        fs::remove_file(back).unwrap();
        server.psql(&format!("select lo_unlink(424242), lo_unlink({oid})"));
    }
}

/// Inside of a block it is part of that.
#[test]
fn a_transaction_block_of_the_callers_is_used() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        // Also one that has not begun when the import is started.
        let begin = session.conn.start_query("begin").unwrap();
        let import = session
            .conn
            .start_lo_import(file_with("block", b"in a block"), 77)
            .unwrap();
        assert_eq!(session.finish(begin), ["BEGIN", IN_BLOCK]);
        assert_eq!(session.finish(import), ["called 77", IN_BLOCK]);
        let file = empty_file("block-out");
        let export = session
            .conn
            .start_lo_export(77, file.try_clone().unwrap())
            .unwrap();
        assert_eq!(session.finish(export), ["called 77", IN_BLOCK]);
        assert_eq!(content(file), b"in a block");
        // No descriptor is left open.
        let close = session.conn.start_lo_close(0).unwrap();
        let invalid = "error 42704 invalid large-object descriptor: 0";
        assert_eq!(session.finish(close), [invalid, FAILED_IN_BLOCK]);
        let import = session
            .conn
            .start_lo_import(file_with("failed", b"x"), 78)
            .unwrap();
        let aborted = "error 25P02 current transaction is aborted, commands ignored until end of transaction block";
        assert_eq!(session.finish(import), [aborted, FAILED_IN_BLOCK]);
        assert_eq!(session.query("rollback"), ["ROLLBACK", OK]);
        assert_eq!(
            server.psql("select count(*) from pg_largeobject_metadata where oid in (77, 78)"),
            "0"
        );
    }
}

#[test]
fn the_file_is_read_and_written_where_it_stands() {
    let mut session = Session::open(&servers()[0].conninfo());
    let mut file = file_with("from", b"not this|this");
    file.seek(SeekFrom::Start(9)).unwrap();
    let import = session.conn.start_lo_import(file, 0);
    let oid = session.number(import) as u32;
    let mut out = empty_file("to");
    out.write_all(b"first ").unwrap();
    let export = session.conn.start_lo_export(oid, out.try_clone().unwrap());
    session.number(export);
    assert_eq!(content(out), b"first this");
}

/// What goes wrong with the file costs the operation and nothing else; what it had begun is rolled back.
#[test]
fn what_goes_wrong_with_the_file_is_told_with_its_errno() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo_as("clumsy"));
        let data = noise(1_000_000, 1);
        let import = session.conn.start_lo_import(file_with("full", &data), 0);
        let oid = session.number(import) as u32;
        let before = count(server, "clumsy");
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let write_only = || {
            let path = path("write-only");
            let file = File::create(&path).unwrap();
            fs::remove_file(path).unwrap();
            file
        };
        for (block, done) in [
            (false, FAILED),
            (true, "done Failed InTransaction InTransaction"),
        ] {
            if block {
                session.query("begin");
            }
            let export = session.conn.start_lo_export(oid, full()).unwrap();
            let no_space = "misuse: could not write to the file: no space left on device";
            assert_eq!(session.finish(export), [no_space, done]);
            let export = session
                .conn
                .start_lo_export(oid, file_with("read-only", b""))
                .unwrap();
            let bad = "misuse: could not write to the file: bad file descriptor";
            assert_eq!(session.finish(export), [bad, done]);
            let import = session.conn.start_lo_import(write_only(), 0).unwrap();
            let bad = "misuse: could not read from the file: bad file descriptor";
            assert_eq!(session.finish(import), [bad, done]);
            if block {
                // The descriptors are closed again.
                let tell = session.conn.start_lo_tell(0).unwrap();
                let invalid = "error 42704 invalid large-object descriptor: 0";
                assert_eq!(session.finish(tell), [invalid, FAILED_IN_BLOCK]);
                session.query("rollback");
            }
        }
        assert_eq!(count(server, "clumsy"), before);
        let missing = session.conn.start_lo_export(999, full()).unwrap();
        let said = "error 42704 large object 999 does not exist";
        assert_eq!(session.finish(missing), [said, FAILED]);
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

/// Files that could be waited for, and what is no file, are refused before anything is sent.
#[test]
fn a_file_that_could_make_a_poll_wait_is_refused() {
    let mut session = Session::open(&servers()[0].conninfo());
    let (reader, writer) = std::io::pipe().unwrap();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let file = |fd: std::os::fd::OwnedFd| File::from(fd);
    let conn = &mut session.conn;
    let word = |refused: Result<u64, Error>| {
        let error = refused.unwrap_err();
        assert_eq!(error.family(), Family::Misuse);
        error.message().to_owned()
    };
    assert!(word(conn.start_lo_import(file(reader.into()), 0)).contains("piece by piece"));
    assert!(word(conn.start_lo_export(1, file(writer.into()))).contains("piece by piece"));
    assert!(word(conn.start_lo_import(file(socket.into()), 0)).contains("piece by piece"));
    let directory = File::open(env!("CARGO_TARGET_TMPDIR")).unwrap();
    assert!(word(conn.start_lo_import(directory, 0)).contains("a directory"));
    for number in [-1, 1_000_000] {
        let error = Connection::file_of(number).unwrap_err();
        assert_eq!(error.errno(), 9, "EBADF: {error}");
    }
    assert_eq!(conn.engine().queued(), 0);
    assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
}

/// Until its done it is the only operation that can be started.
#[test]
fn nothing_is_started_behind_it() {
    let mut session = Session::open(&servers()[0].conninfo());
    let import = session
        .conn
        .start_lo_import(file_with("barrier", b"x"), 0)
        .unwrap();
    for refused in [
        session.conn.start_query("select 1"),
        session.conn.sync(),
        session.conn.start_lo_create(0),
        session.conn.start_lo_import(file_with("second", b"y"), 0),
        session.conn.start_shutdown(None),
    ] {
        let error = refused.unwrap_err();
        assert!(
            error.message().contains("is being imported or exported"),
            "{error}"
        );
    }
    let said = session.finish(import);
    assert!(said[0].starts_with("called ") && said[1] == OK, "{said:?}");
    assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
}

/// Given up in the middle: the server is left as it was, the connection is good.
#[test]
fn an_import_that_nobody_wants_leaves_nothing_behind() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo_as("fickle"));
        let before = count(server, "fickle");
        for block in [false, true] {
            if block {
                session.query("begin");
            }
            // As long as it is read: it never ends.
            let zero = || File::open("/dev/zero").unwrap();
            let abandoned = session.conn.start_lo_import(zero(), 0).unwrap();
            until_under_way(&mut session);
            assert!(
                session
                    .conn
                    .inspect()
                    .contains("\"kind\":\"large object import\"")
            );
            assert!(session.conn.abandon(abandoned));
            let done = match block {
                true => "done Failed InTransaction InTransaction",
                false => FAILED,
            };
            let said = session.finish(abandoned);
            assert!(
                said == [done] || (block && said == [FAILED_IN_BLOCK]),
                "{said:?}"
            );
            if block {
                session.query("rollback");
                session.query("begin");
            }
            session.conn.set_timeout(Some(Duration::from_millis(100)));
            let late = session.conn.start_lo_import(zero(), 0).unwrap();
            let said = session.finish(late);
            let timeout = "transport: timeout expired: large object import not done within 100 ms; it is being cancelled";
            assert_eq!(said[0], timeout);
            assert!(
                said[1] == done || (block && said[1] == FAILED_IN_BLOCK),
                "{said:?}"
            );
            session.conn.set_timeout(None);
            if block {
                session.query("rollback");
            }
            assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
        }
        assert_eq!(count(server, "fickle"), before);
    }
}

/// The server waits for a lock: what it waits in is cancelled.
#[test]
fn an_import_that_hangs_is_cancelled() {
    for server in servers() {
        let mut holder = Session::open(&server.conninfo());
        holder.query("begin");
        let create = holder.conn.start_lo_create(0);
        let oid = holder.number(create) as u32;
        let mut session = Session::open(&server.conninfo());
        session.conn.set_timeout(Some(Duration::from_millis(100)));
        let late = session
            .conn
            .start_lo_import(file_with("hangs", b"x"), oid)
            .unwrap();
        let said = session.finish(late);
        assert!(
            said[0].starts_with("transport: timeout expired: large object import"),
            "{said:?}"
        );
        assert_eq!(said[1], FAILED);
        session.conn.set_timeout(None);
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
        holder.query("rollback");
    }
}

/// The backend is gone in the middle: one error, one done, and the file is let go of.
#[test]
fn a_connection_that_is_lost_or_closed_in_the_middle_lets_go_of_the_file() {
    let server = &servers()[0];
    let file = file_with("lost", b"");
    let zero = File::open("/dev/zero").unwrap();
    let mut session = Session::open(&server.conninfo());
    let import = session
        .conn
        .start_lo_import(zero.try_clone().unwrap(), 0)
        .unwrap();
    until_under_way(&mut session);
    server.terminate_backend(session.conn.facts().backend_pid());
    let said = session.finish(import);
    assert_eq!(
        said[0],
        "error 57P01 terminating connection due to administrator command"
    );
    assert!(said[1].ends_with("Lost"), "{said:?}");
    let mut session = Session::open(&server.conninfo());
    session.conn.start_lo_import(zero, 0).unwrap();
    until_under_way(&mut session);
    session.conn.close();
    assert!(session.conn.poll().has_result());
    drop(file);
    drop(session);
    // It ends by itself, though nobody says goodbye for it.
    let others = "select count(*) from pg_stat_activity where state = 'idle in transaction' and query like '%BEGIN%'";
    while server.psql(others) != "0" {
        std::thread::sleep(Duration::from_millis(20));
    }
}
