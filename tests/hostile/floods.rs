//! Servers that talk without end: memory and the work of one call stay bounded.

use testkit::script::{
    Script, auth_cleartext, auth_ok, complete, error, framed, notice, notification, parameter,
    ready,
};
use testkit::sim::{Bench, ROOM};

use super::refusal;

const ENDLESS: &str = "the server sends messages without end instead of getting ready";

fn repeated(message: &[u8], bytes: usize) -> Vec<u8> {
    message.repeat(bytes / message.len() + 1)
}

#[test]
fn a_server_that_talks_for_ever_before_it_is_ready() {
    for message in [
        notice("patience"),
        notification(1, "channel", "payload"),
        parameter("name", "value"),
    ] {
        let flood = repeated(&message, 2 << 20);
        let script = Script::new().startup().send(auth_ok()).send(flood);
        let session = testkit::sim::Session::new("talks", script, Vec::new());
        let seen = session.replay(testkit::sim::Pace::default());
        let error = seen.error.unwrap();
        assert!(error.message().ends_with(ENDLESS), "{error}");
        assert!(seen.received < (3 << 19) + (1 << 20), "{}", seen.received);
    }
    // So is one message that never ends: it is not waited for.
    let promise = testkit::script::with_length(b'N', 0x3fff_0000, b"S");
    let script = Script::new().startup().send(auth_ok()).send(promise);
    assert_eq!(refusal("promises", script), ENDLESS);
    // A password is not given again and again.
    let asks = repeated(&auth_cleartext(), 2 << 20);
    let script = Script::new().startup().send(asks);
    let session = testkit::sim::Session::new("asks", script, Vec::new());
    let seen = session.replay(testkit::sim::Pace::default());
    let error = seen.error.unwrap();
    let again = "server asks for the password again and again, and lets nobody in";
    assert!(error.message().ends_with(again), "{error}");
}

/// Notices that nobody takes make room for one another: a program that never asks for them goes on.
#[test]
fn a_flood_of_notices() {
    let words = "again ".repeat(100);
    let flood = repeated(&notice(&words), 16 << 20);
    let script = Script::trusting()
        .query("SELECT 1")
        .send(flood)
        .send(notice("the last"))
        .send(complete("SELECT 1"))
        .send(ready(b'I'));
    let mut bench = Bench::connected(&script);
    let sql = b"SELECT 1";
    let end = pgpoll::engine::End::Sync;
    bench
        .engine
        .start(pgpoll::engine::Command::Query { sql }, end)
        .unwrap();
    let need = bench.poll();
    assert!(need.read, "reading has stopped: {}", bench.place());
    assert!(bench.engine.has_item(), "the query is done");
    let kept: Vec<Vec<u8>> = std::iter::from_fn(|| bench.engine.notice())
        .map(|notice| notice.message().to_vec())
        .collect();
    assert_eq!(kept.last().unwrap(), b"the last");
    let bytes: usize = kept.iter().map(Vec::len).sum();
    assert!(
        bytes > ROOM.inbox / 2 && bytes <= ROOM.inbox,
        "{bytes} bytes"
    );
}

/// On an idle connection and during a query: when nobody takes them, no more is read.
#[test]
fn a_flood_of_notifications() {
    for during_a_query in [false, true] {
        for message in [
            notification(1, "c", ""),
            notification(7, "channel", &"x".repeat(7000)),
        ] {
            let flood = repeated(&message, 16 << 20);
            let script = Script::trusting();
            let script = if during_a_query {
                script.query("SELECT 1").send(flood)
            } else {
                script.send(flood)
            };
            let script = script.send(notice("the last"));
            let script = if during_a_query {
                script.send(complete("SELECT 1")).send(ready(b'I'))
            } else {
                script
            };
            let mut bench = Bench::connected(&script);
            if during_a_query {
                let sql = b"SELECT 1";
                let end = pgpoll::engine::End::Sync;
                bench
                    .engine
                    .start(pgpoll::engine::Command::Query { sql }, end)
                    .unwrap();
            }
            let need = bench.poll();
            assert!(!need.read, "reading goes on: {}", bench.place());
            let bound = ROOM.inbox + (2 << 20);
            assert!(bench.received < bound, "{} bytes", bench.received);
            // Whoever takes them gets all of them.
            let (mut count, mut last) = (0, Vec::new());
            loop {
                let before = count;
                while let Some(notice) = bench.engine.notice() {
                    last = notice.message().to_vec();
                    count += 1;
                }
                count += std::iter::from_fn(|| bench.engine.notification()).count();
                if count == before {
                    break;
                }
                bench.poll();
            }
            assert_eq!(last, b"the last");
            assert_eq!(count, (16 << 20) / message.len() + 2);
            assert_eq!(bench.engine.has_item(), during_a_query);
            assert!(bench.engine.error().is_none());
        }
    }
}

/// Parameters without end: neither the memory nor the work of one call grows with them.
#[test]
fn a_flood_of_parameters() {
    let mut flood = Vec::new();
    for number in 0..20_000 {
        flood.extend(parameter(&format!("p{number}"), "v"));
    }
    let script = Script::trusting()
        .send(flood)
        .query("SELECT 1")
        .send(complete("SELECT 1"))
        .send(ready(b'I'));
    let mut bench = Bench::new("host=127.0.0.1 user=tester", &script);
    let mut longest = 0;
    loop {
        let before = cpu();
        let (_, progress) = bench.turn();
        longest = longest.max(cpu() - before);
        if !progress {
            break;
        }
    }
    let bytes: usize = bench
        .engine
        .facts()
        .parameters()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    println!(
        "a flood of parameters: {bytes} bytes are kept, the longest call took {} µs of CPU",
        longest / 1000
    );
    assert!(bytes <= 32 * 1024, "{bytes}");
    assert!(longest < 1_000_000_000, "{longest} ns in one call");
    // The first ones are known, and the connection is usable.
    assert_eq!(
        bench.engine.facts().parameter(b"server_version"),
        Some(&b"18.6"[..])
    );
    let sql = b"SELECT 1";
    let end = pgpoll::engine::End::Sync;
    bench
        .engine
        .start(pgpoll::engine::Command::Query { sql }, end)
        .unwrap();
    bench.poll();
    assert!(bench.engine.has_item(), "{}", bench.place());
}

/// Results without end: what is not taken is not read.
#[test]
fn a_flood_of_results() {
    let flood = repeated(&complete("INSERT 0 1"), 8 << 20);
    let script = Script::trusting().query("SELECT 1").send(flood);
    let mut bench = Bench::connected(&script);
    let sql = b"SELECT 1";
    let end = pgpoll::engine::End::Sync;
    bench
        .engine
        .start(pgpoll::engine::Command::Query { sql }, end)
        .unwrap();
    let need = bench.poll();
    assert!(!need.read && bench.engine.has_item());
    assert!(bench.received < 1 << 20, "{}", bench.received);
    let taken = std::iter::from_fn(|| bench.engine.take()).count();
    assert_eq!(taken, ROOM.items);
    assert!(bench.poll().read || bench.engine.has_item());
}

/// Errors are as large as the server likes: those that are not taken are not more than others.
#[test]
fn a_flood_of_large_errors() {
    let large = error("ERROR", "P0001", &"x".repeat(1 << 20));
    let answer = [large, ready(b'I')].concat();
    let mut script = Script::trusting();
    for _ in 0..100 {
        script = script.query("SELECT 1").send(answer.clone());
    }
    let mut bench = Bench::connected(&script);
    for _ in 0..100 {
        let sql = b"SELECT 1";
        let end = pgpoll::engine::End::Sync;
        bench
            .engine
            .start(pgpoll::engine::Command::Query { sql }, end)
            .unwrap();
    }
    let need = bench.poll();
    assert!(!need.read && bench.engine.has_item());
    assert!(bench.received < 4 << 20, "{}", bench.received);
    let mut count = 0;
    while bench.engine.queued() > 0 || bench.engine.has_item() {
        count += std::iter::from_fn(|| bench.engine.take()).count();
        bench.poll();
    }
    assert_eq!(count, 200);
}

/// A message that never ends is no reason to take memory for it before it comes.
#[test]
fn an_endless_error_of_protocol_2() {
    let flood = [b"E".to_vec(), vec![b'x'; 100_000]].concat();
    let text = refusal("endless", Script::new().startup().send(flood));
    assert_eq!(text, "received invalid error message");
    let long = framed(b'E', &[b'x'; 29_000]);
    let text = refusal("no field", Script::new().startup().send(long));
    assert!(
        text.starts_with("malformed ErrorResponse message"),
        "{text}"
    );
}

fn cpu() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to `time` alone.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
