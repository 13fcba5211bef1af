//! Text to options: connection strings, URIs, environment, service and password files. Knows no sockets.
//!
//! A connection's options go through four steps, each of which can refuse them with libpq's own text:
//!
//! 1. [`Options::parse`] or [`Options::from_pairs`] reads what the caller wrote;
//! 2. [`Options::fill_defaults`] adds what the caller left open: first the service file, then the environment, then the defaults;
//! 3. [`Options::plan`] says what the values mean: a [`Plan`], with the passwords from the password file, and warnings to show;
//! 4. [`Options::settle`] writes back what was decided, for whoever asks about the connection later.
//!
//! [`Surroundings`] is where steps 2 and 3 look: the process's own environment, account and files, or made-up ones.
//!
//! What depends on the build: a local server's socket is looked for in `PGPOLL_SOCKET_DIR` (a variable of the build, not of the
//! process), or else in `/var/run/postgresql` if there is such a folder, or else in `/tmp`; the machine's `pg_service.conf` in
//! `PGSYSCONFDIR`, or else in `PGPOLL_SYSCONF_DIR` (of the build), or else in `/etc/postgresql-common` if there is such a folder, or
//! else in `/usr/local/pgsql/etc`.
//!
//! Every option of PostgreSQL 18 is known. Whether there is GSSAPI is seen when connecting: without its library what prefers it goes on
//! without, and what requires it is refused. The `oauth_…` options matter when a
//! server asks for that method. What is wrong with the files of TLS is told when TLS is begun, as by libpq: a Unix socket needs none.
//!
//! Three things differ from libpq on purpose. A `keepalives_…` option or `tcp_user_timeout` of zero leaves the system's default, as
//! the manual says, where libpq passes it on and Linux refuses it. And numbers are checked before connecting, also
//! `connect_timeout` for a caller that polls, where libpq looks at each only when it is needed. And `ssl_max_protocol_version` is
//! refused where it leaves only TLS 1.0 or 1.1, which this library does not speak.
#![forbid(unsafe_code)]

mod address;
mod choice;
mod defaults;
mod encryption;
mod error;
mod hosts;
mod number;
mod options;
mod pairs;
mod parse;
mod password;
pub mod plan;
mod planning;
mod service;
mod startup;
mod surroundings;
mod tcp;
pub mod tls;
mod uri;
mod values;

pub use error::Error;
pub(crate) use options::PORT;
pub use options::{OPTIONS, OptionDef};
pub use pairs::is_connection_string;
pub use plan::{
    ChannelBinding, GssEncMode, Host, OauthOptions, Plan, Secret, SslMode, Target,
    TargetSessionAttrs, TcpOptions,
};
pub use surroundings::Surroundings;
pub use tls::Tls;
pub use values::Options;
