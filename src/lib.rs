//! pgpoll: a PostgreSQL client whose protocol logic is written with async/await inside, with no runtime,
//! and whose outside is a poll API that the caller's own event loop drives.
#![warn(missing_docs)]

pub mod arrow;
pub mod auth;
pub mod conn;
pub mod conninfo;
pub mod encoding;
pub mod engine;
pub mod error;
pub mod link;
pub mod net;
pub mod rows;
pub mod wire;
