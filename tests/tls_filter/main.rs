//! TLS as a filter of bytes: between a net over memory and a TLS server of rustls', with every way of cutting what goes between them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod edges;
mod ends;
mod memory;
mod peer;
mod records;
mod traps;

#[global_allocator]
static COUNTING: testkit::Counting = testkit::Counting;
