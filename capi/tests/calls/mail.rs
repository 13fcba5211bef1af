//! Notices and notifications.

use pgpoll_capi::*;

use crate::session::{Session, text};

#[test]
fn a_notice_is_read_like_an_error() {
    let session = Session::open();
    session.query("do $$ begin raise warning 'careful' using hint = 'look out'; end $$");
    // SAFETY: an open connection, and a notice that is freed once.
    unsafe {
        let notice = conn_get_notice(session.0);
        assert!(!notice.is_null());
        assert_eq!(text(conn_error_severity(notice)).unwrap(), "WARNING");
        assert_eq!(text(conn_error_message(notice)).unwrap(), "careful");
        assert_eq!(text(conn_error_hint(notice)).unwrap(), "look out");
        assert!(
            text(conn_error_text(notice))
                .unwrap()
                .starts_with("WARNING:  careful\nHINT:  look out")
        );
        conn_error_free(notice);
        assert!(conn_get_notice(session.0).is_null());
    }
}

#[test]
fn notifications_arrive_on_an_idle_connection() {
    let (listener, speaker) = (Session::open(), Session::open());
    listener.query("listen \"Kanal\"");
    listener.wait_until_idle();
    speaker.query("notify \"Kanal\", 'what happened'; notify \"Kanal\"");
    // SAFETY: open connections, and notifications that are freed once.
    unsafe {
        assert_eq!(
            conn_wait(listener.0, 10_000) & (CONN_NOTIFY | CONN_RESULT),
            CONN_NOTIFY
        );
        for payload in ["what happened", ""] {
            let notification = conn_get_notification(listener.0);
            assert_eq!(
                text(conn_notification_channel(notification)).unwrap(),
                "Kanal"
            );
            assert_eq!(
                text(conn_notification_payload(notification)).unwrap(),
                payload
            );
            assert_eq!(
                conn_notification_pid(notification),
                conn_backend_pid(speaker.0)
            );
            conn_notification_free(notification);
        }
        assert!(conn_get_notification(listener.0).is_null());
        // Told that it is idle, and nothing comes: it waits, and the time is over.
        let before = std::time::Instant::now();
        let bits = conn_wait(listener.0, 30);
        assert_eq!(bits & (CONN_NOTIFY | CONN_RESULT | CONN_IDLE), CONN_IDLE);
        let bits = conn_wait(listener.0, 30);
        assert_eq!(bits & (CONN_NOTIFY | CONN_RESULT | CONN_IDLE), CONN_IDLE);
        assert!(before.elapsed().as_millis() >= 30);
    }
}

#[test]
fn a_wait_ends_once_for_a_notice_that_nobody_takes() {
    let session = Session::open();
    let operation = session.start("do $$ begin raise notice 'hm'; perform pg_sleep(0.1); end $$");
    let mut waits = 0;
    loop {
        // SAFETY: an open connection.
        let bits = unsafe { conn_wait(session.0, 10_000) };
        waits += 1;
        assert!(waits <= 3, "the notice ends every wait");
        if bits & CONN_RESULT != 0 {
            break;
        }
    }
    session.finish(operation);
    session.query("do $$ begin raise notice 'hm'; end $$");
    // SAFETY: an open connection, and notices that are freed once.
    unsafe {
        for _ in 0..2 {
            let notice = conn_get_notice(session.0);
            assert!(!notice.is_null());
            conn_error_free(notice);
        }
        assert!(conn_get_notice(session.0).is_null());
    }
}

#[test]
fn nothing_is_known_of_no_notification() {
    let none = std::ptr::null();
    // SAFETY: NULL is allowed.
    unsafe {
        assert!(conn_notification_channel(none).is_null());
        assert!(conn_notification_payload(none).is_null());
        assert_eq!(conn_notification_pid(none), 0);
        conn_notification_free(std::ptr::null_mut());
    }
}

/// The next notification of an idle connection, waited for: channel and payload.
fn heard(session: &Session) -> String {
    // SAFETY: an open connection, and a notification that is freed once.
    unsafe {
        loop {
            let notification = conn_get_notification(session.0);
            if !notification.is_null() {
                let payload = text(conn_notification_payload(notification)).unwrap();
                conn_notification_free(notification);
                return payload;
            }
            let bits = conn_wait(session.0, 60_000);
            assert_ne!(
                bits & (CONN_NOTIFY | CONN_IDLE),
                0,
                "{bits}: {:?}",
                session.error()
            );
        }
    }
}

#[test]
fn a_listener_learns_of_the_end_at_once_and_misses_nothing_that_came_before_it() {
    let (listener, speaker) = (Session::open(), Session::open());
    listener.query("listen lost");
    speaker.query("notify lost, 'one'; notify lost, 'two'");
    // SAFETY: open connections.
    unsafe {
        let mut bits = conn_poll(listener.0);
        while bits & CONN_NOTIFY == 0 {
            bits = conn_wait(listener.0, 60_000);
        }
        let pid = conn_backend_pid(listener.0);
        speaker.query(&format!("select pg_terminate_backend({pid})"));
        // What was told and left there does not end the wait: the end does.
        while bits & CONN_FAILED == 0 {
            bits = conn_wait(listener.0, 60_000);
            assert_ne!(bits & (CONN_FAILED | CONN_IDLE), 0, "{bits}");
        }
        assert_eq!(bits & CONN_NOTIFY, CONN_NOTIFY);
        let error = conn_error(listener.0);
        assert_eq!(conn_error_kind(error), CONN_ERROR_SERVER);
        assert_eq!(text(conn_error_sqlstate(error)).unwrap(), "57P01");
        assert_eq!(conn_error_safe_to_retry(error), 1);
        assert_eq!(heard(&listener), "one");
        conn_reset(listener.0);
        while conn_wait(listener.0, 60_000) & CONN_IDLE == 0 {}
        // The session is a new one: it has not listened yet.
        speaker.query("notify lost, 'meanwhile'");
        listener.query("listen lost");
        speaker.query("notify lost, 'three'");
        assert_eq!(heard(&listener), "two");
        assert_eq!(heard(&listener), "three");
    }
}

#[test]
fn notices_that_made_room_are_counted() {
    let session = Session::open();
    // SAFETY: open connections or NULL, and notices that are freed once.
    unsafe {
        assert_eq!(conn_notices_dropped(session.0), 0);
        session.query("do $$ begin for n in 1..30 loop raise notice '%', repeat('x', 100000); end loop; end $$");
        let dropped = conn_notices_dropped(session.0);
        let mut kept = 0;
        loop {
            let notice = conn_get_notice(session.0);
            if notice.is_null() {
                break;
            }
            conn_error_free(notice);
            kept += 1;
        }
        assert_eq!(dropped + kept, 30);
        assert!((5..=11).contains(&kept), "{kept}");
        conn_reset(session.0);
        assert_eq!(conn_notices_dropped(session.0), dropped);
        assert_eq!(conn_notices_dropped(std::ptr::null()), 0);
    }
}
