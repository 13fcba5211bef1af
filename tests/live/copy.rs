//! COPY in an operation that is not one: refused in words that say so, and the connection kept where that can be done.

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
