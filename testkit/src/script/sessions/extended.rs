//! The extended query protocol: parameters, prepared statements, portals, groups.

use super::{params, people, person, prepared, query};
use crate::script::{
    Script, bind_complete, close_complete, columns, columns_in, complete, empty_query, error,
    no_data, oid, parameters, parse_complete, ready, row_of, suspended,
};
use crate::sim::{Act, Session, What};

/// All of them.
pub(super) fn all() -> Vec<Session> {
    vec![
        extended(),
        binary(),
        prepare_and_execute(),
        healed(),
        not_healed(),
        deferred_constraint(),
        portal(),
        portal_ended(),
        group(),
        group_piece_by_piece(),
    ]
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

/// The server has lost the statement: it is prepared again, with the same text, and what was sent is sent once more.
fn healed() -> Session {
    let sql = "SELECT id, name FROM people WHERE id < $1";
    let values: [Option<&[u8]>; 1] = [Some(b"9")];
    let described = |script: Script| {
        script
            .send(parse_complete())
            .send(parameters(&[oid::INT4]))
            .send(people())
    };
    let execute = |script: Script| script.bind("p", &values, 0).execute(0).sync();
    let prepare = |script: Script| script.parse("p", sql, &[]).describe(b'S', "p");
    let script = described(prepare(Script::trusting()).sync()).send(ready(b'I'));
    let refused = |script: Script, code, message| {
        execute(script)
            .send(error("ERROR", code, message))
            .send(ready(b'I'))
    };
    let script = refused(script, "26000", "prepared statement \"p\" does not exist");
    let script = execute(prepare(script.close_of(b'S', "p"))).send(close_complete());
    let script = described(script)
        .send(bind_complete())
        .two_people()
        .send(ready(b'I'));
    // Lost again, and now its table is gone too: that is the error. The text is still remembered.
    let script = refused(script, "26000", "prepared statement \"p\" does not exist");
    let script = execute(prepare(script.close_of(b'S', "p")))
        .send(close_complete())
        .send(error(
            "ERROR",
            "42P01",
            "relation \"people\" does not exist",
        ))
        .send(ready(b'I'));
    let script = refused(script, "26000", "prepared statement \"p\" does not exist");
    let script = execute(prepare(script.close_of(b'S', "p"))).send(close_complete());
    let script = described(script)
        .send(bind_complete())
        .two_people()
        .send(ready(b'I'));
    let prepare = Act::Start(What::Prepare {
        name: String::from("p"),
        sql: sql.to_owned(),
    });
    let again = || Act::Start(prepared("p", &values));
    Session::new(
        "statements that heal",
        script,
        vec![
            prepare,
            Act::Wait,
            again(),
            Act::Wait,
            again(),
            Act::Wait,
            again(),
            Act::Wait,
        ],
    )
}

/// The server has lost the statement, but something was started behind it, or a transaction block is open.
fn not_healed() -> Session {
    let sql = "SELECT id, name FROM people";
    let script = Script::trusting()
        .parse("p", sql, &[])
        .describe(b'S', "p")
        .sync()
        .send(parse_complete())
        .send(parameters(&[]))
        .send(people())
        .send(ready(b'I'))
        .bind("p", &[], 0)
        .execute(0)
        .sync()
        .query("BEGIN")
        .send(error(
            "ERROR",
            "26000",
            "prepared statement \"p\" does not exist",
        ))
        .send(ready(b'I'))
        .send(complete("BEGIN"))
        .send(ready(b'T'))
        .bind("p", &[], 0)
        .describe(b'P', "")
        .execute(0)
        .sync()
        .send(error(
            "ERROR",
            "26000",
            "prepared statement \"p\" does not exist",
        ))
        .send(ready(b'E'));
    let again = || Act::Start(prepared("p", &[]));
    Session::new(
        "statements that cannot heal",
        script,
        vec![
            Act::Start(What::Prepare {
                name: String::from("p"),
                sql: sql.to_owned(),
            }),
            Act::Wait,
            again(),
            Act::Start(query("BEGIN")),
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
