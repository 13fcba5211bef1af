//! Results of all sizes.

use pgpoll::engine::Room;
use pgpoll::rows::Limits;

use super::{people, person, query};
use crate::script::{Script, columns, complete, oid, ready, row_of};
use crate::sim::{Act, ROOM, Session};

/// All of them.
pub(super) fn all() -> Vec<Session> {
    vec![batches(), long_values(), wide_rows()]
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
