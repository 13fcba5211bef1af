//! The ring in memory, on a clock that the test turns: it wraps around, and stays as large as it is.

use pgpoll::engine::{Command, End, Engine, Track};
use serde_json::Value;

use crate::events::{Shown, read};
use crate::memory::{VAST, complete, feed, ready, sent, take_all, up};

/// What is shown of an engine.
fn shown(engine: &Engine, now: u64) -> (Shown, usize) {
    let track = Track {
        pid: std::process::id(),
        number: 1,
        name: "\"scripted\"\\\u{1}\u{7f}",
    };
    let mut text = String::new();
    engine
        .write_timeline(&track, now, &mut true, &mut text)
        .unwrap();
    text.push(']');
    let shown = read(&text).pop_first().unwrap().1;
    assert_eq!(shown.name, track.name);
    let inspected: Value = serde_json::from_str(&engine.inspect(now)).unwrap();
    assert_eq!(inspected["bytes_received"], shown.received);
    assert_eq!(inspected["bytes_sent"], shown.sent);
    assert!(inspected["recent"].as_array().unwrap().len() <= 16);
    (shown, text.len())
}

/// Starts so many queries, and answers them.
fn run(engine: &mut Engine, queries: usize) {
    for _ in 0..queries {
        engine
            .start(Command::Query { sql: b"begin" }, End::Sync)
            .unwrap();
    }
    engine.advance(3, usize::MAX);
    sent(engine);
    let mut replies = Vec::new();
    for _ in 0..queries {
        complete(&mut replies, "BEGIN");
        ready(&mut replies);
    }
    feed(engine, &replies);
    assert_eq!(take_all(engine).len(), 2 * queries);
}

#[test]
fn the_ring_keeps_the_newest() {
    let mut engine = up(VAST);
    for (most, kept) in [(0, 16), (100, 100), (7, 16), (50, 50), (20, 20)] {
        engine.set_timeline(most).unwrap();
        for more in [1, 2, 13, 40, 200] {
            run(&mut engine, more);
            let (shown, _) = shown(&engine, 10);
            let ids: Vec<u64> = shown
                .slices
                .iter()
                .filter_map(|slice| slice.args["id"].as_u64())
                .collect();
            assert!(ids.len() <= kept);
            assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ids:?}");
        }
        let last = engine
            .start(Command::Query { sql: b"" }, End::Sync)
            .unwrap();
        engine.abandon(last);
        let (shown, _) = shown(&engine, 10);
        let ids = shown
            .slices
            .iter()
            .filter(|slice| slice.args["id"].is_u64());
        assert_eq!(ids.count(), kept, "all of {most} are the last operations");
        feed(&mut engine, &{
            let mut replies = Vec::new();
            complete(&mut replies, "BEGIN");
            ready(&mut replies);
            replies
        });
        take_all(&mut engine);
    }
    let error = engine.set_timeline(usize::MAX);
    assert!(error.is_ok() || error.unwrap_err().message().contains("out of memory"));
}

#[test]
fn a_million_operations_leave_it_as_it_was() {
    let mut engine = up(VAST);
    run(&mut engine, 1000);
    let (_, before) = shown(&engine, 10);
    for _ in 0..1000 {
        run(&mut engine, 1000);
    }
    let (shown, after) = shown(&engine, 10);
    assert!(
        after < before + 1000,
        "{before} bytes before, {after} after"
    );
    let last = shown.slices.last().unwrap();
    assert_eq!(last.args["id"], 1_001_000);
}
