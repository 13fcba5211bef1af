//! Cancel requests through PgBouncer, which keeps keys of its own.

use pgpoll::conn::Cancel;

use crate::session::{FAILED, OK, Session};
use crate::{conninfo, world};

const STOPPED: &str = "error 57014 canceling statement due to user request";

/// Waits until the server is at work on the statement with this mark.
fn until_busy(session: &mut Session, mark: &str) {
    session.conn.poll();
    world().cluster.psql(&format!(
        "do $$ begin while not exists (select from pg_stat_activity where query like '%{mark}' and state = 'active' and pid <> pg_backend_pid()) \
         loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); end loop; end $$"
    ));
}

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
