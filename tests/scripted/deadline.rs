//! `connect_timeout` passes at every await of connecting: one error that says so, not a moment too early.

use std::collections::BTreeSet;

use testkit::script::sessions;
use testkit::sim::{Bench, Pace, START, Server, Session};

use super::whole;

const TIMEOUT: u64 = 7_000_000_000;

/// Runs until everything waits, and lets the time pass. What was awaited, and whether the connection is over.
fn let_time_pass(bench: &mut Bench) -> (String, bool) {
    bench.poll();
    let deadline = bench.engine.deadline();
    let deadline = deadline.unwrap_or_else(|| panic!("no deadline: {}", bench.place()));
    assert_eq!(deadline, bench.now + TIMEOUT, "{}", bench.place());
    let dialled = bench.dialled;
    bench.now = deadline - 1;
    bench.poll();
    assert!(
        bench.engine.error().is_none(),
        "too early: {}",
        bench.place()
    );
    assert_eq!(dialled, bench.dialled, "too early: {}", bench.place());
    let awaiting = bench.engine.awaiting();
    assert!(awaiting.since <= START, "since {}", awaiting.since);
    bench.now = deadline;
    bench.pace.hold = None;
    bench.poll();
    let at = format!(
        "{} ({}:{})",
        awaiting.what,
        awaiting.at.file(),
        awaiting.at.line()
    );
    (at, bench.engine.error().is_some())
}

fn with_timeout(session: &Session) -> Session {
    let mut session = session.clone();
    session.conninfo.push_str(" connect_timeout=7");
    session
}

#[test]
fn a_deadline_at_every_await_of_connecting() {
    let (mut cases, mut awaits) = (0, BTreeSet::new());
    for session in sessions::all() {
        let until_ready = whole(&session).received_until_ready;
        let session = with_timeout(&session);
        for position in 0..until_ready.unwrap_or(0) {
            let mut bench = session.bench(Pace {
                hold: Some(position),
                ..Pace::default()
            });
            bench.poll();
            if bench.engine.facts().is_ready() {
                break; // what comes from here on is no part of connecting
            }
            let (at, over) = let_time_pass(&mut bench);
            if over {
                let message = bench.engine.error().unwrap().message();
                assert!(message.ends_with("failed: timeout expired"), "{message}");
            } else {
                // The next host was asked, and it was up.
                assert!(bench.engine.facts().is_ready(), "{}", bench.place());
                assert_eq!(bench.engine.deadline(), None);
                assert!(bench.dialled > 1);
            }
            awaits.insert(at);
            cases += 1;
        }
    }
    println!("a deadline at every await: {cases} cases, at {awaits:#?}");
    assert!(awaits.len() >= 3, "{awaits:?}");
}

#[test]
fn a_deadline_while_dialling() {
    let mut session = with_timeout(&sessions::named("cleartext password"));
    session.servers = vec![Server::IsSilent];
    let mut bench = session.bench(Pace::default());
    let (at, over) = let_time_pass(&mut bench);
    assert!(at.starts_with("the socket to be connected"), "{at}");
    assert!(over);
    assert_eq!(
        bench.engine.error().unwrap().message(),
        "connection to server at \"127.0.0.1\", port 5432 failed: timeout expired"
    );
}

#[test]
fn a_deadline_while_resolving() {
    let session = with_timeout(&sessions::named("a name to resolve"));
    let mut bench = session.bench(Pace {
        resolves: false,
        ..Pace::default()
    });
    let (at, over) = let_time_pass(&mut bench);
    assert!(at.starts_with("the addresses of the host"), "{at}");
    assert!(over);
    assert_eq!(
        bench.engine.error().unwrap().message(),
        "could not translate host name \"db.example\" to address: timeout expired"
    );
}
