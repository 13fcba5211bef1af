//! Portals with a row limit: suspended, continued, ended.

use pgpoll::engine::{Command, End, Reply};
use pgpoll::wire::Parameters;

use crate::servers;
use crate::session::{OK, Session, texts};

/// The done of an operation inside a group.
const OPEN: &str = "done Ok Idle InTransaction";

fn start(session: &mut Session, sql: &str, max_rows: u32) -> u64 {
    let params: &dyn Parameters = &();
    let command = Command::Params {
        sql: sql.as_bytes(),
        types: &[],
        params,
        format: 0,
        max_rows,
    };
    session.conn.start(command, End::Sync).unwrap()
}

fn until_suspended(session: &mut Session, operation: u64) -> Vec<String> {
    let pauses = |reply: &Reply| matches!(reply, Reply::Suspended | Reply::Done(_));
    texts(&session.until(operation, pauses))
}

const SERIES: &str = "select n from generate_series(1, 5) n";

#[test]
fn a_portal_gives_rows_in_portions() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let operation = start(&mut session, SERIES, 2);
        assert_eq!(
            until_suspended(&mut session, operation),
            ["n: 1 / 2", "(suspended)"]
        );
        session.conn.engine_mut().continue_portal(2).unwrap();
        assert_eq!(
            until_suspended(&mut session, operation),
            ["n: 3 / 4", "(suspended)"]
        );
        session.conn.engine_mut().continue_portal(0).unwrap();
        assert_eq!(
            until_suspended(&mut session, operation),
            ["n: 5", "SELECT 1", OPEN]
        );
        let sync = session.conn.sync().unwrap();
        assert_eq!(session.finish(sync), [OK]);
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn a_sync_ends_a_suspended_portal() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let operation = start(&mut session, SERIES, 1);
        assert_eq!(
            until_suspended(&mut session, operation),
            ["n: 1", "(suspended)"]
        );
        let error = session.conn.start_query("select 1").unwrap_err();
        assert_eq!(
            error.message(),
            "a portal with a row limit is open: continue it, or end it with a sync, first"
        );
        let sync = session.conn.sync().unwrap();
        assert_eq!(until_suspended(&mut session, operation), [OPEN]);
        assert_eq!(session.finish(sync), [OK]);
        let error = session.conn.engine_mut().continue_portal(1).unwrap_err();
        assert!(
            error.message().starts_with("no suspended portal"),
            "{error}"
        );
    }
}

#[test]
fn a_sync_before_the_first_row_is_read() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let operation = start(&mut session, SERIES, 2);
        let sync = session.conn.sync().unwrap();
        let next = session.conn.start_query("select 1 as a").unwrap();
        assert_eq!(session.finish(operation), ["n: 1 / 2", "(suspended)", OPEN]);
        assert_eq!(session.finish(sync), [OK]);
        assert_eq!(session.finish(next), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn the_limit_may_be_the_number_of_rows_and_there_may_be_none() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let operation = start(&mut session, SERIES, 5);
        assert_eq!(
            until_suspended(&mut session, operation),
            ["n: 1 / 2 / 3 / 4 / 5", "(suspended)"]
        );
        session.conn.engine_mut().continue_portal(5).unwrap();
        assert_eq!(
            until_suspended(&mut session, operation),
            ["n:", "SELECT 0", OPEN]
        );
        let sync = session.conn.sync().unwrap();
        assert_eq!(session.finish(sync), [OK]);
        let operation = start(&mut session, "select 1 as a where false", 5);
        let sync = session.conn.sync().unwrap();
        assert_eq!(session.finish(operation), ["a:", "SELECT 0", OPEN]);
        assert_eq!(session.finish(sync), [OK]);
    }
}

#[test]
fn an_error_ends_a_portal() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let operation = start(
            &mut session,
            "select 1/(4-n) as q from generate_series(1, 9) n",
            2,
        );
        assert_eq!(
            until_suspended(&mut session, operation),
            ["q: 0 / 0", "(suspended)"]
        );
        session.conn.engine_mut().continue_portal(2).unwrap();
        assert_eq!(
            until_suspended(&mut session, operation),
            [
                "error 22012 division by zero",
                "done Failed Idle InTransaction"
            ]
        );
        let sync = session.conn.sync().unwrap();
        assert_eq!(session.finish(sync), [OK]);
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}
