//! What is wrong with a connection option: libpq's text, byte-exact. Knows no option.

use std::borrow::Cow;

/// Why a connection string, an option or a file that options come from is refused.
///
/// The text is libpq's own, without the newline at its end. It is bytes, because it quotes what the caller wrote, whatever that
/// was; `Display` replaces what is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", String::from_utf8_lossy(.text))]
pub struct Error {
    text: Cow<'static, [u8]>,
    decided: Decided,
}

/// How much of a connection's options libpq has decided upon, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Decided {
    /// At most the hosts.
    Hosts,
    /// User, database and password file, too.
    Account,
    /// `sslcertmode`, too.
    Certificate,
    /// All of them: it would have tried a host.
    All,
}

impl Error {
    /// An error whose text is `parts`, one after another.
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let length = parts
            .iter()
            .fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let mut text = Vec::new();
        if text.try_reserve_exact(length).is_err() {
            return Self::out_of_memory();
        }
        for part in parts {
            text.extend_from_slice(part);
        }
        Self {
            text: Cow::Owned(text),
            decided: Decided::Hosts,
        }
    }

    /// `invalid sslmode value: "maybe"`.
    pub(crate) fn invalid_value(keyword: &str, value: &[u8]) -> Self {
        Self::of(&[b"invalid ", keyword.as_bytes(), b" value: \"", value, b"\""])
    }

    pub(crate) fn unknown_option(keyword: &[u8]) -> Self {
        Self::of(&[b"invalid connection option \"", keyword, b"\""])
    }

    pub(crate) fn out_of_memory() -> Self {
        Self {
            text: Cow::Borrowed(b"out of memory"),
            decided: Decided::Hosts,
        }
    }

    /// The same error, which comes when so much is decided.
    pub(crate) fn after(mut self, decided: Decided) -> Self {
        self.decided = decided;
        self
    }

    /// What was decided before.
    pub(crate) fn decided(&self) -> Decided {
        self.decided
    }

    /// Whether libpq would have tried to connect before it noticed: `PQping` tells one from the other.
    pub fn is_late(&self) -> bool {
        self.decided == Decided::All
    }

    /// The text as libpq writes it, byte for byte.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self {
            text: Cow::Owned(text.into_bytes()),
            decided: Decided::Hosts,
        }
    }
}

/// A copy of something that the caller wrote, whose size nobody has limited.
pub(crate) fn copy(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut copied = Vec::new();
    copied
        .try_reserve_exact(bytes.len())
        .map_err(|_| Error::out_of_memory())?;
    copied.extend_from_slice(bytes);
    Ok(copied)
}
