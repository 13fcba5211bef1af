//! COPY: refused where it cannot be run, and in all its ways where it can.

use super::{params, people, query};
use crate::script::{
    Script, columns, complete, copy_both, copy_data, copy_done, copy_in, copy_out, empty_query,
    error, no_data, notice, oid, ready, row,
};
use crate::sim::{Act, Session, What};

/// Why a COPY is refused.
const COPY: &str = "the statement is a COPY, which this call cannot run";

/// All of them.
pub(super) fn all() -> Vec<Session> {
    vec![
        copy_in_simple(),
        copy_in_extended(),
        copy_out_simple(),
        no_copy(),
        to_the_server(),
        nothing_to_the_server(),
        given_up_by_the_client(),
        refused_at_once(),
        refused_in_the_middle(),
        refused_at_the_end(),
        from_the_server(),
        failing_from_the_server(),
        several(),
        replication(),
        replication_ended_by_the_server(),
        replication_that_fails(),
        replication_with_a_late_keepalive(),
        replication_without_an_end(),
        replication_until_a_shutdown(),
    ]
}

/// One for each way that data goes.
pub(super) fn each_way() -> Vec<Session> {
    vec![
        to_the_server(),
        refused_in_the_middle(),
        from_the_server(),
        replication(),
    ]
}

fn copy(sql: &str) -> Act {
    Act::Start(What::Copy(sql.to_owned()))
}

fn put(data: &[u8]) -> Act {
    Act::Put(data.to_vec())
}

fn again() -> [Act; 2] {
    [Act::Start(query("")), Act::Wait]
}

impl Script {
    /// The connection is as good as before.
    fn again(self) -> Self {
        self.query("").send(empty_query()).send(ready(b'I'))
    }
}

fn session(name: &str, script: Script, acts: impl IntoIterator<Item = Act>) -> Session {
    let acts = acts.into_iter().chain(again()).collect();
    Session::new(name, script.again(), acts)
}

const IN: &str = "COPY people FROM STDIN";

fn no_copy() -> Session {
    let script = Script::trusting()
        .query("TABLE people")
        .send(people())
        .two_people()
        .send(ready(b'I'));
    session(
        "a COPY that is none",
        script,
        [copy("TABLE people"), Act::Wait],
    )
}

fn to_the_server() -> Session {
    let script = Script::trusting()
        .query(IN)
        .send(copy_in(2))
        .copied(b"1\tAda\n2\t\\N\n")
        .copy_done()
        .send(complete("COPY 2"))
        .send(ready(b'I'));
    let acts = [
        copy(IN),
        put(b"1\tA"),
        put(b""),
        put(b"d"),
        put(b"a\n2\t\\N\n"),
        Act::End(None),
        Act::Wait,
    ];
    session("COPY to the server", script, acts)
}

fn nothing_to_the_server() -> Session {
    let script = Script::trusting()
        .query(IN)
        .send(copy_in(2))
        .copy_done()
        .send(complete("COPY 0"))
        .send(ready(b'T'));
    let acts = [copy(IN), Act::End(None), Act::Wait];
    session("COPY of nothing to the server", script, acts)
}

fn given_up_by_the_client() -> Session {
    let script = Script::trusting()
        .query(IN)
        .send(copy_in(2))
        .copied(b"1\tAda\n")
        .copy_fail("the file ends too early")
        .send(error(
            "ERROR",
            "57014",
            "COPY from stdin failed: the file ends too early",
        ))
        .send(ready(b'I'));
    let acts = [
        copy(IN),
        put(b"1\tAda\n"),
        Act::End(Some(String::from("the file ends too early"))),
        Act::Wait,
    ];
    session("COPY to the server, given up", script, acts)
}

fn refused_at_once() -> Session {
    let script = Script::trusting()
        .query(IN)
        .send(error(
            "ERROR",
            "42P01",
            "relation \"people\" does not exist",
        ))
        .send(ready(b'E'));
    let acts = [copy(IN), put(b"1\tAda\n"), Act::End(None), Act::Wait];
    session("COPY that is refused at once", script, acts)
}

/// The client may be putting still while the server has ended the COPY: what comes is not heeded.
fn refused_in_the_middle() -> Session {
    let script = Script::trusting()
        .query(IN)
        .send(copy_in(2))
        .expect_tag(b'd')
        .copy_over()
        .send(error(
            "ERROR",
            "22P02",
            "invalid input syntax for type integer: \"one\"",
        ))
        .send(ready(b'I'));
    let acts = [copy(IN), put(b"one\tAda\n"), put(b"2\tGrace\n"), Act::Wait];
    session("COPY that is refused in the middle", script, acts)
}

/// A constraint that is checked at the end of the transaction.
fn refused_at_the_end() -> Session {
    let script = Script::trusting()
        .query(IN)
        .send(copy_in(2))
        .copied(b"1\tAda\n1\tAda\n")
        .copy_done()
        .send(complete("COPY 2"))
        .send(error(
            "ERROR",
            "23505",
            "duplicate key value violates unique constraint \"people_pkey\"",
        ))
        .send(ready(b'I'));
    let acts = [
        copy(IN),
        put(b"1\tAda\n"),
        put(b"1\tAda\n"),
        Act::End(None),
        Act::Wait,
    ];
    session("COPY that is refused at the end", script, acts)
}

fn from_the_server() -> Session {
    let sql = "COPY people TO STDOUT";
    let script = Script::trusting()
        .query(sql)
        .send(copy_out(2))
        .send(copy_data(b"1\tAda\n"))
        .send(notice("in the middle"))
        .send(copy_data(b""))
        .send(copy_data(b"\0\xff\0"))
        .send(copy_data(&[b'x'; 40]))
        .send(copy_done())
        .send(complete("COPY 3"))
        .send(ready(b'I'));
    session(
        "COPY from the server",
        script,
        [copy(sql), Act::Got(4), Act::Wait],
    )
}

fn failing_from_the_server() -> Session {
    let sql = "COPY (SELECT 1 / (2 - n) FROM numbers) TO STDOUT";
    let script = Script::trusting()
        .query(sql)
        .send(copy_out(1))
        .send(copy_data(b"1\n"))
        .send(error("ERROR", "22012", "division by zero"))
        .send(ready(b'I'));
    session(
        "COPY from the server that fails",
        script,
        [copy(sql), Act::Wait],
    )
}

fn several() -> Session {
    let sql = "TABLE people; COPY people TO STDOUT; COPY people FROM STDIN; COPY people FROM STDIN; TABLE people";
    let script = Script::trusting()
        .query(sql)
        .send(people())
        .two_people()
        .send(copy_out(2))
        .send(copy_data(b"1\tAda\n"))
        .send(copy_done())
        .send(complete("COPY 1"))
        .send(copy_in(2))
        .copied(b"3\tGrace\n")
        .copy_done()
        .send(complete("COPY 1"))
        .send(copy_in(2))
        .copied(b"4\tJean\n")
        .copy_done()
        .send(complete("COPY 1"))
        .send(people())
        .two_people()
        .send(ready(b'I'));
    let acts = [
        copy(sql),
        put(b"3\tGrace\n"),
        Act::End(None),
        put(b"4\tJean\n"),
        Act::End(None),
        Act::Wait,
    ];
    session("COPYs among other statements", script, acts)
}

const REPLICATION: &str = "START_REPLICATION SLOT \"s\" LOGICAL 0/0";

/// Pieces are messages here, and none is put together with others.
fn replication() -> Session {
    let script = Script::trusting()
        .query(REPLICATION)
        .send(copy_both())
        .send(copy_data(b"k1"))
        .copy_data(b"r1")
        .copy_data(b"r2")
        .send(copy_data(b"w1"))
        .copy_done()
        .send(copy_data(b"w2"))
        .send(copy_done())
        .send(complete("COPY 0"))
        .send(ready(b'I'));
    let acts = [
        copy(REPLICATION),
        Act::Got(1),
        put(b"r1"),
        put(b"r2"),
        Act::Got(2),
        Act::End(None),
        Act::Wait,
    ];
    session("COPY both ways", script, acts)
}

/// The end of a timeline: the server says where the next one begins.
fn replication_ended_by_the_server() -> Session {
    let script = Script::trusting()
        .query("START_REPLICATION 0/0 TIMELINE 1")
        .send(copy_both())
        .send(copy_data(b"w1"))
        .send(copy_done())
        .copy_done()
        .send(columns(&[
            ("next_tli", oid::TEXT),
            ("next_tli_startpos", oid::TEXT),
        ]))
        .send(row(&[Some("2"), Some("0/3000000")]))
        .send(complete("SELECT 1"))
        .send(complete("START_STREAMING"))
        .send(ready(b'I'));
    let acts = [copy("START_REPLICATION 0/0 TIMELINE 1"), Act::Wait];
    session("COPY both ways, ended by the server", script, acts)
}

fn replication_that_fails() -> Session {
    let script = Script::trusting()
        .query(REPLICATION)
        .send(copy_both())
        .send(copy_data(b"k1"))
        .copy_data(b"r1")
        .copy_over()
        .send(error("ERROR", "08P01", "unexpected message type \"r\""))
        .send(ready(b'I'));
    let acts = [copy(REPLICATION), put(b"r1"), put(b"r2"), Act::Wait];
    session("COPY both ways that fails", script, acts)
}

/// A walsender may say something behind its CopyDone.
fn replication_with_a_late_keepalive() -> Session {
    let script = Script::trusting()
        .query(REPLICATION)
        .send(copy_both())
        .copy_done()
        .send(copy_data(b"w1"))
        .send(copy_done())
        .send(copy_data(b"k1"))
        .send(notice("late"))
        .send(copy_data(b"k2"))
        .send(complete("COPY 0"))
        .send(complete("START_REPLICATION"))
        .send(ready(b'I'));
    let acts = [copy(REPLICATION), Act::Got(0), Act::End(None), Act::Wait];
    session("COPY both ways with a late keepalive", script, acts)
}

/// One that was told the end in an earlier stream says no CopyDone in the next.
fn replication_without_an_end() -> Session {
    let script = Script::trusting()
        .query(REPLICATION)
        .send(copy_both())
        .send(copy_data(b"k1"))
        .send(complete("COPY 0"))
        .send(complete("START_REPLICATION"))
        .send(ready(b'I'));
    let acts = [copy(REPLICATION), Act::Wait];
    session("COPY both ways without an end", script, acts)
}

/// A walsender that has sent all it has before the server shuts down completes its command, and is gone.
fn replication_until_a_shutdown() -> Session {
    let script = Script::trusting()
        .query(REPLICATION)
        .send(copy_both())
        .send(copy_data(b"k1"))
        .copy_data(b"r1")
        .send(complete("COPY 0"))
        .close();
    let acts = vec![copy(REPLICATION), Act::Got(1), put(b"r1"), Act::Wait];
    Session::new("COPY both ways until a shutdown", script, acts)
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
