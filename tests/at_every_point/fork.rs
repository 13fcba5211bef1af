//! Trap 21, fork, at every point: the child may only free; nothing of it reaches the server, and the parent goes on.

use std::sync::atomic::{AtomicBool, Ordering};

use pgpoll::conn::{Connection, Readiness};
use testkit::process::in_child;
use testkit::script::{Script, Scripted};

use crate::standstill::{LONG, Point, Stand, every};

/// What the server hears when nobody forks: its length together where the client draws random numbers.
fn undisturbed(point: &'static Point) -> Vec<u8> {
    let played = Stand::at(point, "").end_well();
    assert!(played.is_over, "{}", point.name);
    played.heard
}

/// The same with a child that does something at the point.
fn disturbed(point: &'static Point, child: fn(Connection) -> bool) -> Vec<u8> {
    let mut stand = Some(Stand::at(point, ""));
    let status = in_child(|| {
        let Stand { conn, peer, .. } = stand.take().unwrap();
        // The server's thread is the parent's: it cannot be joined here.
        std::mem::forget(peer);
        child(conn)
    });
    assert_eq!(status, 0, "the child at {}", point.name);
    let played = stand.unwrap().end_well();
    assert!(played.is_over, "{}", point.name);
    played.heard
}

fn same(point: &Point, heard: &[u8], expected: &[u8]) {
    assert_eq!(heard.len(), expected.len(), "{}", point.name);
    if !point.name.starts_with("SCRAM") {
        assert!(heard == expected, "{}", point.name);
    }
}

fn at_every_point(child: fn(Connection) -> bool) {
    for_each(|point| {
        let expected = undisturbed(point);
        same(point, &disturbed(point, child), &expected);
    });
}

/// All points at once: most of the time they wait.
fn for_each(test: impl Fn(&'static Point) + Sync) {
    std::thread::scope(|scope| {
        for point in every() {
            let test = &test;
            scope.spawn(move || test(point));
        }
    });
}

#[test]
fn a_child_that_drops_the_connection_disturbs_nobody() {
    at_every_point(|conn| {
        drop(conn);
        true
    });
}

#[test]
fn a_child_that_closes_the_connection_disturbs_nobody() {
    at_every_point(|mut conn| {
        conn.close();
        conn.poll();
        while conn.take().is_some() {}
        conn.poll().is_failed()
    });
}

/// Whatever it tries, it is told whose the connection is.
#[test]
fn a_child_that_uses_the_connection_is_told_whose_it_is() {
    at_every_point(|mut conn| {
        let _ = conn.start_query("select 'from the child'");
        let mut told = Vec::new();
        for _ in 0..3 {
            conn.poll();
            while let Some(item) = conn.take() {
                told.push(item);
            }
        }
        let failed = conn.poll().is_failed();
        let refused = conn.start_query("select 1").is_err();
        let error = conn.error().unwrap();
        let why = "the process has forked: the connection belongs to the parent";
        assert!(error.message().contains(why), "{error}");
        drop(conn);
        failed && refused
    });
}

/// The child begins anew with what it got: that is a connection of its own.
#[test]
fn a_child_that_resets_the_connection_disturbs_nobody() {
    at_every_point(|mut conn| {
        conn.reset();
        conn.poll();
        drop(conn);
        true
    });
}

/// While the parent stands at any point, the child's own connections work, in clear and under TLS: what connections share waits for
/// no thread that the child does not have.
#[test]
fn a_child_opens_connections_of_its_own() {
    for_each(|point| {
        let plain = Scripted::tcp(&[Script::trusting()]);
        let tls = Scripted::tcp(&[Script::encrypted().and(&Script::trusting())]);
        let mut stand = Some(Stand::at(point, ""));
        let status = in_child(|| {
            let comes_up = |server: &Scripted, options: &str| {
                let conninfo = server.conninfo();
                let conninfo = conninfo.replace("host=127.0.0.1", "host=localhost");
                let mut conn = Connection::open(format!("{conninfo} {options}"));
                let ready = conn.wait_for(Readiness::IDLE | Readiness::FAILED, Some(LONG));
                ready.is_idle() && conn.is_encrypted() != options.is_empty()
            };
            let well = comes_up(&plain, "") && comes_up(&tls, "sslmode=require");
            std::mem::forget(stand.take());
            well
        });
        assert_eq!(status, 0, "the child at {}", point.name);
        assert!(stand.unwrap().end_well().is_over, "{}", point.name);
    });
}

/// Children are forked while other threads are at the beginning and the end of TLS handshakes: none of them hangs.
#[test]
fn children_forked_in_the_middle_of_other_threads_handshakes_do_not_hang() {
    let over = AtomicBool::new(false);
    let connect = |server: &Scripted| {
        let mut conn = Connection::open(format!("{} sslmode=require", server.conninfo()));
        let ready = conn.wait_for(Readiness::IDLE | Readiness::FAILED, Some(LONG));
        ready.is_idle()
    };
    let script = Script::encrypted().and(&Script::trusting());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    assert!(connect(&Scripted::tcp(std::slice::from_ref(&script))));
                }
            });
        }
        for _ in 0..30 {
            let server = Scripted::tcp(std::slice::from_ref(&script));
            let status = in_child(|| {
                // SAFETY: the alarm ends this process alone, if it hangs.
                unsafe { libc::alarm(20) };
                connect(&server)
            });
            assert_eq!(status, 0, "it hangs, or fails");
        }
        over.store(true, Ordering::Relaxed);
    });
}
