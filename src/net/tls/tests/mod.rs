//! The checks of certificates, against certificates made here, and beside what the `openssl` program says of them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod handshakes;
mod keys;
mod make;
mod names;
mod openssl;
mod paths;
mod servers;

pub(crate) use handshakes::options;
