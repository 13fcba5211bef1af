//! Recorded sessions: what a client asks and what PostgreSQL answers, from the startup on. Data only.

mod connecting;
mod copies;
mod extended;
mod function;
mod rows;
mod simple;

use super::{
    Script, bind_complete, columns, complete, notice, notification, oid, parameter, parse_complete,
    row,
};
use crate::sim::{Server, Session, What};

/// All sessions, the short ones first; those of queries and COPYs once more, of a server that talks between any
/// two messages.
pub fn all() -> Vec<Session> {
    let queries = [simple::all(), extended::all()].concat();
    let interrupted = [queries.clone(), copies::each_way(), function::each_kind()].concat();
    let interrupted = interrupted.iter().map(with_interludes).collect();
    [
        connecting::all(),
        queries,
        copies::all(),
        function::all(),
        rows::all(),
        interrupted,
    ]
    .concat()
}

/// The same session of a server that talks between any two messages.
fn with_interludes(session: &Session) -> Session {
    let mut session = session.clone();
    session.name.push_str(", interrupted");
    for server in &mut session.servers {
        if let Server::Plays(script) = server {
            *script = script.with_interludes(&interlude());
        }
    }
    session
}

/// The session of that name.
pub fn named(name: &str) -> Session {
    let found = all().into_iter().find(|session| session.name == name);
    found.unwrap_or_else(|| panic!("no session is named {name}"))
}

/// What a server may say between any two messages: a notice, a notification, a changed parameter.
pub fn interlude() -> Vec<u8> {
    [
        notice("by the way"),
        notification(99, "channel", "payload"),
        parameter("TimeZone", "Europe/Berlin"),
    ]
    .concat()
}

fn query(sql: &str) -> What {
    What::Query(sql.to_owned())
}

/// A statement with parameters in text form.
fn params(sql: &str, values: &[Option<&[u8]>], format: i16, max_rows: u32) -> What {
    What::Params {
        sql: sql.to_owned(),
        types: Vec::new(),
        params: owned(values),
        format,
        max_rows,
    }
}

fn prepared(name: &str, values: &[Option<&[u8]>]) -> What {
    What::Prepared {
        name: name.to_owned(),
        params: owned(values),
        format: 0,
    }
}

fn owned(values: &[Option<&[u8]>]) -> Vec<Option<Vec<u8>>> {
    values
        .iter()
        .map(|value| value.map(<[u8]>::to_vec))
        .collect()
}

/// `SELECT` of people: their numbers and names.
fn people() -> Vec<u8> {
    columns(&[("id", oid::INT4), ("name", oid::TEXT)])
}

fn person(id: &str, name: Option<&str>) -> Vec<u8> {
    row(&[Some(id), name])
}

impl Script {
    /// ParseComplete and BindComplete.
    fn parsed_and_bound(self) -> Self {
        self.send(parse_complete()).send(bind_complete())
    }

    /// Two rows and the end of the command.
    fn two_people(self) -> Self {
        self.send(person("1", Some("Ada")))
            .send(person("2", None))
            .send(complete("SELECT 2"))
    }
}
