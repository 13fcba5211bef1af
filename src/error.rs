//! The errors of the library: the server said no, the transport failed, or the caller misused the API.

use std::borrow::Cow;
use std::collections::TryReserveError;
use std::sync::Arc;
use std::{fmt, io};

use crate::link::{LinkError, LinkErrorKind};
use crate::wire;

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// The server answered with an error; [`Error::server`] has its words.
    Server,
    /// The connection could not be made, broke, or carried what the protocol does not allow.
    Transport,
    /// The caller asked for what cannot be done; the message says what to do instead.
    Misuse,
}

/// An error, with everything that is known of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    family: Family,
    message: Cow<'static, str>,
    server: Option<Box<ServerError>>,
    errno: i32,
    retry: bool,
    timeout: bool,
    would_block: bool,
}

impl Error {
    /// What the server said.
    pub fn server(error: ServerError) -> Self {
        let retry = error.is_transient();
        Self {
            family: Family::Server,
            message: readable(error.message()),
            server: Some(Box::new(error)),
            errno: 0,
            retry,
            timeout: false,
            would_block: false,
        }
    }

    /// The transport failed, or the peer does not speak the protocol.
    pub fn transport(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            family: Family::Transport,
            message: message.into(),
            server: None,
            errno: 0,
            retry: false,
            timeout: false,
            would_block: false,
        }
    }

    /// An operation was given up at its deadline.
    pub(crate) fn timeout(message: String) -> Self {
        Self {
            timeout: true,
            ..Self::transport(message)
        }
    }

    /// The caller's mistake.
    pub fn misuse(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            family: Family::Misuse,
            ..Self::transport(message)
        }
    }

    /// Nobody's fault: too much is queued.
    #[cold]
    pub(crate) fn would_block(message: &'static str) -> Self {
        Self {
            would_block: true,
            retry: true,
            ..Self::misuse(message)
        }
    }

    /// There is no memory for what the peer sent.
    pub fn out_of_memory(what: &'static str) -> Self {
        Self::transport(format!("out of memory: {what}"))
    }

    /// The same error with `prefix` before its message.
    pub(crate) fn with_prefix(mut self, prefix: &str) -> Self {
        self.message = Cow::Owned(format!("{prefix}{}", self.message));
        self
    }

    /// The same error with another message.
    pub(crate) fn with_message(mut self, message: String) -> Self {
        self.message = Cow::Owned(message);
        self
    }

    /// The same error, said to be safe to retry or not.
    pub(crate) fn with_retry(mut self, retry: bool) -> Self {
        self.retry = retry;
        self
    }

    /// The same error with the `errno` that caused it.
    pub(crate) fn with_errno(mut self, errno: i32) -> Self {
        self.errno = errno;
        self
    }

    /// Whose fault it is.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The text. Of a server error it is the primary message; while connecting it names the server.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The server's words, when it was the server.
    pub fn server_error(&self) -> Option<&ServerError> {
        self.server.as_deref()
    }

    /// The SQLSTATE, five characters: the server's, or the class 08 code that fits; 57014 (query canceled) of an operation
    /// that was given up at its deadline; `None` for misuse.
    pub fn sqlstate(&self) -> Option<&[u8]> {
        match self.family {
            Family::Server => self.server.as_deref().and_then(ServerError::sqlstate),
            Family::Transport if self.timeout => Some(b"57014"),
            Family::Transport => Some(b"08006"),
            Family::Misuse => None,
        }
    }

    /// Whether an operation was given up at its deadline. The connection may be as good as before: the operation's done tells.
    pub fn is_timeout(&self) -> bool {
        self.timeout
    }

    /// Whether a call was refused only because too much is queued; a poll says when there is room
    /// ([`Readiness::ROOM`](crate::conn::Readiness::ROOM)).
    pub fn is_would_block(&self) -> bool {
        self.would_block
    }

    /// The `errno` of the system call that failed, or 0.
    pub fn errno(&self) -> i32 {
        self.errno
    }

    /// Whether the same work can be tried again without doing it twice: nothing of it has been sent, or the server
    /// said that it did nothing for a reason that passes (serialization failure, deadlock, starting up).
    pub fn is_safe_to_retry(&self) -> bool {
        self.retry
    }
}

impl From<LinkError> for Error {
    fn from(error: LinkError) -> Self {
        let message = match error.kind {
            // TLS tells a connection that was closed from one that was cut.
            LinkErrorKind::Closed if error.text.starts_with("SSL ") => Cow::Owned(error.text),
            LinkErrorKind::Closed => Cow::Borrowed(CLOSED),
            // The server is gone before it has read everything that was sent: the same to the caller.
            LinkErrorKind::Receive | LinkErrorKind::Send if is_reset(error.errno) => {
                Cow::Borrowed(CLOSED)
            }
            LinkErrorKind::Receive => Cow::Owned(format!(
                "could not receive data from server: {}",
                error.text
            )),
            LinkErrorKind::Send => {
                Cow::Owned(format!("could not send data to server: {}", error.text))
            }
            _ => Cow::Owned(error.text),
        };
        Self::transport(message).with_errno(error.errno)
    }
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        Self::transport(error.to_string())
    }
}

/// A text of the server as a string: a copy, if there is memory for one.
fn readable(text: &[u8]) -> Cow<'static, str> {
    let mut copy = Vec::new();
    if copy.try_reserve(text.len()).is_err() {
        return Cow::Borrowed("out of memory: the server's message");
    }
    copy.extend_from_slice(text);
    Cow::Owned(match String::from_utf8(copy) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// Whether a system call failed because the peer is gone.
fn is_reset(errno: i32) -> bool {
    matches!(
        io::Error::from_raw_os_error(errno).kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// libpq's words for an end of file that no message explains.
pub const CLOSED: &str = "server closed the connection unexpectedly\n\
    \tThis probably means the server terminated abnormally\n\
    \tbefore or while processing the request.";

/// The fields of an ErrorResponse or NoticeResponse, byte for byte as the server sent them.
///
/// Field codes are those of the manual's chapter "Error and Notice Message Fields": `S` severity, `C` SQLSTATE,
/// `M` message, `D` detail, `H` hint, `P` position, …
#[derive(Clone, PartialEq, Eq)]
pub struct ServerError {
    body: Arc<Vec<u8>>,
}

impl ServerError {
    /// Keeps the body of an ErrorResponse or NoticeResponse, which should have been decoded once: of one that is damaged
    /// only the fields before the damage are found.
    pub fn new(body: &[u8]) -> Result<Self, TryReserveError> {
        let mut kept = Vec::new();
        kept.try_reserve_exact(body.len())?;
        kept.extend_from_slice(body);
        Ok(Self {
            body: Arc::new(kept),
        })
    }

    /// The body of the message: code, text and NUL of each field, and a NUL at the end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.body
    }

    /// A field by its code, without its NUL.
    pub fn field(&self, code: u8) -> Option<&[u8]> {
        self.fields()
            .find_map(|(found, value)| (found == code).then_some(value))
    }

    /// A field by its code, with its NUL.
    pub fn field_with_nul(&self, code: u8) -> Option<&[u8]> {
        let value = self.field(code)?;
        let at = value.as_ptr().addr() - self.body.as_ptr().addr();
        self.body.get(at..at + value.len() + 1)
    }

    /// All fields in the order in which the server sent them.
    pub fn fields(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = &self.body[..];
        std::iter::from_fn(move || {
            let (&code, tail) = rest.split_first()?;
            if code == 0 {
                return None;
            }
            let end = tail.iter().position(|&byte| byte == 0)?;
            rest = &tail[end + 1..];
            Some((code, &tail[..end]))
        })
    }

    /// `FATAL`, `ERROR`, `NOTICE`, …: the form that is never translated where the server sends it (9.6 and later).
    pub fn severity(&self) -> &[u8] {
        self.field(b'V').or_else(|| self.field(b'S')).unwrap_or(b"")
    }

    /// The SQLSTATE.
    pub fn sqlstate(&self) -> Option<&[u8]> {
        self.field(b'C')
    }

    /// The primary message.
    pub fn message(&self) -> &[u8] {
        self.field(b'M').unwrap_or(b"")
    }

    /// Whether the server ends the session with it.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity(), b"FATAL" | b"PANIC")
    }

    /// Whether trying again may succeed and does nothing twice.
    fn is_transient(&self) -> bool {
        matches!(
            self.sqlstate(),
            Some(b"40001" | b"40P01" | b"55P03" | b"57P03" | b"53300")
        )
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (code, value) in self.fields() {
            map.entry(&char::from(code), &String::from_utf8_lossy(value));
        }
        map.finish()
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |code| String::from_utf8_lossy(self.field(code).unwrap_or_default());
        write!(f, "{}:  {}", text(b'S'), text(b'M'))
    }
}
