//! Time limits of operations, giving them up, and the end in good order.

use std::ffi::c_int;
use std::time::Duration;

use crate::border::inside;
use crate::open::Conn;

/// How long operations that are started from now on may take, each counted from the conn_poll after its start to its end.
///
/// When its time is over an operation gives CONN_ITEM_ERROR ("timeout expired: …", SQLSTATE 57014) at once, even while
/// operations before it are still running: look at item.operation. Nothing else is given of it but its CONN_ITEM_DONE,
/// which comes in its turn. Meanwhile the library asks the server to stop it, over a connection of its own, whose
/// descriptor conn_socket names for that time (CONN_SOCKET_CHANGED); what you start is sent when that is over. So
///
///   CONN_OUTCOME_FAILED     the server has stopped it, or refused it for a reason of its own: it did not take effect
///   CONN_OUTCOME_DISCARDED  the server was faster: it has taken effect, what it gave is gone
///   CONN_OUTCOME_SKIPPED    it was never sent
///
/// with CONN_VERDICT_CLEAN: the connection is as good as before; CONN_VERDICT_IN_TRANSACTION: it is, inside a transaction
/// block, which has failed if transaction is CONN_TRANSACTION_FAILED (roll it back), or inside an open group (conn_sync);
/// CONN_VERDICT_LOST: it is over, and whether the operation took effect is not known.
///
/// Only what nobody wants is stopped: if an operation whose time is not over has been sent behind it, or the server gave
/// no key for such requests, what comes is read and dropped instead. Where the transport is yours, the request is, too:
/// conn_cancel_open.
///
/// conn: the connection. ms: milliseconds; 0 and -1: no limit, as at the beginning. conn_reset keeps it.
/// Next: conn_deadline_ms takes part in it: poll when it says so.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_set_timeout_ms(conn: *mut Conn, ms: i64) {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, (), |inner, _| {
            inner.connection.set_timeout(duration(ms));
            Some(())
        });
    }
}

/// How long the server has to end an operation that nobody wants any more, counted from the first request to stop it. Then
/// the connection is over (CONN_VERDICT_LOST).
///
/// conn: the connection. ms: milliseconds; 0 and -1: 5 seconds, as at the beginning. conn_reset keeps it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_set_cancel_timeout_ms(conn: *mut Conn, ms: i64) {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, (), |inner, _| {
            let timeout = duration(ms).unwrap_or(Duration::from_secs(5));
            inner.connection.set_cancel_timeout(timeout);
            Some(())
        });
    }
}

/// Gives up an operation: what it has given and was not taken is dropped, and nothing is given of it any more but its
/// CONN_ITEM_DONE, whose outcome and verdict mean what they mean after conn_set_timeout_ms.
///
/// It may end in its own time: when it is its turn it has 50 ms and 1 MB, then the server is asked to stop it. One of a
/// group is not stopped while others of the group are wanted, for they would fail with it. A group that is open stays
/// open: conn_sync ends it.
///
/// conn: the connection. operation: what the starter returned; 0 for all that were started.
/// Returns 1; 0 when there is no such operation whose CONN_ITEM_DONE is still to be taken.
/// Next: start what you like; conn_poll, conn_get_result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_abandon(conn: *mut Conn, operation: u64) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, handle| {
            let found = inner.connection.abandon(operation);
            handle.publish(&inner.connection);
            Some(c_int::from(found))
        })
    }
}

/// Starts the end in good order, an operation: when everything that was started is done the server is told goodbye, and
/// when it has closed the connection this operation is done (CONN_OUTCOME_OK, CONN_VERDICT_LOST). Nothing can be started
/// behind it. conn_close alone waits for nothing: it says goodbye if that can be done at once, and drops what is under way.
///
/// conn: a connection that is up. ms: when so many milliseconds are over the connection ends anyhow; 0 and -1: no limit.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll and conn_get_result until CONN_FAILED, then conn_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_shutdown(conn: *mut Conn, ms: i64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, handle| {
            let started = inner.connection.start_shutdown(duration(ms));
            handle.publish(&inner.connection);
            match started {
                Ok(operation) => Some(operation),
                Err(error) => inner.refuse(error),
            }
        })
    }
}

/// Milliseconds of a caller's; none for 0 and less.
fn duration(ms: i64) -> Option<Duration> {
    let ms = u64::try_from(ms).ok().filter(|ms| *ms > 0)?;
    Some(Duration::from_millis(ms))
}
