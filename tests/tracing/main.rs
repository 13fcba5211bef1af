//! Seeing inside a connection: the trace of its messages, and the timeline of what has happened lately.
#![allow(clippy::unwrap_used, clippy::panic)]

mod events;
mod live;
#[path = "../memory/mod.rs"]
mod memory;
mod messages;
mod scripted;
