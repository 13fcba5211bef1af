//! Queries of all kinds on a connection that is up.

use pgpoll::engine::Room;
use pgpoll::rows::Limits;

use super::{interlude, params, people, person, prepared, query};
use crate::script::{
    Script, bind_complete, close_complete, columns, columns_in, complete, copy_data, copy_done,
    copy_in, copy_out, empty_query, error, no_data, oid, parameters, parse_complete, ready, row_of,
    suspended,
};
use crate::sim::{Act, ROOM, Session, What};

/// Why a COPY is refused.
const COPY: &str = "the statement is a COPY, which this call cannot run";

/// All of them.
pub(super) fn all() -> Vec<Session> {
    let mut all = vec![
        several_statements(),
        several_queries(),
        failed_transaction(),
        empty(),
        extended(),
        binary(),
        prepare_and_execute(),
        deferred_constraint(),
        portal(),
        portal_ended(),
        group(),
        group_piece_by_piece(),
        goodbye(),
        copy_in_simple(),
        copy_in_extended(),
        copy_out_simple(),
        batches(),
        long_values(),
        wide_rows(),
    ];
    let interludes: Vec<Session> = all[..13].iter().map(with_interludes).collect();
    all.extend(interludes);
    all
}

/// The same session of a server that talks between any two messages.
fn with_interludes(session: &Session) -> Session {
    let mut session = session.clone();
    session.name.push_str(", interrupted");
    for server in &mut session.servers {
        if let crate::sim::Server::Plays(script) = server {
            *script = script.with_interludes(&interlude());
        }
    }
    session
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

fn extended() -> Session {
    let sql = "SELECT id, name FROM people WHERE id < $1 AND name <> $2";
    let values: [Option<&[u8]>; 2] = [Some(b"9"), None];
    let script = Script::trusting()
        .statement(sql, &values, 0, 0)
        .sync()
        .parsed_and_bound()
        .send(people())
        .two_people()
        .send(ready(b'I'));
    Session::new(
        "extended query with parameters",
        script,
        vec![Act::Start(params(sql, &values, 0, 0)), Act::Wait],
    )
}

fn binary() -> Session {
    let sql = "SELECT 258, NULL::int4, '\\x00ff'::bytea";
    let described = columns_in(&[("a", oid::INT4), ("b", oid::INT4), ("c", oid::BYTEA)], 1);
    let script = Script::trusting()
        .statement(sql, &[], 1, 0)
        .sync()
        .parsed_and_bound()
        .send(described)
        .send(row_of(&[Some(&[0, 0, 1, 2]), None, Some(&[0, 255])]))
        .send(complete("SELECT 1"))
        .send(ready(b'I'));
    Session::new(
        "binary results",
        script,
        vec![Act::Start(params(sql, &[], 1, 0)), Act::Wait],
    )
}

/// The columns are remembered: executing asks for none. DEALLOCATE ends that.
fn prepare_and_execute() -> Session {
    let sql = "SELECT id, name FROM people WHERE id < $1";
    let values: [Option<&[u8]>; 1] = [Some(b"9")];
    let execute = |script: Script| script.bind("p", &values, 0).execute(0).sync();
    let script = Script::trusting()
        .parse("p", sql, &[])
        .describe(b'S', "p")
        .sync()
        .send(parse_complete())
        .send(parameters(&[oid::INT4]))
        .send(people())
        .send(ready(b'I'));
    let script = execute(execute(script));
    let answer = |script: Script| script.send(bind_complete()).two_people().send(ready(b'I'));
    let script = answer(answer(script))
        .close_of(b'S', "p")
        .sync()
        .send(close_complete())
        .send(ready(b'I'))
        .bind("p", &values, 0)
        .describe(b'P', "")
        .execute(0)
        .sync()
        .send(error(
            "ERROR",
            "26000",
            "prepared statement \"p\" does not exist",
        ))
        .send(ready(b'I'));
    let again = || Act::Start(prepared("p", &values));
    Session::new(
        "prepare, execute, close",
        script,
        vec![
            Act::Start(What::Prepare {
                name: String::from("p"),
                sql: sql.to_owned(),
            }),
            Act::Wait,
            again(),
            again(),
            Act::Wait,
            Act::Start(What::CloseStatement(String::from("p"))),
            Act::Wait,
            again(),
            Act::Wait,
        ],
    )
}

/// CommandComplete comes, and then the error of the commit.
fn deferred_constraint() -> Session {
    let sql = "INSERT INTO people VALUES (1, 'Ada')";
    let script = Script::trusting()
        .statement(sql, &[], 0, 0)
        .sync()
        .parsed_and_bound()
        .send(no_data())
        .send(complete("INSERT 0 1"))
        .send(error(
            "ERROR",
            "23505",
            "duplicate key value violates unique constraint \"people_id_key\"",
        ))
        .send(ready(b'I'));
    Session::new(
        "a deferred constraint",
        script,
        vec![Act::Start(params(sql, &[], 0, 0)), Act::Wait],
    )
}

fn portal() -> Session {
    let sql = "SELECT id, name FROM people";
    let script = Script::trusting()
        .statement(sql, &[], 0, 2)
        .flush()
        .parsed_and_bound()
        .send(people())
        .send(person("1", Some("Ada")))
        .send(person("2", None))
        .send(suspended())
        .execute(2)
        .flush()
        .send(person("3", Some("Eve")))
        .send(person("4", Some("")))
        .send(suspended())
        .execute(2)
        .flush()
        .send(complete("SELECT 0"))
        .sync()
        .send(ready(b'I'))
        .query("")
        .send(empty_query())
        .send(ready(b'I'));
    Session::new(
        "a portal with a row limit",
        script,
        vec![
            Act::Start(params(sql, &[], 0, 2)),
            Act::Continue(2),
            Act::Continue(2),
            Act::Wait,
            Act::Start(What::Sync),
            Act::Wait,
            Act::Start(query("")),
            Act::Wait,
        ],
    )
}

/// The client has seen enough.
fn portal_ended() -> Session {
    let sql = "SELECT id, name FROM people";
    let script = Script::trusting()
        .statement(sql, &[], 0, 1)
        .flush()
        .parsed_and_bound()
        .send(people())
        .send(person("1", Some("Ada")))
        .send(suspended())
        .sync()
        .send(ready(b'I'))
        .query("SELECT WHERE false")
        .send(columns(&[]))
        .send(complete("SELECT 0"))
        .send(ready(b'I'))
        .statement(sql, &[], 0, 1)
        .flush()
        .parsed_and_bound()
        .send(people())
        .send(error(
            "ERROR",
            "57014",
            "canceling statement due to user request",
        ))
        .sync()
        .send(ready(b'I'))
        .query("TABLE people")
        .send(people())
        .two_people()
        .send(ready(b'I'));
    Session::new(
        "a portal that is not read to its end",
        script,
        vec![
            Act::Start(params(sql, &[], 0, 1)),
            Act::Start(What::Sync),
            Act::Wait,
            Act::Start(query("SELECT WHERE false")),
            Act::Wait,
            Act::Start(params(sql, &[], 0, 1)),
            Act::Wait,
            Act::Start(What::Sync),
            Act::Start(query("TABLE people")),
            Act::Wait,
        ],
    )
}

/// Several operations before one Sync; the second fails and the server skips the rest.
fn group() -> Session {
    let good = "SELECT id, name FROM people";
    let bad = "SELECT $1::int4";
    let value: [Option<&[u8]>; 1] = [Some(b"x")];
    let script = Script::trusting()
        .statement(good, &[], 0, 0)
        .statement(bad, &value, 0, 0)
        .statement(good, &[], 0, 0)
        .describe(b'S', "nothing")
        .sync()
        .statement(good, &[], 0, 0)
        .sync()
        .parsed_and_bound()
        .send(people())
        .two_people()
        .send(parse_complete())
        .send(error(
            "ERROR",
            "22P02",
            "invalid input syntax for type integer: \"x\"",
        ))
        .send(ready(b'I'))
        .parsed_and_bound()
        .send(people())
        .two_people()
        .send(ready(b'I'));
    Session::new(
        "a group with an error in the middle",
        script,
        vec![
            Act::More(params(good, &[], 0, 0)),
            Act::More(params(bad, &value, 0, 0)),
            Act::More(params(good, &[], 0, 0)),
            Act::More(What::DescribeStatement(String::from("nothing"))),
            Act::Start(What::Sync),
            Act::Start(params(good, &[], 0, 0)),
            Act::Wait,
        ],
    )
}

/// A poll inside of an open group asks for a Flush, so that its replies come.
fn group_piece_by_piece() -> Session {
    let sql = "SELECT id, name FROM people";
    let script = Script::trusting()
        .statement(sql, &[], 0, 0)
        .flush()
        .parsed_and_bound()
        .send(people())
        .two_people()
        .parse("q", sql, &[])
        .describe(b'S', "q")
        .flush()
        .send(parse_complete())
        .send(parameters(&[]))
        .send(people())
        .bind("q", &[], 0)
        .execute(0)
        .describe(b'P', "")
        .close_of(b'P', "")
        .sync()
        .send(bind_complete())
        .two_people()
        .send(people())
        .send(close_complete())
        .send(ready(b'I'));
    Session::new(
        "a group, piece by piece",
        script,
        vec![
            Act::More(params(sql, &[], 0, 0)),
            Act::Wait,
            Act::More(What::Prepare {
                name: String::from("q"),
                sql: sql.to_owned(),
            }),
            Act::Wait,
            Act::More(prepared("q", &[])),
            Act::More(What::DescribePortal(String::new())),
            Act::More(What::ClosePortal(String::new())),
            Act::Start(What::Sync),
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

/// More batches than may be left untaken: the reading stops until they are taken.
fn batches() -> Session {
    let mut script = Script::trusting().query("TABLE people").send(people());
    for id in 0..9 {
        script = script.send(person(&id.to_string(), Some("somebody")));
    }
    let script = script.send(complete("SELECT 9")).send(ready(b'I'));
    let mut session = Session::new(
        "batches of two rows",
        script,
        vec![
            Act::Limits(Limits {
                rows: 2,
                bytes: usize::MAX,
            }),
            Act::Start(query("TABLE people")),
            Act::Wait,
        ],
    );
    session.room = Room { items: 2, ..ROOM };
    session
}

/// NULLs, empty values and values of some kilobytes beside each other.
fn long_values() -> Session {
    let long = vec![b'x'; 5000];
    let all: Vec<u8> = (0..=255).collect();
    let described = columns(&[("a", oid::TEXT), ("b", oid::TEXT), ("c", oid::TEXT)]);
    let mut script = Script::trusting().query("TABLE long").send(described);
    for values in [
        [None, None, None],
        [Some(&long[..]), None, Some(&all[..])],
        [Some(&b""[..]), Some(&b""[..]), Some(&b""[..])],
        [None, Some(&long[..]), None],
        [Some(&all[..]), Some(&all[..]), Some(&long[..])],
    ] {
        script = script.send(row_of(&values));
    }
    let script = script.send(complete("SELECT 5")).send(ready(b'I'));
    Session::new(
        "NULLs and long values",
        script,
        vec![Act::Start(query("TABLE long")), Act::Wait],
    )
}

/// Rows of 64 KB and more are walked instead of indexed.
fn wide_rows() -> Session {
    let (wide, small) = (vec![b'w'; 70_000], vec![b's'; 65_500]);
    let described = columns(&[("a", oid::TEXT), ("b", oid::TEXT), ("c", oid::TEXT)]);
    let mut script = Script::trusting().query("TABLE wide").send(described);
    for values in [
        [Some(&wide[..]), None, Some(&b"end"[..])],
        [Some(&b"short"[..]), None, None],
        [None, Some(&small[..]), Some(&b"end"[..])],
        [Some(&small[..]), Some(&wide[..]), Some(&b""[..])],
    ] {
        script = script.send(row_of(&values));
    }
    let script = script.send(complete("SELECT 4")).send(ready(b'I'));
    Session::new(
        "wide rows",
        script,
        vec![Act::Start(query("TABLE wide")), Act::Wait],
    )
}
