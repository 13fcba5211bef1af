//! The one place that waits: poll(2) for the blocking convenience, never called from inside a poll of a connection.
#![forbid(unsafe_code)]

use std::os::fd::RawFd;
use std::time::Duration;

use super::sys;
use crate::link::{LinkError, LinkErrorKind};

/// Waits until `socket` is ready for what is wanted, or `timeout` is over (`None`: no limit). Also returns early, for no
/// reason: the caller looks by itself what has changed.
pub fn wait(socket: Option<RawFd>, read: bool, write: bool, timeout: Option<Duration>) {
    // Rounded up: a wait that ends before its deadline would be repeated in a busy loop.
    let milliseconds = timeout.map_or(-1, |timeout| {
        i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    });
    sys::poll(socket.unwrap_or(-1), read, write, milliseconds);
}

/// 32 bytes of the operating system's randomness.
pub fn entropy() -> Result<[u8; 32], LinkError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| LinkError {
        kind: LinkErrorKind::Socket,
        errno: error.raw_os_error().unwrap_or(0),
        text: format!("could not generate nonce: {error}"),
    })?;
    Ok(seed)
}
