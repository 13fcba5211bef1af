//! Authentication exchanges as pure functions over bytes: md5 and SCRAM-SHA-256. Knows no messages and no sockets.
#![forbid(unsafe_code)]

mod error;
pub mod md5;
mod prep;
mod require;
pub mod sasl;
pub mod scram;

pub use error::Error;
pub use prep::saslprep;
pub use require::{Method, Request, RequireAuth};
pub use sasl::{ChannelBinding, Mechanism};
