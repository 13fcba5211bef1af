//! Deadlines, abandoning and shutting down against real servers: what is given up is cancelled, and the connection is as good
//! as before.

use std::time::{Duration, Instant};

use pgpoll::conn::Connection;
use pgpoll::engine::{Command, End, Reply};
use testkit::Cluster;
use testkit::proxy::{Faults, Proxy};

use crate::servers;
use crate::session::{FAILED, OK, Session, is_done, texts};

fn milliseconds(number: u64) -> Option<Duration> {
    Some(Duration::from_millis(number))
}

/// A session on each server, over each kind of socket.
fn sessions() -> impl Iterator<Item = (&'static Cluster, Session)> {
    servers().iter().flat_map(|server| {
        let over = |conninfo: String| (server, Session::open(&conninfo));
        [over(server.conninfo()), over(server.conninfo_tcp())]
    })
}

fn check_usable(session: &mut Session) {
    session.conn.set_timeout(None);
    assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
}

/// What an operation gives besides its done, and the done, wherever they stand among the items of others.
fn collect(session: &mut Session, operation: u64) -> (Vec<Reply>, String) {
    let mut replies = Vec::new();
    while let Some(item) = session.next() {
        if item.operation != operation {
            continue;
        }
        if is_done(&item.reply) {
            return (replies, texts(&[item.reply]).remove(0));
        }
        replies.push(item.reply);
    }
    panic!(
        "operation {operation} has no end: {}",
        session.conn.inspect()
    );
}

#[test]
fn a_query_that_is_late_is_cancelled_and_the_connection_is_as_good_as_before() {
    for (_, mut session) in sessions() {
        for _ in 0..3 {
            let begun = Instant::now();
            session.conn.set_timeout(milliseconds(200));
            let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
            let (replies, done) = collect(&mut session, operation);
            let took = begun.elapsed();
            assert!(
                took >= Duration::from_millis(200) && took < Duration::from_secs(4),
                "{took:?}"
            );
            assert_eq!(done, FAILED);
            let [Reply::Error(error)] = &replies[..] else {
                panic!("{replies:?}")
            };
            assert!(error.is_timeout() && error.message().starts_with("timeout expired: query"));
            check_usable(&mut session);
        }
    }
}

#[test]
fn in_a_transaction_block_the_verdict_says_so() {
    for (_, mut session) in sessions() {
        session.query("begin");
        session.conn.set_timeout(milliseconds(100));
        let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
        let (_, done) = collect(&mut session, operation);
        assert_eq!(done, "done Failed Failed InTransaction");
        session.conn.set_timeout(None);
        session.query("rollback");
        check_usable(&mut session);
    }
}

#[test]
fn a_large_result_is_late_in_the_middle() {
    for (_, mut session) in sessions() {
        session.conn.set_batch(1000, 0);
        session.conn.set_timeout(milliseconds(1000));
        let sql = "select generate_series(1, 1000000000)";
        let operation = session.conn.start_query(sql).unwrap();
        let (replies, done) = collect(&mut session, operation);
        assert_eq!(done, FAILED);
        let (last, rows) = replies.split_last().unwrap();
        assert!(matches!(last, Reply::Error(error) if error.is_timeout()));
        assert!(!rows.is_empty() && rows.iter().all(|reply| matches!(reply, Reply::Rows(_))));
        check_usable(&mut session);
    }
}

#[test]
fn an_abandoned_result_stops_soon() {
    for (_, mut session) in sessions() {
        session.conn.set_batch(10, 0);
        let sql = "select generate_series(1, 1000000000)";
        let operation = session.conn.start_query(sql).unwrap();
        assert!(matches!(session.next().unwrap().reply, Reply::Rows(_)));
        let begun = Instant::now();
        assert!(session.conn.abandon(operation));
        // Behind it at once: it waits for the end of the cancel.
        let next = session.conn.start_query("select 1 as a").unwrap();
        let (replies, done) = collect(&mut session, operation);
        assert!(replies.is_empty(), "{replies:?}");
        assert_eq!(done, FAILED);
        assert_eq!(session.finish(next), ["a: 1", "SELECT 1", OK]);
        assert!(begun.elapsed() < Duration::from_secs(4));
        // A short one is not worth a cancel, unless the machine is so slow that it is a long one.
        let operation = session.conn.start_query("select 1").unwrap();
        assert!(session.conn.flush());
        session.conn.abandon(0);
        let (replies, done) = collect(&mut session, operation);
        assert!(replies.is_empty());
        assert!(
            ["done Discarded Idle Clean", FAILED].contains(&done.as_str()),
            "{done}"
        );
        check_usable(&mut session);
    }
}

#[test]
fn what_is_wanted_behind_a_late_one_is_not_touched() {
    for (_, mut session) in sessions() {
        session.conn.set_timeout(milliseconds(50));
        let late = session.conn.start_query("select pg_sleep(0.5)").unwrap();
        session.conn.set_timeout(None);
        let wanted = session.conn.start_query("select 1 as a").unwrap();
        let (replies, done) = collect(&mut session, late);
        assert_eq!(replies.len(), 1);
        assert_eq!(done, "done Discarded Idle Clean");
        assert_eq!(session.finish(wanted), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn a_pipeline_that_is_late_as_a_whole() {
    for (_, mut session) in sessions() {
        session.conn.set_timeout(milliseconds(100));
        for _ in 0..20 {
            session.conn.start_query("select pg_sleep(600)").unwrap();
        }
        let last = session.conn.start_query("select pg_sleep(600)").unwrap();
        let begun = Instant::now();
        let (_, done) = collect(&mut session, last);
        assert_eq!(done, FAILED);
        assert!(begun.elapsed() < Duration::from_secs(5));
        check_usable(&mut session);
    }
}

/// The statement has not arrived whole when its time is over: the cancel finds nothing to stop, and is sent again.
#[test]
fn huge_parameters_are_half_sent() {
    for (_, mut session) in sessions() {
        let huge = vec![b'x'; 64 * 1024 * 1024];
        session.conn.set_timeout(milliseconds(1));
        let sql = "select length($1), pg_sleep(600)";
        let params: &[Option<&[u8]>] = &[Some(&huge)];
        let operation = session
            .conn
            .start_query_params(sql, &[], &params, 0)
            .unwrap();
        let (replies, done) = collect(&mut session, operation);
        assert!(matches!(&replies[..], [Reply::Error(error)] if error.is_timeout()));
        assert_eq!(done, FAILED);
        check_usable(&mut session);
    }
}

#[test]
fn a_group_and_a_portal_that_are_late() {
    for (_, mut session) in sessions() {
        session.conn.set_timeout(milliseconds(100));
        let params: &[Option<&[u8]>] = &[];
        let command = |sql: &'static [u8], max_rows| Command::Params {
            sql,
            types: &[],
            params: &params,
            format: 0,
            max_rows,
        };
        let start = session
            .conn
            .start(command(b"select pg_sleep(600)", 0), End::More);
        let (_, done) = collect(&mut session, start.unwrap());
        assert_eq!(done, "done Failed Idle InTransaction");
        session.conn.set_timeout(None);
        let sync = session.conn.sync().unwrap();
        assert_eq!(session.finish(sync), [OK]);
        session.conn.set_timeout(milliseconds(100));
        let start = session
            .conn
            .start(command(b"select generate_series(1, 100)", 10), End::Sync);
        let (replies, done) = collect(&mut session, start.unwrap());
        assert!(matches!(
            &replies[..],
            [Reply::Rows(_), Reply::Suspended, Reply::Error(_)]
        ));
        assert_eq!(done, "done Discarded Idle InTransaction");
        let sync = session.conn.sync().unwrap();
        collect(&mut session, sync);
        check_usable(&mut session);
    }
}

#[test]
fn a_copy_that_nobody_asked_for() {
    for (_, mut session) in sessions() {
        for sql in [
            "copy (select generate_series(1, 100000000)) to stdout",
            "select pg_sleep(0.3); copy pg_temp.t from stdin",
        ] {
            session.query("create temp table if not exists t (a text)");
            session.conn.set_timeout(milliseconds(150));
            let operation = session.conn.start_query(sql).unwrap();
            let (_, done) = collect(&mut session, operation);
            assert_eq!(done, FAILED);
            check_usable(&mut session);
        }
    }
}

/// The descriptor to wait for changes for the length of the cancel, and the old one stays open until the next poll. The
/// network is away when the cancel begins, else it may be done within one poll.
#[test]
fn the_descriptor_is_the_cancels_while_it_is_under_way() {
    for server in servers() {
        let here = |_| Faults::none();
        let (tcp, unix) = (
            Proxy::start(server, here),
            Proxy::start_unix(server.port(), server, here),
        );
        let by_tcp = format!("{} port={}", server.conninfo_tcp(), tcp.port());
        let by_unix = format!("{} host={}", server.conninfo(), unix.folder().display());
        for (proxy, conninfo) in [(tcp, by_tcp), (unix, by_unix)] {
            let mut session = Session::open(&conninfo);
            let conn = &mut session.conn;
            let endless = conn.start_query("select pg_sleep(600)").unwrap();
            conn.poll();
            server.until_busy(conn.facts().backend_pid());
            proxy.freeze(true);
            let (own, before) = (conn.socket(), conn.socket_generation());
            assert!(conn.abandon(endless));
            let mut seen = Vec::new();
            while conn.engine().queued() > 0 || conn.engine().is_rescuing() {
                let ready = conn.poll();
                assert!(ready.wants_read() || ready.wants_write() || ready.has_result());
                if conn.socket() != own {
                    proxy.freeze(false);
                }
                seen.push((conn.socket(), conn.socket_generation()));
                if ready.has_result() {
                    while conn.take().is_some() {}
                    continue;
                }
                let left = conn.deadline_ms().map(Duration::from_millis);
                let timeout = Some(left.unwrap_or(Duration::from_secs(10)));
                pgpoll::net::wait(
                    conn.socket(),
                    ready.wants_read(),
                    ready.wants_write(),
                    timeout,
                );
            }
            assert!(seen.iter().any(|&(socket, _)| socket != own), "{seen:?}");
            assert!(seen.is_sorted_by_key(|&(_, generation)| generation));
            assert_eq!(conn.socket(), own);
            assert!(conn.socket_generation() > before);
            check_usable(&mut session);
        }
    }
}

#[test]
fn a_shutdown_ends_in_good_order() {
    for (_, mut session) in sessions() {
        let query = session.conn.start_query("select pg_sleep(0.1)").unwrap();
        let shutdown = session.conn.start_shutdown(milliseconds(10_000)).unwrap();
        assert!(session.conn.start_query("select 1").is_err());
        assert_eq!(collect(&mut session, query).1, OK);
        let (replies, done) = collect(&mut session, shutdown);
        assert!(replies.is_empty());
        assert_eq!(done, "done Ok Idle Lost");
        assert!(session.conn.poll().is_failed());
        assert_eq!(
            session.conn.error().unwrap().message(),
            "the connection was closed"
        );
    }
}

#[test]
fn time_limits_survive_a_reset() {
    let server = &servers()[0];
    let mut session = Session::open(&server.conninfo());
    session.conn.set_timeout(milliseconds(100));
    session.conn.reset();
    session.come_up().unwrap();
    let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
    assert_eq!(collect(&mut session, operation).1, FAILED);
    assert!(!Connection::open("host=/nowhere").abandon(1));
}
