//! What is given up inside a group, in a portal with a row limit, or in a COPY.

use pgpoll::engine::{End, Outcome, Verdict};

use crate::backend::MS;
use crate::units::check_usable;
use crate::world::{Cancels, World};

#[test]
fn a_group_that_is_late_ends_with_its_sync() {
    let mut world = World::new();
    world.set_timeout(Some(100));
    let first = world.params("sleep 20000", 0, End::More);
    world.run();
    let (done, _) = world.ops[&first].done.unwrap();
    assert_eq!(
        (done.outcome, done.verdict),
        (Outcome::Failed, Verdict::InTransaction)
    );
    world.set_timeout(None);
    let second = world.params("sleep 1", 0, End::More);
    let sync = world.sync();
    world.run();
    assert_eq!(world.outcome(second), Some(Outcome::Skipped));
    assert_eq!(world.outcome(sync), Some(Outcome::Ok));
    check_usable(&mut world);
}

#[test]
fn one_of_a_group_is_abandoned_and_the_others_do_not_suffer() {
    let mut world = World::new();
    let first = world.params("rows 2000 5", 0, End::More);
    let second = world.params("rows 1 2", 0, End::More);
    world.run_for(10);
    world.abandon(first);
    let sync = world.sync();
    world.run();
    assert_eq!(world.asked, 0);
    assert_eq!(world.outcome(first), Some(Outcome::Discarded));
    assert_eq!(world.outcome(second), Some(Outcome::Ok));
    assert_eq!(world.outcome(sync), Some(Outcome::Ok));
    check_usable(&mut world);
}

#[test]
fn the_whole_of_a_group_is_abandoned() {
    let mut world = World::new();
    world.params("rows 2000 5", 0, End::More);
    world.params("rows 1 2", 0, End::More);
    world.sync();
    world.run_for(10);
    world.abandon(0);
    world.run_for(100);
    assert_eq!(world.engine.queued(), 0, "{}", world.place());
    assert_eq!(world.asked, 1);
    check_usable(&mut world);
}

#[test]
fn a_suspended_portal_is_late() {
    let mut world = World::new();
    world.set_timeout(Some(100));
    let portal = world.params("rows 1 50", 10, End::Sync);
    world.run_for(50);
    assert_eq!(world.suspended, 1);
    world.run_for(60);
    // The server waits for us: there is nothing to cancel.
    assert_eq!(world.asked, 0);
    assert_eq!(world.outcome(portal), Some(Outcome::Discarded));
    assert!(world.engine.continue_portal(1).is_err());
    world.set_timeout(None);
    world.sync();
    world.run();
    check_usable(&mut world);
}

#[test]
fn a_running_portal_is_abandoned_and_its_group_ended() {
    let mut world = World::new();
    let portal = world.params("rows 5000 50", 10, End::Sync);
    world.run_for(10);
    world.abandon(portal);
    let sync = world.sync();
    world.run_for(200);
    assert_eq!(
        world.outcome(portal),
        Some(Outcome::Failed),
        "{}",
        world.place()
    );
    assert_eq!(world.outcome(sync), Some(Outcome::Ok));
    check_usable(&mut world);
}

#[test]
fn a_copy_that_nobody_wants_any_more() {
    for verb in [
        "copyin 500",
        "copyout 500 300",
        "copyin 5",
        "copyout 5 30000",
    ] {
        for simple in [true, false] {
            let mut world = World::new();
            world.set_timeout(Some(100));
            let operation = match simple {
                true => world.query(verb),
                false => world.params(verb, 0, End::Sync),
            };
            world.run_for(100);
            world.set_timeout(None);
            let next = world.query("rows 1 1");
            world.run();
            assert_eq!(world.outcome(operation), Some(Outcome::Failed), "{verb}");
            assert_eq!(world.outcome(next), Some(Outcome::Ok), "{verb}");
            check_usable(&mut world);
        }
    }
}

/// The server turns out to want data when the cancel is refused: what is held back is not taken for them.
#[test]
fn a_copy_is_refused_before_what_is_held_back() {
    let mut world = World::new();
    world.cancels = Cancels::Refused(MS);
    world.set_timeout(Some(100));
    let operation = world.query("copyin 500");
    world.run_for(100);
    world.set_timeout(None);
    let next = world.query("rows 1 1");
    world.run();
    assert_eq!(world.outcome(operation), Some(Outcome::Failed));
    assert_eq!(world.outcome(next), Some(Outcome::Ok));
    check_usable(&mut world);
}
