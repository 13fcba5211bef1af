//! How streams end that do not end in good order: given up by us, ended by the server, or both gone.

use std::time::Duration;

use testkit::{Cluster, each_version};

use crate::logical::{drop_slot, published, start_sql, streaming};
use crate::session::{OK, text};
use crate::stream::{Event, Message, Stream, position, replicating};
use crate::{options, servers};

fn check_usable(stream: &mut Stream) {
    stream.session.conn.set_timeout(None);
    assert_eq!(
        stream.session.query("select 1 as a"),
        ["a: 1", "SELECT 1", OK]
    );
}

/// A transaction that is not over soon.
fn write_much(server: &Cluster, table: &str) {
    server.psql(&format!(
        "insert into {table} select n, repeat('x', 1000) from generate_series(1, 5000) n"
    ));
}

#[test]
fn a_deadline_ends_a_stream_and_keeps_the_connection() {
    for server in servers().iter().filter(|server| server.decodes()) {
        let mut session = published(server, "late");
        session.conn.set_timeout(Some(Duration::from_millis(300)));
        let mut stream = Stream::start(session, &start_sql("late"));
        let replies = stream.rest();
        assert!(
            replies[0].starts_with("transport: timeout expired"),
            "{replies:?}"
        );
        assert!(replies[1].ends_with(" Idle Clean"), "{replies:?}");
        check_usable(&mut stream);
    }
}

#[test]
fn a_stream_is_abandoned_while_it_is_idle_and_in_the_middle_of_a_transaction() {
    for server in servers().iter().filter(|server| server.decodes()) {
        for (name, busy) in [("abandoned", false), ("abandoned_busy", true)] {
            let mut stream = streaming(server, name);
            if busy {
                write_much(server, name);
                stream.wal();
            }
            assert!(stream.session.conn.abandon(stream.operation));
            let replies = stream.session.finish(stream.operation);
            assert!(replies[0].ends_with(" Idle Clean"), "{replies:?}");
            check_usable(&mut stream);
        }
    }
}

#[test]
fn a_walsender_that_is_terminated() {
    for server in servers().iter().filter(|server| server.decodes()) {
        let mut stream = streaming(server, "terminated");
        let pid = stream.session.conn.facts().backend_pid();
        assert!(server.terminate_backend(pid));
        let words = "terminating connection due to administrator command";
        assert_eq!(
            stream.rest(),
            [&format!("error 57P01 {words}"), "done Failed Idle Lost"]
        );
        assert_eq!(stream.session.end().message(), words);
    }
}

/// The server waits for a status update, is told nothing, and leaves without a word: so the protocol has it.
#[test]
fn a_client_that_says_nothing_is_left_by_the_server() {
    for server in servers().iter().filter(|server| server.decodes()) {
        let mut session = published(server, "silent");
        session.query("set wal_sender_timeout = '300ms'");
        let mut stream = Stream::start(session, &start_sql("silent"));
        let mut asked = false;
        let error = loop {
            match stream.event() {
                Event::Message(Message::Keepalive { reply, .. }) => asked |= reply,
                Event::Message(message) => panic!("{message:?}"),
                Event::Item(reply) => break text(&reply),
            }
        };
        assert!(asked, "the server asks before it leaves");
        let words = "transport: server closed the connection unexpectedly";
        assert!(error.starts_with(words), "{error}");
        assert_eq!(stream.rest(), ["done Failed Idle Lost"]);
    }
}

/// One that answers stays.
#[test]
fn a_client_that_answers_is_not() {
    for server in servers().iter().filter(|server| server.decodes()) {
        let mut session = published(server, "answering");
        session.query("set wal_sender_timeout = '2s'");
        let mut stream = Stream::start(session, &start_sql("answering"));
        let mut answers = 0;
        while answers < 3 {
            if let Message::Keepalive { end, reply: true } = stream.message() {
                stream.confirm(end, false);
                answers += 1;
            }
        }
        assert_eq!(stream.end().last().unwrap(), OK);
    }
}

/// A server that shuts down waits until all is confirmed; then it ends the command, and the connection, without CopyDone.
#[test]
fn a_shutdown_waits_for_us() {
    for server in each_version(options)
        .iter()
        .filter(|server| server.decodes())
    {
        std::thread::scope(|scope| {
            let mut stream = streaming(server, "shutdown");
            server.psql("insert into shutdown values (1)");
            let stopping = scope.spawn(|| server.stop());
            let first = loop {
                match stream.event() {
                    Event::Message(Message::Wal { .. }) => {}
                    Event::Message(Message::Keepalive { end, .. }) => stream.confirm(end, false),
                    Event::Item(reply) => break text(&reply),
                }
            };
            assert_eq!(first, "COPY 0");
            let rest = stream.rest();
            let words = "transport: server closed the connection unexpectedly";
            assert!(rest[0].starts_with(words), "{rest:?}");
            assert_eq!(rest[1..], ["done Failed Idle Lost"]);
            stopping.join().unwrap();
        });
    }
}

/// The slot is dropped under a stream that is not there any more: its next start is an error in words.
#[test]
fn a_slot_that_is_dropped() {
    for server in servers().iter().filter(|server| server.decodes()) {
        server.psql("create table dropped (id int); create publication dropped for table dropped");
        server.psql("select pg_create_logical_replication_slot('dropped', 'pgoutput')");
        let stream = Stream::start(replicating(server), &start_sql("dropped"));
        let sql = "select pg_drop_replication_slot('dropped')";
        assert!(server.try_psql(sql).unwrap_err().contains("is active"));
        drop(stream);
        drop_slot(server, "dropped");
        let mut stream = Stream::begin(replicating(server), &start_sql("dropped"));
        let replies = stream.rest();
        assert!(replies[0].starts_with("error 42704"), "{replies:?}");
        check_usable(&mut stream);
    }
}

/// Positions are numbers of 64 bits in two halves.
#[test]
fn positions_are_read_as_the_server_writes_them() {
    assert_eq!(position("1/16B3748"), 0x1_016B_3748);
    assert_eq!(crate::stream::lsn(0x1_016B_3748), "1/16B3748");
}
