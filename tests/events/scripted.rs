//! Notifications and notices at places of the protocol that a real server cannot be led to.

use pgpoll::conn::{Connection, Readiness};
use testkit::script::{
    Script, Scripted, auth_ok, columns, complete, error, framed, notice, notification, oid, ready,
    row,
};

use crate::PATIENCE;
use crate::session::{OK, Session};

fn open(server: &Scripted) -> Session {
    Session::open(&server.conninfo())
}

fn payloads(session: &mut Session) -> Vec<String> {
    while let Some(notification) = session.conn.take_notification() {
        session.notifications.push(notification);
    }
    let payloads = session.notifications.drain(..);
    payloads
        .map(|it| String::from_utf8_lossy(it.payload()).into_owned())
        .collect()
}

/// All in one packet: what comes behind ReadyForQuery is there in the same poll as the done.
#[test]
fn around_every_message_of_two_queries_in_one_packet() {
    let mut packet = Vec::new();
    let mut expected = Vec::new();
    let mut say = |message: &[u8]| {
        packet.extend_from_slice(message);
        let number = expected.len().to_string();
        packet.extend(notification(7, "c", &number));
        expected.push(number);
    };
    say(&columns(&[("a", oid::TEXT)]));
    say(&row(&[Some("x")]));
    say(&complete("SELECT 1"));
    say(&ready(b'I'));
    say(&error("ERROR", "22012", "division by zero"));
    say(&ready(b'I'));
    let script = Script::trusting().query("one").query("two").send(packet);
    let server = Scripted::tcp(&[script]);
    let mut session = open(&server);
    let one = session.conn.start_query("one").unwrap();
    let two = session.conn.start_query("two").unwrap();
    while session.conn.engine().queued() > 0 {
        let ready = session.conn.poll();
        if session.conn.engine().queued() == 0 {
            assert!(ready.has(Readiness::RESULT) && ready.has(Readiness::NOTIFY));
        } else {
            session.sleep();
        }
    }
    assert_eq!(payloads(&mut session), expected);
    assert_eq!(session.finish(one), ["a: x", "SELECT 1", OK]);
    assert_eq!(session.finish(two)[0], "error 22012 division by zero");
}

/// A server that says something before it is ready; and another one is tried instead of the first, whose words do not count.
#[test]
fn while_connecting() {
    let script = Script::new()
        .startup()
        .send(auth_ok())
        .send(notification(7, "c", "early"))
        .send(notice("welcome"));
    let full = script
        .clone()
        .send(error(
            "FATAL",
            "57P03",
            "the database system is shutting down",
        ))
        .close();
    let full = Scripted::tcp(&[full]);
    let server = Scripted::tcp(&[script.settled()]);
    let port = |server: &Scripted| {
        let conninfo = server.conninfo();
        let (_, rest) = conninfo.split_once("port=").unwrap();
        rest.split(' ').next().unwrap().to_owned()
    };
    let mut session = Session::open(&format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user=tester sslmode=disable",
        port(&full),
        port(&server)
    ));
    assert_eq!(payloads(&mut session), ["early"]);
    let notices: Vec<_> = session.notices.iter().map(|it| it.message()).collect();
    assert_eq!(notices, [b"welcome"; 2]);
}

/// Nobody takes anything, then the server ends the session: the end is told when the last notification is taken.
#[test]
fn a_full_inbox_and_then_the_end() {
    let payload = "x".repeat(7999);
    let mut script = Script::trusting();
    for _ in 0..200 {
        script = script.send(notification(7, "c", &payload));
    }
    let goodbye = error("FATAL", "57P01", "terminating connection");
    let server = Scripted::tcp(&[script.send(goodbye).close()]);
    let mut session = Session {
        conn: Connection::open(server.conninfo()),
        notices: Vec::new(),
        notifications: Vec::new(),
    };
    let mut count = 0;
    let error = loop {
        let ready = session.conn.wait(Some(PATIENCE));
        assert!(ready.is_something(), "a hang: {}", session.conn.inspect());
        // One at a time, and only when nothing more is received.
        if ready.has(Readiness::NOTIFY) && !ready.wants_read() {
            let notification = session.conn.take_notification().unwrap();
            assert_eq!(notification.payload(), payload.as_bytes());
            count += 1;
        } else if ready.is_failed() {
            break session.conn.error().unwrap();
        } else {
            session.sleep();
        }
    };
    assert_eq!(error.sqlstate(), Some(&b"57P01"[..]));
    assert_eq!(count, 200);
}

#[test]
fn notices_that_nobody_takes_make_room_and_are_counted() {
    let mut script = Script::trusting();
    for number in 0..3000 {
        script = script.send(notice(&format!("{number:04}{}", "x".repeat(1000))));
    }
    let server = Scripted::tcp(&[script.query("").send(complete("DONE")).send(ready(b'I'))]);
    let mut session = Session {
        conn: Connection::open(server.conninfo()),
        notices: Vec::new(),
        notifications: Vec::new(),
    };
    while !session
        .conn
        .wait_for(Readiness::IDLE, Some(PATIENCE))
        .is_idle()
    {}
    session.conn.start_query("").unwrap();
    while !session
        .conn
        .wait_for(Readiness::RESULT, Some(PATIENCE))
        .has_result()
    {}
    let dropped = session.conn.notices_dropped();
    let kept: Vec<_> = std::iter::from_fn(|| session.conn.take_notice()).collect();
    assert!((500..1500).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept.len() as u64 + dropped, 3000);
    // The newest are kept, in order.
    for (at, notice) in kept.iter().enumerate() {
        let number = format!("{:04}", dropped as usize + at);
        assert!(notice.message().starts_with(number.as_bytes()));
    }
    assert_eq!(session.conn.notices_dropped(), dropped);
}

/// What is no notification ends the connection in words, wherever it comes.
#[test]
fn damaged_notifications() {
    let bodies: [&[u8]; 5] = [
        b"",
        b"\0\0\0",
        b"\0\0\0\x07channel",
        b"\0\0\0\x07channel\0payload",
        b"\0\0\0\x07channel\0payload\0more",
    ];
    for body in bodies {
        for query in [false, true] {
            let script = Script::trusting().send(notification(7, "c", "whole"));
            let script = if query {
                script.query("one")
            } else {
                script.halt()
            };
            let server = Scripted::tcp(&[script.send(framed(b'A', body))]);
            let mut session = open(&server);
            server.go_on();
            if query {
                let operation = session.conn.start_query("one").unwrap();
                assert_eq!(session.finish(operation).len(), 2);
            }
            let ready = session.conn.wait_for(Readiness::FAILED, Some(PATIENCE));
            assert!(ready.is_failed(), "a hang: {}", session.conn.inspect());
            let message = session.conn.error().unwrap().message().to_owned();
            assert!(message.contains("NotificationResponse"), "{message}");
            assert_eq!(payloads(&mut session), ["whole"]);
        }
    }
}
