//! What is told without being asked for: notifications in floods, the end of a connection in all its forms. Real servers, each
//! major version that is installed, some behind a proxy.
#![allow(clippy::unwrap_used, clippy::panic)]

mod flood;
mod losses;
mod scripted;
#[allow(dead_code)] // a part of it is used here
#[path = "../live/session.rs"]
mod session;
#[cfg(target_os = "linux")]
mod silence;

use std::sync::OnceLock;

use pgpoll::conn::Readiness;
use testkit::{Cluster, ClusterOptions, each_version};

use session::{PATIENCE, Session};

/// One cluster of each version under test, which no test stops.
fn servers() -> &'static [Cluster] {
    static SERVERS: OnceLock<Vec<Cluster>> = OnceLock::new();
    SERVERS.get_or_init(|| each_version(ClusterOptions::new))
}

/// A session that listens to `channel`.
#[track_caller]
fn listening(conninfo: &str, channel: &str) -> Session {
    let mut session = Session::open(conninfo);
    assert_eq!(
        session.query(&format!("listen {channel}")),
        ["LISTEN", session::OK]
    );
    session
}

/// The payload of the next notification, waited for on an idle connection.
#[track_caller]
fn heard(session: &mut Session) -> String {
    while session.notifications.is_empty() {
        let bits = Readiness::NOTIFY | Readiness::FAILED;
        let ready = session.conn.wait_for(bits, Some(PATIENCE));
        assert!(ready.has(bits), "a hang: {}", session.conn.inspect());
        match session.conn.take_notification() {
            Some(notification) => session.notifications.push(notification),
            None => panic!("the end: {:?}", session.conn.error()),
        }
    }
    let next = session.notifications.remove(0);
    String::from_utf8_lossy(next.payload()).into_owned()
}
