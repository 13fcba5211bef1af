//! COPY where it cannot be run.

use super::{params, people, query};
use crate::script::{
    Script, complete, copy_data, copy_done, copy_in, copy_out, empty_query, error, no_data, ready,
};
use crate::sim::{Act, Session};

/// Why a COPY is refused.
const COPY: &str = "the statement is a COPY, which this call cannot run";

/// All of them.
pub(super) fn all() -> Vec<Session> {
    vec![copy_in_simple(), copy_in_extended(), copy_out_simple()]
}

fn copy_in_simple() -> Session {
    let sql = "COPY people FROM STDIN";
    let script = Script::trusting()
        .query(sql)
        .send(copy_in(2))
        .copy_fail(COPY)
        .send(error(
            "ERROR",
            "57014",
            "COPY from stdin failed: refused by the client",
        ))
        .send(ready(b'I'))
        .query("")
        .send(empty_query())
        .send(ready(b'I'));
    Session::new(
        "COPY FROM STDIN as a query",
        script,
        vec![
            Act::Start(query(sql)),
            Act::Wait,
            Act::Start(query("")),
            Act::Wait,
        ],
    )
}

/// The Sync that was sent with the statement is part of the data: a second one follows the CopyFail.
fn copy_in_extended() -> Session {
    let sql = "COPY people FROM STDIN";
    let script = Script::trusting()
        .statement(sql, &[], 0, 0)
        .sync()
        .parsed_and_bound()
        .send(no_data())
        .send(copy_in(2))
        .copy_fail(COPY)
        .sync()
        .send(error(
            "ERROR",
            "57014",
            "COPY from stdin failed: refused by the client",
        ))
        .send(ready(b'I'));
    Session::new(
        "COPY FROM STDIN as an extended query",
        script,
        vec![Act::Start(params(sql, &[], 0, 0)), Act::Wait],
    )
}

fn copy_out_simple() -> Session {
    let sql = "COPY people TO STDOUT; TABLE people";
    let script = Script::trusting()
        .query(sql)
        .send(copy_out(2))
        .send(copy_data(b"1\tAda\n"))
        .send(copy_data(b"2\t\\N\n"))
        .send(copy_done())
        .send(complete("COPY 2"))
        .send(people())
        .two_people()
        .send(ready(b'I'));
    Session::new(
        "COPY TO STDOUT as a query",
        script,
        vec![Act::Start(query(sql)), Act::Wait],
    )
}
