//! The time as a number. Knows no timers.
#![forbid(unsafe_code)]

use crate::net::sys;

/// Now, in nanoseconds of CLOCK_MONOTONIC: what `clock_gettime` tells a C caller.
pub fn now_ns() -> u64 {
    sys::monotonic()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_goes_on_and_is_counted_in_nanoseconds() {
        let before = now_ns();
        std::thread::sleep(Duration::from_millis(2));
        assert!(now_ns() - before >= 2_000_000);
    }
}
