//! The end of a connection that listens: told at once, with the reason, after the last notification; a reset leads back.

use std::process::Command;

use pgpoll::conn::Readiness;
use pgpoll::error::{CLOSED, Error, Family};
use testkit::proxy::{Faults, Proxy};
use testkit::{Cluster, ClusterOptions, each_version};

use crate::session::{OK, Session};
use crate::{PATIENCE, heard, listening, servers};

/// Waits as an event loop does until the connection is over, and takes nothing.
#[track_caller]
fn told(session: &mut Session) -> Error {
    let ready = session.conn.wait_for(Readiness::FAILED, Some(PATIENCE));
    assert!(ready.is_failed(), "a hang: {}", session.conn.inspect());
    let error = session.conn.error().unwrap().clone();
    assert!(error.is_safe_to_retry(), "nothing was under way: {error:?}");
    error
}

/// Connects anew, as often as it takes a server that is starting, and listens again.
#[track_caller]
fn listen_again(session: &mut Session, channel: &str) {
    loop {
        session.conn.reset();
        match session.come_up() {
            Ok(()) => break,
            Err(error) => assert!(error.is_safe_to_retry(), "{error:?}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(session.query(&format!("listen {channel}")), ["LISTEN", OK]);
}

/// The SQLSTATE, the family and whether the message is this one.
#[track_caller]
fn check(error: &Error, sqlstate: &str, family: Family, message: &str) {
    assert_eq!(error.message(), message);
    assert_eq!(error.family(), family);
    assert_eq!(error.sqlstate(), Some(sqlstate.as_bytes()));
}

const TERMINATED: &str = "terminating connection due to administrator command";

#[test]
fn the_servers_goodbye_comes_after_the_last_notification_which_outlives_it() {
    for server in servers() {
        let mut session = listening(&server.conninfo(), "last");
        let pid = session.conn.facts().backend_pid();
        server.psql("notify last, 'words'");
        // The server forgets what it has not sent before it is told to end.
        let ready = session.conn.wait_for(Readiness::NOTIFY, Some(PATIENCE));
        assert!(ready.has(Readiness::NOTIFY), "{}", session.conn.inspect());
        assert!(server.terminate_backend(pid));
        check(&told(&mut session), "57P01", Family::Server, TERMINATED);
        // Also after the reset; and what comes in the new session comes behind it.
        listen_again(&mut session, "last");
        server.psql("notify last, 'again'");
        assert_eq!(heard(&mut session), "words");
        assert_eq!(heard(&mut session), "again");
    }
}

#[test]
fn a_session_that_was_idle_too_long() {
    for server in servers() {
        let mut session = listening(&server.conninfo(), "idle");
        session.query("set idle_session_timeout = 50");
        let words = "terminating connection due to idle-session timeout";
        check(&told(&mut session), "57P05", Family::Server, words);
        listen_again(&mut session, "idle");
        server.psql("notify idle");
        assert_eq!(heard(&mut session), "");
    }
}

#[test]
fn in_the_middle_of_a_transaction_it_is_safe_to_begin_anew() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("begin; set local idle_in_transaction_session_timeout = 50");
        let words = "terminating connection due to idle-in-transaction timeout";
        check(&told(&mut session), "25P03", Family::Server, words);
    }
}

#[test]
fn with_something_under_way_it_is_not() {
    for server in servers() {
        let mut session = listening(&server.conninfo(), "busy");
        let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
        session.conn.poll();
        let pid = session.conn.facts().backend_pid();
        server.until_busy(pid);
        assert!(server.terminate_backend(pid));
        let replies = session.finish(operation);
        assert_eq!(replies.last().unwrap(), "done Failed Idle Lost");
        assert!(!session.conn.error().unwrap().is_safe_to_retry());
    }
}

#[test]
fn the_network_resets_it() {
    for server in servers() {
        let proxy = Proxy::start(server, |_| Faults::none());
        let conninfo = format!(
            "host=127.0.0.1 port={} user=postgres dbname=postgres",
            proxy.port()
        );
        let mut session = listening(&conninfo, "network");
        proxy.reset_all();
        check(&told(&mut session), "08006", Family::Transport, CLOSED);
        listen_again(&mut session, "network");
        server.psql("notify network, 'again'");
        assert_eq!(heard(&mut session), "again");
    }
}

/// A backend that is killed takes all others with it, and the server begins anew; so they have servers of their own.
#[test]
fn a_backend_that_is_killed_and_a_restart() {
    for server in each_version(ClusterOptions::new) {
        let mut killed = listening(&server.conninfo(), "here");
        let mut other = listening(&server.conninfo(), "here");
        // These servers do not wait for their disk: what they were made with is to be there after the crash.
        server.psql("checkpoint");
        kill(killed.conn.facts().backend_pid());
        check(&told(&mut killed), "08006", Family::Transport, CLOSED);
        check(&told(&mut other), "08006", Family::Transport, CLOSED);
        // The reason, as far as a server that has just crashed can tell it, is a notice.
        let notice = other.conn.take_notice().unwrap();
        assert_eq!(notice.sqlstate(), Some(&b"57P02"[..]));
        let begun = "terminating connection because of crash of another server process";
        assert_eq!(notice.message(), begun.as_bytes());
        hear_each_other(&server, [&mut killed, &mut other]);
        server.restart();
        for session in [&mut killed, &mut other] {
            check(&told(session), "57P01", Family::Server, TERMINATED);
        }
        hear_each_other(&server, [&mut killed, &mut other]);
    }
}

fn hear_each_other(server: &Cluster, mut sessions: [&mut Session; 2]) {
    for session in &mut sessions {
        listen_again(session, "here");
    }
    server.psql("notify here, 'all'");
    for session in &mut sessions {
        assert_eq!(heard(session), "all");
    }
}

fn kill(pid: u32) {
    let killed = Command::new("kill")
        .args(["-KILL", &pid.to_string()])
        .status();
    assert!(killed.unwrap().success());
}
