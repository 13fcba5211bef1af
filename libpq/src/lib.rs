//! The drop-in libpq: `PQ*`, the only place in this package with `extern "C"`.
//!
//! The protocol is pgpoll's engine. What only libpq has lies here: its asynchronous states, its NULLs, its SYNC and
//! ABORTED results, its error buffer (`state.rs`). Blocking functions are poll(2) around the same engine (`guard.rs`).
//! Exported functions never call one another.
#![allow(non_snake_case)]

pub mod accessors;
pub mod auth_data;
pub mod cancel;
pub mod cells;
pub mod columns;
pub mod conn;
pub mod copy;
pub mod encoding;
pub mod escape;
pub mod events;
pub mod exec;
pub mod expbuffer;
pub mod facts;
pub mod free;
pub mod function;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
pub mod gss;
pub mod large_object;
pub mod library;
pub mod lock;
pub mod made;
pub mod notice;
pub mod notify;
pub mod options;
pub mod password;
pub mod pipeline;
pub mod place;
pub mod print;
pub mod print_tuples;
pub mod receive;
pub mod result;
pub mod send;
pub mod signal;
pub mod socket;
pub mod tls;
pub mod trace;

mod arena;
mod arguments;
mod command;
mod guard;
mod locale;
mod parse;
mod quote;
mod report;
mod state;
mod stream;
mod text;
