//! The transport is lost after every byte: one error, one done for each operation, nothing that was not there before.

use testkit::script::sessions;
use testkit::sim::{Chunks, Pace, Transcript};

use super::{positions, whole};

/// The sessions in which errors of this kind are never told, because they heal.
const HEALS: &str = "statements that heal";
const LOST_STATEMENT: &str = "C=26000";

/// Whether an item is there because the connection was lost.
fn is_of_the_loss(item: &str) -> bool {
    // A reply that cannot be true costs its operation alone.
    let untrue = item.contains("the server returned");
    (item.contains(" error Transport ") && !untrue) || item.ends_with(" Lost")
}

fn check(name: &str, position: usize, whole: &Transcript, seen: &Transcript) {
    let place = format!("{name} cut at {position}: {}", seen.place);
    let Some(error) = &seen.error else {
        // Another host was there to go to.
        assert!(seen.finished && seen.dialled > 1, "{place}");
        assert_eq!(seen.items, whole.items, "{place}");
        return;
    };
    let said_before = whole.error.as_ref();
    assert!(
        said_before == Some(error)
            || error
                .message()
                .contains("server closed the connection unexpectedly\n"),
        "{place}"
    );
    let mut before: Vec<&String> = seen
        .items
        .iter()
        .take_while(|item| !is_of_the_loss(item))
        .collect();
    if name.starts_with(HEALS)
        && let Some(error) = before.iter().position(|item| item.contains(LOST_STATEMENT))
    {
        // There is nobody to try it a second time with: the error of the first try is told.
        let done = before.split_off(error);
        assert!(
            done.len() <= 2 && done[1..].iter().all(|done| done.ends_with(" Clean")),
            "{place} {done:?}"
        );
        assert!(seen.items.len() <= error + 2, "{place}");
        return;
    }
    let after = &seen.items[before.len()..];
    assert!(
        after.iter().all(|item| is_of_the_loss(item)),
        "{place} {after:?}"
    );
    assert!(
        whole.items.iter().zip(&before).all(|(a, b)| a == *b),
        "{place}"
    );
    assert!(whole.notices.starts_with(&seen.notices), "{place}");
    assert!(
        whole.notifications.starts_with(&seen.notifications),
        "{place}"
    );
}

#[test]
fn every_session_cut_at_every_byte() {
    let mut cases = 0;
    for session in sessions::all() {
        let whole = whole(&session);
        for position in positions(&whole) {
            for lazy in [false, true] {
                let seen = session.replay(Pace {
                    cut: Some(position),
                    lazy,
                    ..Pace::default()
                });
                check(&session.name, position, &whole, &seen);
                cases += 1;
            }
        }
    }
    println!("cut at every byte: {cases} cases");
}

/// Pieces, budgets, calls too many and a loss, all chosen by a seed, which is printed and replays exactly.
#[test]
fn every_session_cut_at_random() {
    let mut cases = 0;
    for session in sessions::all() {
        let whole = whole(&session);
        for seed in 0..60 {
            let position = session
                .bench(Pace {
                    seed,
                    ..Pace::default()
                })
                .random(whole.received);
            let pace = Pace {
                inbound: Chunks::Random,
                outbound: Chunks::Random,
                cut: Some(position),
                budget: [1, 100, 512 * 1024][seed as usize % 3],
                lazy: seed % 2 == 0,
                spurious: seed as usize % 2,
                seed,
                ..Pace::default()
            };
            let seen = session.replay(pace);
            check(
                &format!("{} seed {seed}", session.name),
                position,
                &whole,
                &seen,
            );
            cases += 1;
        }
    }
    println!("cut at random: {cases} cases");
}
