//! Cancel requests of encrypted connections: encrypted, too, and checked as the connection was.

use std::time::{Duration, Instant};

use pgpoll::conn::Cancel;
use testkit::ServerTls;

use crate::session::{FAILED, OK, Session};
use crate::{options, servers};

const STOPPED: &str = "error 57014 canceling statement due to user request";

/// Waits until the server is at work on the session's statement.
fn until_busy(server: &testkit::Cluster, session: &mut Session) {
    session.conn.poll();
    server.until_busy(session.conn.facts().backend_pid());
}

#[test]
fn a_statement_is_cancelled_over_tls() {
    for server in servers() {
        let mut more = vec![String::new(), String::from("max_protocol_version=3.2")];
        if server.server().major >= 17 {
            more.push(String::from("sslnegotiation=direct"));
        }
        for more in more {
            let conninfo = format!("{} {more}", server.conninfo_tls());
            let mut session = Session::open(&conninfo);
            for _ in 0..3 {
                let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
                until_busy(server, &mut session);
                let begun = Instant::now();
                let mut cancel = Cancel::of(&session.conn).unwrap();
                cancel.wait().unwrap();
                assert_eq!(cancel.deadline_ns(), None);
                assert_eq!(session.finish(operation), [STOPPED, FAILED]);
                assert!(begun.elapsed() < Duration::from_secs(30));
                assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
            }
        }
    }
}

/// The server has another certificate by now: the key is not given to it.
#[test]
fn a_server_that_is_no_longer_who_it_was_gets_no_key() {
    let server = testkit::Cluster::start(options());
    let session = Session::open(&server.conninfo_tls());
    let mut cancel = Cancel::of(&session.conn).unwrap();
    server.use_tls(&ServerTls::new("server-cn-only"));
    let error = cancel.wait().unwrap_err();
    let port = server.port();
    let prefix = format!("connection to server at \"127.0.0.1\", port {port} failed: ");
    let text = error.message();
    assert!(text.starts_with(&prefix), "{text}");
    assert!(
        text.contains("does not match host name \"localhost\""),
        "{text}"
    );
}

/// Neither is it given in clear.
#[test]
fn a_server_that_no_longer_encrypts_gets_no_key() {
    let server = testkit::Cluster::start(options());
    let session = Session::open(&server.conninfo_tls());
    let mut cancel = Cancel::of(&session.conn).unwrap();
    server.use_tls(&ServerTls::default().setting("ssl", "off"));
    let error = cancel.wait().unwrap_err();
    let text = error.message();
    assert!(
        text.ends_with("server does not support SSL, but SSL was required"),
        "{text}"
    );
}

/// The connection's own deadline cancels as it is connected.
#[test]
fn a_deadline_over_tls() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo_tls());
        session.conn.set_timeout(Some(Duration::from_millis(200)));
        let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
        let begun = Instant::now();
        let items = session.finish(operation);
        assert!(items[0].contains("timeout expired"), "{items:?}");
        assert!(begun.elapsed() < Duration::from_secs(30));
        session.conn.set_timeout(None);
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}
