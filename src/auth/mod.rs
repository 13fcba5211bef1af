//! Authentication exchanges as pure functions over bytes: md5 and SCRAM-SHA-256. Knows no messages and no sockets.
#![forbid(unsafe_code)]

mod require;

pub use require::RequireAuth;
