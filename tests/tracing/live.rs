//! The timeline of connections to a real server.

use std::time::Duration;

use pgpoll::conn::Connection;
use pgpoll::engine::{Command, End};
use testkit::{Cluster, shared};

use crate::events::{Slice, read, shown, written};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

/// A connection that is up.
pub(crate) fn open() -> Connection {
    let mut connection = Connection::open(shared().conninfo());
    come_up(&mut connection);
    connection
}

pub(crate) fn come_up(connection: &mut Connection) {
    while !connection.wait(PATIENCE).is_idle() {
        assert!(connection.error().is_none(), "{:?}", connection.error());
    }
}

/// Goes on until everything is done, or the connection is over.
pub(crate) fn finish(connection: &mut Connection) {
    while connection.engine().queued() > 0 || connection.engine().has_item() {
        while connection.take().is_some() {}
        connection.wait(PATIENCE);
        while connection.copy_get(100).next().is_some() {}
    }
}

/// What is shown of operations: name, outcome, and whether it is over.
fn told(slices: &[Slice]) -> Vec<String> {
    let operations = slices.iter().filter(|slice| slice.args.get("id").is_some());
    let told = operations.map(|slice| {
        let outcome = slice.args["outcome"].as_str().unwrap_or("open");
        assert_eq!(slice.end.is_none(), outcome == "open", "{slice:?}");
        assert_eq!(slice.depth, 1, "{slice:?}");
        format!("{} {} {outcome}", slice.args["id"], slice.name)
    });
    told.collect()
}

fn one(connection: &mut Connection, end: End) {
    let command = Command::Params {
        sql: b"select $1::int4",
        types: &[],
        params: &[Some(&b"1"[..])],
        format: 0,
        max_rows: 0,
    };
    connection.start(command, end).unwrap();
}

#[test]
fn operations_follow_one_another_with_what_they_awaited() {
    let mut connection = open();
    connection.set_timeline(1000).unwrap();
    connection.start_query("select pg_sleep(0.05)").unwrap();
    one(&mut connection, End::More);
    one(&mut connection, End::Sync);
    connection.start_query("select 1/0").unwrap();
    finish(&mut connection);
    connection
        .start_copy("copy (select generate_series(1, 1000)) to stdout")
        .unwrap();
    finish(&mut connection);
    let shown = shown(&connection);
    assert_eq!(
        told(&shown.slices),
        [
            "1 query ok",
            "2 query with parameters ok",
            "3 query with parameters ok",
            "4 query failed",
            "5 COPY ok"
        ]
    );
    for phase in [
        "dialling",
        "startup",
        "authenticating",
        "settling",
        "COPY out",
    ] {
        assert!(shown.has(phase), "{phase}: {shown:?}");
    }
    let instants: Vec<&str> = shown.instants.iter().map(String::as_str).collect();
    assert!(instants.contains(&"ready") && instants.contains(&"error 22012"));
    assert!(
        shown.name.contains("postgres at "),
        "its server and database: {}",
        shown.name
    );
    // The first one waited for the server, the second one for the first.
    let [first, second] = [&shown.slices[..], &shown.slices[..]].map(|slices| {
        slices
            .iter()
            .filter(|slice| slice.args.get("id").is_some())
            .cloned()
            .collect::<Vec<_>>()
    });
    assert!(first[0].end.unwrap() - first[0].begin >= 50_000.0);
    assert_eq!(second[1].begin, first[0].end.unwrap());
    assert!(second[1].args["queued_us"].as_u64().unwrap() >= 50_000);
    assert!(shown.slices.iter().all(|slice| slice.end.is_some()));
}

#[test]
fn what_is_stuck_is_begun_and_not_ended() {
    let mut connection = open();
    connection.start_query("select pg_sleep(600)").unwrap();
    connection.start_query("select 2").unwrap();
    connection.wait(Some(Duration::ZERO));
    shared().until_busy(connection.facts().backend_pid());
    let shown = shown(&connection);
    assert_eq!(told(&shown.slices), ["1 query open"]);
    let open: Vec<&str> = shown
        .slices
        .iter()
        .filter(|slice| slice.end.is_none())
        .map(|slice| slice.name.as_str())
        .collect();
    assert_eq!(open, ["query", "a reply from the server"]);
}

#[test]
fn a_deadline_shows_its_cancel() {
    let mut connection = open();
    connection.set_timeout(Some(Duration::from_millis(100)));
    connection.start_query("select pg_sleep(600)").unwrap();
    finish(&mut connection);
    while connection.engine().is_rescuing() {
        connection.wait(PATIENCE);
    }
    let shown = shown(&connection);
    assert_eq!(told(&shown.slices), ["1 query failed"]);
    let over = |name: &str| (name.to_owned(), true);
    assert!(shown.beside.contains(&over("cancel")), "{shown:?}");
    assert!(
        shown
            .beside
            .contains(&over("getting rid of what nobody wants")),
        "{shown:?}"
    );
    for instant in ["deadline of operation 1", "error 57014"] {
        assert!(shown.instants.contains(&instant.to_owned()), "{shown:?}");
    }
}

#[test]
fn connections_stand_in_one_file_and_keep_their_history_when_they_are_reset() {
    let (mut one, mut other) = (open(), open());
    one.start_query("select 1").unwrap();
    finish(&mut one);
    one.reset();
    come_up(&mut one);
    one.start_query("select 2").unwrap();
    finish(&mut one);
    other.close();
    let all = read(&written(&[&one, &other]));
    assert_eq!(all.len(), 2);
    let shown: Vec<_> = all.values().collect();
    assert_eq!(told(&shown[0].slices), ["1 query ok", "1 query ok"]);
    let happened = |name: &str| shown[0].instants.iter().filter(|it| *it == name).count();
    assert_eq!((happened("reset"), happened("ready")), (1, 2));
    assert!(shown[1].instants.contains(&"over".to_owned()));
    assert_eq!(read(&written(&[])).len(), 0);
}

#[test]
fn a_lost_server_ends_what_was_under_way() {
    let cluster = Cluster::start(testkit::ClusterOptions::new());
    let mut connection = Connection::open(cluster.conninfo());
    come_up(&mut connection);
    connection.start_query("select pg_sleep(600)").unwrap();
    one(&mut connection, End::Sync);
    connection.wait(Some(Duration::ZERO));
    cluster.until_busy(connection.facts().backend_pid());
    cluster.crash();
    finish(&mut connection);
    let shown = shown(&connection);
    assert_eq!(
        told(&shown.slices),
        ["1 query failed", "2 query with parameters failed"]
    );
    assert!(shown.slices.iter().all(|slice| slice.end.is_some()));
    let instants: Vec<&str> = shown.instants.iter().map(String::as_str).collect();
    let end = ["transport lost", "error", "over", "no socket"];
    assert!(instants.ends_with(&end), "{instants:?}");
}
