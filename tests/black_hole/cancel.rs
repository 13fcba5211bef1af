//! A request to cancel whose server is a black hole: it has the deadline of connecting for all of it.

use std::time::Instant;

use pgpoll::conn::{Cancel, CancelPoll, Connection, Readiness};
use pgpoll::net::clock;
use testkit::crowd::{self, Crowd};
use testkit::script::{Script, Scripted};

use crate::standstill::LONG;
use crate::{check, sleep};

/// Sleeps as the request says until it has failed.
fn fails_in_time(name: &str, conn: &Connection) {
    let mut cancel = Cancel::of(conn).unwrap();
    let begun = Instant::now();
    for wakes in 0.. {
        let wants = cancel.poll();
        if wants == CancelPoll::Failed {
            let error = cancel.error().unwrap();
            assert!(error.message().ends_with("timeout expired"), "{error}");
            return check(name, begun.elapsed(), wakes);
        }
        assert_ne!(wants, CancelPoll::Done, "{name}");
        let deadline = cancel.deadline_ns().unwrap();
        let left = deadline.saturating_sub(clock::now_ns());
        let read = wants == CancelPoll::WantRead;
        sleep(cancel.socket(), read, !read, left.div_ceil(1_000_000));
    }
}

fn connected(server: &Scripted) -> Connection {
    let mut conn = Connection::open(format!("{} connect_timeout=1", server.conninfo()));
    let ready = conn.wait_for(Readiness::IDLE | Readiness::FAILED, Some(LONG));
    assert!(ready.is_idle(), "{:?}", conn.error());
    conn
}

#[test]
fn a_cancel_request_that_nobody_takes() {
    let listener = crowd::listener();
    let server = Scripted::over(listener.try_clone().unwrap(), &[Script::trusting()]);
    let conn = connected(&server);
    let crowd = Crowd::before(listener);
    fails_in_time("cancel: dialling", &conn);
    drop(crowd);
}

/// The server takes the request and does not close the connection: whether it was heeded is not known.
#[test]
fn a_cancel_request_that_is_not_answered() {
    let listener = crowd::listener();
    let server = Scripted::over(listener.try_clone().unwrap(), &[Script::trusting()]);
    let conn = connected(&server);
    fails_in_time("cancel: the end of the connection", &conn);
    drop(listener);
}
