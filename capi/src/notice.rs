//! What the server sends of its own accord: notices and notifications.

use std::ffi::{c_char, c_int};
use std::ptr;

use pgpoll::engine::Notification;
use pgpoll::error::Error;

use crate::border::{self, allocate, inside};
use crate::error::{self, ConnError};
use crate::open::Conn;
use crate::text;

/// A NOTIFY of some session.
#[derive(Debug)]
pub struct ConnNotification {
    notification: Notification,
}

/// Takes the next notice of the server: a warning, the output of RAISE NOTICE and the like. Of notices that are not taken
/// the newest are kept, up to 1 MiB; conn_notices_dropped counts the others.
///
/// conn: the connection.
/// Returns the notice, which is read like an error (conn_error_message, conn_error_severity, …); NULL when there is none.
/// Yours until conn_error_free.
/// Next: call it until it returns NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_get_notice(conn: *mut Conn) -> *mut ConnError {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null_mut(), |inner, _| {
            let notice = inner.connection.take_notice()?;
            Some(error::give(Error::server(notice)))
        })
    }
}

/// How many notices were dropped since the connection was opened, the oldest ones first, because more than 1 MiB of them was
/// not taken.
///
/// conn: the connection.
/// Returns the number; 0 also when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_notices_dropped(conn: *const Conn) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { inside(conn, 0, |inner, _| Some(inner.connection.notices_dropped())) }
}

/// Takes the next notification. Execute LISTEN to get any; they arrive on an idle connection too, in the order in which their
/// transactions were committed, and none is dropped: when 1 MiB of them was not taken, nothing more is received, results
/// neither.
///
/// LISTEN is in force when its transaction is committed: with the CONN_ITEM_DONE of the operation when its verdict is
/// CONN_VERDICT_CLEAN, else with that of the COMMIT. What is committed after that instant is notified. Look at the tables
/// after that CONN_ITEM_DONE, not before, and rely on notifications from then on (manual, "LISTEN"). A session that notifies
/// a channel that it listens to gets it too.
///
/// CONN_FAILED is the end of listening: notifications that came before it are still given, also after conn_reset; those after
/// it are lost. LISTEN again once the connection is idle, and look at the tables again. A server that vanished without a word
/// is noticed by the keepalives* options, or by asking it: conn_set_timeout_ms and conn_start_query(conn, "") now and then.
///
/// conn: the connection.
/// Returns the notification; NULL when there is none, and when there is no memory for it: it stays, and conn_error says so.
/// Yours until conn_notification_free.
/// Next: call it until it returns NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_get_notification(conn: *mut Conn) -> *mut ConnNotification {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null_mut(), |inner, _| {
            let notification = inner.connection.take_notification()?;
            match allocate(ConnNotification { notification }) {
                Ok(place) => Some(place),
                Err(ConnNotification { notification }) => {
                    // It stays the next one: none is ever lost.
                    inner.connection.engine_mut().put_back(notification);
                    inner.misuse("out of memory: a notification; free something and take it again")
                }
            }
        })
    }
}

/// The channel that was notified.
///
/// notification: the notification.
/// Returns its name; NULL for NULL.
/// Borrowed from the notification.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_notification_channel(
    notification: *const ConnNotification,
) -> *const c_char {
    // SAFETY: the caller's promise.
    let notification = unsafe { notification.as_ref() };
    text::borrowed(notification.map(|it| it.notification.channel_with_nul()))
}

/// What the notifier said.
///
/// notification: the notification.
/// Returns the payload, "" when there is none; NULL for NULL.
/// Borrowed from the notification.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_notification_payload(
    notification: *const ConnNotification,
) -> *const c_char {
    // SAFETY: the caller's promise.
    let notification = unsafe { notification.as_ref() };
    text::borrowed(notification.map(|it| it.notification.payload_with_nul()))
}

/// The process ID of the backend that notified; compare it with conn_backend_pid to know your own.
///
/// notification: the notification.
/// Returns the process ID; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_notification_pid(notification: *const ConnNotification) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { notification.as_ref() }.map_or(0, |it| it.notification.pid as c_int)
}

/// Frees a notification.
///
/// notification: the notification, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_notification_free(notification: *mut ConnNotification) {
    // SAFETY: the caller's promise.
    unsafe { border::free(notification) };
}
