//! How connections end: the server's last words, and one done for each operation.

use crate::servers;
use crate::session::{OK, Session};

const WORDS: &str = "terminating connection due to administrator command";

#[test]
fn terminated_while_idle() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("select 1");
        let pid = session.conn.facts().backend_pid();
        assert!(server.terminate_backend(pid));
        let error = session.end();
        assert_eq!(
            (error.sqlstate(), error.message()),
            (Some(&b"57P01"[..]), WORDS)
        );
        // It stays over, and says so at once.
        for _ in 0..3 {
            let ready = session.conn.poll();
            assert!(ready.is_failed() && !ready.wants_read() && !ready.wants_write());
        }
        let error = session.conn.start_query("select 1").unwrap_err();
        assert!(error.message().contains(WORDS), "{error}");
        assert_eq!(session.conn.socket(), None);
    }
}

#[test]
fn terminated_while_running() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo_tcp());
        let pid = session.conn.facts().backend_pid();
        let running = session.conn.start_query("select pg_sleep(600)").unwrap();
        let queued = session.conn.start_query("select 1").unwrap();
        session.conn.poll();
        server.psql(&format!(
            "do $$ begin while not exists (select from pg_stat_activity where pid = {pid} and state = 'active') \
             loop perform pg_sleep(0.01); end loop; end $$"
        ));
        assert!(server.terminate_backend(pid));
        assert_eq!(
            session.finish(running),
            [&format!("error 57P01 {WORDS}"), "done Failed Idle Lost"]
        );
        assert_eq!(session.finish(queued), ["done Failed Idle Lost"]);
        assert_eq!(session.end().message(), WORDS);
    }
}

#[test]
fn a_session_that_ends_itself() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let replies = session.query("select pg_terminate_backend(pg_backend_pid())");
        assert_eq!(
            replies,
            [&format!("error 57P01 {WORDS}"), "done Failed Idle Lost"]
        );
        assert_eq!(session.end().message(), WORDS);
    }
}

#[test]
fn what_was_finished_before_the_end_is_given() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let first = session.conn.start_query("select 1 as a").unwrap();
        let last = session
            .conn
            .start_query("select pg_terminate_backend(pg_backend_pid())")
            .unwrap();
        while !session.conn.poll().has_result() || session.conn.error().is_none() {
            session.sleep();
        }
        assert!(
            !session.conn.poll().is_failed(),
            "items are to be taken first"
        );
        assert_eq!(session.finish(first), ["a: 1", "SELECT 1", OK]);
        assert_eq!(
            session.finish(last),
            [&format!("error 57P01 {WORDS}"), "done Failed Idle Lost"]
        );
        assert!(session.conn.poll().is_failed());
    }
}

#[test]
fn closing_tells_the_server() {
    for server in servers() {
        let session = Session::open(&server.conninfo());
        let pid = session.conn.facts().backend_pid();
        drop(session);
        server.psql(&format!(
            "do $$ begin while exists (select from pg_stat_activity where pid = {pid}) \
             loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); end loop; end $$"
        ));
        assert!(!server.log().contains("unexpected EOF"), "{}", server.log());
    }
}
