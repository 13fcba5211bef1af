//! Simple queries, and the ways in which they end.

use super::{params, people, query};
use crate::script::{Script, columns, complete, empty_query, error, no_data, oid, ready, row_of};
use crate::sim::{Act, Session};

/// All of them.
pub(super) fn all() -> Vec<Session> {
    vec![
        several_statements(),
        several_queries(),
        failed_transaction(),
        empty(),
        goodbye(),
    ]
}

fn several_statements() -> Session {
    let sql =
        "TABLE people; INSERT INTO people VALUES (3, 'Eve'); CREATE TABLE u (); SELECT WHERE false";
    let script = Script::trusting()
        .query(sql)
        .send(people())
        .two_people()
        .send(complete("INSERT 0 1"))
        .send(complete("CREATE TABLE"))
        .send(columns(&[]))
        .send(complete("SELECT 0"))
        .send(ready(b'I'));
    Session::new(
        "simple query of several statements",
        script,
        vec![Act::Start(query(sql)), Act::Wait],
    )
}

/// Queued before the first is read.
fn several_queries() -> Session {
    let mut script = Script::trusting();
    for sql in ["SELECT 1", "SELEC", "TABLE people"] {
        script = script.query(sql);
    }
    let script = script
        .send(columns(&[("?column?", oid::INT4)]))
        .send(row_of(&[Some(b"1")]))
        .send(complete("SELECT 1"))
        .send(ready(b'I'))
        .send(error("ERROR", "42601", "syntax error at or near \"SELEC\""))
        .send(ready(b'I'))
        .send(people())
        .two_people()
        .send(ready(b'I'));
    Session::new(
        "several queries at once",
        script,
        vec![
            Act::Start(query("SELECT 1")),
            Act::Start(query("SELEC")),
            Act::Start(query("TABLE people")),
            Act::Wait,
        ],
    )
}

fn failed_transaction() -> Session {
    let sql = "TABLE people; SELECT 1/0; TABLE people";
    let script = Script::trusting()
        .query("BEGIN")
        .send(complete("BEGIN"))
        .send(ready(b'T'))
        .query(sql)
        .send(people())
        .two_people()
        .send(columns(&[("?column?", oid::INT4)]))
        .send(error("ERROR", "22012", "division by zero"))
        .send(ready(b'E'))
        .query("ROLLBACK")
        .send(complete("ROLLBACK"))
        .send(ready(b'I'));
    Session::new(
        "an error in the middle of a transaction",
        script,
        vec![
            Act::Start(query("BEGIN")),
            Act::Wait,
            Act::Start(query(sql)),
            Act::Wait,
            Act::Start(query("ROLLBACK")),
            Act::Wait,
        ],
    )
}

fn empty() -> Session {
    let script = Script::trusting()
        .query("")
        .send(empty_query())
        .send(ready(b'I'))
        .statement(";", &[], 0, 0)
        .sync()
        .parsed_and_bound()
        .send(no_data())
        .send(empty_query())
        .send(ready(b'I'));
    Session::new(
        "empty queries",
        script,
        vec![
            Act::Start(query("")),
            Act::Start(params(";", &[], 0, 0)),
            Act::Wait,
        ],
    )
}

/// The server ends the session while a query runs.
fn goodbye() -> Session {
    let script = Script::trusting()
        .query("SELECT pg_sleep(9)")
        .query("SELECT 1")
        .send(columns(&[("pg_sleep", 2278)]))
        .send(error(
            "FATAL",
            "57P01",
            "terminating connection due to administrator command",
        ))
        .close();
    Session::new(
        "a server that shuts down",
        script,
        vec![
            Act::Start(query("SELECT pg_sleep(9)")),
            Act::Start(query("SELECT 1")),
            Act::Wait,
        ],
    )
}
