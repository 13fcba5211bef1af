//! Prepared statements: what is remembered of them, and when it is forgotten.

use pgpoll::engine::{Command, End};

use crate::servers;
use crate::session::{FAILED, OK, Session};

#[test]
fn executing_asks_for_no_description() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        assert_eq!(
            session.prepare("add", "select $1::int4 + $2::int4 as sum, $3::text as t"),
            [r#"described [23, 23, 25] Some(["sum:23", "t:25"])"#, OK]
        );
        let values: [Option<&[u8]>; 3] = [Some(b"1"), Some(b"2"), None];
        for _ in 0..3 {
            let operation = session.conn.start_prepared("add", &values, 0).unwrap();
            assert_eq!(session.queued_messages(), "BES");
            assert_eq!(session.finish(operation), ["sum,t: 3|NULL", "SELECT 1", OK]);
        }
        // In binary: the columns are the same, the format belongs to the result.
        let operation = session.conn.start_prepared("add", &values, 1).unwrap();
        assert_eq!(session.queued_messages(), "BES");
        assert_eq!(
            session.finish(operation)[0],
            "sum,t: \0\0\0\u{3}|NULL".to_owned()
        );
    }
}

#[test]
fn a_statement_prepared_in_sql_is_described_each_time() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("prepare q as select 7 as n");
        for _ in 0..2 {
            let operation = session.conn.start_prepared("q", &(), 0).unwrap();
            assert_eq!(session.queued_messages(), "BDES");
            assert_eq!(session.finish(operation), ["n: 7", "SELECT 1", OK]);
        }
        // Describing it is what makes it remembered.
        let name = b"q";
        let operation = session
            .conn
            .start(Command::DescribeStatement { name }, End::Sync)
            .unwrap();
        assert_eq!(
            session.finish(operation),
            [r#"described [] Some(["n:23"])"#, OK]
        );
        let operation = session.conn.start_prepared("q", &(), 0).unwrap();
        assert_eq!(session.queued_messages(), "BES");
        assert_eq!(session.finish(operation), ["n: 7", "SELECT 1", OK]);
    }
}

#[test]
fn statements_without_rows_and_without_columns() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (x int)");
        assert_eq!(
            session.prepare("ins", "insert into t values ($1)"),
            ["described [23] None", OK]
        );
        let values: [Option<&[u8]>; 1] = [Some(b"1")];
        assert_eq!(session.prepared("ins", &values), ["INSERT 0 1", OK]);
        assert_eq!(
            session.prepare("none", "select from t"),
            ["described [] Some([])", OK]
        );
        assert_eq!(session.prepared("none", &()), [":", "SELECT 1", OK]);
        // A result of another width in between.
        session.query("select 1, 2, 3");
        assert_eq!(session.prepared("none", &()), [":", "SELECT 1", OK]);
        assert_eq!(session.prepare("nothing", ""), ["described [] None", OK]);
        assert_eq!(session.prepared("nothing", &()), ["(empty)", OK]);
    }
}

#[test]
fn closing_deallocating_and_discarding_forget() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let gone = "error 26000 prepared statement \"s\" does not exist";
        for forget in ["close", "deallocate s", "deallocate all", "discard all"] {
            session.prepare("s", "select 1 as n");
            if forget == "close" {
                let name = b"s";
                let operation = session
                    .conn
                    .start(Command::CloseStatement { name }, End::Sync)
                    .unwrap();
                assert_eq!(session.finish(operation), [OK]);
            } else {
                session.query(forget);
            }
            let operation = session.conn.start_prepared("s", &(), 0).unwrap();
            assert_eq!(session.queued_messages(), "BDES", "{forget}");
            assert_eq!(session.finish(operation), [gone, FAILED], "{forget}");
        }
        // The name with other columns.
        session.prepare("s", "select 2 as a, 3 as b");
        assert_eq!(session.prepared("s", &()), ["a,b: 2|3", "SELECT 1", OK]);
        // Closing what there is none of is no error.
        let name = b"nobody";
        let operation = session
            .conn
            .start(Command::CloseStatement { name }, End::Sync)
            .unwrap();
        assert_eq!(session.finish(operation), [OK]);
    }
}

#[test]
fn an_unknown_statement_clears_the_memory() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.prepare("s", "select 1 as n");
        let operation = session.conn.start_prepared("unknown", &(), 0).unwrap();
        assert_eq!(
            session.finish(operation),
            [
                "error 26000 prepared statement \"unknown\" does not exist",
                FAILED
            ]
        );
        let operation = session.conn.start_prepared("s", &(), 0).unwrap();
        assert_eq!(session.queued_messages(), "BDES");
        assert_eq!(session.finish(operation), ["n: 1", "SELECT 1", OK]);
    }
}

#[test]
fn a_table_that_changes_under_its_statement() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (x int); insert into t values (1)");
        session.prepare("s", "select * from t");
        assert_eq!(session.prepared("s", &()), ["x: 1", "SELECT 1", OK]);
        session.query("alter table t add column y int default 2");
        let changed = "error 0A000 cached plan must not change result type";
        session.conn.set_healing(false);
        assert_eq!(session.prepared("s", &()), [changed, FAILED]);
        let operation = session.conn.start_prepared("s", &(), 0).unwrap();
        assert_eq!(session.queued_messages(), "BDES");
        assert_eq!(session.finish(operation), [changed, FAILED]);
        session.conn.set_healing(true);
        assert_eq!(session.prepared("s", &()), ["x,y: 1|2", "SELECT 1", OK]);
    }
}

/// Trap 35, the order of Parse and DEALLOCATE in a pipeline: what is remembered of a name is that of its last reply.
#[test]
fn a_name_that_is_made_anew_while_its_replies_are_under_way() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.prepare("s", "select 1 as a");
        let name = b"s";
        let conn = &mut session.conn;
        let close = conn
            .start(Command::CloseStatement { name }, End::Sync)
            .unwrap();
        let prepare = conn
            .start_prepare("s", "select 1 as b, 2 as c", &[])
            .unwrap();
        let execute = conn.start_prepared("s", &(), 0).unwrap();
        assert_eq!(session.finish(close), [OK]);
        assert_eq!(
            session.finish(prepare),
            [r#"described [] Some(["b:23", "c:23"])"#, OK]
        );
        assert_eq!(session.finish(execute), ["b,c: 1|2", "SELECT 1", OK]);
        assert_eq!(session.prepared("s", &()), ["b,c: 1|2", "SELECT 1", OK]);
    }
}

/// What SQL does with statements is known only when it has been done.
#[test]
fn a_name_that_sql_makes_anew_behind_our_back() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.prepare("s", "select 1 as a");
        let conn = &mut session.conn;
        let anew = conn.start_query("deallocate s; prepare s as select 1 as b, 2 as c");
        let execute = conn.start_prepared("s", &(), 0).unwrap();
        let next = conn.start_query("select 3 as d").unwrap();
        assert_eq!(session.finish(anew.unwrap()), ["DEALLOCATE", "PREPARE", OK]);
        let replies = session.finish(execute);
        assert!(
            replies[0].starts_with("misuse: the statement has other columns"),
            "{replies:?}"
        );
        assert_eq!(replies[1..], [FAILED]);
        assert_eq!(session.finish(next), ["d: 3", "SELECT 1", OK]);
        assert_eq!(session.prepared("s", &()), ["b,c: 1|2", "SELECT 1", OK]);
    }
}

#[test]
fn the_unnamed_statement_is_never_remembered() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.prepare("", "select 1 as a");
        let operation = session.conn.start_prepared("", &(), 0).unwrap();
        assert_eq!(session.queued_messages(), "BDES");
        assert_eq!(session.finish(operation), ["a: 1", "SELECT 1", OK]);
        // A simple query makes it go away.
        session.query("select 1");
        assert_eq!(
            session.prepared("", &()),
            [
                "error 26000 unnamed prepared statement does not exist",
                FAILED
            ]
        );
    }
}
