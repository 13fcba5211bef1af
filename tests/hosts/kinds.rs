//! `target_session_attrs`: which of several servers is taken, by what they report or by what they answer.

use std::net::TcpListener;

use pgpoll::wire::protocol;
use testkit::script::{Script, Scripted, auth_ok, columns, complete, oid, parameter, ready, row};

use crate::session::{OK, Session};
use crate::{at, dead_port, hosts, on_ports, pairs};

const NOT_STANDBY: &str = "server is not in hot standby mode";
const IN_STANDBY: &str = "server is in hot standby mode";
const READ_ONLY: &str = "session is read-only";
const NOT_READ_ONLY: &str = "session is not read-only";

#[test]
fn the_first_of_the_wanted_kind_is_taken() {
    for (primary, standby) in pairs() {
        for (wanted, takes_primary, takes_standby) in [
            ("any", true, true),
            ("read-write", true, false),
            ("read-only", false, true),
            ("primary", true, false),
            ("standby", false, true),
            ("prefer-standby", false, true),
        ] {
            for order in [[primary, standby], [standby, primary]] {
                let conninfo = format!("{} target_session_attrs={wanted}", hosts(&order));
                let mut session = Session::open(&conninfo);
                let first = std::ptr::eq(order[0], primary);
                let first_does = if first { takes_primary } else { takes_standby };
                let chosen = session.conn.facts().host();
                assert_eq!(chosen, usize::from(!first_does), "{conninfo}");
                let port = order[chosen].port();
                assert_eq!(
                    session.query("select inet_server_port() as p, pg_is_in_recovery() as r"),
                    [
                        &format!(
                            "p,r: {port}|{}",
                            if port == standby.port() { "t" } else { "f" }
                        ),
                        "SELECT 1",
                        OK
                    ]
                );
            }
        }
    }
}

#[test]
fn a_server_of_the_wrong_kind_says_which_it_is() {
    for (primary, standby) in pairs() {
        for (server, user, wanted, text) in [
            (primary, "postgres", "standby", NOT_STANDBY),
            (primary, "postgres", "read-only", NOT_READ_ONLY),
            (primary, "reader", "read-write", READ_ONLY),
            (standby, "postgres", "primary", IN_STANDBY),
            (standby, "postgres", "read-write", READ_ONLY),
        ] {
            let conninfo = server.conninfo_tcp_as(user);
            let conninfo = format!("{conninfo} target_session_attrs={wanted}");
            let Err(error) = Session::try_open(&conninfo) else {
                panic!("{conninfo}: connected");
            };
            let expected = format!("{}{text}", at(server.port()));
            assert_eq!(error.message(), expected);
            assert!(error.is_safe_to_retry());
        }
        // A primary whose sessions are read-only is no standby, and will do for who wants to read.
        let reader = primary.conninfo_tcp_as("reader");
        Session::open(&format!("{reader} target_session_attrs=read-only"));
        Session::open(&format!("{reader} target_session_attrs=primary"));
    }
}

#[test]
fn prefer_standby_takes_what_there_is_in_the_end() {
    for (primary, standby) in pairs() {
        let dead = dead_port();
        let ports = on_ports(&[dead, primary.port()]);
        let session = Session::open(&format!("{ports} target_session_attrs=prefer-standby"));
        assert_eq!(session.conn.facts().host(), 1);
        let ports = on_ports(&[dead, primary.port(), standby.port()]);
        let session = Session::open(&format!("{ports} target_session_attrs=prefer-standby"));
        assert_eq!(session.conn.facts().host(), 2);
    }
}

/// What a server before 14 says: no word of recovery. `asked` is answered with `answer`.
fn old(asked: &str, answer: &str) -> Script {
    old_up()
        .query(asked)
        .send(columns(&[("answer", oid::TEXT)]))
        .send(row(&[Some(answer)]))
        .send(complete("SELECT 1"))
        .send(ready(b'I'))
}

fn old_up() -> Script {
    Script::new()
        .startup()
        .send(auth_ok())
        .send(parameter("server_version", "13.20"))
        .send(ready(b'I'))
}

/// A server that plays these, and its port.
fn playing(scripts: &[Script]) -> (Scripted, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (Scripted::over(listener, scripts), port)
}

#[test]
fn servers_that_do_not_report_it_are_asked() {
    const WRITES: &str = "SHOW transaction_read_only";
    const RECOVERS: &str = "SELECT pg_catalog.pg_is_in_recovery()";
    for (wanted, asked, wrong, right, text) in [
        ("read-write", WRITES, "on", "off", READ_ONLY),
        ("read-only", WRITES, "off", "on", NOT_READ_ONLY),
        ("primary", RECOVERS, "t", "f", IN_STANDBY),
        ("standby", RECOVERS, "f", "t", NOT_STANDBY),
        ("prefer-standby", RECOVERS, "f", "t", NOT_STANDBY),
    ] {
        // The first connection has the wrong kind, the second one the right one.
        let (server, port) = playing(&[old(asked, wrong), old(asked, right)]);
        let conninfo = on_ports(&[port, port]);
        let session = Session::open(&format!(
            "{conninfo} sslmode=disable target_session_attrs={wanted}"
        ));
        assert_eq!(session.conn.facts().host(), 1, "{wanted}");
        assert_eq!(session.conn.facts().protocol(), protocol::V3_0 as u32);
        drop(session);
        assert!(server.finish().iter().all(|played| played.is_over));

        if wanted == "prefer-standby" {
            continue;
        }
        let (_server, port) = playing(&[old(asked, wrong)]);
        let conninfo = format!(
            "{} sslmode=disable target_session_attrs={wanted}",
            on_ports(&[port])
        );
        let Err(error) = Session::try_open(&conninfo) else {
            panic!("{wanted}: connected");
        };
        assert_eq!(error.message(), format!("{}{text}", at(port)));
    }
}

/// The second pass of prefer-standby asks nothing.
#[test]
fn prefer_standby_does_not_ask_twice() {
    let asked = "SELECT pg_catalog.pg_is_in_recovery()";
    let (server, port) = playing(&[old(asked, "f"), old_up()]);
    let conninfo = on_ports(&[port]);
    let session = Session::open(&format!(
        "{conninfo} sslmode=disable target_session_attrs=prefer-standby"
    ));
    assert_eq!(session.conn.facts().host(), 0);
    drop(session);
    assert!(server.finish().iter().all(|played| played.is_over));
}
