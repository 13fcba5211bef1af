//! Operations that nobody wants any more: deadlines, abandoning, and the requests to cancel that come of them, against
//! servers in memory on a simulated clock. Knows the engine's outside alone.
#![allow(clippy::unwrap_used, clippy::panic)]

mod backend;
mod copies;
mod endings;
mod given;
mod groups;
mod proxied;
mod seeds;
mod sessions;
mod transfers;
mod units;
mod way;
mod world;
