//! The drop-in libpq: `PQ*`, the only place in this package with `extern "C"`.
//!
//! The protocol is pgpoll's engine. What only libpq has lies here: its asynchronous states, its NULLs, its SYNC and
//! ABORTED results, its error buffer (`state.rs`). Blocking functions are poll(2) around the same engine (`guard.rs`).
//! Exported functions never call one another.
#![allow(non_snake_case)]

pub mod accessors;
pub mod cancel;
pub mod columns;
pub mod conn;
pub mod exec;
pub mod facts;
pub mod free;
pub mod notice;
pub mod notify;
pub mod options;
pub mod pipeline;
pub mod receive;
pub mod result;
pub mod send;
pub mod signal;
pub mod tls;
pub mod trace;

mod arguments;
mod command;
mod guard;
mod parse;
mod report;
mod state;
mod text;
