//! Groups of connections to real servers.

use std::collections::BTreeMap;
use std::time::Duration;

use pgpoll::conn::Connection;
use pgpoll::conn::group::{Group, WaitFor};
use testkit::{ClusterOptions, each_version};

use crate::{Client, take_all};

const LONG: Option<Duration> = Some(Duration::from_secs(60));
const MEMBERS: usize = 100;

#[test]
fn a_hundred_connections_to_each_version() {
    for cluster in each_version(|| ClusterOptions::new().setting("max_connections", "120")) {
        let mut group: Group<Client> = Group::new().unwrap();
        let mut keys = Vec::new();
        for number in 0..MEMBERS {
            let conninfo = match number % 2 {
                0 => cluster.conninfo(),
                _ => cluster.conninfo_tcp(),
            };
            let key = group.add((Connection::open(conninfo), number)).unwrap();
            keys.push(key);
        }
        assert!(group.wait(WaitFor::FirstError, LONG).is_idle());
        assert_eq!(group.failure(), None);
        for round in 0..3 {
            for (number, key) in keys.iter().enumerate() {
                let (connection, _) = group.get_mut(*key).unwrap();
                let sql = format!("select {number} from pg_sleep({})", number % 10 * 5 / 1000);
                connection.start_query(sql).unwrap();
                if number == 40 {
                    connection.start_query("select 1 / 0").unwrap();
                }
            }
            let ready = group.wait(WaitFor::FirstError, LONG);
            assert!(ready.is_failed(), "round {round}");
            assert_eq!(group.failure().unwrap().key, keys[40]);
            assert!(group.wait(WaitFor::All, LONG).is_idle());
            let mut answers = BTreeMap::new();
            while let Some(found) = group.ready() {
                let (connection, number) = group.get_mut(found.key).unwrap();
                answers.insert(*number, take_all(connection));
            }
            assert_eq!(answers.len(), MEMBERS);
            for (number, words) in answers {
                assert_eq!(words[0], number.to_string());
                assert_eq!(words.len(), if number == 40 { 3 } else { 1 });
            }
        }

        // Some are lost in the middle: each of them is told, the others are answered.
        for (number, key) in keys.iter().enumerate() {
            let (connection, _) = group.get_mut(*key).unwrap();
            let seconds = if number % 10 == 0 { 600.0 } else { 0.1 };
            let sql = format!("select pg_sleep({seconds})");
            connection.start_query(sql).unwrap();
        }
        group.poll();
        let pids: Vec<String> = keys
            .iter()
            .step_by(10)
            .map(|key| group.get(*key).unwrap().0.facts().backend_pid().to_string())
            .collect();
        for pid in &pids {
            cluster.until_busy(pid.parse().unwrap());
        }
        cluster.psql(&format!(
            "select count(pg_terminate_backend(pid)) from unnest(array[{}]) pid",
            pids.join(",")
        ));
        assert!(group.wait(WaitFor::All, LONG).is_idle());
        let mut failed = Vec::new();
        while let Some(failure) = group.failure() {
            assert_ne!(failure.operation, 0);
            failed.push(group.get(failure.key).unwrap().1);
        }
        failed.sort_unstable();
        assert_eq!(failed, (0..MEMBERS).step_by(10).collect::<Vec<_>>());
        let mut answers = 0;
        while group.wait(WaitFor::Any, Some(Duration::ZERO)).has_result() {
            while let Some(found) = group.ready() {
                let (connection, _) = group.get_mut(found.key).unwrap();
                let words = take_all(connection);
                answers += words.len();
                if let Some(word) = words.first().filter(|word| !word.is_empty()) {
                    assert!(word.contains("terminating connection"), "{word}");
                }
            }
        }
        assert_eq!(answers, 90 + 2 * 10);
        assert_eq!(group.counts().over, 10);
    }
}

/// A member's deadline cancels by itself, over a connection of its own whose descriptor the group watches meanwhile.
#[test]
fn an_automatic_cancel_is_followed_to_its_descriptor_and_back() {
    let cluster = testkit::shared();
    let mut group: Group<Client> = Group::new().unwrap();
    let mut keys = Vec::new();
    for number in 0..10 {
        let key = group.add((Connection::open(cluster.conninfo()), number));
        keys.push(key.unwrap());
    }
    assert!(group.wait(WaitFor::All, LONG).is_idle());
    for key in &keys {
        let (connection, number) = group.get_mut(*key).unwrap();
        connection.set_timeout((*number % 2 == 0).then_some(Duration::from_millis(300)));
        let seconds = if *number % 2 == 0 { 60.0 } else { 0.1 };
        connection
            .start_query(format!("select 'slept' from pg_sleep({seconds})"))
            .unwrap();
    }
    assert!(group.wait(WaitFor::All, LONG).is_idle());
    for key in &keys {
        let (connection, number) = group.get_mut(*key).unwrap();
        let words = take_all(connection);
        if *number % 2 == 0 {
            assert!(words[0].starts_with("timeout expired"), "{words:?}");
            assert_eq!(words[1], "Failed");
        } else {
            assert_eq!(words, ["slept"]);
        }
        connection.set_timeout(None);
        connection.start_query("select 'again'").unwrap();
    }
    assert!(group.wait(WaitFor::All, LONG).is_idle());
    for key in &keys {
        let (connection, _) = group.get_mut(*key).unwrap();
        assert_eq!(take_all(connection), ["again"]);
    }
}
