//! Authentication exchanges as pure functions over bytes: md5 and SCRAM-SHA-256. Knows no messages and no sockets.
#![forbid(unsafe_code)]

mod error;
mod require;
pub mod sasl;
pub mod scram;

pub use error::Error;
pub use require::{Method, Request, RequireAuth};
pub use sasl::{ChannelBinding, Mechanism};
