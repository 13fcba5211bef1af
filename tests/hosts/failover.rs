//! A server goes away: its words, what a look at the connection tells, and where a reset leads.

use std::time::{Duration, Instant};

use pgpoll::error::Family;
use testkit::{Cluster, ClusterOptions};

use crate::session::{OK, Session};
use crate::{REFUSED, at, hosts, options, pair};

const WORDS: &str = "terminating connection due to administrator command";

/// Resets until the connection is up, as a program does that has nothing better to do.
fn reset_until_up(session: &mut Session) {
    let begun = Instant::now();
    loop {
        session.conn.reset();
        match session.come_up() {
            Ok(()) => return,
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn writes_go_on_at_the_new_primary() {
    let Some((primary, standby)) = pair(options()) else {
        return;
    };
    let conninfo = hosts(&[&primary, &standby]);
    let mut writer = Session::open(&format!("{conninfo} target_session_attrs=read-write"));
    let mut reader = Session::open(&format!("{conninfo} target_session_attrs=prefer-standby"));
    assert_eq!(writer.conn.facts().host(), 0);
    assert_eq!(reader.conn.facts().host(), 1);
    let in_standby = |session: &Session| {
        let value = session.conn.facts().parameter(b"in_hot_standby");
        String::from_utf8_lossy(value.unwrap()).into_owned()
    };
    assert_eq!(in_standby(&reader), "on");
    writer.query("create table numbers (n int)");
    writer.query("insert into numbers values (1)");
    standby.catch_up(&primary);
    assert_eq!(
        reader.query("select n from numbers"),
        ["n: 1", "SELECT 1", OK]
    );
    assert_eq!(
        reader.query("insert into numbers values (2)")[0],
        "error 25006 cannot execute INSERT in a read-only transaction"
    );

    primary.crash();
    // It goes with a warning, which is a notice, and not with an error.
    let error = writer.end();
    assert_eq!(error.family(), Family::Transport, "{error}");
    let warning = writer.conn.take_notice().unwrap();
    assert_eq!(warning.sqlstate(), Some(&b"57P01"[..]));
    writer.conn.reset();
    let error = writer.come_up().unwrap_err();
    let expected = format!(
        "{}{REFUSED}\n{}session is read-only",
        at(primary.port()),
        at(standby.port())
    );
    assert_eq!(error.message(), expected);

    standby.promote();
    reset_until_up(&mut writer);
    assert_eq!(writer.conn.facts().host(), 1);
    assert_eq!(
        writer.query("insert into numbers values (3)"),
        ["INSERT 0 1", OK]
    );
    // Who was connected to the standby all the time is told, and may write now.
    assert_eq!(
        reader.query("insert into numbers values (4)"),
        ["INSERT 0 1", OK]
    );
    assert_eq!(in_standby(&reader), "off");
    assert_eq!(
        writer.query("select sum(n) as s from numbers"),
        ["s: 8", "SELECT 1", OK]
    );
}

/// A restart while nothing is asked: the goodbye is there before the next question, and the same options lead back.
#[test]
fn a_restart_while_idle_is_told_and_a_reset_leads_back() {
    let server = Cluster::start(ClusterOptions::new());
    for conninfo in [server.conninfo(), server.conninfo_tcp()] {
        let mut watched = Session::open(&format!(
            "{conninfo} application_name=watched options='-c work_mem=1234kB'"
        ));
        let mut checked = Session::open(&conninfo);
        let pid = checked.conn.facts().backend_pid();
        checked.query("select 1");
        let sent = checked.conn.engine().output().len();
        server.restart();
        // One look, without a round trip: the pool's question.
        let ready = checked.conn.poll();
        assert!(ready.is_failed() && !ready.is_idle());
        assert_eq!(checked.conn.engine().output().len(), sent);
        let error = watched.end();
        for error in [&error, checked.conn.error().unwrap()] {
            assert_eq!(error.sqlstate(), Some(&b"57P01"[..]));
            assert_eq!(error.message(), WORDS);
        }
        watched.conn.reset();
        watched.come_up().unwrap();
        assert_ne!(watched.conn.facts().backend_pid(), pid);
        assert_eq!(
            watched.query(
                "select current_setting('application_name') as a, current_setting('work_mem') as w"
            ),
            ["a,w: watched|1234kB", "SELECT 1", OK]
        );
    }
}

/// The address moves to another server, behind the client's back: what floating addresses and balancers do.
#[test]
fn an_address_that_moves() {
    use testkit::proxy::{Faults, Proxy};
    let (old, new) = (
        Cluster::start(ClusterOptions::new()),
        Cluster::start(ClusterOptions::new()),
    );
    let proxy = Proxy::start(&old, |_| Faults::none());
    let conninfo = crate::on_ports(&[proxy.port()]);
    let port = |session: &mut Session| session.query("select inet_server_port() as p").remove(0);
    let mut session = Session::open(&conninfo);
    assert_eq!(port(&mut session), format!("p: {}", old.port()));
    proxy.redirect(&new);
    // In the middle of a query, and nobody says goodbye.
    let lost = session.conn.start_query("select pg_sleep(600)").unwrap();
    session.conn.poll();
    proxy.reset_all();
    let replies = session.finish(lost);
    assert_eq!(
        replies.last().unwrap(),
        "done Failed Idle Lost",
        "{replies:?}"
    );
    session.conn.reset();
    session.come_up().unwrap();
    assert_eq!(port(&mut session), format!("p: {}", new.port()));
}
