//! Cancel requests through PgBouncer, which keeps keys of its own.

use std::time::Duration;

use pgpoll::conn::Cancel;

use crate::session::{FAILED, OK, Session};
use crate::{LATE, conninfo, until_busy, world};

const STOPPED: &str = "error 57014 canceling statement due to user request";

#[test]
fn a_cancel_reaches_the_server_behind() {
    for (mode, bouncer) in &world().bouncers {
        let mut session = Session::open(&conninfo(bouncer));
        for _ in 0..3 {
            let mark = format!("-- {mode}");
            let sql = format!("select pg_sleep(600) {mark}");
            let operation = session.conn.start_query(&sql).unwrap();
            until_busy(&mut session, &mark);
            Cancel::of(&session.conn).unwrap().wait().unwrap();
            assert_eq!(session.finish(operation), [STOPPED, FAILED], "{mode}");
            assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
        }
    }
}

#[test]
fn a_cancel_while_idle_stops_nothing() {
    for (_, bouncer) in &world().bouncers {
        let mut session = Session::open(&conninfo(bouncer));
        session.query("select 1");
        Cancel::of(&session.conn).unwrap().wait().unwrap();
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

/// A deadline cancels by itself, and nothing of it is left for the next statement.
#[test]
fn a_deadline_passes_and_the_next_query_works() {
    for (mode, bouncer) in &world().bouncers {
        let mut session = Session::open(&conninfo(bouncer));
        for sql in [
            "select pg_sleep(600)",
            "select generate_series(1, 1000000000)",
        ] {
            session.conn.set_timeout(Some(Duration::from_millis(200)));
            let replies = session.query(sql);
            assert_eq!(replies, [LATE, FAILED], "{mode}");
            session.conn.set_timeout(None);
            assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
        }
        // In a transaction: it has failed, and is rolled back.
        session.query("begin");
        session.conn.set_timeout(Some(Duration::from_millis(200)));
        let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
        assert_eq!(
            session.finish(operation),
            [LATE, "done Failed Failed InTransaction"]
        );
        session.conn.set_timeout(None);
        assert_eq!(session.query("rollback"), ["ROLLBACK", OK]);
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn what_is_abandoned_is_stopped_and_the_next_query_works() {
    for (mode, bouncer) in &world().bouncers {
        let mut session = Session::open(&conninfo(bouncer));
        for sql in [
            "select pg_sleep(600)",
            "select generate_series(1, 1000000000)",
        ] {
            let abandoned = session.conn.start_query(sql).unwrap();
            session.conn.poll();
            assert!(session.conn.abandon(abandoned));
            assert_eq!(session.finish(abandoned), [FAILED], "{mode}");
            assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
        }
    }
}
