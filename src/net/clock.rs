//! The time, as a number and as a text. Knows no timers.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::net::sys;

/// Now, in nanoseconds of CLOCK_MONOTONIC: what `clock_gettime` tells a C caller.
pub fn now_ns() -> u64 {
    sys::monotonic()
}

/// When so much time will be over, as [`now_ns`] counts it; [`u64::MAX`] for what it cannot count.
pub fn after(timeout: Duration) -> u64 {
    now_ns().saturating_add(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX))
}

/// Appends the local time with microseconds, as `PQtrace` prints it: `2026-11-21 01:02:03.000004`.
pub fn local_time(into: &mut Vec<u8>) {
    sys::local_time(into);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_is_counted_in_nanoseconds() {
        let before = now_ns();
        std::thread::sleep(Duration::from_millis(2));
        assert!(now_ns() - before >= 2_000_000);
    }

    #[test]
    fn the_end_of_a_timeout_saturates() {
        assert_eq!(after(Duration::MAX), u64::MAX);
        let soon = after(Duration::from_secs(60));
        assert!((now_ns()..=now_ns() + 60_000_000_000).contains(&soon));
    }

    #[test]
    fn the_local_time_has_microseconds() {
        let mut text = b"at ".to_vec();
        local_time(&mut text);
        let shape = text.iter().map(|byte| match byte {
            b'0'..=b'9' => '0',
            other => char::from(*other),
        });
        assert_eq!(shape.collect::<String>(), "at 0000-00-00 00:00:00.000000");
    }
}
