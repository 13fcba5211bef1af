//! Other people's programs with our `libpq.so.5` in the place of the one that they were built for: each is run with either, and has to
//! print the same. Knows where their runtimes are, and which differences are wanted.
#![allow(clippy::unwrap_used, clippy::panic)]

mod clients;
mod languages;
mod library;
mod run;
mod servers;
