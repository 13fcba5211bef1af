//! Replication connections: the commands that answer with rows, and a copy in both directions that was not asked for as one.

use crate::servers;
use crate::session::{FAILED, OK, Session};

#[test]
fn the_commands_of_a_physical_connection() {
    for server in servers() {
        for conninfo in [server.conninfo(), server.conninfo_tcp()] {
            let mut session = Session::open(&format!("{conninfo} replication=true"));
            let system = server.psql("select system_identifier from pg_control_system()");
            let replies = session.query("IDENTIFY_SYSTEM");
            let expected = format!("systemid,timeline,xlogpos,dbname: {system}|1|");
            assert!(replies[0].starts_with(&expected), "{replies:?}");
            assert!(replies[0].ends_with("|NULL"), "{replies:?}");
            assert_eq!(replies[1..], ["IDENTIFY_SYSTEM", OK]);
            assert_eq!(
                session.query("SHOW application_name"),
                ["application_name:", "SHOW", OK]
            );
            let replies = session.query("CREATE_REPLICATION_SLOT spare TEMPORARY PHYSICAL");
            assert!(
                replies[0]
                    .starts_with("slot_name,consistent_point,snapshot_name,output_plugin: spare|"),
                "{replies:?}"
            );
            assert_eq!(replies[1..], ["CREATE_REPLICATION_SLOT", OK]);
            assert_eq!(
                session.query("DROP_REPLICATION_SLOT spare"),
                ["DROP_REPLICATION_SLOT", OK]
            );
            // What it does not speak fails in the server's words, and nothing else does.
            assert_eq!(
                session.query("select 1"),
                [
                    "error 0A000 cannot execute SQL commands in WAL sender for physical replication",
                    FAILED
                ]
            );
            assert_eq!(
                session.query("TIMELINE_HISTORY 0"),
                ["error 42601 invalid timeline 0", FAILED]
            );
        }
    }
}

#[test]
fn a_connection_to_a_database_runs_sql_too() {
    for server in servers() {
        let conninfo = format!("{} replication=database", server.conninfo());
        let mut session = Session::open(&conninfo);
        let replies = session.query("IDENTIFY_SYSTEM");
        assert!(replies[0].ends_with("|postgres"), "{replies:?}");
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
        assert_eq!(
            session.params("select 1", &()),
            [
                "error 08P01 extended query protocol not supported in a replication connection",
                FAILED
            ]
        );
        session.query("begin isolation level repeatable read read only");
        let replies = session.query(
            "CREATE_REPLICATION_SLOT decoded TEMPORARY LOGICAL test_decoding (SNAPSHOT 'use')",
        );
        if replies[0].contains("could not access file") {
            testkit::say!("SKIPPED: this server came without test_decoding");
            continue;
        }
        assert!(replies[0].contains(": decoded|"), "{replies:?}");
        assert_eq!(replies[2], "done Ok InTransaction InTransaction");
        assert_eq!(session.query("commit"), ["COMMIT", OK]);
    }
}

/// Started as a query: the refusal says what it is, the connection is over, and a reset leads back.
#[test]
fn streaming_is_refused_in_words_that_say_so() {
    let words = "the statement begins a COPY in both directions, which this call cannot run";
    for server in servers() {
        let mut session = Session::open(&format!("{} replication=true", server.conninfo()));
        let position = server.psql("select pg_current_wal_flush_lsn()");
        let streaming = session
            .conn
            .start_query(format!("START_REPLICATION PHYSICAL {position}"))
            .unwrap();
        let behind = session.conn.start_query("IDENTIFY_SYSTEM").unwrap();
        assert_eq!(
            session.finish(streaming),
            [
                format!("misuse: {}", words.to_lowercase()),
                String::from("done Failed Idle Lost")
            ]
        );
        assert_eq!(session.finish(behind), ["done Failed Idle Lost"]);
        assert_eq!(session.end().message(), words);
        session.conn.reset();
        session.come_up().unwrap();
        let replies = session.query("IDENTIFY_SYSTEM");
        assert_eq!(replies[1..], ["IDENTIFY_SYSTEM", OK]);
    }
}

#[test]
fn a_role_that_may_not_is_told() {
    for server in servers() {
        let conninfo = server.conninfo_as("user_trust");
        let Err(error) = Session::try_open(&format!("{conninfo} replication=database")) else {
            panic!("it may");
        };
        assert_eq!(error.sqlstate(), Some(&b"42501"[..]), "{error}");
    }
}
