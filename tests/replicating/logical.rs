//! Logical replication with pgoutput: the changes arrive, are confirmed, and the stream ends in good order.

use testkit::Cluster;

use crate::servers;
use crate::session::{FAILED, OK, Session};
use crate::stream::{Message, Stream, lsn, replicating};

/// A table `name` with a publication, and a connection with a temporary slot, all of that name.
pub(crate) fn published(server: &Cluster, name: &str) -> Session {
    server.psql(&format!(
        "create table {name} (id int primary key, name text); create publication {name} for table {name}"
    ));
    let mut session = replicating(server);
    let replies = session.query(&format!(
        "CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')"
    ));
    assert_eq!(replies[1..], ["CREATE_REPLICATION_SLOT", OK]);
    session
}

/// The stream of what [`published`] has set up.
pub(crate) fn start_sql(name: &str) -> String {
    format!(
        "START_REPLICATION SLOT {name} LOGICAL 0/0 (proto_version '1', publication_names '{name}')"
    )
}

pub(crate) fn streaming(server: &Cluster, name: &str) -> Stream {
    Stream::start(published(server, name), &start_sql(name))
}

/// The types of the messages of so many transactions, and the end of the last one. Relations are left out: the server describes one
/// again whenever something has emptied its cache.
#[track_caller]
fn transactions(stream: &mut Stream, count: usize) -> (String, u64) {
    let (mut types, mut end) = (String::new(), 0);
    while types.matches('C').count() < count {
        let (_, data) = stream.wal();
        if data[0] != b'R' {
            types.push(char::from(data[0]));
        }
        if data[0] == b'C' {
            end = u64::from_be_bytes(data[10..18].try_into().unwrap());
        }
    }
    (types, end)
}

#[test]
fn changes_are_streamed_confirmed_and_ended() {
    for server in servers().iter().filter(|server| server.decodes()) {
        let mut stream = streaming(server, "streamed");
        let changes = [
            "insert into streamed select n, 'name' from generate_series(1, 3) n",
            "update streamed set id = 9 where id = 1; delete from streamed where id = 2",
            "truncate streamed",
        ];
        server.psql(&changes.join(";"));
        let (types, end) = transactions(&mut stream, 4);
        assert_eq!(types, "BIIICBUCBDCBTC");
        // It answers, if it is asked to, and need not keep what was confirmed.
        stream.confirm(end, true);
        while !matches!(stream.message(), Message::Keepalive { .. }) {}
        until_confirmed(server, "confirmed_flush_lsn", "streamed", end);
        assert_eq!(stream.end(), ["COPY 0", "START_REPLICATION", OK]);
        // Then the connection is as good as before.
        let session = &mut stream.session;
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

/// What is not confirmed is streamed again, from the slot's position on.
#[test]
fn a_slot_goes_on_where_it_was() {
    for server in servers().iter().filter(|server| server.decodes()) {
        server.psql(
            "create table kept (id int primary key); create publication kept for table kept; \
             select pg_create_logical_replication_slot('kept', 'pgoutput')",
        );
        server.psql("insert into kept values (1); insert into kept values (2)");
        let mut stream = Stream::start(replicating(server), &start_sql("kept"));
        let (types, first) = transactions(&mut stream, 1);
        assert_eq!(types, "BIC");
        stream.confirm(first, false);
        assert_eq!(transactions(&mut stream, 1).0, "BIC");
        assert_eq!(stream.end(), ["COPY 0", "START_REPLICATION", OK]);
        // A walsender remembers that it was told the end: its next logical stream ends at once, without a CopyDone.
        let mut ended = Stream::start(stream.session, &start_sql("kept"));
        assert_eq!(ended.rest(), ["COPY 0", "START_REPLICATION", OK]);
        assert!(ended.session.conn.copy_put(b"r").is_err());
        let mut stream = Stream::start(replicating(server), &start_sql("kept"));
        let (types, second) = transactions(&mut stream, 1);
        assert!(types == "BIC" && second > first);
        assert_eq!(stream.end(), ["COPY 0", "START_REPLICATION", OK]);
        drop(stream);
        drop_slot(server, "kept");
    }
}

/// Waits until the server knows that all before `end` is safe.
pub(crate) fn until_confirmed(server: &Cluster, column: &str, name: &str, end: u64) {
    server.until(&format!(
        "select {column} = '{}' from pg_replication_slots where slot_name = '{name}'",
        lsn(end)
    ));
}

/// Drops a slot when nobody uses it any more.
pub(crate) fn drop_slot(server: &Cluster, name: &str) {
    server.until(&format!(
        "select not active from pg_replication_slots where slot_name = '{name}'"
    ));
    server.psql(&format!("select pg_drop_replication_slot('{name}')"));
}

#[test]
fn while_it_streams_nothing_else_can_be_started() {
    for server in servers().iter().filter(|server| server.decodes()) {
        let mut stream = streaming(server, "alone");
        let refused = stream.session.conn.start_query("select 1").unwrap_err();
        assert!(refused.message().contains("COPY"), "{refused}");
        assert!(stream.session.conn.copy_end(Some(b"why")).is_err());
        server.psql("insert into alone values (1)");
        assert_eq!(transactions(&mut stream, 1).0, "BIC");
        assert_eq!(stream.end(), ["COPY 0", "START_REPLICATION", OK]);
        // Behind the end nothing can be put.
        assert!(stream.session.conn.copy_put(b"r").is_err());
    }
}

#[test]
fn what_cannot_be_streamed_is_an_error_and_the_connection_is_kept() {
    for server in servers().iter().filter(|server| server.decodes()) {
        let session = published(server, "wrong");
        let mut stream = Stream::begin(session, &start_sql("missing"));
        assert_eq!(
            stream.rest(),
            [
                "error 42704 replication slot \"missing\" does not exist",
                FAILED
            ]
        );
        // That has dropped the temporary slot: an error does.
        server.psql("select pg_create_logical_replication_slot('wrong', 'pgoutput')");
        let sql = "START_REPLICATION SLOT wrong LOGICAL 0/0 (proto_version '999', publication_names 'wrong')";
        let mut stream = Stream::begin(stream.session, sql);
        let replies = stream.rest();
        let error = &replies[replies.len() - 2];
        assert!(error.starts_with("error 0A000"), "{replies:?}");
        assert_eq!(replies.last().unwrap(), FAILED);
        // Somebody else streams from it.
        let stream = Stream::start(replicating(server), &start_sql("wrong"));
        let mut other = Stream::begin(replicating(server), &start_sql("wrong"));
        let replies = other.rest();
        assert!(replies[0].starts_with("error 55006"), "{replies:?}");
        assert_eq!(replies[1], FAILED);
        drop(stream);
        drop_slot(server, "wrong");
        let mut session = other.session;
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

/// An error in the middle of the stream: the publication that it was started with is not there when the first change is decoded.
#[test]
fn an_error_of_the_server_ends_the_stream_alone() {
    for server in servers().iter().filter(|server| server.decodes()) {
        let session = published(server, "broken");
        let sql = start_sql("broken").replace("'broken'", "'nowhere'");
        let mut stream = Stream::start(session, &sql);
        server.psql("insert into broken values (1)");
        // 18 passes over a publication that is missing, and says so in a notice.
        stream.confirm(1, true);
        if server.server().major < 18 {
            let error = "error 42704 publication \"nowhere\" does not exist";
            assert_eq!(stream.rest(), [error, FAILED]);
            // What is put now is refused in words.
            assert!(stream.session.conn.copy_put(b"r").is_err());
        } else {
            assert_eq!(stream.end().last().unwrap(), OK);
        }
        let session = &mut stream.session;
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}
