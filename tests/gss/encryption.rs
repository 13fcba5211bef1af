//! What goes through the encryption: much, and in both directions; a cancel; a fork.

use std::net::TcpStream;

use pgpoll::conn::{Cancel, CancelPoll, Connection};
use pgpoll::engine::Reply;

use crate::realm::{Realm, Tickets};
use crate::session::{FAILED, OK, Session};

#[test]
fn large_results_and_parameters_go_through() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    let mut session = Session::open(&realm.conninfo("tester", "gssencmode=require"));
    let operation = session
        .conn
        .start_query("select n, repeat('x', n % 100) from generate_series(1, 50000) n")
        .unwrap();
    let mut rows = 0;
    for reply in session.until(operation, |reply| matches!(reply, Reply::Done(_))) {
        if let Reply::Rows(batch) = reply {
            rows += batch.rows();
        }
    }
    assert_eq!(rows, 50_000);
    // One value that is many packets, one that is a little more or less than one.
    for size in [0, 1, 16_000, 16_320, 16_384, 65_537, 3_000_000] {
        let text = "é".repeat(size / 2) + &"y".repeat(size % 2);
        let said = session.params(
            "select octet_length($1), md5($1) = md5(repeat('é', $2 / 2) || repeat('y', $2 % 2))",
            &[Some(text.as_bytes()), Some(size.to_string().as_bytes())],
        );
        assert!(said[0].ends_with(&format!(": {size}|t")), "{said:?}");
        assert_eq!(said.last().unwrap(), OK);
    }
    // A pipeline of them, both ways at once.
    let text = "z".repeat(200_000);
    let operations: Vec<u64> = (0..20)
        .map(|_| {
            session
                .conn
                .start_query(format!("select '{text}'"))
                .unwrap()
        })
        .collect();
    for operation in operations {
        assert_eq!(session.finish(operation).last().unwrap(), OK);
    }
}

#[test]
fn a_cancel_goes_by_the_same_encryption() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    let mut session = Session::open(&realm.conninfo("tester", "gssencmode=require"));
    let operation = session.conn.start_query("select pg_sleep(600)").unwrap();
    session.conn.poll();
    realm.cluster.until_busy(session.conn.facts().backend_pid());
    let mut cancel = Cancel::of(&session.conn).unwrap();
    cancel.wait().unwrap();
    let said = session.finish(operation);
    assert!(said[0].contains("57014"), "{said:?}");
    assert_eq!(said.last().unwrap(), FAILED);
}

/// Nor does it go out in clear where it has to be carried, which this encryption cannot be.
#[test]
fn a_cancel_that_is_carried_fails_in_words() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    let socket = TcpStream::connect(("127.0.0.1", realm.cluster.port())).unwrap();
    let conninfo = realm.conninfo("tester", "gssencmode=require");
    let mut conn = Connection::open_fd(socket.into(), conninfo.replace("hostaddr=127.0.0.1", ""));
    while !conn.wait(None).is_idle() {
        assert!(conn.error().is_none(), "{:?}", conn.error());
    }
    assert!(conn.facts().gss_encrypted());
    let mut cancel = Cancel::of(&conn).unwrap();
    while cancel.poll() == CancelPoll::WantWrite {
        assert_eq!(cancel.output().len(), 8, "GSSENCRequest");
        cancel.taken(8);
        assert_eq!(cancel.feed(b"G"), 1);
    }
    assert_eq!(cancel.poll(), CancelPoll::Failed);
    assert!(cancel.output().is_empty());
    let text = cancel.error().unwrap().message();
    assert!(text.contains("GSSAPI is not there for bytes"), "{text}");
}

#[test]
fn a_forked_child_may_only_free() {
    let Some(realm) = Realm::with(Tickets::Good) else {
        return;
    };
    let mut session = Session::open(&realm.conninfo("tester", "gssencmode=require"));
    let mut child = Some(Session::open(
        &realm.conninfo("tester", "gssencmode=disable"),
    ));
    let status = testkit::process::in_child(|| {
        drop(child.take());
        let operation = session.conn.start_query("select 1").unwrap();
        session.finish(operation).last().unwrap() != OK
    });
    assert_eq!(status, 0);
    assert_eq!(session.query("select 1").last().unwrap(), OK);
    assert_eq!(child.unwrap().query("select 1").last().unwrap(), OK);
}
