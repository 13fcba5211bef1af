//! Waiting for a socket, and the clock that its deadlines are told in. Knows no connection.

use std::ffi::c_int;
use std::time::{SystemTime, UNIX_EPOCH};

/// Waits until a socket can be read or written, as asked for, or the time comes: microseconds since 1970 as
/// [`PQgetCurrentTimeUSec`] tells them, 0 for no waiting at all, -1 for no limit. More than 0: ready, 0: not, -1: see `errno`.
#[unsafe(no_mangle)]
pub extern "C" fn PQsocketPoll(
    socket: c_int,
    for_read: c_int,
    for_write: c_int,
    end_time: i64,
) -> c_int {
    let mut events = libc::POLLERR;
    if for_read == 0 && for_write == 0 {
        return 0;
    }
    if for_read != 0 {
        events |= libc::POLLIN;
    }
    if for_write != 0 {
        events |= libc::POLLOUT;
    }
    let timeout = match end_time {
        -1 => -1,
        0 => 0,
        // The wait must not end before its time: what is left of a millisecond counts as a whole one.
        _ => {
            let left = end_time
                .saturating_sub(now_us())
                .max(0)
                .unsigned_abs()
                .div_ceil(1000);
            c_int::try_from(left).unwrap_or(c_int::MAX)
        }
    };
    let mut waited = libc::pollfd {
        fd: socket,
        events,
        revents: 0,
    };
    // SAFETY: one pollfd.
    unsafe { libc::poll(&raw mut waited, 1, timeout) }
}

/// Microseconds since 1970.
#[unsafe(no_mangle)]
pub extern "C" fn PQgetCurrentTimeUSec() -> i64 {
    now_us()
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}
