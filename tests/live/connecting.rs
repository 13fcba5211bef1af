//! Getting connected: transports, passwords, options, hosts in turn, kinds of servers.

use std::net::TcpListener;

use crate::session::{OK, Session};
use crate::{QUOTED, servers};

#[test]
fn every_transport_and_every_password_method() {
    for server in servers() {
        let port = server.port();
        let mut places = vec![
            format!("host={}", server.socket_dir().display()),
            String::from("host=127.0.0.1"),
            String::from("host=localhost"),
            String::from("host=no-such-name.invalid hostaddr=127.0.0.1"),
        ];
        if server.has_ipv6() {
            places.push(String::from("host=::1"));
        } else {
            testkit::say!("SKIPPED: this machine has no IPv6");
        }
        for place in &places {
            for role in ["trust", "scram", "md5", "password"] {
                let conninfo = format!(
                    "{place} port={port} user=user_{role} dbname=postgres password={QUOTED}"
                );
                let mut session = Session::open(&conninfo);
                assert_eq!(
                    session.query("select current_user as u"),
                    [&format!("u: user_{role}"), "SELECT 1", OK]
                );
                let used = session.conn.facts().password_used();
                assert_eq!(used, role != "trust", "{conninfo}");
            }
        }
    }
}

#[test]
fn a_uri_and_the_options_that_the_server_gets() {
    for server in servers() {
        let uri = format!(
            "postgresql://user_scram:open%20se%27same@127.0.0.1:{}/postgres?application_name=it%27s&options=-c%20work_mem%3D1234kB&client_encoding=LATIN1",
            server.port()
        );
        let mut session = Session::open(&uri);
        assert_eq!(
            session.query(
                "select current_setting('application_name') as a, current_setting('work_mem') as w"
            )[0],
            "a,w: it's|1234kB"
        );
        let encoding = session.conn.facts().parameter(b"client_encoding");
        assert_eq!(encoding, Some(&b"LATIN1"[..]));
        assert_ne!(session.conn.facts().backend_pid(), 0);
        assert!(session.conn.facts().cancel_key().is_some());
    }
}

#[test]
fn the_next_host_is_tried_when_the_first_is_dead() {
    for server in servers() {
        let dead = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let port = server.port();
        let folder = server.socket_dir().display();
        for (hosts, ports) in [
            ("127.0.0.1,127.0.0.1".to_owned(), format!("{dead},{port}")),
            ("/no/such/folder,localhost".to_owned(), port.to_string()),
            (format!("no-such-name.invalid,{folder}"), port.to_string()),
        ] {
            let session = Session::open(&format!(
                "host={hosts} port={ports} user=postgres dbname=postgres"
            ));
            assert_eq!(session.conn.facts().host(), 1, "{hosts}");
        }
        let Err(error) = Session::try_open(&format!(
            "host=127.0.0.1,/no/such/folder port={dead} user=postgres"
        )) else {
            panic!("nobody listens there");
        };
        assert_eq!(
            error.message(),
            format!(
                "connection to server at \"127.0.0.1\", port {dead} failed: Connection refused\n\
                 \tIs the server running on that host and accepting TCP/IP connections?\n\
                 connection to server on socket \"/no/such/folder/.s.PGSQL.{dead}\" failed: No such file or directory\n\
                 \tIs the server running locally and accepting connections on that socket?"
            )
        );
    }
}

#[test]
fn a_silent_host_is_left_when_its_time_is_over() {
    for server in servers() {
        let begun = std::time::Instant::now();
        let mute = TcpListener::bind("127.0.0.1:0").unwrap();
        let mute_port = mute.local_addr().unwrap().port();
        let session = Session::open(&format!(
            "host=127.0.0.1,127.0.0.1 port={mute_port},{} user=postgres dbname=postgres connect_timeout=2",
            server.port()
        ));
        assert_eq!(session.conn.facts().host(), 1);
        let took = begun.elapsed().as_millis();
        assert!((2000..30_000).contains(&took), "{took} ms");
        assert_eq!(
            session.conn.deadline_ns(),
            None,
            "no deadline once it is up"
        );
    }
}

#[test]
fn target_session_attrs() {
    for server in servers() {
        let base = server.conninfo();
        for wanted in ["any", "read-write", "primary", "prefer-standby"] {
            Session::open(&format!("{base} target_session_attrs={wanted}"));
        }
        for (user, wanted, text) in [
            ("postgres", "read-only", "session is not read-only"),
            ("postgres", "standby", "server is not in hot standby mode"),
            ("reader", "read-write", "session is read-only"),
        ] {
            let conninfo = format!("{} target_session_attrs={wanted}", server.conninfo_as(user));
            let Err(error) = Session::try_open(&conninfo) else {
                panic!("{conninfo}: connected");
            };
            let socket = format!(
                "connection to server on socket \"{}/.s.PGSQL.{}\" failed: {text}",
                server.socket_dir().display(),
                server.port()
            );
            assert_eq!(error.message(), socket);
        }
        Session::open(&format!(
            "{} target_session_attrs=read-only",
            server.conninfo_as("reader")
        ));
    }
}

#[test]
fn reset_begins_anew() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let pid = session.conn.facts().backend_pid();
        session.query("create temp table gone (x int)");
        session.prepare("gone", "select 1 as n");
        // In the middle of a query and of its rows.
        session
            .conn
            .start_query("select generate_series(1, 1000000)")
            .unwrap();
        session.conn.poll();
        session.conn.reset();
        assert!(session.conn.start_query("select 1").is_err());
        session.come_up().unwrap();
        assert_ne!(session.conn.facts().backend_pid(), pid);
        assert_eq!(
            session.query("select to_regclass('gone') as g")[0],
            "g: NULL"
        );
        assert_eq!(
            session.prepared("gone", &())[0],
            "error 26000 prepared statement \"gone\" does not exist"
        );
        // While it connects, and when it is over.
        session.conn.reset();
        session.conn.poll();
        session.conn.reset();
        session.come_up().unwrap();
        let pid = session.conn.facts().backend_pid();
        assert!(server.terminate_backend(pid));
        assert_eq!(session.end().sqlstate(), Some(&b"57P01"[..]));
        session.conn.reset();
        session.come_up().unwrap();
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}
