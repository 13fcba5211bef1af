//! One operation that is given up, at each of the places where that can happen.

use pgpoll::engine::{End, Outcome, Verdict};
use pgpoll::error::Family;
use pgpoll::wire::TransactionStatus;

use crate::backend::MS;
use crate::world::{Cancels, World};

/// The connection is as good as before.
pub(crate) fn check_usable(world: &mut World) {
    world.set_timeout(None);
    let operation = world.query("rows 1 1");
    world.run();
    let op = &world.ops[&operation];
    let (done, _) = op.done.unwrap_or_else(|| panic!("{}", world.place()));
    assert_eq!(done.outcome, Outcome::Ok, "{}", world.place());
    assert_eq!(
        (done.transaction, done.verdict),
        (TransactionStatus::Idle, Verdict::Clean)
    );
    assert_eq!(op.items, 2);
}

#[test]
fn at_its_deadline_an_operation_fails_at_once_and_is_cancelled() {
    let mut world = World::new();
    world.set_timeout(Some(300));
    let operation = world.query("sleep 10000");
    world.run_for(299);
    assert!(world.ops[&operation].errors.is_empty());
    world.run_for(1);
    let error = &world.ops[&operation].errors[0];
    assert_eq!(error.family(), Family::Transport);
    assert_eq!(error.sqlstate(), Some(&b"57014"[..]));
    assert_eq!(
        error.message(),
        "timeout expired: query not done within 300 ms; it is being cancelled"
    );
    assert!(world.ops[&operation].done.is_none());
    assert!(
        world
            .engine
            .inspect(world.now)
            .contains("\"rescue\":\"cancelling\"")
    );
    world.run();
    let (done, at) = world.ops[&operation].done.unwrap();
    assert_eq!(
        (done.outcome, done.verdict),
        (Outcome::Failed, Verdict::Clean)
    );
    assert!(at < world.ops[&operation].started + 310 * MS);
    assert_eq!(world.hits, [operation]);
    check_usable(&mut world);
}

#[test]
fn in_a_transaction_block_the_verdict_says_so() {
    let mut world = World::new();
    world.query("begin");
    world.run();
    world.set_timeout(Some(50));
    let operation = world.query("sleep 1000");
    world.run();
    let (done, _) = world.ops[&operation].done.unwrap();
    assert_eq!(
        (done.outcome, done.verdict),
        (Outcome::Failed, Verdict::InTransaction)
    );
    assert_eq!(done.transaction, TransactionStatus::Failed);
    world.query("rollback");
    world.run();
    check_usable(&mut world);
}

#[test]
fn what_was_done_though_nobody_wanted_it_is_said_to_be() {
    let mut world = World::new();
    world.cancels = Cancels::Refused(MS);
    world.set_timeout(Some(50));
    let operation = world.query("rows 80 5");
    world.run();
    assert_eq!(world.ops[&operation].items, 1);
    assert_eq!(world.outcome(operation), Some(Outcome::Discarded));
    check_usable(&mut world);
}

#[test]
fn what_was_never_sent_is_never_done() {
    let mut world = World::new();
    world.window = 40;
    world.set_timeout(Some(100));
    let running = world.query("sleep 60000");
    let part = world.query(&format!("sleep 1{}", " ".repeat(200)));
    let unsent = world.query("sleep 1");
    world.run_for(150);
    assert_eq!(
        world.outcome(running),
        Some(Outcome::Failed),
        "{}",
        world.place()
    );
    let error = &world.ops[&unsent].errors[0];
    assert!(error.message().ends_with("; it was never sent"), "{error}");
    assert!(error.is_safe_to_retry());
    assert!(!world.ops[&part].errors[0].is_safe_to_retry());
    world.run();
    assert_eq!(world.outcome(unsent), Some(Outcome::Skipped));
    check_usable(&mut world);
}

#[test]
fn an_operation_behind_one_that_runs_is_told_at_once() {
    let mut world = World::new();
    let running = world.query("sleep 1000");
    world.set_timeout(Some(100));
    let late = world.query("sleep 1");
    world.run_for(101);
    assert_eq!(world.ops[&late].errors.len(), 1);
    assert!(world.ops[&late].done.is_none());
    world.run();
    // It was sent behind what is wanted, which is not touched for it.
    assert_eq!(world.outcome(running), Some(Outcome::Ok));
    assert!(world.outcome(late).is_some());
    assert_eq!(world.ops[&running].items, 1);
    check_usable(&mut world);
}

#[test]
fn what_is_wanted_and_sent_behind_is_not_put_at_risk() {
    let mut world = World::new();
    world.set_timeout(Some(100));
    let late = world.query("sleep 20000");
    world.set_timeout(None);
    let wanted = world.query("rows 5 3");
    world.run();
    assert_eq!(world.asked, 0);
    assert_eq!(world.outcome(late), Some(Outcome::Discarded));
    assert_eq!(world.outcome(wanted), Some(Outcome::Ok));
    check_usable(&mut world);
}

#[test]
fn what_is_started_during_a_rescue_waits_for_the_end_of_the_cancel() {
    let mut world = World::new();
    world.cancels = Cancels::Arrive(10 * MS, 500 * MS);
    world.set_timeout(Some(100));
    let late = world.query("sleep 20000");
    world.run_for(100);
    world.set_timeout(None);
    let wanted = world.query("rows 5 3");
    world.run_for(300);
    // The operation has ended, but not the request: it could still hit what follows.
    assert_eq!(world.outcome(late), Some(Outcome::Failed));
    assert!(world.engine.output().is_empty() && world.engine.is_rescuing());
    world.run();
    assert_eq!(world.outcome(wanted), Some(Outcome::Ok));
    check_usable(&mut world);
}

#[test]
fn an_abandoned_operation_has_its_grace() {
    for (time, outcome, asked) in [(30, Outcome::Discarded, 0), (3000, Outcome::Failed, 1)] {
        let mut world = World::new();
        let operation = world.query(&format!("rows {time} 5"));
        world.run_for(2);
        world.abandon(operation);
        let next = world.query("rows 1 2");
        world.run();
        assert_eq!(world.outcome(operation), Some(outcome));
        assert_eq!(world.ops[&operation].items, 0);
        assert_eq!(world.asked, asked);
        assert_eq!(world.outcome(next), Some(Outcome::Ok));
        check_usable(&mut world);
    }
}

#[test]
fn items_that_were_not_taken_are_dropped() {
    let mut world = World::new();
    let operation = world.query("rows 1 5");
    world.run();
    assert!(!world.engine.abandon(operation), "its done was taken");
    assert!(!world.engine.abandon(99));
    assert!(world.engine.abandon(0));
}

#[test]
fn a_cancel_that_came_too_early_is_sent_again() {
    let mut world = World::new();
    // The statement arrives at the server long after the request.
    world.latency = 400 * MS;
    world.set_timeout(Some(100));
    let operation = world.query("sleep 20000");
    world.run();
    assert!(world.asked >= 2, "{}", world.asked);
    assert_eq!(world.outcome(operation), Some(Outcome::Failed));
    world.latency = MS;
    check_usable(&mut world);
}

/// A cancel at every await of a query and of a COPY: the server's words come byte by byte, and the deadline is between any
/// two of them.
#[test]
fn at_every_byte_of_what_the_server_says() {
    let mut cases = 0;
    let verbs = [
        "sleep 20",
        "rows 20 1",
        "copyin 20",
        "copyout 20 1",
        "fail 20",
    ];
    let late = Cancels::Arrive(MS, 30 * MS);
    for (verb, simple) in verbs.iter().flat_map(|verb| [(verb, true), (verb, false)]) {
        for cancels in [Cancels::Arrive(MS / 4, MS / 4), late, Cancels::Refused(MS)] {
            for abandon in [false, true] {
                // The server's answer begins to arrive some time after 20 milliseconds.
                for deadline in (1..24).chain(24..400) {
                    let mut world = World::new();
                    (world.cancels, world.trickle) = (cancels, MS);
                    world.set_timeout((!abandon).then_some(deadline));
                    let operation = match simple {
                        true => world.query(verb),
                        false => world.params(verb, 0, End::Sync),
                    };
                    world.run_for(deadline);
                    let ended = world.ops[&operation].done.is_some();
                    if abandon && !ended {
                        world.abandon(operation);
                    }
                    world.run();
                    assert!(world.outcome(operation).is_some(), "{}", world.place());
                    world.trickle = 0;
                    check_usable(&mut world);
                    cases += 1;
                    if ended {
                        break;
                    }
                }
            }
        }
    }
    println!("a cancel at every byte: {cases} cases");
    assert!(cases > 1000);
}
