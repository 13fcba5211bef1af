//! Text to options: connection strings, URIs, environment, service and password files. Knows no sockets.
#![forbid(unsafe_code)]

mod choice;
mod defaults;
mod encoding;
mod encryption;
mod error;
mod hosts;
mod number;
mod options;
mod parse;
mod password;
pub mod plan;
mod planning;
mod service;
mod startup;
mod surroundings;
mod tcp;
mod uri;
mod values;

pub use error::Error;
pub use options::{OPTIONS, OptionDef};
pub use parse::is_connection_string;
pub use plan::{
    ChannelBinding, GssEncMode, Host, Plan, Secret, SslMode, Target, TargetSessionAttrs, TcpOptions,
};
pub use surroundings::Surroundings;
pub use values::Options;
