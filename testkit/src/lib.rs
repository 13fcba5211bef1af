//! What the tests stand on: throw-away clusters, the scripted server, an allocation counter.
#![allow(clippy::unwrap_used, clippy::panic)]

pub mod cluster;
pub mod options;
pub mod servers;
pub mod shared;

pub use cluster::Cluster;
pub use options::ClusterOptions;
pub use servers::Server;
pub use shared::{PASSWORD, shared};
