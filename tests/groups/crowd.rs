//! Five thousand connections, each with operations whose answers come in any order.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pgpoll::conn::group::WaitFor;
use testkit::alloc;

use crate::{Stage, allow_members, take_all};

/// Two such crowds at once would take too many descriptors.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const MEMBERS: usize = 5_000;
const ROUNDS: usize = 3;

/// Every operation of every member is answered, once, with its own answer; and the group has one descriptor all the while.
#[test]
fn five_thousand_connections_are_all_answered_behind_one_descriptor() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let members = allow_members(MEMBERS);
    let mut stage = Stage::begun(members);
    let server = std::mem::replace(&mut stage.server, crate::Server::new(0));
    let serving = server.serve();
    let descriptor = stage.group.socket();
    let mut answers = vec![0; members];
    let mut left = members;
    while left > 0 {
        let ready = stage
            .group
            .wait(WaitFor::Any, Some(Duration::from_secs(60)));
        assert!(ready.has_result(), "{left} are left: {ready:?}");
        while let Some(found) = stage.group.ready() {
            let (connection, number) = stage.group.get_mut(found.key).unwrap();
            assert!(connection.error().is_none(), "{:?}", connection.error());
            for word in take_all(connection) {
                let expected = *number * 10 + answers[*number];
                assert_eq!(word, expected.to_string());
                answers[*number] += 1;
            }
            if found.ready.is_idle() && answers[*number] < ROUNDS {
                let sql = format!("later {}", *number * 10 + answers[*number]);
                connection.start_query(sql).unwrap();
            } else if found.ready.is_idle() {
                left -= 1;
            }
        }
    }
    assert!(answers.iter().all(|count| *count == ROUNDS));
    assert_eq!(stage.group.socket(), descriptor);
    let counts = stage.group.counts();
    assert_eq!(
        (counts.members, counts.pending(), counts.over),
        (members, 0, 0)
    );
    drop(stage);
    drop(serving);
}

/// Among five thousand that are idle ten are polled and told of without an allocation.
#[test]
fn the_steady_state_allocates_nothing() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let members = allow_members(MEMBERS);
    let mut stage = Stage::up(members);
    let mut allocated = Vec::new();
    for _ in 0..5 {
        for busy in 0..10 {
            stage.start(busy * members / 10, "now 1");
        }
        let before = alloc::thread();
        stage.group.poll();
        let sending = (alloc::thread() - before).allocations;
        stage.server.settle();
        let before = alloc::thread();
        stage.group.poll();
        let ready = std::iter::from_fn(|| stage.group.ready()).count();
        // Small results come from a pool, once it has them.
        allocated.push((sending, (alloc::thread() - before).allocations, ready));
        stage.run();
    }
    assert_eq!(allocated[4], (0, 0, 10), "{allocated:?}");
}
