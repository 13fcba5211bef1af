//! Groups of operations that one Sync ends: order, errors, and the commit's own.

use pgpoll::engine::{Command, End};
use pgpoll::wire::Parameters;

use crate::servers;
use crate::session::{FAILED, OK, Session, is_done};

/// The done of an operation inside a group.
const OPEN: &str = "done Ok Idle InTransaction";

fn more(session: &mut Session, sql: &str, end: End) -> u64 {
    let params: &dyn Parameters = &();
    let command = Command::Params {
        sql: sql.as_bytes(),
        types: &[],
        params,
        format: 0,
        max_rows: 0,
    };
    session.conn.start(command, end).unwrap()
}

#[test]
fn results_come_in_order_and_before_the_end_of_the_group() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let one = more(&mut session, "select 1 as a", End::More);
        let two = more(&mut session, "select 2 as b", End::More);
        assert_eq!(session.queued_messages(), "PBDEPBDE");
        // No Sync yet, and still all of it arrives.
        assert_eq!(session.finish(one), ["a: 1", "SELECT 1", OPEN]);
        assert_eq!(session.finish(two), ["b: 2", "SELECT 1", OPEN]);
        let three = more(&mut session, "select 3 as c", End::More);
        let sync = session.conn.sync().unwrap();
        assert_eq!(session.finish(three), ["c: 3", "SELECT 1", OPEN]);
        assert_eq!(session.finish(sync), [OK]);
        assert_eq!(session.query("select 4 as d"), ["d: 4", "SELECT 1", OK]);
    }
}

#[test]
fn the_last_operation_may_end_the_group() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let one = more(
            &mut session,
            "create temp table g as select 1 as a",
            End::More,
        );
        let two = more(&mut session, "select a from g", End::Sync);
        assert_eq!(session.finish(one), ["SELECT 1", OPEN]);
        assert_eq!(session.finish(two), ["a: 1", "SELECT 1", OK]);
        // As the first fails, so does the group: the last one is skipped, and its Sync still counts.
        let one = more(&mut session, "select 1/0", End::More);
        let two = more(&mut session, "drop table g", End::Sync);
        assert_eq!(
            session.finish(one),
            [
                "error 22012 division by zero",
                "done Failed Idle InTransaction"
            ]
        );
        assert_eq!(
            session.finish(two),
            ["(skipped)", "done Skipped Idle Clean"]
        );
        assert_eq!(session.query("table g"), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn after_an_error_the_rest_of_the_group_is_skipped() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let one = more(&mut session, "create temp table g (x int)", End::More);
        let two = more(&mut session, "select 1/0", End::More);
        let three = more(&mut session, "select 3", End::More);
        let sync = session.conn.sync().unwrap();
        let next = more(&mut session, "select to_regclass('g') as g", End::Sync);
        assert_eq!(session.finish(one), ["CREATE TABLE", OPEN]);
        assert_eq!(
            session.finish(two),
            [
                "error 22012 division by zero",
                "done Failed Idle InTransaction"
            ]
        );
        assert_eq!(
            session.finish(three),
            ["(skipped)", "done Skipped Idle InTransaction"]
        );
        assert_eq!(session.finish(sync), [OK]);
        // One group, one transaction: what came before the error is undone.
        assert_eq!(session.finish(next), ["g: NULL", "SELECT 1", OK]);
    }
}

#[test]
fn the_end_of_a_group_carries_the_errors_of_its_commit() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query(
            "create temp table d (x int, constraint once unique (x) deferrable initially deferred)",
        );
        let one = more(&mut session, "insert into d values (1)", End::More);
        let two = more(&mut session, "insert into d values (1)", End::More);
        assert_eq!(session.finish(one), ["INSERT 0 1", OPEN]);
        assert_eq!(session.finish(two), ["INSERT 0 1", OPEN]);
        let sync = session.conn.sync().unwrap();
        assert_eq!(
            session.finish(sync),
            [
                "error 23505 duplicate key value violates unique constraint \"once\"",
                FAILED
            ]
        );
        assert_eq!(session.query("select count(*) as n from d")[0], "n: 0");
    }
}

#[test]
fn a_group_keeps_simple_queries_out() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let one = more(&mut session, "select 1 as a", End::More);
        let error = session.conn.start_query("select 2").unwrap_err();
        assert_eq!(
            error.message(),
            "a group of operations is open: end it with a sync before a simple query, a COPY or a function call"
        );
        let sync = session.conn.sync().unwrap();
        session.until(one, is_done);
        session.until(sync, is_done);
        assert_eq!(session.query("select 2 as b"), ["b: 2", "SELECT 1", OK]);
    }
}

#[test]
fn a_sync_alone_is_an_operation() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let first = session.conn.sync().unwrap();
        let second = session.conn.sync().unwrap();
        assert_eq!(session.finish(first), [OK]);
        assert_eq!(session.finish(second), [OK]);
    }
}

#[test]
fn describe_and_close_of_portals() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("begin; declare c cursor for select 1 as n");
        let name = b"c";
        let describe = session
            .conn
            .start(Command::DescribePortal { name }, End::Sync)
            .unwrap();
        let close = session
            .conn
            .start(Command::ClosePortal { name }, End::Sync)
            .unwrap();
        let again = session
            .conn
            .start(Command::DescribePortal { name }, End::Sync)
            .unwrap();
        let inside = "done Ok InTransaction InTransaction";
        assert_eq!(
            session.finish(describe),
            [r#"described [] Some(["n:23"])"#, inside]
        );
        assert_eq!(session.finish(close), [inside]);
        assert_eq!(
            session.finish(again),
            [
                "error 34000 portal \"c\" does not exist",
                "done Failed Failed InTransaction"
            ]
        );
    }
}
