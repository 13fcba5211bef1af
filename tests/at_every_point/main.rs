//! What may happen at any point of a connection's life: a fork, another thread, a reset by the peer.
#![cfg(target_os = "linux")] // it reads /proc
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../standstill/mod.rs"]
mod standstill;

mod fork;
mod signals;
mod threads;
