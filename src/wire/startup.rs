//! What a frontend sends first: StartupMessage, SSLRequest, GSSENCRequest or CancelRequest. These have no tag.

use super::cursor::Cursor;
use super::error::{Error, Problem};
use super::list::List;
use super::protocol::{CANCEL_REQUEST, GSSENC_REQUEST, SSL_REQUEST};
use super::writer::untagged;

/// Any of the four messages without a tag, told apart by the number at their beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Startup<'a> {
    Startup(StartupMessage<'a>),
    Ssl(SSLRequest),
    Gssenc(GSSENCRequest),
    Cancel(CancelRequest<'a>),
}

impl<'a> Startup<'a> {
    /// Reads the message from its body, the bytes after the length word.
    pub fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let code = Cursor::new(body, "StartupMessage").i32("protocol version")?;
        match code {
            SSL_REQUEST => SSLRequest::decode(body).map(Startup::Ssl),
            GSSENC_REQUEST => GSSENCRequest::decode(body).map(Startup::Gssenc),
            CANCEL_REQUEST => CancelRequest::decode(body).map(Startup::Cancel),
            _ => StartupMessage::decode(body).map(Startup::Startup),
        }
    }

    /// Appends the message to `out`; after an error `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        match self {
            Startup::Startup(message) => message.encode(out),
            Startup::Ssl(message) => message.encode(out),
            Startup::Gssenc(message) => message.encode(out),
            Startup::Cancel(message) => message.encode(out),
        }
    }
}

/// Asks for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartupMessage<'a> {
    /// The protocol version wanted: [`protocol::V3_0`](super::protocol::V3_0) or newer.
    pub version: i32,
    /// Names and values: `user`, `database`, `options`, `replication`, server settings, and `_pq_.` options.
    pub parameters: List<'a, (&'a [u8], &'a [u8])>,
}

impl<'a> StartupMessage<'a> {
    /// Reads the message from its body, the bytes after the length word.
    pub fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = Cursor::new(body, "StartupMessage");
        let version = cursor.i32("protocol version")?;
        let parameters = List::read_terminated(&mut cursor, "parameter")?;
        cursor.end()?;
        Ok(StartupMessage {
            version,
            parameters,
        })
    }

    /// Appends the message to `out`; after an error `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        untagged(out, "StartupMessage", |writer| {
            writer.i32(self.version, "protocol version")?;
            self.parameters.write_terminated(writer, "parameter")
        })
    }
}

/// Asks for a TLS handshake. The answer is [one byte](super::frame::ssl_answer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SSLRequest;

impl SSLRequest {
    /// Reads the message from its body, the bytes after the length word.
    pub fn decode(body: &[u8]) -> Result<Self, Error> {
        request_code(body, "SSLRequest", SSL_REQUEST)?.end()?;
        Ok(SSLRequest)
    }

    /// Appends the message to `out`; after an error `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        untagged(out, "SSLRequest", |writer| {
            writer.i32(SSL_REQUEST, "request code")
        })
    }
}

/// Asks for GSSAPI encryption. The answer is [one byte](super::frame::gss_answer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GSSENCRequest;

impl GSSENCRequest {
    /// Reads the message from its body, the bytes after the length word.
    pub fn decode(body: &[u8]) -> Result<Self, Error> {
        request_code(body, "GSSENCRequest", GSSENC_REQUEST)?.end()?;
        Ok(GSSENCRequest)
    }

    /// Appends the message to `out`; after an error `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        untagged(out, "GSSENCRequest", |writer| {
            writer.i32(GSSENC_REQUEST, "request code")
        })
    }
}

/// Asks, on a connection of its own, to cancel what another one runs. There is no answer but the end of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CancelRequest<'a> {
    /// The target backend's, from BackendKeyData.
    pub process_id: i32,
    /// The target backend's, from BackendKeyData: 4 bytes in version 3.0, up to 256 in 3.2.
    pub secret_key: &'a [u8],
}

impl<'a> CancelRequest<'a> {
    /// Reads the message from its body, the bytes after the length word.
    pub fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let mut cursor = request_code(body, "CancelRequest", CANCEL_REQUEST)?;
        let process_id = cursor.i32("process ID")?;
        let secret_key = cursor.remainder();
        if !(4..=256).contains(&secret_key.len()) {
            return Err(cursor.error("secret key", Problem::BadLength(secret_key.len() as i64)));
        }
        Ok(CancelRequest {
            process_id,
            secret_key,
        })
    }

    /// Appends the message to `out`; after an error `out` is as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        untagged(out, "CancelRequest", |writer| {
            writer.i32(CANCEL_REQUEST, "request code")?;
            writer.i32(self.process_id, "process ID")?;
            if !(4..=256).contains(&self.secret_key.len()) {
                return Err(writer.error(
                    "secret key",
                    Problem::BadLength(self.secret_key.len() as i64),
                ));
            }
            writer.bytes(self.secret_key, "secret key")
        })
    }
}

/// The key is a secret: it does not belong into logs.
impl std::fmt::Debug for CancelRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelRequest")
            .field("process_id", &self.process_id)
            .finish_non_exhaustive()
    }
}

/// Reads a request code, which must be `expected`.
fn request_code<'a>(
    body: &'a [u8],
    message: &'static str,
    expected: i32,
) -> Result<Cursor<'a>, Error> {
    let mut cursor = Cursor::new(body, message);
    let code = cursor.i32("request code")?;
    if code != expected {
        return Err(cursor.error("request code", Problem::BadValue(code.into())));
    }
    Ok(cursor)
}
