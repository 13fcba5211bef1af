//! More notifications than anybody keeps: the server is held back, and nothing is lost.

use pgpoll::conn::Readiness;
use testkit::Cluster;

use crate::session::{OK, Session, is_done, texts};
use crate::{PATIENCE, listening, servers};

const MANY: usize = 100_000;

/// Polls as long as there is anything to wait for, takes nothing, and waits until the server cannot send any more.
fn until_held_back(server: &Cluster, session: &mut Session) {
    loop {
        let ready = session.conn.poll();
        if ready.has(Readiness::NOTIFY) && !ready.wants_read() {
            break;
        }
        session.sleep();
    }
    let pid = session.conn.facts().backend_pid();
    server.until(&format!(
        "exists (select from pg_stat_activity where pid = {pid} and wait_event = 'ClientWrite')"
    ));
}

/// The payload of the next notification that is there, as a number.
fn number(session: &mut Session) -> Option<usize> {
    let notification = session.conn.take_notification()?;
    let payload = std::str::from_utf8(notification.payload()).unwrap();
    Some(payload.trim_start_matches('0').parse().unwrap_or(0))
}

#[test]
fn a_client_that_does_not_take_them_holds_the_server_back_and_misses_none() {
    for server in servers() {
        let mut session = listening(&server.conninfo(), "flood");
        server.psql(&format!(
            "select count(pg_notify('flood', lpad(n::text, 30, '0'))) from generate_series(0, {MANY} - 1) n"
        ));
        until_held_back(server, &mut session);
        // What is started meanwhile has to wait for its turn, and says for what.
        let operation = session.conn.start_query("select 1 as a").unwrap();
        for _ in 0..3 {
            let ready = session.conn.wait(Some(PATIENCE));
            assert!(!ready.wants_read() && !ready.has_result());
        }
        let line = session.conn.inspect();
        assert!(line.contains("\"notifications to be taken\""), "{line}");
        let mut next = 0;
        while let Some(number) = number(&mut session) {
            assert_eq!(number, next);
            next += 1;
        }
        // A megabyte of them was kept, and no more.
        assert!((5_000..20_000).contains(&next), "{next}");
        while next < MANY {
            let ready = session.conn.wait_for(Readiness::NOTIFY, Some(PATIENCE));
            assert!(ready.has(Readiness::NOTIFY), "{}", session.conn.inspect());
            while let Some(number) = number(&mut session) {
                assert_eq!(number, next);
                next += 1;
            }
        }
        assert_eq!(session.finish(operation), ["a: 1", "SELECT 1", OK]);
        assert!(session.notifications.is_empty());
    }
}

/// They are taken only while a COPY is under way: its data waits for them, and both arrive whole and in order.
#[test]
fn taken_only_while_copying() {
    for server in servers() {
        let mut session = listening(&server.conninfo(), "copying");
        server.psql(&format!(
            "select count(pg_notify('copying', lpad(n::text, 30, '0'))) from generate_series(0, {MANY} - 1) n"
        ));
        until_held_back(server, &mut session);
        let sql = "copy (select generate_series(0, 999)) to stdout";
        let operation = session.conn.start_copy(sql).unwrap();
        let (mut next, mut rows, mut replies) = (0, 0, Vec::new());
        while !replies.last().is_some_and(is_done) {
            let ready = session.conn.wait(Some(PATIENCE));
            assert!(ready.is_something(), "a hang: {}", session.conn.inspect());
            while let Some(number) = number(&mut session) {
                assert_eq!(number, next);
                next += 1;
            }
            while let Some(item) = session.conn.take() {
                assert_eq!(item.operation, operation);
                replies.push(item.reply);
            }
            for row in session.conn.copy_get(usize::MAX) {
                assert_eq!(row, format!("{rows}\n").as_bytes());
                rows += 1;
            }
        }
        // The server sends what it has for an idle session first, and copies then.
        assert_eq!((next, rows), (MANY, 1000));
        assert_eq!(texts(&replies[1..]), ["COPY 1000", OK]);
    }
}
