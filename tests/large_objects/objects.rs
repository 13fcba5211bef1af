//! The calls of large objects one by one: sizes, positions, modes, and what the server refuses.

use std::io::SeekFrom;

use pgpoll::engine::{LO_READ, LO_WRITE, MOST_AT_ONCE};
use pgpoll::error::Family;

use crate::session::{FAILED, OK, Session};
use crate::{FAILED_IN_BLOCK, IN_BLOCK, noise, servers};

/// A page of a large object in the server.
const PAGE: usize = 2048;

#[test]
fn what_was_written_is_read_whatever_its_size() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let (oid, fd) = session.new_object();
        for size in [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * 1024 * 1024 + 7] {
            let data = noise(size, size as u64);
            let to = session.conn.start_lo_truncate(fd, 0);
            assert_eq!(session.number(to), 0);
            let seek = session.conn.start_lo_seek(fd, SeekFrom::Start(0));
            assert_eq!(session.number(seek), 0);
            let write = session.conn.start_lo_write(fd, &data);
            assert_eq!(session.number(write), size as i64);
            let tell = session.conn.start_lo_tell(fd);
            assert_eq!(session.number(tell), size as i64);
            let seek = session.conn.start_lo_seek(fd, SeekFrom::Start(0));
            assert_eq!(session.number(seek), 0);
            assert!(session.read(fd, size + 10) == data, "{size} bytes");
            assert_eq!(session.read(fd, 10), b"", "at the end");
            // In two parts, over the edge of a page.
            let at = size / 2;
            let seek = session
                .conn
                .start_lo_seek(fd, SeekFrom::End(at as i64 - size as i64));
            assert_eq!(session.number(seek), at as i64);
            assert!(
                session.read(fd, size) == data[at..],
                "{size} bytes from {at} on"
            );
        }
        let close = session.conn.start_lo_close(fd);
        assert_eq!(session.number(close), 0);
        assert_eq!(session.query("commit"), ["COMMIT", OK]);
        let length = server.psql(&format!("select length(lo_get({oid}))"));
        assert_eq!(length, (3 * 1024 * 1024 + 7).to_string());
        let unlink = session.conn.start_lo_unlink(oid);
        assert_eq!(session.number(unlink), 1);
        let gone = server.psql(&format!(
            "select count(*) from pg_largeobject_metadata where oid = {oid}"
        ));
        assert_eq!(gone, "0");
    }
}

/// Beyond 4 GB, of which nothing is stored but what was written.
#[test]
fn positions_have_64_bits() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let (_, fd) = session.new_object();
        let far = 5 * 1024 * 1024 * 1024_u64 + 3;
        let seek = session.conn.start_lo_seek(fd, SeekFrom::Start(far));
        assert_eq!(session.number(seek), far as i64);
        let write = session.conn.start_lo_write(fd, b"far away");
        assert_eq!(session.number(write), 8);
        let tell = session.conn.start_lo_tell(fd);
        assert_eq!(session.number(tell), far as i64 + 8);
        let seek = session.conn.start_lo_seek(fd, SeekFrom::Current(-12));
        assert_eq!(session.number(seek), far as i64 - 4);
        assert_eq!(session.read(fd, 100), b"\0\0\0\0far away");
        let truncate = session.conn.start_lo_truncate(fd, far + 3);
        assert_eq!(session.number(truncate), 0);
        let seek = session.conn.start_lo_seek(fd, SeekFrom::End(0));
        assert_eq!(session.number(seek), far as i64 + 3);
        // Longer again: zeroes.
        let truncate = session.conn.start_lo_truncate(fd, far + 5);
        assert_eq!(session.number(truncate), 0);
        let seek = session.conn.start_lo_seek(fd, SeekFrom::End(-5));
        assert_eq!(session.number(seek), far as i64);
        assert_eq!(session.read(fd, 100), b"far\0\0");
        // 4 TB is the most that there can be.
        let seek = session
            .conn
            .start_lo_seek(fd, SeekFrom::Start(u64::MAX))
            .unwrap();
        let said = session.finish(seek);
        assert!(
            said[0].starts_with("error 22023 invalid large object seek target: "),
            "{said:?}"
        );
        assert_eq!(said[1], FAILED_IN_BLOCK);
    }
}

#[test]
fn an_object_id_may_be_chosen_and_be_a_large_number() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("begin");
        let create = session.conn.start_lo_create(4_000_000_000);
        assert_eq!(session.number(create), 4_000_000_000);
        let again = session.conn.start_lo_create(4_000_000_000).unwrap();
        let taken = "error 23505 duplicate key value violates unique constraint \"pg_largeobject_metadata_oid_index\"";
        assert_eq!(session.finish(again), [taken, FAILED_IN_BLOCK]);
        assert_eq!(session.query("rollback"), ["ROLLBACK", OK]);
    }
}

#[test]
fn what_the_server_refuses_is_told_in_its_words() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let unlink = session.conn.start_lo_unlink(999).unwrap();
        let missing = "error 42704 large object 999 does not exist";
        assert_eq!(session.finish(unlink), [missing, FAILED]);
        let open = session.conn.start_lo_open(999, LO_READ).unwrap();
        assert_eq!(session.finish(open), [missing, FAILED]);
        // Descriptors live in transactions.
        let create = session.conn.start_lo_create(0);
        let oid = session.number(create) as u32;
        let open = session.conn.start_lo_open(oid, LO_READ);
        let fd = session.number(open) as i32;
        let read = session.conn.start_lo_read(fd, 10).unwrap();
        let invalid = "error 42704 invalid large-object descriptor: 0";
        assert_eq!(session.finish(read), [invalid, FAILED]);
        // Modes.
        session.query("begin");
        let open = session.conn.start_lo_open(oid, LO_READ);
        let fd = session.number(open) as i32;
        let write = session.conn.start_lo_write(fd, b"x").unwrap();
        let not_opened =
            format!("error 55000 large object descriptor {fd} was not opened for writing");
        assert_eq!(
            session.finish(write),
            [not_opened.as_str(), FAILED_IN_BLOCK]
        );
        let read = session.conn.start_lo_read(fd, 10).unwrap();
        let aborted = "error 25P02 current transaction is aborted, commands ignored until end of transaction block";
        assert_eq!(session.finish(read), [aborted, FAILED_IN_BLOCK]);
        session.query("rollback");
        // Somebody else's.
        let mut stranger = Session::open(&server.conninfo_as("stranger"));
        let open = stranger.conn.start_lo_open(oid, LO_WRITE).unwrap();
        let denied = format!("error 42501 permission denied for large object {oid}");
        assert_eq!(stranger.finish(open), [denied.as_str(), FAILED]);
        let unlink = stranger.conn.start_lo_unlink(oid).unwrap();
        let denied = format!("error 42501 must be owner of large object {oid}");
        assert_eq!(stranger.finish(unlink), [denied.as_str(), FAILED]);
        // Read only, which servers before 16 do not mind.
        session.query("begin read only");
        let create = session.conn.start_lo_create(0).unwrap();
        let said = session.finish(create);
        let read_only = "error 25006 cannot execute lo_create() in a read-only transaction";
        let old = session.conn.facts().server_version() < 160_000;
        assert!(old || said == [read_only, FAILED_IN_BLOCK], "{said:?}");
        session.query("rollback");
    }
}

/// Reading in the mode that only reads sees the snapshot; writing sees what is written.
#[test]
fn modes_see_what_the_manual_says() {
    let server = &servers()[0];
    let mut session = Session::open(&server.conninfo());
    let (oid, fd) = session.new_object();
    let write = session.conn.start_lo_write(fd, b"before");
    assert_eq!(session.number(write), 6);
    session.query("commit");
    session.query("begin isolation level repeatable read");
    let open = session.conn.start_lo_open(oid, LO_READ);
    let read_only = session.number(open) as i32;
    assert_eq!(
        server.psql(&format!("select lo_put({oid}, 0, 'after!')")),
        ""
    );
    assert_eq!(session.read(read_only, 100), b"before");
    assert_eq!(session.query("commit"), ["COMMIT", OK]);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_sent() {
    let mut session = Session::open(&servers()[0].conninfo());
    let conn = &mut session.conn;
    for (refused, word) in [
        (conn.start_lo_read(0, MOST_AT_ONCE + 1), "in pieces"),
        (conn.start_lo_read(0, usize::MAX), "in pieces"),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.family(), Family::Misuse);
        assert!(error.message().contains(word), "{error}");
    }
    assert_eq!(conn.engine().queued(), 0);
    assert!(conn.engine().output().is_empty());
    // The most that is let through is no reason for the server to end the connection.
    session.query("begin");
    let read = session.conn.start_lo_read(7, MOST_AT_ONCE).unwrap();
    let invalid = "error 42704 invalid large-object descriptor: 7";
    assert_eq!(session.finish(read), [invalid, FAILED_IN_BLOCK]);
    assert_eq!(session.query("rollback"), ["ROLLBACK", OK]);
}

/// Given up at its deadline while another session holds the lock that it waits for; the connection is good afterwards.
#[test]
fn a_call_that_hangs_has_a_deadline_and_can_be_abandoned() {
    use std::time::Duration;
    for server in servers() {
        let mut holder = Session::open(&server.conninfo());
        holder.query("begin");
        let create = holder.conn.start_lo_create(0);
        let oid = holder.number(create) as u32;
        let mut session = Session::open(&server.conninfo());
        session.conn.set_timeout(Some(Duration::from_millis(50)));
        let late = session.conn.start_lo_create(oid).unwrap();
        let said = session.finish(late);
        let timeout = "transport: timeout expired: large object create not done within 50 ms; it is being cancelled";
        assert_eq!(said, [timeout, FAILED]);
        session.conn.set_timeout(None);
        let abandoned = session.conn.start_lo_create(oid).unwrap();
        session.conn.poll();
        assert!(
            session
                .conn
                .inspect()
                .contains("\"kind\":\"large object create\"")
        );
        assert!(session.conn.abandon(abandoned));
        assert_eq!(session.finish(abandoned), [FAILED]);
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
        assert_eq!(holder.query("rollback"), ["ROLLBACK", OK]);
        let create = session.conn.start_lo_create(oid);
        assert_eq!(session.number(create), i64::from(oid));
    }
}

/// Each in the block of the caller: none of them ends it.
#[test]
fn calls_leave_the_transaction_to_the_caller() {
    let mut session = Session::open(&servers()[0].conninfo());
    let (oid, fd) = session.new_object();
    let write = session.conn.start_lo_write(fd, b"gone").unwrap();
    assert_eq!(session.finish(write), ["called 4", IN_BLOCK]);
    let read = session.conn.start_lo_read(fd, 4).unwrap();
    assert_eq!(session.finish(read), ["called 0 bytes", IN_BLOCK]);
    assert_eq!(session.query("rollback"), ["ROLLBACK", OK]);
    let unlink = session.conn.start_lo_unlink(oid).unwrap();
    let missing = format!("error 42704 large object {oid} does not exist");
    assert_eq!(session.finish(unlink), [missing.as_str(), FAILED]);
}
