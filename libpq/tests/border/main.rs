//! The border to C: what our headers declare, and what every function does when it is handed nothing.
#![allow(clippy::unwrap_used, clippy::panic)]

mod declarations;
mod headers;
mod nulls;
