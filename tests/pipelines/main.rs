//! Pipelines: how much may be queued, what heals, and volumes both ways at once. Knows the Rust API.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../memory/mod.rs"]
mod memory;
mod queue;
