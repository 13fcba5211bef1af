//! What `wait` waits for, and that a loop of one's own can know the same.

use std::time::Duration;

use pgpoll::conn::group::{Failure, Group, WaitFor};
use pgpoll::conn::{Connection, Readiness};

use crate::server::Serving;
use crate::{Client, Stage, take_all};

const LONG: Option<Duration> = Some(Duration::from_secs(60));
const SHORT: Option<Duration> = Some(Duration::from_millis(30));

/// Connected members of a server that serves by itself.
fn served(members: usize) -> (Stage, Serving) {
    let mut stage = Stage::up(members);
    let server = std::mem::replace(&mut stage.server, crate::Server::new(0));
    let serving = server.serve();
    (stage, serving)
}

/// Takes what there is; how many answers.
fn take(stage: &mut Stage) -> usize {
    let mut words = 0;
    while let Some(found) = stage.group.ready() {
        let (connection, _) = stage.group.get_mut(found.key).unwrap();
        words += take_all(connection).len();
    }
    words
}

#[test]
fn any_waits_for_one() {
    let (mut stage, _serving) = served(50);
    assert_eq!(
        stage.group.wait(WaitFor::Any, SHORT).bits(),
        Readiness::WANT_READ | Readiness::IDLE
    );
    stage.start(3, "never");
    stage.start(17, "later 17");
    let ready = stage.group.wait(WaitFor::Any, LONG);
    assert!(ready.has_result() && !ready.is_idle());
    let found = stage.group.ready().unwrap();
    assert_eq!(found.key, stage.keys[17]);
}

#[test]
fn all_waits_for_everything_that_was_started() {
    let (mut stage, _serving) = served(50);
    for member in 0..50 {
        for n in 0..3 {
            stage.start(member, &format!("later {n}"));
        }
    }
    assert_eq!(stage.group.counts().pending(), 50, "just started counts");
    let ready = stage.group.wait(WaitFor::All, LONG);
    assert!(ready.is_idle() && ready.has_result());
    assert_eq!(stage.group.counts().pending(), 0);
    assert_eq!(take(&mut stage), 150);
    stage.start(0, "never");
    assert!(!stage.group.wait(WaitFor::All, SHORT).is_idle());
    let counts = stage.group.counts();
    assert_eq!((counts.running, counts.pending()), (1, 1));
}

/// Results that fill their room wait for the owner: `All` comes back for them, and the rest is waited for when they are taken.
#[test]
fn all_comes_back_when_the_owner_has_to_do_something() {
    let (mut stage, _serving) = served(10);
    for member in 0..10 {
        let (connection, _) = stage.group.get_mut(stage.keys[member]).unwrap();
        connection.set_batch(100, 0);
        stage.start(member, "rows 20000");
    }
    let mut rounds = 0;
    let mut rows = 0;
    while stage.group.counts().pending() > 0 {
        let ready = stage.group.wait(WaitFor::All, LONG);
        assert!(ready.is_idle() && ready.has_result(), "{ready:?}");
        let counts = stage.group.counts();
        assert_eq!(counts.running, 0);
        rows += take(&mut stage);
        rounds += 1;
    }
    assert!(rounds > 5, "{rounds}");
    stage.group.wait(WaitFor::All, LONG);
    rows += take(&mut stage);
    assert!(rows >= 10 * 200, "{rows} batches");
}

#[test]
fn first_error_comes_back_at_once_and_says_which() {
    let (mut stage, _serving) = served(50);
    for member in 0..50 {
        stage.start(member, if member == 20 { "now 1" } else { "never" });
    }
    let failing = stage.start(20, "fail later");
    let ready = stage.group.wait(WaitFor::FirstError, LONG);
    assert!(ready.is_failed() && !ready.is_idle());
    let key = stage.keys[20];
    let expected = Failure {
        key,
        operation: failing,
    };
    assert_eq!(stage.group.failure(), Some(expected));
    assert_eq!(stage.group.failure(), None, "told once");
    let (connection, _) = stage.group.get_mut(key).unwrap();
    assert_eq!(
        take_all(connection),
        ["1", "division by zero", "Failed"],
        "its items are as ever"
    );
    assert!(!stage.group.wait(WaitFor::FirstError, SHORT).is_failed());

    let lost = stage.start(33, "lose");
    // What is queued behind the one that is never answered is not sent for it.
    stage.group.get_mut(stage.keys[33]).unwrap().0.abandon(lost);
    stage.group.remove(stage.keys[33]).unwrap();
    for member in 0..50 {
        if member != 33 {
            let (connection, _) = stage.group.get_mut(stage.keys[member]).unwrap();
            connection.abandon(0);
        }
    }
}

/// A connection that is lost while nothing is under way is an error, too: operation 0.
#[test]
fn a_lost_connection_is_an_error_without_an_operation() {
    let mut stage = Stage::up(5);
    stage.server.lose(2);
    let ready = stage.group.wait(WaitFor::FirstError, SHORT);
    assert!(ready.is_idle(), "nothing was under way");
    let ready = stage.group.poll();
    assert!(ready.is_failed());
    let failure = stage.group.failure().unwrap();
    assert_eq!((failure.key, failure.operation), (stage.keys[2], 0));
    let told = stage.run();
    assert_eq!(told.len(), 1);
    assert_eq!(told[&2], ["over"]);
    assert_eq!(stage.run().len(), 0, "told once");
    assert_eq!(stage.group.counts().over, 1);

    let sent = stage.start(3, "lose");
    stage.run();
    let failure = stage.group.failure().unwrap();
    assert_eq!((failure.key, failure.operation), (stage.keys[3], sent));
    assert_eq!(stage.group.failure(), None);
}

/// A connection that ends in good order has not failed.
#[test]
fn a_shutdown_is_no_error() {
    let mut stage = Stage::up(2);
    let (connection, _) = stage.group.get_mut(stage.keys[1]).unwrap();
    connection.start_shutdown(None).unwrap();
    let told = stage.run();
    assert_eq!(told[&1].last().unwrap(), "over");
    assert_eq!(stage.group.failure(), None);
    assert_eq!(stage.group.counts().over, 1);
}

/// Nothing can come of nobody: no wait is for ever.
#[test]
fn a_group_without_anybody_alive_waits_for_nothing() {
    let mut group = Group::<Connection>::new().unwrap();
    for what in [WaitFor::Any, WaitFor::All, WaitFor::FirstError] {
        assert_eq!(group.wait(what, None).bits(), Readiness::IDLE);
    }
    group.add(Connection::open("port=nonsense")).unwrap();
    let ready = group.wait(WaitFor::FirstError, None);
    assert!(ready.is_failed() && ready.has_result());
    let found = group.ready().unwrap();
    assert!(found.ready.is_failed());
    assert_eq!(group.failure().unwrap().operation, 0);
    for what in [WaitFor::Any, WaitFor::All, WaitFor::FirstError] {
        let ready = group.wait(what, None);
        assert_eq!(ready.bits(), Readiness::WANT_READ | Readiness::IDLE);
    }
}

/// Deadlines of members are the group's, the earliest first, whoever has them.
#[test]
fn deadlines_of_members_end_the_wait() {
    let (mut stage, _serving) = served(200);
    for member in 0..200 {
        let (connection, _) = stage.group.get_mut(stage.keys[member]).unwrap();
        // The order is not that of the members.
        let ms = 20 + (member * 37 % 200) as u64;
        connection.set_timeout(Some(Duration::from_millis(ms)));
        connection.set_cancel_timeout(Duration::from_millis(1));
        stage.start(member, "never");
    }
    stage.group.poll();
    assert!(stage.group.deadline_ns().is_some());
    let mut late = 0;
    while late < 200 {
        let ready = stage.group.wait(WaitFor::FirstError, LONG);
        assert!(ready.is_failed());
        while let Some(failure) = stage.group.failure() {
            let (connection, _) = stage.group.get_mut(failure.key).unwrap();
            let words = take_all(connection);
            // The loss of the connection, which the server does not end in time, is the next one.
            if failure.operation > 0 {
                assert!(words[0].starts_with("timeout expired"), "{words:?}");
                late += 1;
            }
        }
    }
}

/// One of many that connect to nowhere fails, and says so once.
#[test]
fn members_may_be_at_any_point_of_connecting() {
    let mut group: Group<Client> = Group::new().unwrap();
    let crowd = testkit::crowd::Crowd::new();
    let never = format!(
        "host=127.0.0.1 port={} user=x sslmode=disable connect_timeout=2",
        crowd.port()
    );
    let nowhere = "host=/nowhere user=x sslmode=disable";
    let unknown = "host=no-such-host.invalid user=x sslmode=disable";
    for (number, conninfo) in [never.as_str(), nowhere, unknown].into_iter().enumerate() {
        let mut connection = Connection::open(conninfo);
        connection.poll(); // it has begun before it joins
        group.add((connection, number)).unwrap();
    }
    let mut told = [0; 3];
    while group.counts().over < 3 {
        let ready = group.wait(WaitFor::Any, LONG);
        assert!(ready.has_result());
        while let Some(found) = group.ready() {
            assert!(found.ready.is_failed());
            told[group.get(found.key).unwrap().1] += 1;
        }
    }
    assert_eq!(told, [1; 3]);
    let mut failed = 0;
    while let Some(failure) = group.failure() {
        assert_eq!(failure.operation, 0);
        failed += 1;
    }
    assert_eq!(failed, 3);
}
