//! What the startup packet carries, and which version of the protocol comes of it.

use std::process::Command;

use pgpoll::conn::Cancel;
use pgpoll::wire::protocol;

use crate::servers;
use crate::session::{FAILED, OK, Session};

#[test]
fn options_and_names() {
    for server in servers() {
        let conninfo = server.conninfo();
        let show = |more: &str, setting: &str| {
            let mut session = Session::open(&format!("{conninfo} {more}"));
            let sql = format!("select current_setting('{setting}') as s");
            session.query(&sql).remove(0)
        };
        let options = r"options='-c work_mem=1234kB --log-statement-stats=on -c TimeZone=<+01:30\\ X>-01:30 -c geqo=off'";
        assert_eq!(show(options, "work_mem"), "s: 1234kB");
        assert_eq!(show(options, "log_statement_stats"), "s: on");
        assert_eq!(show(options, "TimeZone"), "s: <+01:30 X>-01:30");
        assert_eq!(show(options, "geqo"), "s: off");
        let name = "application_name";
        assert_eq!(show("", name), "s:");
        assert_eq!(show("fallback_application_name=f", name), "s: f");
        assert_eq!(
            show("fallback_application_name=f application_name=a", name),
            "s: a"
        );
        // An empty one is one.
        assert_eq!(
            show("fallback_application_name=f application_name=''", name),
            "s:"
        );
        assert_eq!(
            show("client_encoding=LATIN1", "client_encoding"),
            "s: LATIN1"
        );

        for (more, sqlstate, words) in [
            (
                "options='-c no_such_setting=1'",
                "42704",
                "FATAL:  unrecognized configuration parameter \"no_such_setting\"",
            ),
            (
                "client_encoding=no_such_encoding",
                "22023",
                "FATAL:  invalid value for parameter \"client_encoding\": \"no_such_encoding\"",
            ),
        ] {
            let Err(error) = Session::try_open(&format!("{conninfo} {more}")) else {
                panic!("{more}: connected");
            };
            assert_eq!(error.sqlstate(), Some(sqlstate.as_bytes()));
            assert!(error.message().ends_with(words), "{error}");
        }
    }
}

/// The locale is the process': each is tried in a process of its own, which runs the next test.
#[test]
fn the_encoding_of_the_locale() {
    for server in servers() {
        for (locale, encoding) in [
            ("C", "SQL_ASCII"),
            ("POSIX", "SQL_ASCII"),
            ("C.UTF-8", "UTF8"),
            ("de_DE.ISO8859-15", "LATIN9"),
            ("ru_RU.KOI8-R", "KOI8R"),
        ] {
            let said = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture", "startup::in_this_locale"])
                .env("LC_ALL", locale)
                .env(CHILD, server.conninfo())
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&said.stdout).into_owned();
            assert!(
                said.contains(&format!("encoding={encoding}\n")),
                "{locale}: {said}"
            );
        }
    }
}

const CHILD: &str = "PGPOLL_TEST_IN_THIS_LOCALE";

/// The other half of the test above; by itself it tries the locale that there is.
#[test]
fn in_this_locale() {
    let conninfo = match std::env::var(CHILD) {
        Ok(conninfo) => conninfo,
        Err(_) => servers()[0].conninfo(),
    };
    let session = Session::open(&format!("{conninfo} client_encoding=auto"));
    let encoding = session.conn.facts().parameter(b"client_encoding");
    println!("encoding={}", String::from_utf8_lossy(encoding.unwrap()));
}

#[test]
fn the_version_of_the_protocol() {
    for server in servers() {
        let is_new = server.server().major >= 18;
        for (more, version) in [
            ("", protocol::V3_0),
            ("max_protocol_version=3.0", protocol::V3_0),
            (
                "max_protocol_version=3.2",
                if is_new {
                    protocol::V3_2
                } else {
                    protocol::V3_0
                },
            ),
            (
                "max_protocol_version=latest",
                if is_new {
                    protocol::V3_2
                } else {
                    protocol::V3_0
                },
            ),
        ] {
            let mut session = Session::open(&format!("{} {more}", server.conninfo()));
            let facts = session.conn.facts();
            assert_eq!(facts.protocol() as i32, version, "{more}");
            let key = facts.cancel_key().unwrap().expose().len();
            assert_eq!(key, if version == protocol::V3_2 { 32 } else { 4 });
            // The key is the right one, whatever its length.
            let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
            while session.conn.engine().has_output() {
                session.conn.poll();
            }
            let stopped = loop {
                Cancel::of(&session.conn).unwrap().wait().unwrap();
                session
                    .conn
                    .wait(Some(std::time::Duration::from_millis(50)));
                if session.conn.poll().has_result() {
                    break session.finish(operation);
                }
            };
            assert_eq!(
                stopped,
                [
                    "error 57014 canceling statement due to user request",
                    FAILED
                ]
            );
            assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
        }
        let strict = format!(
            "{} min_protocol_version=3.2 max_protocol_version=latest",
            server.conninfo()
        );
        match Session::try_open(&strict) {
            Ok(session) => assert_eq!(session.conn.facts().protocol() as i32, protocol::V3_2),
            Err(error) => {
                assert!(!is_new, "{error}");
                let words = "server only supports protocol version 3.0, but \"min_protocol_version\" was set to 3.2";
                assert!(error.message().ends_with(words), "{error}");
            }
        }
    }
}
