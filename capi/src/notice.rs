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
/// the newest are kept, up to 1 MiB.
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

/// Takes the next notification. Execute LISTEN to get any; they arrive on an idle connection too.
///
/// conn: the connection.
/// Returns the notification; NULL when there is none.
/// Yours until conn_notification_free.
/// Next: call it until it returns NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_get_notification(conn: *mut Conn) -> *mut ConnNotification {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null_mut(), |inner, _| {
            let notification = inner.connection.take_notification()?;
            allocate(ConnNotification { notification }).ok()
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
