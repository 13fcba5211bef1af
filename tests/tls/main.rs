//! TLS as a whole, against real servers: what comes up, what does not and why, and that nothing is lost on the way.
#![allow(clippy::unwrap_used, clippy::panic)]

mod client;
mod facts;
mod libpq;
mod life;
mod loops;
mod negotiation;
mod records;
mod relay;
mod servers;
#[path = "../live/session.rs"]
#[allow(dead_code)] // what only the other program needs
mod session;
mod suite;
mod system;
