//! Authentication exchanges as pure functions over bytes: md5, SCRAM-SHA-256, OAUTHBEARER. Knows no messages and no sockets.
#![forbid(unsafe_code)]

mod error;
pub mod md5;
pub mod oauth;
mod prep;
mod require;
pub mod sasl;
pub mod scram;

use zeroize::Zeroize;

pub use error::Error;
pub use prep::saslprep;
pub use require::{Method, Request, RequireAuth};
pub use sasl::{ChannelBinding, Mechanism};

/// Runs `work` and wipes the stack that it has used: what is moved leaves its bytes behind, whatever is wiped in the end.
pub(crate) fn wiping<T>(work: impl FnOnce() -> T) -> T {
    let result = apart(work);
    wipe_stack();
    result
}

/// In a frame of its own, which lies where the stack is wiped.
#[inline(never)]
fn apart<T>(work: impl FnOnce() -> T) -> T {
    work()
}

/// 8 KB: twice as deep as anything here goes.
#[inline(never)]
fn wipe_stack() {
    [0_u64; 1024].zeroize();
}
