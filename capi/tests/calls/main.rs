//! The C interface called as C calls it, against a real server. Knows what PostgreSQL does.
#![allow(clippy::unwrap_used, clippy::panic)]

mod allocations;
mod cancel;
mod errors;
mod groups;
mod inspect;
mod large_objects;
mod life;
mod mail;
mod many;
mod members;
mod misuse;
mod queries;
mod session;
mod stream;
mod time;
mod token;
mod token_places;

#[global_allocator]
static COUNTING: testkit::Counting = testkit::Counting;
