//! Text to options: connection strings, URIs, environment, service and password files. Knows no sockets.
#![forbid(unsafe_code)]

pub mod plan;

pub use plan::{
    ChannelBinding, GssEncMode, Host, Plan, Secret, SslMode, Target, TargetSessionAttrs, TcpOptions,
};
