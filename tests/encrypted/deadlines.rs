//! Deadlines of operations on encrypted connections: the request to cancel is encrypted, too, and what TLS has encrypted
//! already is sent whatever comes.

use std::time::Duration;

use pgpoll::engine::{Item, Reply};
use testkit::proxy::{Faults, Proxy};

use crate::servers;
use crate::session::{FAILED, OK, Session, is_done, texts};

/// What the operation ends with, whatever is given of others before.
fn done(session: &mut Session, operation: u64) -> String {
    loop {
        let Some(Item {
            operation: of,
            reply,
            ..
        }) = session.next()
        else {
            panic!(
                "operation {operation} has no end: {}",
                session.conn.inspect()
            );
        };
        if of == operation && is_done(&reply) {
            return texts(&[reply]).remove(0);
        }
    }
}

#[test]
fn what_is_late_is_cancelled_over_tls() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo_tls());
        for _ in 0..3 {
            session.conn.set_timeout(Some(Duration::from_millis(100)));
            let late = session.conn.start_query("select pg_sleep(600)").unwrap();
            assert_eq!(done(&mut session, late), FAILED);
            session.conn.set_timeout(None);
            assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
        }
    }
}

/// Much more than the socket takes is encrypted and not sent when the time is over, and more is started then.
#[test]
fn half_a_statement_is_encrypted_when_its_time_is_over() {
    for server in servers() {
        let proxy = Proxy::start(server, |_| Faults::none());
        let through = format!("{} port={}", server.conninfo_tls(), proxy.port());
        let mut session = Session::open(&through);
        session.conn.set_send_queue(usize::MAX);
        let huge = vec![b'x'; 32 * 1024 * 1024];
        let params: &[Option<&[u8]>] = &[Some(&huge)];
        for ms in [1, 5, 20, 60] {
            session.conn.set_timeout(Some(Duration::from_millis(ms)));
            let sql = "select length($1), pg_sleep(600)";
            let late = session
                .conn
                .start_query_params(sql, &[], &params, 0)
                .unwrap();
            let behind = session.conn.start_query("select 1").unwrap();
            // However fast the server is, it does not get all of it.
            proxy.freeze(true);
            session.conn.poll();
            std::thread::sleep(Duration::from_millis(ms));
            proxy.freeze(false);
            session.conn.set_timeout(None);
            let wanted = session.conn.start_query("select 2 as a").unwrap();
            assert_eq!(done(&mut session, late), FAILED);
            // Nothing of it had been sent, or encrypted.
            assert_eq!(done(&mut session, behind), "done Skipped Idle Clean");
            let replies: Vec<Reply> = session.until(wanted, is_done);
            assert_eq!(texts(&replies), ["a: 2", "SELECT 1", OK]);
        }
    }
}

#[test]
fn a_shutdown_ends_in_good_order_over_tls() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo_tls());
        let shutdown = session.conn.start_shutdown(Some(Duration::from_secs(10)));
        assert_eq!(done(&mut session, shutdown.unwrap()), "done Ok Idle Lost");
        let error = session.conn.error().unwrap();
        assert_eq!(error.message(), "the connection was closed");
    }
}
