//! What connecting needs to know, decided and checked: the options turned into one plan.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use super::tls::Tls;
use crate::auth::RequireAuth;

pub use crate::auth::ChannelBinding;

/// A plan to connect: everything the engine needs, read and validated before it starts.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The hosts, in the order of the connection string.
    pub hosts: Vec<Host>,
    /// Role name; never empty.
    pub user: Vec<u8>,
    /// Database name; the role's name when none was given.
    pub database: Vec<u8>,
    /// What the startup packet carries besides `user` and `database`, in libpq's order
    /// (`replication`, `options`, `application_name`, `client_encoding`, and what `PGDATESTYLE`, `PGTZ` and `PGGEQO` set).
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    /// `connect_timeout`, per address; `None` waits for ever.
    pub connect_timeout: Option<Duration>,
    /// Keepalives and `tcp_user_timeout`.
    pub tcp: TcpOptions,
    /// `target_session_attrs`.
    pub target_session_attrs: TargetSessionAttrs,
    /// `load_balance_hosts=random`: hosts, and the addresses of each, are tried in random order.
    pub load_balance: bool,
    /// `require_auth`: the methods that the server may ask for.
    pub require_auth: RequireAuth,
    /// `channel_binding`.
    pub channel_binding: ChannelBinding,
    /// `sslmode`.
    pub sslmode: SslMode,
    /// How TLS is done, if it may be.
    pub tls: Option<Arc<Tls>>,
    /// The `oauth_…` options.
    pub oauth: OauthOptions,
    /// `gssencmode`.
    pub gssencmode: GssEncMode,
    /// `krbsrvname`: the name of the service that GSSAPI asks for.
    pub krbsrvname: Vec<u8>,
    /// `gssdelegation`: the server may use our credentials.
    pub gssdelegation: bool,
    /// `requirepeer`: the operating-system user that must own the server (Unix sockets).
    pub requirepeer: Option<Vec<u8>>,
    /// `min_protocol_version` as on the wire (major << 16 | minor).
    pub min_protocol: u32,
    /// `max_protocol_version` as on the wire.
    pub max_protocol: u32,
    /// `scram_client_key`, decoded.
    pub scram_client_key: Option<Secret>,
    /// `scram_server_key`, decoded.
    pub scram_server_key: Option<Secret>,
}

impl Plan {
    /// Goes over a transport that the caller has connected instead of dialling: it leads to the one host of the plan.
    ///
    /// # Errors
    /// If there is more than one host.
    pub(super) fn use_given_transport(&mut self) -> Result<(), Error> {
        let [host] = &mut self.hosts[..] else {
            return Err(Error::of(&[
                b"a transport that is given leads to one server: name one host only, with one port",
            ]));
        };
        // The name of a folder is no name that a certificate could have.
        if let Target::Unix(_) = host.target {
            host.name.clear();
        }
        host.target = Target::Given;
        // It is the only one, and whatever it is, it is as good as there is.
        if self.target_session_attrs == TargetSessionAttrs::PreferStandby {
            self.target_session_attrs = TargetSessionAttrs::Any;
        }
        Ok(())
    }
}

/// One host of the list.
#[derive(Debug, Clone)]
pub struct Host {
    /// `host` as it was written (or the default), for error texts and `conn_inspect`.
    pub name: Vec<u8>,
    /// `hostaddr` as it was written, if any.
    pub hostaddr: Option<Vec<u8>>,
    /// Where to go.
    pub target: Target,
    /// TCP port, or the number in the socket's file name.
    pub port: u16,
    /// The password for this host, from the options or the password file.
    pub password: Option<Secret>,
    /// The password file that `password` came from.
    pub passfile: Option<Vec<u8>>,
}

/// How a host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The full path of a Unix socket (`/dir/.s.PGSQL.5432`); one that begins with `@` is in the abstract namespace.
    Unix(Vec<u8>),
    /// A numeric address: `hostaddr`, or a `host` that is one.
    Addr(IpAddr),
    /// A name to resolve.
    Name(Vec<u8>),
    /// Over a transport that the caller has connected: there is nothing to dial, and it cannot be had a second time.
    Given,
    /// Nowhere: what was written for this host cannot be right. It counts as a failed attempt, with this error (libpq's text,
    /// without the "connection to server …" in front).
    Invalid {
        /// What is wrong.
        error: Error,
        /// Whether libpq gives up here, instead of going on to the next host.
        last: bool,
    },
}

/// Options of a TCP socket. `None` leaves the system's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TcpOptions {
    /// `keepalives` (on unless 0).
    pub keepalives: bool,
    /// `keepalives_idle`, in seconds.
    pub keepalives_idle: Option<u32>,
    /// `keepalives_interval`, in seconds.
    pub keepalives_interval: Option<u32>,
    /// `keepalives_count`.
    pub keepalives_count: Option<u32>,
    /// `tcp_user_timeout`, in milliseconds.
    pub user_timeout_ms: Option<u32>,
}

/// What a server that wants OAuth may know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OauthOptions {
    /// `oauth_issuer`, if `oauth_client_id` is set, too.
    pub issuer: Option<String>,
    /// `oauth_scope`.
    pub scope: Option<String>,
    /// `PGOAUTHDEBUG=UNSAFE`: issuers without TLS will do.
    pub insecure: bool,
}

/// `target_session_attrs`.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TargetSessionAttrs {
    #[default]
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

/// `sslmode`.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SslMode {
    Disable,
    Allow,
    #[default]
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// `gssencmode`.
#[allow(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GssEncMode {
    #[default]
    Disable,
    Prefer,
    Require,
}

/// Bytes that are wiped when dropped and never printed. A clone is the same secret, not a copy of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<zeroize::Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes over `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(zeroize::Zeroizing::new(bytes)))
    }

    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
