//! Ways to get connected: methods of authentication, versions of the protocol, kinds of servers.

use pgpoll::auth;
use pgpoll::wire::{Frontend, PasswordMessage, protocol};

use super::{people, query};
use crate::script::{
    Scram, Script, auth_cleartext, auth_md5, auth_ok, columns, complete, error, negotiate, oid,
    ready, row,
};
use crate::sim::{Act, Server, Session};

/// All of them.
pub(super) fn all() -> Vec<Session> {
    vec![
        cleartext(),
        md5(),
        scram(),
        refused(),
        older_protocol(),
        by_name(),
        second_host(),
        starting_up(),
        primary(),
        read_write_of_old_servers(),
        prefer_standby(),
    ]
}

/// `SELECT 1` on a server that is up.
fn one(script: Script) -> Script {
    script
        .query("SELECT 1")
        .send(columns(&[("?column?", oid::INT4)]))
        .send(row(&[Some("1")]))
        .send(complete("SELECT 1"))
        .send(ready(b'I'))
}

fn ask_one() -> Vec<Act> {
    vec![Act::Start(query("SELECT 1")), Act::Wait]
}

/// Waits for a PasswordMessage.
fn password(script: Script, password: &[u8]) -> Script {
    let mut bytes = Vec::new();
    PasswordMessage { password }.encode(&mut bytes).unwrap();
    let body = &bytes[5..];
    script.expect(&Frontend::AuthenticationResponse(
        pgpoll::wire::AuthenticationResponse { body },
    ))
}

fn cleartext() -> Session {
    let script = Script::new().startup().send(auth_cleartext());
    let script = password(script, b"secret").send(auth_ok()).settled();
    Session::new("cleartext password", one(script), ask_one())
}

fn md5() -> Session {
    let salt = [1, 0, 255, 7];
    let script = Script::new().startup().send(auth_md5(salt));
    let hash = auth::md5::response(b"tester", b"secret", salt);
    let script = password(script, &hash[..]).send(auth_ok()).settled();
    Session::new("md5 password", one(script), ask_one())
}

fn scram() -> Session {
    let script = Script::new().startup().scram(Scram::new("secret"));
    let script = script.send(auth_ok()).settled();
    Session::new("SCRAM-SHA-256", one(script), ask_one())
}

fn refused() -> Session {
    let script = Script::new().startup().send(auth_cleartext());
    let script = password(script, b"secret")
        .send(error(
            "FATAL",
            "28P01",
            "password authentication failed for user \"tester\"",
        ))
        .close();
    Session::new("wrong password", script, Vec::new())
}

fn older_protocol() -> Session {
    let script = Script::new()
        .startup()
        .send(negotiate(protocol::V3_0, &[]))
        .send(auth_ok())
        .settled();
    let mut session = Session::new("NegotiateProtocolVersion", one(script), ask_one());
    session.conninfo.push_str(" max_protocol_version=3.2");
    session
}

fn by_name() -> Session {
    let mut session = Session::new("a name to resolve", one(Script::trusting()), ask_one());
    session.conninfo = String::from("host=db.example user=tester dbname=scripted");
    session
}

fn on_two_hosts(name: &str, more: &str, first: Server, second: Script) -> Session {
    let mut session = Session::new(name, Script::new(), ask_one());
    session.conninfo =
        format!("host=127.0.0.1,127.0.0.2 user=tester dbname=scripted password=secret {more}");
    session.servers = vec![first, Server::Plays(second)];
    session
}

fn second_host() -> Session {
    let second = one(Script::trusting());
    on_two_hosts("the first host refuses", "", Server::Refuses, second)
}

fn starting_up() -> Session {
    let first = Script::new()
        .startup()
        .send(error(
            "FATAL",
            "57P03",
            "the database system is starting up",
        ))
        .close();
    let second = one(Script::trusting());
    on_two_hosts(
        "the first host is starting up",
        "",
        Server::Plays(first),
        second,
    )
}

fn primary() -> Session {
    let standby = Script::new().startup().send(auth_ok());
    let standby = standby.settled_as("18.6", "on");
    let second = one(Script::trusting());
    on_two_hosts(
        "target_session_attrs=primary",
        "target_session_attrs=primary",
        Server::Plays(standby),
        second,
    )
}

/// Servers before 14 do not report what decides it: they are asked.
fn read_write_of_old_servers() -> Session {
    let old = |read_only: &str| {
        Script::new()
            .startup()
            .send(auth_ok())
            .send(crate::script::parameter("server_version", "13.20"))
            .send(ready(b'I'))
            .query("SHOW transaction_read_only")
            .send(columns(&[("transaction_read_only", oid::TEXT)]))
            .send(row(&[Some(read_only)]))
            .send(complete("SHOW"))
            .send(ready(b'I'))
    };
    on_two_hosts(
        "target_session_attrs=read-write, old servers",
        "target_session_attrs=read-write",
        Server::Plays(old("on")),
        one(old("off")),
    )
}

/// No standby is there: the second pass takes any server.
fn prefer_standby() -> Session {
    let mut session = Session::new(
        "target_session_attrs=prefer-standby",
        Script::trusting(),
        vec![Act::Start(query("TABLE people")), Act::Wait],
    );
    session
        .conninfo
        .push_str(" target_session_attrs=prefer-standby");
    let answer = Script::trusting()
        .query("TABLE people")
        .send(people())
        .two_people()
        .send(ready(b'I'));
    session.servers.push(Server::Plays(answer));
    session
}
