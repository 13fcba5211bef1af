//! Imports and exports of large objects that nobody wants any more, given up at each moment: the server is left as it was, in
//! the transaction that it was in, and no request to cancel hits what puts it in order.

use pgpoll::engine::{Command, End, Outcome, Verdict};
use pgpoll::wire::TransactionStatus;

use crate::backend::MS;
use crate::units::check_usable;
use crate::world::{Cancels, World};

/// lo_close.
const CLOSE: u32 = 953;

/// Given up after so many milliseconds, by its deadline or because it is abandoned; false if it has ended before.
fn given_up(
    command: Command<'_>,
    block: bool,
    abandon: bool,
    cancels: Cancels,
    after: u64,
) -> bool {
    let mut world = World::new();
    world.cancels = cancels;
    if block {
        world.query("begin 0");
        world.run();
    }
    world.set_timeout((!abandon).then_some(after));
    let operation = world.start(command, End::Sync).unwrap();
    world.run_for(after);
    let ended = world.ops[&operation].done.is_some();
    if abandon && !ended {
        world.abandon(operation);
    }
    world.run();
    let place = || format!("after {after} ms: {}", world.place());
    let (done, _) = world.ops[&operation]
        .done
        .unwrap_or_else(|| panic!("{}", place()));
    assert_ne!(done.verdict, Verdict::Lost, "{}", place());
    if block {
        // Closed, or gone with what was cancelled.
        assert_ne!(done.transaction, TransactionStatus::Idle, "{}", place());
        let closed = world.server.calls.contains(&CLOSE);
        let opened = world.server.calls.contains(&952);
        assert!(
            !opened || closed || world.server.status == b'E',
            "{}",
            place()
        );
    } else {
        assert_eq!(done.verdict, Verdict::Clean, "{}", place());
        assert_eq!(world.server.status, b'I', "{}", place());
        let happened = matches!(done.outcome, Outcome::Ok | Outcome::Discarded);
        assert_eq!(world.server.committed, happened, "{}", place());
    }
    world.set_timeout(None);
    if block {
        world.query("rollback 0");
    }
    check_usable(&mut world);
    !ended
}

#[test]
fn given_up_at_each_moment() {
    let late = Cancels::Arrive(MS, 30 * MS);
    let slow = Cancels::Arrive(7 * MS, 8 * MS);
    let mut cases = 0;
    for command in [Command::Import { oid: 0 }, Command::Export { oid: 7 }] {
        for block in [false, true] {
            for abandon in [false, true] {
                for cancels in [
                    Cancels::Arrive(MS / 4, MS / 4),
                    slow,
                    late,
                    Cancels::Refused(MS),
                ] {
                    let mut after = 1;
                    while given_up(command, block, abandon, cancels, after) {
                        after += 1;
                        cases += 1;
                    }
                }
            }
        }
    }
    println!("imports and exports given up at each moment: {cases} cases");
}
