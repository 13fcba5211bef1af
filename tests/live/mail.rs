//! What the server says of its own accord: notices, notifications, parameters.

use pgpoll::conn::Readiness;
use pgpoll::engine::{Command, End};

use crate::servers;
use crate::session::{OK, PATIENCE, Session};

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

/// Notifications up to the one with the payload `end`, waited for on an idle connection.
#[track_caller]
fn heard_until_end(session: &mut Session) -> Vec<String> {
    let mut heard = Vec::new();
    loop {
        for notification in session.notifications.drain(..) {
            let payload = String::from_utf8_lossy(notification.payload()).into_owned();
            if payload == "end" {
                return heard;
            }
            heard.push(payload);
        }
        let bits = Readiness::NOTIFY | Readiness::FAILED;
        let ready = session.conn.wait_for(bits, Some(PATIENCE));
        assert!(ready.has(Readiness::NOTIFY), "{}", session.conn.inspect());
        while let Some(notification) = session.conn.take_notification() {
            session.notifications.push(notification);
        }
    }
}

/// LISTEN is acknowledged by a done whose verdict is clean: its own, or that of the commit.
#[test]
fn a_listen_is_in_force_from_the_commit_of_its_transaction_on() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        assert_eq!(
            session.query("begin; listen acknowledged"),
            ["BEGIN", "LISTEN", "done Ok InTransaction InTransaction"]
        );
        server.psql("notify acknowledged, 'too early'");
        assert_eq!(session.query("commit"), ["COMMIT", OK]);
        server.psql("notify acknowledged, 'in time'; notify acknowledged, 'end'");
        assert_eq!(heard_until_end(&mut session), ["in time"]);
        // What is rolled back is not in force, and an UNLISTEN is not either before its commit.
        session.query("begin; unlisten acknowledged; listen undone");
        server.psql("notify acknowledged, 'during'; notify undone, 'never'");
        session.query("rollback");
        server.psql(
            "notify undone, 'never'; notify acknowledged, 'after'; notify acknowledged, 'end'",
        );
        assert_eq!(heard_until_end(&mut session), ["during", "after"]);
        session.query("unlisten *; listen last");
        server.psql("notify acknowledged, 'no more'; notify last, 'end'");
        assert!(heard_until_end(&mut session).is_empty());
    }
}

/// A group is a transaction: its LISTEN is in force with the done of its sync, and not if it fails.
#[test]
fn a_listen_in_a_group() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let start = |session: &mut Session, sql: &str| {
            let command = Command::Params {
                sql: sql.as_bytes(),
                types: &[],
                params: &(),
                format: 0,
                max_rows: 0,
            };
            session.conn.start(command, End::More).unwrap()
        };
        let failing = [
            start(&mut session, "listen failed"),
            start(&mut session, "select 1 / 0"),
        ];
        let sync = session.conn.sync().unwrap();
        assert_eq!(session.finish(failing[0])[1], "done Ok Idle InTransaction");
        assert_eq!(
            session.finish(failing[1])[1],
            "done Failed Idle InTransaction"
        );
        assert_eq!(session.finish(sync), [OK]);
        let going_well = start(&mut session, "listen well");
        let sync = session.conn.sync().unwrap();
        assert_eq!(session.finish(going_well)[1], "done Ok Idle InTransaction");
        assert_eq!(session.finish(sync), [OK]);
        server.psql("notify failed, 'never'; notify well, 'end'");
        assert!(heard_until_end(&mut session).is_empty());
    }
}

#[test]
fn any_payload_and_any_channel() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let channel = "Kanäle, \"so\" 🐘";
        session.query(&format!("listen \"{}\"", channel.replace('"', "\"\"")));
        let long = "é".repeat(3999) + "x";
        assert_eq!(long.len(), 7999);
        let notify = "select pg_notify($1, $2)";
        let texts = |payload| [Some(channel.as_bytes()), Some(str::as_bytes(payload))];
        for payload in ["", " ", "line\nline", &long, "end"] {
            session.params(notify, &texts(payload));
        }
        let kept: Vec<_> = session
            .notifications
            .iter()
            .map(|it| it.channel())
            .collect();
        assert!(kept.iter().all(|it| *it == channel.as_bytes()));
        assert_eq!(
            heard_until_end(&mut session),
            ["", " ", "line\nline", &long]
        );
        let too_long = "x".repeat(8000);
        let replies = session.params(notify, &texts(&too_long));
        assert_eq!(replies[0], "error 22023 payload string too long");
    }
}

/// In the order of their commits, one's own among the others; within a transaction each once.
#[test]
fn the_order_is_that_of_the_commits() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let mut other = Session::open(&server.conninfo());
        session.query("listen ordered");
        let mut expected = Vec::new();
        for turn in 0..20 {
            let speaker = if turn % 2 == 0 {
                &mut session
            } else {
                &mut other
            };
            speaker.query(&format!(
                "begin; notify ordered, '{turn} a'; notify ordered, '{turn} b'; notify ordered, '{turn} a'; commit"
            ));
            expected.extend([format!("{turn} a"), format!("{turn} b")]);
        }
        other.query("notify ordered, 'end'");
        assert_eq!(heard_until_end(&mut session), expected);
    }
}

/// Notifications come between the queries of a pipeline, and none is lost if they are taken at its end only.
#[test]
fn in_a_pipeline() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("listen piped");
        let operations: Vec<u64> = (0..100)
            .map(|number| {
                let sql = format!("notify piped, '{number}'; select {number} as a");
                session.conn.start_query(sql).unwrap()
            })
            .collect();
        let last = session.conn.start_query("notify piped, 'end'").unwrap();
        for (number, operation) in operations.into_iter().enumerate() {
            let replies = session.finish(operation);
            assert_eq!(
                replies[1..],
                [format!("a: {number}"), "SELECT 1".into(), OK.into()]
            );
        }
        assert_eq!(session.finish(last), ["NOTIFY", OK]);
        let numbers: Vec<_> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(heard_until_end(&mut session), numbers);
    }
}
