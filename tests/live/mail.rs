//! What the server says of its own accord: notices, notifications, parameters.

use pgpoll::conn::Readiness;

use crate::servers;
use crate::session::{OK, Session};

#[test]
fn notices_are_no_items() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        assert_eq!(
            session.query(
                "do $$ begin raise notice 'one'; raise warning 'two' using hint = 'h'; end $$"
            ),
            ["DO", OK]
        );
        let messages: Vec<_> = session.notices.iter().map(|n| n.message()).collect();
        assert_eq!(messages, [&b"one"[..], b"two"]);
        assert_eq!(session.notices[1].field(b'V'), Some(&b"WARNING"[..]));
        assert_eq!(session.notices[1].field(b'H'), Some(&b"h"[..]));
    }
}

#[test]
fn notifications_arrive_while_idle() {
    for server in servers() {
        let mut listener = Session::open(&server.conninfo());
        let mut notifier = Session::open(&server.conninfo());
        listener.query("listen \"Channel one\"");
        notifier.query("notify \"Channel one\", 'payload'; notify \"Channel one\"");
        while listener.notifications.len() < 2 {
            assert!(listener.conn.socket().is_some());
            let ready = listener.conn.wait(None);
            assert!(!ready.is_failed());
            while let Some(notification) = listener.conn.take_notification() {
                assert!(ready.has(Readiness::NOTIFY));
                listener.notifications.push(notification);
            }
            // wait returns at once while the connection is idle: sleep on the socket as an event loop does.
            if listener.notifications.len() < 2 {
                listener.sleep();
            }
        }
        for notification in &listener.notifications {
            assert_eq!(notification.pid, notifier.conn.facts().backend_pid());
            assert_eq!(notification.channel(), b"Channel one");
            assert_eq!(notification.channel_with_nul(), b"Channel one\0");
        }
        let payloads: Vec<_> = listener.notifications.iter().map(|n| n.payload()).collect();
        assert_eq!(payloads, [&b"payload"[..], b""]);
        assert_eq!(listener.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

#[test]
fn a_notification_in_the_same_packet_is_there_with_the_done() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("listen here");
        let operation = session.conn.start_query("notify here, 'self'").unwrap();
        // Poll without taking the mail until the operation is over.
        loop {
            let ready = session.conn.wait(None);
            if ready.has_result() && session.conn.engine().queued() == 0 {
                assert!(ready.has(Readiness::NOTIFY), "{}", session.conn.inspect());
                break;
            }
        }
        let notification = session.conn.take_notification().unwrap();
        assert_eq!(notification.payload(), b"self");
        assert_eq!(notification.pid, session.conn.facts().backend_pid());
        assert_eq!(session.finish(operation), ["NOTIFY", OK]);
    }
}

#[test]
fn parameters_follow_the_session() {
    for server in servers() {
        let mut session = Session::open(&format!("{} application_name=first", server.conninfo()));
        let parameter = |session: &Session, name: &str| {
            session
                .conn
                .facts()
                .parameter(name.as_bytes())
                .map(|value| String::from_utf8(value.to_vec()).unwrap())
        };
        assert_eq!(parameter(&session, "application_name").unwrap(), "first");
        assert_eq!(parameter(&session, "server_encoding").unwrap(), "UTF8");
        assert_eq!(parameter(&session, "is_superuser").unwrap(), "on");
        assert_eq!(parameter(&session, "no_such"), None);
        session.query("set application_name = 'second'; set timezone = 'Europe/Berlin'");
        assert_eq!(parameter(&session, "application_name").unwrap(), "second");
        assert_eq!(parameter(&session, "TimeZone").unwrap(), "Europe/Berlin");
        session.query("begin; set local application_name = 'third'");
        assert_eq!(parameter(&session, "application_name").unwrap(), "third");
        session.query("rollback");
        assert_eq!(parameter(&session, "application_name").unwrap(), "second");
        let major = session.conn.facts().server_version() / 10_000;
        assert_eq!(major, server.server().major);
    }
}
