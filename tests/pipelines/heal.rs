//! Prepared statements that heal, at real servers: what has become of them behind the connection's back, and where the error
//! is the caller's.

use std::time::Duration;

use pgpoll::engine::{Command, End};
use pgpoll::wire::Parameters;
use testkit::{Bouncer, BouncerOptions};

use crate::servers;
use crate::session::{FAILED, OK, Session};

/// The server forgets a statement, and no command tag says so.
fn lose(session: &mut Session, name: &str) {
    let sql = format!("do $$ begin execute 'deallocate {name}'; end $$");
    assert_eq!(session.query(&sql), ["DO", OK]);
}

const LOST: &str = r#"error 26000 prepared statement "s" does not exist"#;
const CHANGED: &str = "error 0A000 cached plan must not change result type";

#[test]
fn a_statement_that_was_lost_is_prepared_again() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.prepare("s", "select $1::int4 + 1 as n");
        for round in 0..3 {
            lose(&mut session, if round == 1 { "all" } else { "s" });
            let values: [Option<&[u8]>; 1] = [Some(b"41")];
            let operation = session.conn.start_prepared("s", &values, 0).unwrap();
            assert_eq!(session.queued_messages(), "BES");
            assert_eq!(session.finish(operation), ["n: 42", "SELECT 1", OK]);
            assert_eq!(
                session.prepared("s", &values),
                ["n: 42", "SELECT 1", OK],
                "it was there, and is again"
            );
        }
        // In the session there is one statement, of that name.
        assert_eq!(
            session.query("select name from pg_prepared_statements"),
            ["name: s", "SELECT 1", OK]
        );
    }
}

#[test]
fn a_result_with_other_columns_is_given_with_them() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let mut other = Session::open(&server.conninfo());
        other.query("drop table if exists heals; create table heals as select 1 as x");
        session.prepare("s", "select * from heals");
        assert_eq!(session.prepared("s", &()), ["x: 1", "SELECT 1", OK]);
        other.query("alter table heals add column y int default 2");
        assert_eq!(session.prepared("s", &()), ["x,y: 1|2", "SELECT 1", OK]);
        // The new columns are remembered.
        let operation = session.conn.start_prepared("s", &(), 1).unwrap();
        assert_eq!(session.queued_messages(), "BES");
        assert_eq!(
            session.finish(operation)[0],
            "x,y: \0\0\0\u{1}|\0\0\0\u{2}".to_owned()
        );
        other.query("alter table heals drop column x, alter column y type text");
        assert_eq!(session.prepared("s", &()), ["y: 2", "SELECT 1", OK]);
        // What cannot be prepared again says why; what can be is as it was.
        other.query("drop table heals");
        let gone = r#"error 42P01 relation "heals" does not exist"#;
        assert_eq!(session.prepared("s", &()), [gone, FAILED]);
        lose_if_there(&mut session);
        assert_eq!(session.prepared("s", &()), [gone, FAILED]);
        other.query("create table heals as select 'back' as again");
        assert_eq!(session.prepared("s", &()), ["again: back", "SELECT 1", OK]);
        other.query("drop table heals");
    }
}

/// A try to heal that failed may have left the statement behind or not.
fn lose_if_there(session: &mut Session) {
    session.query("do $$ begin execute 'deallocate s'; exception when others then null; end $$");
}

#[test]
fn not_inside_of_a_transaction_block() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t as select 1 as x");
        session.prepare("s", "select * from t");
        for (what, error) in [
            ("alter table t add column y int", CHANGED),
            (
                "do $$ begin execute 'deallocate s'; end $$; alter table t drop column y",
                LOST,
            ),
        ] {
            session.query(&format!("begin; {what}"));
            assert_eq!(
                session.prepared("s", &()),
                [error, "done Failed Failed InTransaction"]
            );
            session.query("rollback");
            // What DEALLOCATE has done no rollback undoes.
            assert_eq!(session.prepared("s", &()), ["x: 1", "SELECT 1", OK]);
            if error == CHANGED {
                session.query("alter table t add column y int");
                session.prepared("s", &());
                session.query("alter table t drop column y");
            }
        }
    }
}

#[test]
fn not_in_a_group_and_not_with_others_behind_it() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.prepare("s", "select 1 as n");
        let command = |max_rows| Command::Prepared {
            name: b"s",
            params: &(),
            format: 0,
            max_rows,
            describe: false,
        };
        // In a group, first and alone in it; last, with the Sync; with a row limit.
        lose(&mut session, "s");
        let one = session.conn.start(command(0), End::More).unwrap();
        let sync = session.conn.sync().unwrap();
        assert_eq!(session.finish(one)[0], LOST);
        assert_eq!(session.finish(sync), [OK]);
        let params: &dyn Parameters = &();
        let before = Command::Params {
            sql: b"select 2 as m",
            types: &[],
            params,
            format: 0,
            max_rows: 0,
        };
        let one = session.conn.start(before, End::More).unwrap();
        assert_eq!(session.finish(one)[0], "m: 2");
        // Nothing is under way, and still the group is open.
        let two = session.conn.start(command(0), End::Sync).unwrap();
        assert_eq!(session.finish(two), [LOST, FAILED]);
        let one = session.conn.start(command(1), End::Sync).unwrap();
        let sync = session.conn.sync().unwrap();
        assert_eq!(session.finish(one)[0], LOST);
        assert_eq!(session.finish(sync), [OK]);
        // With another operation before it, or behind it.
        let query = session.conn.start_query("select 3 as k").unwrap();
        let second = session.conn.start_prepared("s", &(), 0).unwrap();
        assert_eq!(session.finish(query), ["k: 3", "SELECT 1", OK]);
        assert_eq!(session.finish(second), [LOST, FAILED]);
        let first = session.conn.start_prepared("s", &(), 0).unwrap();
        let second = session.conn.start_prepared("s", &(), 0).unwrap();
        assert_eq!(session.finish(first), [LOST, FAILED]);
        assert_eq!(session.finish(second), [LOST, FAILED]);
        // Alone, it heals.
        assert_eq!(session.prepared("s", &()), ["n: 1", "SELECT 1", OK]);
        let first = session.conn.start_prepared("s", &(), 0).unwrap();
        let second = session.conn.start_prepared("s", &(), 0).unwrap();
        for operation in [first, second] {
            assert_eq!(session.finish(operation), ["n: 1", "SELECT 1", OK]);
        }
    }
}

#[test]
fn not_what_is_not_known_and_not_when_switched_off() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.prepare("", "select 1 as n");
        session.query("select 2");
        let unnamed = "error 26000 unnamed prepared statement does not exist";
        assert_eq!(session.prepared("", &()), [unnamed, FAILED]);
        // Prepared in SQL, described or not.
        session.query("prepare s as select 3 as n");
        assert_eq!(session.prepared("s", &())[0], "n: 3");
        let name = b"s";
        let command = Command::DescribeStatement { name };
        let describe = session.conn.start(command, End::Sync).unwrap();
        session.finish(describe);
        lose(&mut session, "s");
        assert_eq!(session.prepared("s", &()), [LOST, FAILED]);
        // A name that SQL has given anew is not what it was.
        session.prepare("s", "select 4 as n");
        lose(&mut session, "s");
        session.query("prepare s as select 5 as n");
        assert_eq!(session.prepared("s", &())[0], "n: 5");
        lose(&mut session, "s");
        assert_eq!(session.prepared("s", &()), [LOST, FAILED]);
        session.conn.set_healing(false);
        session.prepare("s", "select 6 as n");
        lose(&mut session, "s");
        assert_eq!(session.prepared("s", &()), [LOST, FAILED]);
        session.conn.set_healing(true);
        session.prepare("s", "select 7 as n");
        lose(&mut session, "s");
        assert_eq!(session.prepared("s", &())[0], "n: 7");
        // An error of the execution is not the statement's: nothing is done twice.
        session.query("create temp sequence times");
        session.query(
            "create function pg_temp.fails() returns int language plpgsql as \
             $$ begin perform nextval('times'); execute 'execute nobody'; return 1; end $$",
        );
        session.prepare("fails", "select pg_temp.fails()");
        let nobody = r#"error 26000 prepared statement "nobody" does not exist"#;
        assert_eq!(session.prepared("fails", &()), [nobody, FAILED]);
        assert_eq!(
            session.query("select last_value from times")[0],
            "last_value: 1"
        );
    }
}

#[test]
fn values_of_any_size_are_sent_again() {
    for server in servers() {
        for conninfo in [server.conninfo(), server.conninfo_tcp()] {
            let mut session = Session::open(&conninfo);
            session.prepare("s", "select md5($1) as md5, length($2) as length");
            let large = vec![b'x'; 1 << 20];
            let values: [Option<&[u8]>; 2] = [Some(b"value"), Some(&large)];
            let expected = session.prepared("s", &values);
            assert!(expected[0].ends_with("|1048576"), "{expected:?}");
            lose(&mut session, "s");
            assert_eq!(session.prepared("s", &values), expected);
            assert!(!session.conn.engine().has_output());
        }
    }
}

/// Four bytes are an integer only for a statement that takes one; a text is whatever the statement takes now.
#[test]
fn values_mean_what_they_meant() {
    struct Binary([u8; 4]);
    impl Parameters for Binary {
        fn len(&self) -> usize {
            1
        }
        fn value(&self, _: usize) -> Option<&[u8]> {
            Some(&self.0)
        }
        fn format(&self, _: usize) -> i16 {
            1
        }
        fn has_formats(&self) -> bool {
            true
        }
    }
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table t (x int4)");
        session.prepare("s", "insert into t values ($1) returning x");
        let seven = Binary(7_i32.to_be_bytes());
        assert_eq!(session.prepared("s", &seven)[0], "x: 7");
        session.query("alter table t alter column x type float4");
        assert_eq!(session.prepared("s", &seven)[0], "x: 7");
        lose(&mut session, "s");
        session.query("alter table t alter column x type bigint");
        assert_eq!(session.prepared("s", &seven)[0], "x: 7");
        lose(&mut session, "s");
        session.query("alter table t alter column x type text");
        let word: [Option<&[u8]>; 1] = [Some(b"a word")];
        assert_eq!(session.prepared("s", &word)[0], "x: a word");
    }
}

/// The deadline is the operation's, however often it is tried.
#[test]
fn deadlines_and_abandoning() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.prepare("s", "select pg_sleep(1000)");
        lose(&mut session, "s");
        session.conn.set_timeout(Some(Duration::from_millis(300)));
        let replies = session.prepared("s", &());
        assert!(replies[0].contains("timeout expired"), "{replies:?}");
        assert_eq!(replies[1], FAILED);
        session.conn.set_timeout(None);
        lose_if_there(&mut session);
        let operation = session.conn.start_prepared("s", &(), 0).unwrap();
        session.conn.poll();
        assert!(session.conn.abandon(operation));
        let done = session.finish(operation);
        assert!(done == [FAILED], "{done:?}");
        assert_eq!(session.query("select 1 as n"), ["n: 1", "SELECT 1", OK]);
    }
}

/// A pooler that gives each transaction another server.
#[test]
fn through_a_pooler_in_transaction_mode() {
    let cluster = &servers()[0];
    let mut options = BouncerOptions::new()
        .user("postgres", "")
        .setting("auth_type", "trust")
        .setting("pool_mode", "transaction")
        .setting("default_pool_size", "4");
    if testkit::bouncer::version().is_some_and(|version| version >= (1, 21)) {
        options = options.setting("max_prepared_statements", "0");
    }
    let Some(bouncer) = Bouncer::start(cluster, &options) else {
        return;
    };
    let conninfo = bouncer.conninfo_as("postgres");
    let mut session = Session::open(&conninfo);
    session.prepare("s", "select pg_backend_pid() as pid, $1::text as t");
    let value: [Option<&[u8]>; 1] = [Some(b"here")];
    let mut seen = Vec::new();
    let mut others = Vec::new();
    for _ in 0..4 {
        let replies = session.prepared("s", &value);
        assert_eq!(replies[1..], ["SELECT 1", OK]);
        let pid = replies[0].strip_prefix("pid,t: ").unwrap();
        seen.push(pid.strip_suffix("|here").unwrap().to_owned());
        // Somebody else takes a server for good.
        if others.len() < 3 {
            let mut other = Session::open(&conninfo);
            other.query("begin");
            others.push(other);
        }
    }
    seen.dedup();
    assert!(seen.len() > 1, "always the same server: {seen:?}");
}
