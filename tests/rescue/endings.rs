//! Ends of connections: of those that cannot be saved, and in good order.

use pgpoll::engine::{End, Outcome, Verdict};

use crate::backend::MS;
use crate::world::{Cancels, World};

#[test]
fn a_server_that_does_not_stop_is_given_up() {
    for cancels in [
        Cancels::Arrive(MS, MS),
        Cancels::Refused(MS),
        Cancels::Lost,
        Cancels::NeverEnd(MS),
    ] {
        let mut world = World::new();
        world.cancels = cancels;
        world.set_timeout(Some(100));
        let stuck = world.query("stuck 1000000");
        world.run_for(100);
        world.set_timeout(None);
        let next = world.query("sleep 1");
        world.run();
        let (done, at) = world.ops[&stuck].done.unwrap();
        assert_eq!(
            (done.outcome, done.verdict),
            (Outcome::Failed, Verdict::Lost)
        );
        assert_eq!(at, world.ops[&stuck].started + 5100 * MS);
        // What was held back was never sent.
        assert_eq!(world.ops[&next].done.unwrap().0.verdict, Verdict::Lost);
        assert!(world.ops[&next].errors[0].is_safe_to_retry());
        assert!(
            world
                .engine
                .error()
                .unwrap()
                .message()
                .contains("timeout expired")
        );
    }
}

#[test]
fn without_a_key_there_is_no_cancel() {
    let script = testkit::script::Script::new()
        .startup()
        .send(testkit::script::auth_ok())
        .send(testkit::script::ready(b'I'));
    for (time, verdict) in [(2000, Verdict::Clean), (20000, Verdict::Lost)] {
        let mut world = World::with_script(&script);
        world.set_timeout(Some(100));
        let operation = world.query(&format!("sleep {time}"));
        world.run();
        assert_eq!(world.asked, 0);
        assert_eq!(world.ops[&operation].done.unwrap().0.verdict, verdict);
    }
}

#[test]
fn a_shutdown_waits_for_what_is_queued_and_for_the_server() {
    let mut world = World::new();
    let query = world.query("rows 100 5");
    let shutdown = world.shutdown(None);
    let refused = world
        .start(pgpoll::engine::Command::Sync, End::Sync)
        .unwrap_err();
    assert!(refused.message().contains("being shut down"));
    world.run();
    assert_eq!(world.outcome(query), Some(Outcome::Ok));
    let (done, _) = world.ops[&shutdown].done.unwrap();
    assert_eq!((done.outcome, done.verdict), (Outcome::Ok, Verdict::Lost));
    assert!(world.server.closed);
    assert_eq!(
        world.engine.error().unwrap().message(),
        "the connection was closed"
    );
}

/// Trap 14, unbounded teardown: the end in good order has a deadline, too.
#[test]
fn a_shutdown_ends_at_its_deadline() {
    for what in ["sleep 1", "sleep 10000"] {
        let mut world = World::new();
        world.query(what);
        world.hole = world.now + 100 * MS;
        world.run_for(if what == "sleep 1" { 100 } else { 10 });
        let shutdown = world.shutdown(Some(200));
        let begun = world.now;
        world.run();
        let (done, at) = world.ops[&shutdown].done.unwrap();
        assert_eq!(done.verdict, Verdict::Lost);
        assert_eq!(at, begun + 200 * MS);
        let error = world.engine.error().unwrap();
        assert!(
            error
                .message()
                .starts_with("timeout expired: shutdown not done within 200 ms")
        );
    }
}

/// A peer that stands still, at every millisecond of an operation and of its rescue: nothing outlives its deadline by
/// more than the cancel may take.
#[test]
fn a_black_hole_at_each_phase_of_the_rescue() {
    let mut lost = 0;
    for hole in 0..120 {
        for next in [false, true] {
            let mut world = World::new();
            world.cancels = Cancels::Arrive(10 * MS, 20 * MS);
            world.latency = 5 * MS;
            let begun = world.now;
            world.hole = begun + hole * MS;
            world.set_timeout(Some(40));
            let operation = world.query("sleep 1000");
            world.run_for(45);
            if next && world.engine.error().is_none() {
                world.query("rows 10 3");
            }
            world.run();
            for op in world.ops.values() {
                let (done, at) = op.done.unwrap();
                assert!(at <= begun + 5085 * MS, "{}", world.place());
                assert!(done.outcome != Outcome::Ok || hole > 80);
            }
            assert!(
                world.engine.error().is_some() || world.outcome(operation) == Some(Outcome::Failed)
            );
            lost += usize::from(world.engine.error().is_some());
        }
    }
    assert!((120..240).contains(&lost), "{lost}");
}

/// Nothing is left of the output when the deadline passes: the connection ends with the loss.
#[test]
fn the_transport_is_lost_before_the_deadline_is_acted_on() {
    let mut world = World::new();
    world.window = 0;
    world.set_timeout(Some(100));
    let first = world.query("sleep 1");
    let second = world.query("sleep 1");
    world.engine.lost(testkit::sim::closed());
    // A budget of nothing: what was received is not looked at before the time is over.
    world.now += 200 * MS;
    world.engine.has_news(world.now);
    world.engine.advance(world.now, 0);
    world.poll();
    for operation in [first, second] {
        let op = &world.ops[&operation];
        assert_eq!(
            op.done.unwrap().0.verdict,
            Verdict::Lost,
            "{}",
            world.place()
        );
        assert!(op.errors.len() <= 1);
    }
}
