//! The time: `Instant` for the engine, nanoseconds of CLOCK_MONOTONIC for C. Knows no timers.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::net::sys;

thread_local! {
    /// One moment on both clocks. Kept, so that a deadline is the same number each time it is asked for; per thread, so that nobody waits.
    static ANCHOR: Cell<Option<(Instant, u64)>> = const { Cell::new(None) };
}

/// Now.
pub fn now() -> Instant {
    Instant::now()
}

/// Now, in nanoseconds of CLOCK_MONOTONIC.
pub fn now_ns() -> u64 {
    sys::monotonic()
}

/// A moment in nanoseconds of CLOCK_MONOTONIC, which is what `clock_gettime` tells the caller; accurate to well under a microsecond.
pub fn nanoseconds(at: Instant) -> u64 {
    let (base, base_ns) = anchor();
    match at.checked_duration_since(base) {
        Some(later) => base_ns.saturating_add(whole(later)),
        None => base_ns.saturating_sub(whole(base.saturating_duration_since(at))),
    }
}

fn anchor() -> (Instant, u64) {
    let fresh = || (Instant::now(), sys::monotonic());
    // Elsewhere Instant may be another clock, one that stands still while the machine sleeps.
    if !cfg!(target_os = "linux") {
        return fresh();
    }
    ANCHOR.with(|kept| {
        let anchor = kept.get().unwrap_or_else(fresh);
        kept.set(Some(anchor));
        anchor
    })
}

fn whole(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_agree_and_a_deadline_stays_the_same_number() {
        let before = now_ns();
        let middle = nanoseconds(now());
        let after = now_ns();
        assert!(
            before <= middle + 1_000_000 && middle <= after + 1_000_000,
            "{before} {middle} {after}"
        );

        let deadline = now() + Duration::from_secs(5);
        assert_eq!(nanoseconds(deadline), nanoseconds(deadline));
        let past = deadline - Duration::from_secs(9);
        assert_eq!(nanoseconds(deadline) - nanoseconds(past), 9_000_000_000);
    }
}
