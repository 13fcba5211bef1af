//! Simple queries: several statements, errors in the middle, nothing at all, transactions.

use pgpoll::wire::TransactionStatus;

use crate::servers;
use crate::session::{FAILED, OK, Session, transaction};

#[test]
fn each_statement_has_its_result() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        assert_eq!(
            session.query(
                "select 1 as a, null as b; create temp table t (x int); insert into t values (1), (2); \
                 select x from t where x > 5; select 'ü' as \"ö\", '' as e from t"
            ),
            [
                "a,b: 1|NULL",
                "SELECT 1",
                "CREATE TABLE",
                "INSERT 0 2",
                "x:",
                "SELECT 0",
                "ö,e: ü| / ü|",
                "SELECT 2",
                OK
            ]
        );
    }
}

#[test]
fn an_error_ends_the_statements_and_drops_the_unfinished_rows() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let division = "error 22012 division by zero";
        assert_eq!(
            session.query("select 1 as a; select 1/0; select 2"),
            ["a: 1", "SELECT 1", division, FAILED]
        );
        assert_eq!(
            session.query("select 1/(3-n) from generate_series(1, 5) n"),
            [division, FAILED]
        );
        assert_eq!(session.query("select 2 as b"), ["b: 2", "SELECT 1", OK]);
    }
}

#[test]
fn nothing_is_an_empty_query() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        for sql in ["", " ;; ", "-- only a comment"] {
            assert_eq!(session.query(sql), ["(empty)", OK], "{sql:?}");
        }
        assert_eq!(session.params("", &()), ["(empty)", OK]);
    }
}

#[test]
fn a_result_may_have_no_columns() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        assert_eq!(session.query("select"), [":", "SELECT 1", OK]);
        let batch = session.rows("select from generate_series(1, 3)");
        assert_eq!((batch.rows(), batch.columns().len()), (3, 0));
        assert_eq!(batch.value(0, 0), None);
    }
}

#[test]
fn the_transaction_is_told() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        assert_eq!(transaction(&session), Some(TransactionStatus::Idle));
        assert_eq!(
            session.query("begin"),
            ["BEGIN", "done Ok InTransaction InTransaction"]
        );
        assert_eq!(
            session.query("select 1/0"),
            [
                "error 22012 division by zero",
                "done Failed Failed InTransaction"
            ]
        );
        assert_eq!(transaction(&session), Some(TransactionStatus::Failed));
        assert_eq!(
            session.query("select 1"),
            [
                "error 25P02 current transaction is aborted, commands ignored until end of transaction block",
                "done Failed Failed InTransaction"
            ]
        );
        // The server turns it into a rollback, and says so in the tag.
        assert_eq!(session.query("commit"), ["ROLLBACK", OK]);
        assert_eq!(transaction(&session), Some(TransactionStatus::Idle));
    }
}

#[test]
fn a_command_tag_is_not_a_commit() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query(
            "create temp table d (x int, constraint once unique (x) deferrable initially deferred)",
        );
        assert_eq!(
            session.query("insert into d values (1), (1); select 1 as a"),
            [
                "INSERT 0 2",
                "error 23505 duplicate key value violates unique constraint \"once\"",
                FAILED
            ]
        );
    }
}

#[test]
fn long_texts_and_many_columns_arrive_whole() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let batch = session.rows("select repeat('x', 20000000) as big, 'after' as small");
        assert_eq!(batch.value(0, 0).unwrap().len(), 20_000_000);
        assert!(batch.value(0, 0).unwrap().iter().all(|&byte| byte == b'x'));
        assert_eq!(batch.value_with_nul(0, 0).unwrap().last(), Some(&0));
        assert_eq!(batch.value_with_nul(0, 1), Some(&b"after\0"[..]));
        let columns: Vec<_> = (0..1600).map(|n| format!("{n} as c{n}")).collect();
        let batch = session.rows(&format!("select {}", columns.join(",")));
        assert_eq!(batch.value(0, 1599), Some(&b"1599"[..]));
        assert_eq!(batch.columns().find(b"c1599"), Some(1599));
        assert_eq!(batch.value(0, 1600), None);
        assert_eq!(batch.value(1, 0), None);
    }
}
