//! A peer that is a black hole at any point of a connection's life: whoever gave a deadline has his error then, a tick later at most.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../standstill/mod.rs"]
mod standstill;

mod cancel;
mod operations;
mod real;
mod simulated;

use std::os::fd::RawFd;
use std::time::Duration;

/// `connect_timeout` of the tests on the real clock.
const TIMEOUT: Duration = Duration::from_secs(1);
/// What a busy machine may add to a deadline: the processor is not ours alone.
const SLACK: Duration = Duration::from_millis(500);

/// poll(2), without the library's help.
fn sleep(socket: Option<RawFd>, read: bool, write: bool, ms: u64) {
    let mut entry = libc::pollfd {
        fd: socket.unwrap_or(-1),
        events: (i16::from(read) * libc::POLLIN) | (i16::from(write) * libc::POLLOUT),
        revents: 0,
    };
    // SAFETY: one entry, on the stack.
    unsafe { libc::poll(&raw mut entry, 1, ms as i32) };
}

/// A deadline was kept: neither early nor late, and the loop did not spin.
fn check(name: &str, took: Duration, wakes: u32) {
    let ms = took.as_secs_f64() * 1e3;
    println!("black hole: {name:34} ended after {ms:7.1} ms, {wakes} wakes");
    assert!(took >= TIMEOUT, "{name}: {took:?}");
    assert!(took < TIMEOUT + SLACK, "{name}: {took:?}");
    assert!(wakes <= 4, "{name}: it woke {wakes} times");
}
