//! The invariants 7 to 10: whom to believe, and what never to do.

use pgpoll::conn::Readiness;
use pgpoll::engine::{Command, End};
use pgpoll::error::Family;
use pgpoll::link::{LinkError, LinkErrorKind};
use pgpoll::wire::Parameters;
use testkit::script::{Script, Scripted, columns, error, framed, oid, ready, with_length};
use testkit::sim::{Bench, Pace, Server, closed};

use super::{answering, connected, is_done, start, take_all};

/// The loss of the transport is seen only after the last whole message is consumed: sending has failed, but the server's
/// words were there. Three families of errors, and whether it is safe to try again.
#[test]
fn invariant_7_the_servers_last_words_are_reported_and_not_the_broken_pipe() {
    let not_sent = || LinkError {
        kind: LinkErrorKind::Send,
        errno: libc::EHOSTUNREACH,
        text: String::from("No route to host"),
    };
    let fatal = error("FATAL", "57P01", "terminating connection");
    for (bytes, text, family) in [
        (fatal.clone(), "terminating connection", Family::Server),
        (
            [columns(&[("a", oid::TEXT)]), fatal.clone()].concat(),
            "terminating connection",
            Family::Server,
        ),
        (
            fatal[..fatal.len() - 1].to_vec(),
            "could not send data to server: No route to host",
            Family::Transport,
        ),
    ] {
        let mut bench = Bench::connected(&Script::trusting());
        start(&mut bench, "SELECT 1");
        let begun = bench.engine.output().len() / 2;
        bench.engine.sent(begun);
        bench.inject(&bytes);
        bench.engine.lost(not_sent());
        bench.poll();
        let error = bench.engine.error().unwrap();
        assert_eq!((error.message(), error.family()), (text, family));
        assert!(!error.is_safe_to_retry());
    }
    let misuse = Bench::new("host=127.0.0.1 user=tester", &Script::new())
        .engine
        .start(Command::Sync, End::Sync)
        .unwrap_err();
    assert_eq!(misuse.family(), Family::Misuse);
    assert!(misuse.message().contains("poll until it is idle"));
    // Nothing was begun: another try does nothing twice.
    let mut refused = Bench::with(
        "host=127.0.0.1 user=tester",
        [Server::Refuses],
        Pace::default(),
    );
    refused.poll();
    let error = refused.engine.error().unwrap();
    assert!(error.is_safe_to_retry());
    assert_eq!(error.errno(), libc::ECONNREFUSED);
}

/// Every field of a server's error is kept byte for byte, those that nobody knows too.
#[test]
fn invariant_7_every_field_of_a_server_error_is_kept() {
    let body = b"SERROR\0VERROR\0C42P01\0Mno\xff\0Ddetail\0Hhint\0P15\0xunknown\0R\0\0";
    let script = Script::trusting()
        .query("SELECT 1")
        .send(framed(b'E', body))
        .send(ready(b'I'));
    let mut bench = Bench::connected(&script);
    start(&mut bench, "SELECT 1");
    bench.poll();
    let item = bench.engine.take().unwrap();
    let pgpoll::engine::Reply::Error(error) = item.reply else {
        panic!("{item:?}");
    };
    let server = error.server_error().unwrap();
    for (code, value) in [
        (b'C', &b"42P01"[..]),
        (b'M', b"no\xff"),
        (b'P', b"15"),
        (b'x', b"unknown"),
        (b'R', b""),
    ] {
        assert_eq!(server.field(code), Some(value));
    }
    assert_eq!(server.fields().count(), 9);
}

/// Parameters of the caller's that panic.
struct Panicking;

impl Parameters for Panicking {
    fn len(&self) -> usize {
        1
    }

    fn value(&self, _: usize) -> Option<&[u8]> {
        panic!("the caller's own code")
    }
}

/// Trap 24, panics: one in the caller's code leaves nothing of its operation behind. What crosses the C border is held by
/// the tests there.
#[test]
fn invariant_8_a_panic_in_the_callers_code_leaves_nothing_half_sent() {
    let script = answering(1);
    let mut bench = Bench::connected(&script);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let command = Command::Params {
            sql: b"SELECT $1",
            types: &[],
            params: &Panicking,
            format: 0,
            max_rows: 0,
        };
        drop(bench.engine.start(command, End::Sync));
    }));
    assert!(panicked.is_err());
    start(&mut bench, "SELECT 1");
    bench.poll();
    let items: Vec<_> = std::iter::from_fn(|| bench.engine.take()).collect();
    assert!(items.last().is_some_and(is_done), "{}", bench.place());
}

/// Memory grows by what has arrived, not by what a length promises.
#[test]
fn invariant_9_nothing_is_allocated_for_a_promise() {
    let mut bench = Bench::connected(&Script::trusting());
    start(&mut bench, "SELECT 1");
    bench.inject(&columns(&[("a", oid::TEXT)]));
    bench.poll();
    bench.inject(&with_length(
        b'D',
        0x3fff_ffff,
        &[0, 1, 0x3f, 0xff, 0xff, 0xf5],
    ));
    bench.poll();
    assert!(bench.engine.error().is_none());
    assert!(bench.engine.room().unwrap().most <= 256 * 1024);
    bench.engine.lost(closed());
    bench.poll();
    assert!(bench.engine.error().is_some());
}

/// Trap 21, fork: the child may only free; nothing that it calls reaches the socket, and the parent goes on.
#[test]
fn invariant_10_a_forked_child_may_only_free() {
    // The server takes nothing but these: a word of the child's would fail it.
    let server = Scripted::tcp(&[answering(2)]);
    let mut connection = connected(&server);
    connection.start_query("SELECT 1").unwrap();
    connection.wait_for(Readiness::RESULT, super::LONG);
    take_all(&mut connection);
    // SAFETY: the child calls nothing but this crate's own code, and leaves with _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let started = connection.start_query("SELECT 'child'").is_ok();
        let ready = connection.poll();
        take_all(&mut connection);
        let said = connection
            .error()
            .is_some_and(|error| error.message().contains("forked"));
        let failed = ready.is_failed() || connection.poll().is_failed();
        drop(connection);
        // SAFETY: ends the child, at once.
        unsafe { libc::_exit(i32::from(!(started && said && failed))) };
    }
    let mut status = 0;
    // SAFETY: writes to `status` alone.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(
        status, 0,
        "the child's connection did not say that it is the parent's"
    );
    connection.start_query("SELECT 1").unwrap();
    let ready = connection.wait_for(Readiness::RESULT | Readiness::FAILED, super::LONG);
    assert!(ready.has_result(), "{}", connection.inspect());
    assert!(take_all(&mut connection).last().is_some_and(is_done));
    drop(connection);
    server.finish();
}
