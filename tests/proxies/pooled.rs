//! What works through a pool: queries of all kinds, groups, mail, and what the pool mode forbids.

use pgpoll::conn::Connection;
use pgpoll::wire::{TransactionStatus, protocol};

use crate::session::{FAILED, OK, Session, transaction};
use crate::{QUOTED, conninfo, world};

#[test]
fn connecting_by_password_and_by_every_transport() {
    for (mode, bouncer) in &world().bouncers {
        let places = [
            String::from("host=127.0.0.1"),
            format!("host={}", bouncer.socket_dir().display()),
        ];
        for place in places {
            let port = bouncer.port();
            let conninfo =
                format!("{place} port={port} user=user_scram dbname=postgres password={QUOTED}");
            let mut session = Session::open(&conninfo);
            assert!(session.conn.facts().password_used());
            assert_eq!(
                session.query("select current_user as u"),
                ["u: user_scram", "SELECT 1", OK],
                "{mode}"
            );
            let facts = session.conn.facts();
            assert_eq!(
                facts.server_version() / 10_000,
                world().cluster.server().major
            );
            assert!(facts.cancel_key().is_some());
        }
    }
}

#[test]
fn queries_of_both_protocols() {
    for (_, bouncer) in &world().bouncers {
        let mut session = Session::open(&conninfo(bouncer));
        assert_eq!(
            session.query("select 1 as a; select 2 as b"),
            ["a: 1", "SELECT 1", "b: 2", "SELECT 1", OK]
        );
        assert_eq!(session.query(""), ["(empty)", OK]);
        assert_eq!(
            session.params(
                "select $1::int + 1 as n, $2::text as t",
                &[Some(&b"41"[..]), None]
            ),
            ["n,t: 42|NULL", "SELECT 1", OK]
        );
        assert_eq!(
            session.query("select 1/0"),
            ["error 22012 division by zero", FAILED]
        );
        session.query("do $$ begin raise notice 'careful'; end $$");
        assert_eq!(session.notices.remove(0).message(), b"careful");
        let rows = session.rows("select generate_series(1, 100000)");
        assert_eq!(rows.rows(), 100_000);
    }
}

#[test]
fn transactions_keep_their_server() {
    for (_, bouncer) in &world().bouncers {
        let mut session = Session::open(&conninfo(bouncer));
        session.query("begin");
        assert_eq!(
            transaction(&session),
            Some(TransactionStatus::InTransaction)
        );
        let first = session.query("select pg_backend_pid() as p");
        // Others come and go meanwhile.
        Session::open(&conninfo(bouncer)).query("select 1");
        assert_eq!(session.query("select pg_backend_pid() as p")[0], first[0]);
        session.query("prepare inside as select 42 as n");
        assert_eq!(session.query("execute inside")[0], "n: 42");
        session.query("select 1/0");
        assert_eq!(transaction(&session), Some(TransactionStatus::Failed));
        session.query("rollback");
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn pipelines_and_groups() {
    for (_, bouncer) in &world().bouncers {
        let mut session = Session::open(&conninfo(bouncer));
        let all: Vec<u64> = (0..200).map(|n: i32| start(&mut session.conn, n)).collect();
        for (n, operation) in all.into_iter().enumerate() {
            let expected = match n % 7 {
                3 => vec!["error 22012 division by zero".to_owned(), FAILED.to_owned()],
                _ => vec![format!("n: {n}"), "SELECT 1".to_owned(), OK.to_owned()],
            };
            assert_eq!(session.finish(operation), expected);
        }
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

fn start(conn: &mut Connection, n: i32) -> u64 {
    let number = n.to_string();
    let sql = match n % 7 {
        3 => "select $1::int / 0 as n",
        _ => "select $1::int as n",
    };
    match n % 5 {
        0 => conn.start_query(sql.replace("$1", &number)).unwrap(),
        _ => conn
            .start_query_params(sql, &[], &[Some(number.as_bytes())], 0)
            .unwrap(),
    }
}

/// In session mode as on a server; in transaction mode where PgBouncer (1.21 and later) keeps track of them.
#[test]
fn prepared_statements() {
    for (mode, bouncer) in &world().bouncers {
        let mut session = Session::open(&conninfo(bouncer));
        let mut other = Session::open(&conninfo(bouncer));
        if *mode == "transaction" && bouncer.version() < (1, 21) {
            testkit::say!("SKIPPED: this PgBouncer does not track prepared statements");
            // Inside of one transaction they work all the same.
            session.query("begin");
        }
        let replies = session.prepare("twice", "select $1::int * 2 as n");
        assert_eq!(replies[0], "described [23] Some([\"n:23\"])", "{mode}");
        for n in 0..20 {
            other.query("select 1");
            let number = n.to_string();
            let replies = session.prepared("twice", &[Some(number.as_bytes())]);
            assert_eq!(replies[0], format!("n: {}", 2 * n), "{mode}");
        }
    }
}

/// A server that has prepared a statement only now refuses none whose columns have changed before that.
#[test]
fn another_server_has_other_columns() {
    for (mode, bouncer) in &world().bouncers {
        if *mode != "transaction" {
            continue;
        }
        let mut session = Session::open(&conninfo(bouncer));
        let mut others = [(); 2].map(|()| Session::open(&conninfo(bouncer)));
        let [holder, other] = &mut others;
        other.query("drop table if exists columns; create table columns as select 1 as a");
        session.conn.set_describing(Some(false));
        session.query("begin");
        session.prepare("columns", "select * from columns");
        other.query("begin");
        session.query("commit");
        // Now the session's server is the holder's, and the other one is the session's.
        holder.query("begin");
        let first = holder.query("select pg_backend_pid() as pid");
        other.query("alter table columns rename a to b; alter table columns alter b type text");
        other.prepare("columns", "select * from columns");
        other.query("commit");
        let second = session.query("select pg_backend_pid() as pid");
        assert_ne!(first, second);
        for (describes, messages, row) in
            [(Some(false), "BES", "a: 1"), (Some(true), "BDES", "b: 1")]
        {
            session.conn.set_describing(describes);
            let operation = session.conn.start_prepared("columns", &(), 0).unwrap();
            assert_eq!(session.queued_messages(), messages);
            assert_eq!(session.finish(operation), [row, "SELECT 1", OK]);
        }
    }
}

/// What tells a pooler from a server: it gives a number that is none of a process. By chance it may be one of a process.
#[test]
fn a_pooler_is_known_by_its_process() {
    let server = Session::open(&world().cluster.conninfo());
    assert!(!server.conn.facts().is_pooled());
    for (_, bouncer) in &world().bouncers {
        assert!((0..5).any(|_| {
            let mut session = Session::open(&conninfo(bouncer));
            session.query("begin");
            session.prepare("asked", "select 1 as n");
            session.conn.start_prepared("asked", &(), 0).unwrap();
            let asks = session.queued_messages() == "BDES";
            assert_eq!(asks, session.conn.facts().is_pooled());
            asks
        }));
    }
}

#[test]
fn notifications_in_session_mode() {
    for (mode, bouncer) in &world().bouncers {
        if *mode != "session" {
            continue;
        }
        let mut session = Session::open(&conninfo(bouncer));
        session.query("listen greetings");
        Session::open(&conninfo(bouncer)).query("notify greetings, 'hello'");
        while session.notifications.is_empty() {
            session.step();
        }
        assert_eq!(session.notifications[0].payload(), b"hello");
    }
}

/// The next client gets the server as new.
#[test]
fn the_server_is_reset_between_sessions() {
    for (mode, bouncer) in &world().bouncers {
        if *mode != "session" {
            continue;
        }
        let pooled = format!("{} application_name=pooled", conninfo(bouncer));
        for _ in 0..10 {
            let mut session = Session::open(&pooled);
            assert_eq!(
                session.query(
                    "select to_regclass('pg_temp.mine') as m, current_setting('work_mem') as w"
                )[0],
                "m,w: NULL|4MB"
            );
            session.query("create temp table mine (n int); set work_mem = '1234kB'; listen mine");
            session.prepare("mine", "select 1");
            drop(session);
        }
        let mut session = Session::open(&pooled);
        session.conn.reset();
        session.come_up().unwrap();
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

/// Newer PgBouncers agree on an older version; old ones do not know how, and say so.
#[test]
fn the_newest_protocol_is_negotiated_or_refused() {
    for (_, bouncer) in &world().bouncers {
        let newest = format!("{} max_protocol_version=3.2", conninfo(bouncer));
        match Session::try_open(&newest) {
            Ok(mut session) => {
                let agreed = session.conn.facts().protocol() as i32;
                assert!([protocol::V3_0, protocol::V3_2].contains(&agreed));
                assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
            }
            Err(error) => {
                let version = bouncer.version();
                assert!(version < (1, 25), "{version:?}: {error}");
                let said = error.message();
                assert!(said.contains("FATAL:  bad packet header"), "{said}");
            }
        }
        let session = Session::open(&format!("{} max_protocol_version=3.0", conninfo(bouncer)));
        assert_eq!(session.conn.facts().protocol() as i32, protocol::V3_0);
    }
}
