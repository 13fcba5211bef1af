//! Cancel requests: what they stop, what they leave, and what they say when nobody hears them.

use std::time::{Duration, Instant};

use pgpoll::conn::{Cancel, Connection};

use crate::servers;
use crate::session::{FAILED, OK, Session};

const STOPPED: &str = "error 57014 canceling statement due to user request";

/// Waits until the server is at work on the session's statement.
fn until_busy(server: &testkit::Cluster, session: &mut Session) {
    session.conn.poll();
    server.until_busy(session.conn.facts().backend_pid());
}

#[test]
fn a_cancelled_statement_fails_and_the_connection_is_as_good_as_before() {
    for server in servers() {
        for conninfo in [server.conninfo(), server.conninfo_tcp()] {
            let mut session = Session::open(&conninfo);
            for _ in 0..3 {
                let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
                until_busy(server, &mut session);
                let begun = Instant::now();
                let mut cancel = Cancel::of(&session.conn).unwrap();
                cancel.wait().unwrap();
                assert!(cancel.error().is_none());
                assert_eq!(session.finish(operation), [STOPPED, FAILED]);
                assert!(begun.elapsed() < Duration::from_secs(30));
                assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
            }
        }
    }
}

/// Trap 13, a cancel hits the next query: it does not, when its end is waited for.
#[test]
fn what_is_queued_behind_is_not_stopped() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let running = session.conn.start_query("select pg_sleep(600)").unwrap();
        let queued = session.conn.start_query("select 1 as a").unwrap();
        until_busy(server, &mut session);
        Cancel::of(&session.conn).unwrap().wait().unwrap();
        assert_eq!(session.finish(running), [STOPPED, FAILED]);
        assert_eq!(session.finish(queued), ["a: 1", "SELECT 1", OK]);
    }
}

/// Trap 13, a cancel hits the next query, or is lost: one that comes too late stops nothing later.
#[test]
fn a_cancel_that_comes_while_idle_stops_nothing() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("select 1");
        Cancel::of(&session.conn).unwrap().wait().unwrap();
        // The server passes the signal on before it closes: nothing of it is left for the next statement, in the end.
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn a_large_result_is_stopped_in_the_middle() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.conn.set_batch(100, 0);
        let operation = session
            .conn
            .start_query("select generate_series(1, 100000000)")
            .unwrap();
        let first = session.next().unwrap();
        assert_eq!(first.operation, operation);
        Cancel::of(&session.conn).unwrap().wait().unwrap();
        let replies = session.finish(operation);
        assert_eq!(replies[replies.len() - 2..], [STOPPED, FAILED]);
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn nobody_to_cancel() {
    let unborn = Connection::open("host=/nowhere user=x");
    assert!(Cancel::of(&unborn).is_err());
    let server = testkit::Cluster::start(testkit::ClusterOptions::new());
    let session = Session::open(&server.conninfo());
    let mut cancel = Cancel::of(&session.conn).unwrap();
    assert!(!cancel.is_begun());
    server.stop();
    let error = cancel.wait().unwrap_err();
    assert!(!error.message().is_empty());
    assert_eq!(cancel.error(), Some(&error));
    server.start_again();
    // It can be sent again, though the backend is gone.
    cancel.reset();
    cancel.wait().unwrap();
}
