//! The same on real sockets, where the kernel has a say.

use std::time::{Duration, Instant};

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::{Outcome, Reply};
use testkit::script::{Script, Scripted, complete, error, ready};

const LONG: Option<Duration> = Some(Duration::from_secs(30));

fn connected(server: &Scripted) -> Connection {
    let mut connection = Connection::open(server.conninfo());
    let ready = connection.wait_for(Readiness::IDLE | Readiness::FAILED, LONG);
    assert!(ready.is_idle(), "{}", connection.inspect());
    connection
}

/// `connect_timeout` holds in nonblocking mode, by itself.
#[test]
fn a_server_that_says_nothing() {
    let server = Scripted::tcp(&[Script::new()]);
    let begun = Instant::now();
    let mut connection = Connection::open(format!("{} connect_timeout=2", server.conninfo()));
    let ready = connection.wait(LONG);
    assert!(ready.is_failed());
    let error = connection.error().unwrap();
    assert!(
        error.message().ends_with("failed: timeout expired"),
        "{error}"
    );
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(connection.poll(), connection.poll(), "it stays failed");
    assert!(connection.socket().is_none());
}

#[test]
fn a_server_that_speaks_http() {
    let script = Script::new()
        .startup()
        .send(&b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"[..])
        .close();
    let server = Scripted::tcp(&[script]);
    let mut connection = Connection::open(server.conninfo());
    assert!(connection.wait(LONG).is_failed());
    let error = connection.error().unwrap().message();
    assert!(
        error.ends_with("expected authentication request from server, but received H"),
        "{error}"
    );
}

/// The server says why it goes and resets the connection while the client writes megabytes: its words are reported, not
/// the broken pipe.
#[test]
fn a_fatal_error_followed_by_a_reset_while_we_write() {
    let words = "terminating connection due to administrator command";
    for close in [Script::close, Script::reset] {
        for server in [Scripted::tcp, Scripted::unix] {
            let script = Script::trusting()
                .query("SELECT 1")
                .send(complete("SELECT 1"))
                .send(ready(b'I'))
                .query("SELECT 2")
                .send(error("FATAL", "57P01", words));
            let server = server(&[close(script)]);
            let mut connection = connected(&server);
            connection.start_query("SELECT 1").unwrap();
            connection.wait_for(Readiness::RESULT, LONG);
            while connection.take().is_some() {}
            connection.start_query("SELECT 2").unwrap();
            assert!(connection.flush());
            // The reset is there before the megabytes are written.
            server.finish();
            connection.start_query("x".repeat(8 << 20)).unwrap();
            let mut items = Vec::new();
            while !connection.wait(LONG).is_failed() {
                items.extend(std::iter::from_fn(|| connection.take()));
            }
            items.extend(std::iter::from_fn(|| connection.take()));
            let error = connection.error().unwrap();
            assert_eq!(error.message(), words);
            assert_eq!(error.sqlstate(), Some(&b"57P01"[..]));
            let dones: Vec<Outcome> = items
                .iter()
                .filter_map(|item| match &item.reply {
                    Reply::Done(done) => Some(done.outcome),
                    _ => None,
                })
                .collect();
            // The second one was on its way, or not yet.
            assert_eq!(dones.len(), 2, "{items:?}");
            assert_eq!(dones[0], Outcome::Failed, "{items:?}");
            assert_ne!(dones[1], Outcome::Ok, "{items:?}");
        }
    }
}

/// The same without words: the server is gone, and the number that the system gave is kept.
#[test]
fn a_reset_without_words() {
    let script = Script::trusting().query("SELECT 1").reset();
    let server = Scripted::tcp(&[script]);
    let mut connection = connected(&server);
    connection.start_query("SELECT 1").unwrap();
    while !connection.wait(LONG).is_failed() {
        while connection.take().is_some() {}
    }
    let error = connection.error().unwrap();
    assert!(
        error
            .message()
            .starts_with("server closed the connection unexpectedly\n"),
        "{error}"
    );
    assert_eq!(error.errno(), libc::ECONNRESET);
}
