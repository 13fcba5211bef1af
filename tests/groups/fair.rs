//! No member holds up the others: neither one whose rows never end, nor thousands that are ready at once.

use std::collections::BTreeSet;

use crate::{Stage, take_all};

/// Rounds until these members were all told of, each once; what others have is taken, too.
fn rounds(stage: &mut Stage, mut wanted: BTreeSet<usize>) -> usize {
    for round in 1..1000 {
        stage.group.poll();
        while let Some(found) = stage.group.ready() {
            let (connection, number) = stage.group.get_mut(found.key).unwrap();
            take_all(connection);
            wanted.remove(number);
        }
        if wanted.is_empty() {
            return round;
        }
        stage.server.step();
    }
    panic!("{} are never told of", wanted.len());
}

#[test]
fn rows_without_end_hold_up_nobody() {
    const HOGS: usize = 5;
    let mut stage = Stage::up(105);
    for hog in 0..HOGS {
        let (connection, _) = stage.group.get_mut(stage.keys[hog]).unwrap();
        connection.set_batch(100, 0);
        stage.start(hog, "flood");
    }
    rounds(&mut stage, (0..HOGS).collect());
    // The others come in behind those who have always something.
    for _ in 0..3 {
        for member in HOGS..105 {
            stage.start(member, &format!("now {member}"));
        }
        let rounds = rounds(&mut stage, (HOGS..105).collect());
        assert!(rounds <= 4, "it took {rounds} rounds");
    }
}

/// What one poll does is bounded: those who are ready at once wait in line, and nobody is passed over.
#[test]
fn a_thousand_that_are_ready_at_once_take_turns() {
    let mut stage = Stage::up(1000);
    for member in 0..1000 {
        stage.start(member, "now 1");
    }
    let mut polls = 0;
    while stage.server.answered < 1000 {
        stage.group.poll();
        stage.server.step();
        polls += 1;
    }
    assert!(polls >= 4, "{polls} polls sent a thousand queries");
    stage.server.settle();
    let rounds = rounds(&mut stage, (0..1000).collect());
    assert!((4..=20).contains(&rounds), "it took {rounds} rounds");
}

/// Items that are not taken hold up their own connection alone, and are told of in each round until they are taken.
#[test]
fn what_is_not_taken_is_told_again_behind_the_others() {
    let mut stage = Stage::up(3);
    for member in 0..3 {
        stage.start(member, "now 1");
    }
    stage.group.poll();
    stage.server.settle();
    stage.group.poll();
    let told = |stage: &mut Stage| {
        let mut told = Vec::new();
        while let Some(found) = stage.group.ready() {
            told.push(stage.group.get(found.key).unwrap().1);
        }
        told
    };
    let mut first = told(&mut stage);
    first.sort_unstable();
    assert_eq!(first, [0, 1, 2]);
    assert_eq!(told(&mut stage), [0_usize; 0], "each once after a poll");
    assert!(stage.group.poll().has_result());
    assert_eq!(told(&mut stage).len(), 3);
    stage.group.poll();
    let found = stage.group.ready().unwrap();
    let (connection, number) = stage.group.get_mut(found.key).unwrap();
    assert_eq!(take_all(connection), ["1"]);
    let number = *number;
    let rest = told(&mut stage);
    assert!(rest.len() == 2 && !rest.contains(&number));
    // The one that was taken from is idle now: that is news, and comes behind those who came before.
    stage.group.poll();
    assert_eq!(told(&mut stage).len(), 3);
}
