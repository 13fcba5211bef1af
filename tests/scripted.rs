//! Recorded sessions against scripted servers: whole, split at every byte, cut off at every byte, and with a deadline
//! at every await. Whatever the pace, the client sees the same. Knows the engine's outside alone.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "scripted/cut.rs"]
mod cut;
#[path = "scripted/deadline.rs"]
mod deadline;
#[path = "scripted/socket.rs"]
mod socket;
#[path = "scripted/split.rs"]
mod split;

use std::fmt::Write;

use testkit::script::sessions;
use testkit::sim::{Pace, Transcript};

/// What clients see, read by people and compared with the manual's "Message Flow". A change of it is a change of behaviour.
const TRANSCRIPTS: &str = include_str!("scripted/transcripts.txt");

/// A transcript as the file has it.
fn written(name: &str, seen: &Transcript) -> String {
    let mut text = format!("== {name}\n");
    for item in &seen.items {
        let _ = writeln!(text, "{item}");
    }
    for message in &seen.copied {
        let _ = writeln!(text, "data \"{}\"", message.escape_ascii());
    }
    let (notices, notifications) = (seen.notices.len(), seen.notifications.len());
    if notices + notifications > 0 {
        let _ = writeln!(text, "{notices} notices, {notifications} notifications");
    }
    if let Some(error) = &seen.error {
        let _ = writeln!(text, "over: {error}");
    }
    text
}

#[test]
fn every_session_gives_what_its_transcript_says() {
    let mut text = String::new();
    for session in sessions::all() {
        let seen = session.replay(Pace::default());
        assert!(
            seen.finished || seen.error.is_some(),
            "{}: {}",
            session.name,
            seen.place
        );
        text.push_str(&written(&session.name, &seen));
    }
    let kept = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("transcripts.txt");
    std::fs::write(&kept, &text).unwrap();
    for (line, (found, expected)) in text.lines().zip(TRANSCRIPTS.lines()).enumerate() {
        let at = line + 1;
        assert_eq!(found, expected, "line {at} of {} differs", kept.display());
    }
    assert_eq!(text.lines().count(), TRANSCRIPTS.lines().count());
}

/// Where a stream is split or cut: everywhere; in a long one, around the ends of messages and at every 997th byte.
fn positions(seen: &Transcript) -> Vec<usize> {
    if seen.received <= 4000 {
        return (0..seen.received).collect();
    }
    let mut positions: Vec<usize> = (0..seen.received).step_by(997).collect();
    let mut at = 0;
    while let Some(word) = seen.stream.get(at + 1..at + 5) {
        positions.extend(at.saturating_sub(3)..at + 12);
        at += 1 + u32::from_be_bytes(word.try_into().unwrap()) as usize;
    }
    positions.retain(|&position| position < seen.received);
    positions.sort_unstable();
    positions.dedup();
    positions
}

/// The session as it is seen when nothing gets in its way.
fn whole(session: &testkit::sim::Session) -> Transcript {
    session.replay(Pace {
        record: true,
        ..Pace::default()
    })
}
