//! The questions and answers between the engine and the net. Data only.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::conninfo::{Secret, TcpOptions, Tls};

/// The number of an [`Ask`]; an answer to an old number is dropped.
pub type AskId = u64;

/// What the engine wants done in the outside world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Find the addresses of a name, in the resolver's order.
    Resolve {
        /// The name, as the user wrote it.
        host: Vec<u8>,
        /// Put into each address found.
        port: u16,
    },
    /// Open a socket to an address; replaces the one there was.
    Dial {
        /// Where to.
        addr: Addr,
        /// Options to set before dialling.
        tcp: TcpOptions,
        /// Also ask who is at the other end of a Unix socket (`requirepeer`).
        want_peer: bool,
    },
    /// Do the TLS handshake on the connected transport; from then on everything goes through it.
    Secure {
        /// How.
        tls: Arc<Tls>,
        /// The host as the user wrote it (`host`, else empty), for the certificate's names and for SNI.
        host: Vec<u8>,
    },
    /// Look whether there are credentials to begin GSSAPI with; the transport is still to be dialled.
    FindCredentials,
    /// Do the GSSAPI handshake on the connected transport; from then on everything goes through it.
    SecureWithGss {
        /// With whom.
        peer: GssPeer,
    },
    /// Take a step of GSSAPI authentication, the first one or the next one; the transport is left alone.
    GssToken {
        /// With whom.
        peer: GssPeer,
        /// What the server has said to the step before; empty at first.
        token: Vec<u8>,
    },
    /// Ask the server to stop what it is doing, over a connection of its own to the same address.
    Cancel {
        /// The whole message.
        packet: Secret,
    },
    /// Get a bearer token (OAUTHBEARER).
    Token(TokenAsk),
    /// Close the socket.
    Hangup,
}

/// Who may let us in with what token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAsk {
    /// The URI of the issuer's discovery document.
    pub discovery: String,
    /// The scopes that the token has to be for, if they are known.
    pub scope: Option<String>,
    /// It was asked for before, and put off with [`Answer::TokenLater`]: now it is waited for.
    pub again: bool,
}

/// An address to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addr {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix socket; `@name` is in Linux's abstract namespace.
    Unix(Vec<u8>),
    /// The other end of the transport that the caller has connected.
    Given,
}

/// What came of an [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The addresses of the name; never empty.
    Resolved(Vec<SocketAddr>),
    /// The socket is connected.
    Dialled(Peer),
    /// TLS is up. The last words of the handshake may not be sent yet: they go with what is sent next.
    Secured(TlsFacts),
    /// There are credentials for GSSAPI.
    CredentialsFound,
    /// GSSAPI encryption is up.
    GssSecured,
    /// A step of GSSAPI authentication was taken.
    GssToken {
        /// For the server; empty if there is nothing to say.
        token: Vec<u8>,
        /// It was the last one: the server has proved itself, too.
        complete: bool,
    },
    /// The server has the request to cancel and has dealt with it: it has closed that connection.
    Cancelled,
    /// The token.
    Token(Secret),
    /// The token takes its time: ask again when the server has been dealt with.
    TokenLater,
    /// It did not work.
    Failed(LinkError),
}

/// With whom GSSAPI is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GssPeer {
    /// The service and its host: `postgres@db.example.org`.
    pub name: Vec<u8>,
    /// Whether our credentials may be used by it (`gssdelegation`).
    pub delegates: bool,
}

impl GssPeer {
    /// A service at a host.
    pub fn new(service: &[u8], host: &[u8], delegates: bool) -> Self {
        Self {
            name: [service, b"@", host].concat(),
            delegates,
        }
    }

    /// Whether it has a host; without one there is nobody to speak with.
    pub fn has_host(&self) -> bool {
        !self.name.ends_with(b"@")
    }
}

/// Who is at the other end of a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// The operating-system user at the other end of a Unix socket, where it was asked for; the error text where it cannot be told.
    pub user: Option<Result<Vec<u8>, String>>,
}

/// What came of a TLS handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFacts {
    /// `TLSv1.2`, `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite by OpenSSL's name: `TLS_AES_256_GCM_SHA384`, `ECDHE-RSA-AES256-GCM-SHA384`.
    pub cipher: &'static str,
    /// Bits of its key.
    pub key_bits: u32,
    /// The protocol that ALPN selected.
    pub alpn: Option<Vec<u8>>,
    /// The hash of the server's certificate that SCRAM binds to (tls-server-end-point, RFC 5929), or why there is none.
    pub end_point: Option<Result<Vec<u8>, String>>,
    /// The server asked for a client certificate.
    pub certificate_requested: bool,
    /// One was sent.
    pub certificate_sent: bool,
}

/// Why the outside world said no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct LinkError {
    /// What failed.
    pub kind: LinkErrorKind,
    /// The `errno` of the failing call, 0 where there is none.
    pub errno: i32,
    /// The system's words: `Connection refused`, `Name or service not known`.
    pub text: String,
}

/// What failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkErrorKind {
    /// The name has no address, or the resolver failed.
    Resolve,
    /// The socket could not be connected; the text is the system's alone.
    Dial,
    /// There was nothing to connect: the path is too long (`ENAMETOOLONG`), the socket could not be made or its options not be set.
    /// The text is whole: `setsockopt(TCP_USER_TIMEOUT) failed: …`.
    Socket,
    /// The peer closed the connection.
    Closed,
    /// Receiving failed.
    Receive,
    /// Sending failed.
    Send,
    /// TLS cannot be begun: our own files or options are at fault, so that no other address can do better.
    TlsSetup,
    /// TLS failed: the handshake, the server's certificate, a damaged record.
    Tls,
    /// There is no GSSAPI here: its library cannot be loaded, or the transport is not one for it.
    GssMissing,
    /// GSSAPI failed: the exchange of tokens, a damaged packet; or there are no credentials.
    Gss,
    /// The process has forked since; the connection belongs to the parent.
    Forked,
}
