//! Notifications (LISTEN, NOTIFY) as C gets them: one block of memory each.

use std::ffi::{c_char, c_int};
use std::ptr;

use pgpoll::engine::Notification;

use crate::conn::PGconn;
use crate::guard::enter;

/// A NOTIFY of some session.
#[repr(C)]
#[derive(Debug)]
pub struct PGnotify {
    /// The channel.
    pub relname: *mut c_char,
    /// The process ID of the session that notified.
    pub be_pid: c_int,
    /// The payload; empty when there was none.
    pub extra: *mut c_char,
    next: *mut PGnotify,
}

/// The struct and its texts in one block from malloc; NULL without memory.
fn block(notification: &Notification) -> *mut PGnotify {
    let (channel, payload) = (
        notification.channel_with_nul(),
        notification.payload_with_nul(),
    );
    let size = size_of::<PGnotify>() + channel.len() + payload.len();
    // SAFETY: the block has room for the struct, then the channel, then the payload; malloc aligns it for the struct.
    unsafe {
        let block = libc::malloc(size).cast::<PGnotify>();
        if block.is_null() {
            return block;
        }
        let relname = block.add(1).cast::<u8>();
        let extra = relname.add(channel.len());
        relname.copy_from_nonoverlapping(channel.as_ptr(), channel.len());
        extra.copy_from_nonoverlapping(payload.as_ptr(), payload.len());
        block.write(PGnotify {
            relname: relname.cast(),
            be_pid: notification.pid as c_int,
            extra: extra.cast(),
            next: ptr::null_mut(),
        });
        block
    }
}

/// The next notification among what has been received, or NULL; nothing is read. Free it with
/// [`PQfreemem`](crate::free::PQfreemem).
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQnotifies(conn: *mut PGconn) -> *mut PGnotify {
    // SAFETY: the caller's promise.
    unsafe {
        enter(conn, ptr::null_mut(), |conn| {
            conn.parse();
            let notification = conn.link.take_notification();
            notification.map_or(ptr::null_mut(), |notification| block(&notification))
        })
    }
}

/// Frees what [`PQnotifies`] gave, as [`PQfreemem`](crate::free::PQfreemem) does: for programs older than that. NULL is fine.
///
/// # Safety
/// `notification` is NULL or was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQfreeNotify(notification: *mut PGnotify) {
    // SAFETY: the caller's promise; it is a block from malloc.
    unsafe { libc::free(notification.cast()) };
}
