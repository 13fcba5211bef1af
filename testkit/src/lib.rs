//! What the tests stand on: throw-away clusters, the scripted server, an allocation counter.
#![allow(clippy::unwrap_used, clippy::panic)]
