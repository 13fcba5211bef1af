//! A server that is gone without a word: found by keepalives, by bytes that nobody acknowledges, or by asking with a deadline.

use std::time::Duration;

use pgpoll::conn::Readiness;
use testkit::proxy::{Faults, Proxy};

use crate::session::Session;
use crate::{PATIENCE, heard, listening, servers};

/// A session that listens through a proxy.
fn proxied(channel: &str, options: &str) -> (Proxy, Session) {
    let proxy = Proxy::start(&servers()[0], |_| Faults::none());
    let port = proxy.port();
    let conninfo = format!("host=127.0.0.1 port={port} user=postgres dbname=postgres {options}");
    let mut session = listening(&conninfo, channel);
    servers()[0].psql(&format!("notify {channel}, 'not yet'"));
    assert_eq!(heard(&mut session), "not yet");
    (proxy, session)
}

const NOBODY: &str = "could not receive data from server: Connection timed out";

/// The kernel asks the other one's kernel, and nobody answers: an idle program learns it without doing anything.
#[test]
fn keepalives_find_a_cut_cable() {
    let (proxy, mut session) = proxied(
        "cut",
        "keepalives_idle=1 keepalives_interval=1 keepalives_count=1",
    );
    proxy.unplug();
    let ready = session.conn.wait_for(Readiness::FAILED, Some(PATIENCE));
    assert!(ready.is_failed(), "a hang: {}", session.conn.inspect());
    let error = session.conn.error().unwrap();
    assert_eq!(error.message(), NOBODY);
    assert_eq!(error.errno(), libc::ETIMEDOUT);
    assert!(error.is_safe_to_retry());
}

/// What was sent is acknowledged by nobody.
#[test]
fn tcp_user_timeout_finds_it_for_one_who_sends() {
    let (proxy, mut session) = proxied("sent", "tcp_user_timeout=500");
    proxy.unplug();
    let operation = session.conn.start_query("select 1").unwrap();
    assert_eq!(
        session.finish(operation),
        [
            format!("transport: {}", NOBODY.to_lowercase()),
            String::from("done Failed Idle Lost")
        ]
    );
    assert_eq!(session.conn.error().unwrap().errno(), libc::ETIMEDOUT);
}

/// Somebody in between acknowledges everything and passes on nothing: no kernel notices. An empty query with a deadline does.
#[test]
fn a_probe_with_a_deadline_finds_what_no_kernel_sees() {
    let (proxy, mut session) = proxied("silence", "");
    session.conn.set_timeout(Some(Duration::from_secs(20)));
    let probe = session.conn.start_query("").unwrap();
    assert_eq!(session.finish(probe), ["(empty)", crate::session::OK]);
    proxy.freeze(true);
    session.conn.set_timeout(Some(Duration::from_millis(100)));
    session.conn.set_cancel_timeout(Duration::from_millis(100));
    let probe = session.conn.start_query("").unwrap();
    let replies = session.finish(probe);
    assert!(
        replies[0].starts_with("transport: timeout expired"),
        "{replies:?}"
    );
    assert_eq!(replies[1..], ["done Failed Idle Lost"]);
    let ready = session.conn.wait_for(Readiness::FAILED, Some(PATIENCE));
    assert!(ready.is_failed(), "a hang: {}", session.conn.inspect());
    // When the network is back, so is the listener.
    proxy.freeze(false);
    session.conn.set_timeout(None);
    session.conn.reset();
    session.come_up().unwrap();
    session.query("listen silence");
    servers()[0].psql("notify silence, 'again'");
    assert_eq!(heard(&mut session), "again");
}
