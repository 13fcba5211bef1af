//! What can go wrong in an authentication exchange, in libpq's words. Knows no message codes and no connection.

use std::borrow::Cow;

/// Why an authentication exchange cannot go on. The text of each is libpq's where libpq has one, without a line end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// `require_auth` does not put up with what the server asked for, or with what it left out.
    #[error("authentication method requirement \"{requirement}\" failed: {reason}")]
    Requirement {
        /// The value of `require_auth`.
        requirement: Box<str>,
        /// What the server did, for the reader of the message.
        reason: Box<str>,
    },
    /// `channel_binding=require` cannot be met.
    #[error("{0}")]
    ChannelBinding(&'static str),
    /// The server offered a binding to a TLS connection that is not there: somebody in between took TLS away.
    #[error("server offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection")]
    BindingWithoutTls,
    /// No mechanism of the server's list is known here.
    #[error("none of the server's SASL authentication mechanisms are supported")]
    NoMechanism,
    /// A SCRAM message is not what RFC 5802 says it is.
    #[error("malformed SCRAM message ({0})")]
    Malformed(Cow<'static, str>),
    /// The server's nonce does not continue ours: the answer belongs to another exchange.
    #[error("invalid SCRAM response (nonce mismatch)")]
    Nonce,
    /// The server asks for more key derivation than it can have a reason for.
    #[error(
        "server requested a SCRAM iteration count above the limit of {max}: \
         lower scram_iterations on the server and set the password again",
        max = super::scram::MAX_ITERATIONS
    )]
    Iterations,
    /// The server does not know the password: it is not the server it claims to be.
    #[error("incorrect server signature")]
    Signature,
    /// The server refused the exchange; the text is its own.
    #[error("error received from server in SCRAM exchange: {0}")]
    Server(Box<str>),
    /// A step of the exchange was taken out of its turn.
    #[error("invalid SCRAM exchange state")]
    OutOfTurn,
}
