//! What PgBouncer says by itself: refusals, timeouts, its console.

use testkit::{Bouncer, BouncerOptions};

use crate::session::{FAILED, OK, Session};
use crate::{conninfo, options, world};

#[test]
fn refusals_are_told_in_its_words() {
    let few = options().setting("max_client_conn", "1");
    let Some(bouncer) = Bouncer::start(&world().cluster, &few) else {
        return;
    };
    let says = |conninfo: &str, sqlstate: &str, words: &str| {
        let Err(error) = Session::try_open(conninfo) else {
            panic!("{conninfo}: connected");
        };
        let port = bouncer.port();
        assert_eq!(
            error.message(),
            format!("connection to server at \"127.0.0.1\", port {port} failed: FATAL:  {words}")
        );
        // Old ones have one code for all, even for what the server behind says.
        let code = error.sqlstate().unwrap();
        let expected = [&b"08P01"[..], sqlstate.as_bytes()];
        assert!(expected.contains(&code), "{words}: {error:?}");
    };
    let conninfo = conninfo(&bouncer);
    let nobody = format!("{} password=x", bouncer.conninfo_as("nobody"));
    says(&nobody, "28P01", "SASL authentication failed");
    // What the server behind says is passed on.
    let missing = conninfo.replace("dbname=postgres", "dbname=missing");
    says(&missing, "3D000", "database \"missing\" does not exist");
    if bouncer.version() < (1, 20) {
        let options = format!("{conninfo} options='-c work_mem=1234kB'");
        says(&options, "08P01", "unsupported startup parameter: options");
    }
    let _first = Session::open(&conninfo);
    says(
        &conninfo,
        "53300",
        "no more connections allowed (max_client_conn)",
    );
}

#[test]
fn timeouts_of_its_own() {
    let options = BouncerOptions::new()
        .user("postgres", "")
        .setting("pool_mode", "transaction")
        .setting("client_idle_timeout", "1")
        .setting("query_wait_timeout", "1")
        .setting("default_pool_size", "1");
    let Some(bouncer) = Bouncer::start(&world().cluster, &options) else {
        return;
    };
    let open = || Session::open(&bouncer.conninfo_as("postgres"));
    let mut idle = open();
    let mut first = open();
    first.query("begin");
    // The only server is taken: the second one waits in vain.
    let mut second = open();
    let operation = second.conn.start_query("select 1 as a").unwrap();
    assert_eq!(
        second.finish(operation),
        ["error 08P01 query_wait_timeout", "done Failed Idle Lost"]
    );
    assert_eq!(second.end().message(), "query_wait_timeout");
    // Nothing was asked, and its goodbye is heard all the same.
    assert_eq!(idle.end().message(), "client_idle_timeout");
    assert_eq!(first.query("commit"), ["COMMIT", OK]);
    second.conn.reset();
    second.come_up().unwrap();
    assert_eq!(second.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
}

/// A server that dies behind it, in the middle of a query.
#[test]
fn the_server_behind_goes_away() {
    for (mode, bouncer) in &world().bouncers {
        let mut session = Session::open(&conninfo(bouncer));
        let replies = session.query("select pg_terminate_backend(pg_backend_pid())");
        assert_eq!(replies.last().unwrap(), "done Failed Idle Lost", "{mode}");
        assert!(replies[0].starts_with("error "), "{replies:?}");
        println!("{replies:?}");
        session.conn.reset();
        session.come_up().unwrap();
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

/// It speaks the simple protocol only, before 1.21.
#[test]
fn its_console() {
    for (_, bouncer) in &world().bouncers {
        let console = conninfo(bouncer).replace("dbname=postgres", "dbname=pgbouncer");
        let mut session = Session::open(&console);
        let (major, minor) = bouncer.version();
        let version = session.query("show version");
        assert!(version[0].starts_with(&format!("version: PgBouncer {major}.{minor}.")));
        assert_eq!(version[1..], ["SHOW", OK]);
        let error = session.query("nonsense");
        assert!(error[0].starts_with("error 08P01 invalid command 'nonsense'"));
        assert_eq!(error[1], FAILED);
        let databases = session.rows("show databases");
        assert!(databases.rows() > 0 && databases.columns().len() > 5);
        let replies = session.params("show version", &());
        assert!(
            replies[0].contains("not supported")
                && replies.last().unwrap().starts_with("done Failed"),
            "{replies:?}"
        );
    }
}
