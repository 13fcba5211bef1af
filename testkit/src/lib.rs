//! What the tests stand on: throw-away clusters, the scripted server, a proxy that breaks connections, an allocation counter.
#![allow(clippy::unwrap_used, clippy::panic)]

pub mod alloc;
pub mod bouncer;
pub mod built;
pub mod c;
pub mod certificates;
pub mod cluster;
pub mod crowd;
pub mod dice;
pub mod kerberos;
pub mod options;
mod postmaster;
pub mod process;
pub mod proxy;
pub mod script;
pub mod server_tls;
pub mod servers;
pub mod shared;
pub mod sim;
mod standby;
mod system;

pub use alloc::Counting;
pub use bouncer::{Bouncer, BouncerOptions};
pub use certificates::certificates;
pub use cluster::Cluster;
pub use kerberos::Kerberos;
pub use options::ClusterOptions;
pub use server_tls::ServerTls;
pub use servers::{Server, postgres18};
pub use shared::{PASSWORD, each_version, shared};

/// Prints a line that is seen although the test passes: what `println!` says is held back then.
#[macro_export]
macro_rules! say {
    ($($what:tt)*) => { $crate::say_line(&format!($($what)*)) };
}

/// See [`say!`].
pub fn say_line(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
