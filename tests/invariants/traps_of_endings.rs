//! The traps of ending: a connection, or a request to cancel, goes at once, whatever it is in the middle of.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use pgpoll::conn::{Cancel, Connection, Readiness};
use testkit::script::{Script, Scripted};

use super::{LONG, answering, connected};

/// More than any of it takes on a busy machine, and less than any wait for a peer.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Polls until the connection is in this phase, with `sql` under way, then drops it and says how long that took. A phase
/// may be over before anybody looks: then another connection tries.
fn ended(conninfo: &str, phase: &str, sql: Option<&str>) -> Duration {
    for _ in 0..100 {
        if let Some(took) = ended_in(conninfo, phase, sql) {
            return took;
        }
    }
    panic!("never in the phase {phase}");
}

fn ended_in(conninfo: &str, phase: &str, sql: Option<&str>) -> Option<Duration> {
    let phase = format!("\"phase\":\"{phase}\"");
    let mut connection = Connection::open(conninfo);
    if let Some(sql) = sql {
        let up = connection.wait_for(Readiness::IDLE | Readiness::FAILED, LONG);
        assert!(up.is_idle(), "{}", connection.inspect());
        connection.start_query(sql).unwrap();
    }
    let is_there = |connection: &Connection| connection.inspect().contains(&phase);
    for turn in 0..1000 {
        connection.poll();
        if connection.error().is_some() || is_there(&connection) && (sql.is_none() || turn > 20) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    if connection.error().is_some() {
        return None;
    }
    assert!(is_there(&connection), "{}", connection.inspect());
    let begun = Instant::now();
    drop(connection);
    Some(begun.elapsed())
}

/// Trap 14, unbounded teardown: ending is local and instant. In each phase the peer says nothing more, and nobody waits for it.
#[test]
fn trap_14_unbounded_teardown() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let silent_server = format!("host=127.0.0.1 port={port} user=tester sslmode=disable");
    let deaf = |script: Script| Scripted::tcp(&[script]);
    let (asking, running, sending) = (
        deaf(asking_for_a_password()),
        deaf(Script::trusting().query("SELECT 1")),
        deaf(Script::trusting().expect_tag(b'Q').expect_tag(b'Z')),
    );
    let much = "x".repeat(16 << 20);
    let name = "host=no-such-host.invalid user=tester";
    for (what, took) in [
        ("name", ended(name, "resolving", None)),
        ("silence", ended(&silent_server, "startup", None)),
        (
            "password",
            ended(&asking.conninfo(), "authenticating", None),
        ),
        (
            "query",
            ended(&running.conninfo(), "ready", Some("SELECT 1")),
        ),
        (
            "much to send",
            ended(&sending.conninfo(), "ready", Some(&much)),
        ),
    ] {
        assert!(took < AT_ONCE, "{what}: {took:?}");
    }
}

/// A server that asks for a password and says nothing to the answer.
fn asking_for_a_password() -> Script {
    Script::new()
        .startup()
        .send(vec![b'R', 0, 0, 0, 8, 0, 0, 0, 3])
}

/// Trap 13, a cancel hits the next query or is lost, and trap 14 for it: a request that nobody answers ends with its handle, at
/// once, and the connection goes on. What it hits on a real server is held by the tests of cancelling there.
#[test]
fn trap_13_and_14_a_cancel_that_nobody_answers_ends_at_once() {
    let server = Scripted::tcp(&[answering(2)]);
    let mut connection = connected(&server);
    // The one script is being played: the request's own connection is never accepted.
    let mut cancel = Cancel::of(&connection).unwrap();
    for _ in 0..10 {
        cancel.poll();
    }
    let begun = Instant::now();
    drop(cancel);
    assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
    connection.start_query("SELECT 1").unwrap();
    assert!(connection.wait_for(Readiness::RESULT, LONG).has_result());
}
