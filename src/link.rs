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
    /// Ask the server to stop what it is doing, over a connection of its own to the same address.
    Cancel {
        /// The whole message.
        packet: Secret,
    },
    /// Close the socket.
    Hangup,
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
    /// The server has the request to cancel and has dealt with it: it has closed that connection.
    Cancelled,
    /// It did not work.
    Failed(LinkError),
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
    /// The process has forked since; the connection belongs to the parent.
    Forked,
}
