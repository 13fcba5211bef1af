//! However the bytes travel, the client sees the same.

use pgpoll::engine::Room;
use testkit::script::{Script, columns, complete, oid, ready, row_of, sessions};
use testkit::sim::{Act, Chunks, Pace, Session, Transcript, What};

use super::{positions, whole};

#[test]
fn every_session_split_at_every_byte() {
    let mut cases = 0;
    for session in sessions::all() {
        let whole = whole(&session);
        for position in positions(&whole) {
            let seen = session.replay(Pace {
                inbound: Chunks::SplitAt(position),
                ..Pace::default()
            });
            let name = &session.name;
            assert_eq!(seen.seen(), whole.seen(), "{name} split at {position}");
            cases += 1;
        }
    }
    println!("split at every byte: {cases} cases");
}

/// Both ways in pieces; with no budget to speak of; with items that are left until nothing else can be done.
#[test]
fn every_session_in_pieces() {
    let mut cases = 0;
    for session in sessions::all() {
        let whole = whole(&session);
        let long = whole.received > 4000;
        for (inbound, outbound) in [
            (Chunks::Of(1), Chunks::Of(1)),
            (Chunks::Of(1), Chunks::All),
            (Chunks::All, Chunks::Of(1)),
            (Chunks::Of(7), Chunks::Of(3)),
        ] {
            for (budget, lazy) in [
                (512 * 1024, false),
                (1, false),
                (512 * 1024, true),
                (1, true),
            ] {
                if long && inbound == Chunks::Of(1) && (lazy || budget == 1) {
                    continue;
                }
                let pace = Pace {
                    inbound,
                    outbound,
                    budget,
                    lazy,
                    ..Pace::default()
                };
                let seen = session.replay(pace.clone());
                assert_eq!(seen.seen(), whole.seen(), "{} at {pace:?}", session.name);
                cases += 1;
            }
        }
    }
    println!("in pieces: {cases} cases");
}

/// Room for a single item and a single notice: the client takes each before the next one is made.
#[test]
fn every_session_in_the_smallest_room() {
    let mut cases = 0;
    for mut session in sessions::all() {
        let whole = whole(&session);
        session.room = Room {
            items: 1,
            ahead: 0,
            bytes: 1,
            inbox: 1,
        };
        for (inbound, lazy, ahead) in [
            (Chunks::All, false, 0),
            (Chunks::All, true, 0),
            (Chunks::All, true, 64),
            (Chunks::Of(5), true, 0),
            (Chunks::Of(11), false, 64),
        ] {
            session.room.ahead = ahead;
            let pace = Pace {
                inbound,
                lazy,
                ..Pace::default()
            };
            // Of notices the oldest are dropped in so small a room.
            let without_notices = |transcript: &Transcript| {
                let mut seen = transcript.seen();
                seen.notices.clear();
                seen
            };
            let seen = without_notices(&session.replay(pace.clone()));
            let whole = without_notices(&whole);
            assert_eq!(seen, whole, "{} at {pace:?}", session.name);
            cases += 1;
        }
    }
    println!("in the smallest room: {cases} cases");
}

/// A seed that fails is printed and replays exactly.
#[test]
fn every_session_at_random() {
    let mut cases = 0;
    for session in sessions::all() {
        let whole = whole(&session);
        for seed in 0..40 {
            let pace = Pace {
                inbound: Chunks::Random,
                outbound: Chunks::Random,
                budget: [1, 100, 10_000, 512 * 1024][seed as usize % 4],
                lazy: seed % 3 == 0,
                seed,
                ..Pace::default()
            };
            let seen = session.replay(pace.clone());
            assert_eq!(seen.seen(), whole.seen(), "{} at {pace:?}", session.name);
            cases += 1;
        }
    }
    println!("at random: {cases} cases");
}

/// A value of 16 MiB and more has a length whose first byte is not 0: it is not the NUL of the value before it.
#[test]
fn a_value_of_16_mib_and_more() {
    let huge: Vec<u8> = (0..17 * 1024 * 1024).map(|at| (at % 251) as u8).collect();
    let exact = &huge[..0x00ff_ffff];
    let described = columns(&[("a", oid::TEXT), ("b", oid::TEXT), ("c", oid::TEXT)]);
    let script = Script::trusting()
        .query("TABLE huge")
        .send(described)
        .send(row_of(&[Some(b"before"), Some(&huge), Some(b"after")]))
        .send(row_of(&[Some(b""), Some(exact), None]))
        .send(row_of(&[Some(&huge), Some(&huge), Some(b"end")]))
        .send(complete("SELECT 3"))
        .send(ready(b'I'));
    let acts = vec![
        Act::Start(What::Query(String::from("TABLE huge"))),
        Act::Wait,
    ];
    let session = Session::new("huge values", script, acts);
    let whole = session.replay(Pace::default());
    assert!(whole.finished, "{}", whole.place);
    let rows = &whole.items[0];
    assert!(
        rows.contains("(\"before\", 17825792 bytes ") && rows.contains("16777215 bytes"),
        "{rows}"
    );
    let seen = session.replay(Pace {
        inbound: Chunks::Of(1_000_003),
        ..Pace::default()
    });
    assert_eq!(seen.seen(), whole.seen());
}
