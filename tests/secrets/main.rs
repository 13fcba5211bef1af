//! Passwords, keys and proofs: they are wiped when they are no longer needed, and nothing shows them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cancel_key;
mod memory;
mod shown;
