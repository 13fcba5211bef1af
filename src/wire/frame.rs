//! Splits messages off a byte buffer. Knows lengths, not meanings.

/// The first five bytes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The message type.
    pub tag: u8,
    /// How many bytes of body follow the header; the length word's own four bytes are not counted.
    pub len: usize,
}

impl Header {
    /// How many bytes the tag and the length word take.
    pub const SIZE: usize = 5;
}

/// The largest length word of the messages that are short by nature: libpq's limit.
pub const MAX_SHORT: usize = 30_000;
/// The largest length word of those that carry data (1 GB - 1: no PostgreSQL server can build a larger one).
pub const MAX_LONG: usize = 0x3FFF_FFFF;

/// What the peer sent is not a message of this protocol. The texts are libpq's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is impossible, or not to be believed for a message of this type.
    #[error("lost synchronization with server: got message type \"{}\", length {length}", Shown(*.tag))]
    LostSync {
        /// The message type.
        tag: u8,
        /// The length word as it was sent.
        length: i32,
    },
    /// Before authentication is done, something other than Authentication*, NegotiateProtocolVersion or ErrorResponse.
    #[error("expected authentication request from server, but received {}", Shown(*.0))]
    NotAuthentication(u8),
    /// An Authentication* message of an impossible length.
    #[error("received invalid authentication request")]
    InvalidAuthentication,
    /// A NegotiateProtocolVersion message of an impossible length.
    #[error("received invalid protocol negotiation message")]
    InvalidNegotiation,
    /// An error message of an impossible length, and no text as servers before 7.4 sent it either.
    #[error("received invalid error message")]
    InvalidError,
    /// An ErrorResponse of an impossible length: servers before 7.4, and later ones in trouble, sent just a text.
    /// [`old_error`] reads it.
    #[error("received an error message of protocol 2")]
    OldError,
    /// An answer to SSLRequest other than `S`, `N` or `E`.
    #[error("received invalid response to SSL negotiation: {}", Shown(*.0))]
    InvalidSslAnswer(u8),
    /// An answer to GSSENCRequest other than `G`, `N` or `E`.
    #[error("received invalid response to GSSAPI negotiation: {}", Shown(*.0))]
    InvalidGssAnswer(u8),
}

/// A type as a character, as libpq shows it; what is none, a NUL above all, as a number.
struct Shown(u8);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_ascii_graphic() {
            write!(f, "{}", char::from(self.0))
        } else {
            write!(f, "0x{:02x}", self.0)
        }
    }
}

/// Reads the header of a backend message; `None` when fewer than five bytes are there.
///
/// Messages that are short by nature are refused above [`MAX_SHORT`], the others above [`MAX_LONG`], so that a peer
/// cannot make the reader wait for, or make room for, more than a server would ever send.
#[inline]
pub fn header(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some((&[tag, a, b, c, d], _)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    // The smallest limit first: it settles nearly every message without looking at the tag.
    if (4..=MAX_SHORT as u32).contains(&length)
        || ((4..=MAX_LONG as u32).contains(&length) && may_be_long(tag))
    {
        return Ok(Some(Header {
            tag,
            len: length as usize - 4,
        }));
    }
    Err(FrameError::LostSync {
        tag,
        length: length as i32,
    })
}

/// Whether messages of this type may be longer than [`MAX_SHORT`]: CopyData, DataRow, ErrorResponse,
/// FunctionCallResponse, NoticeResponse, NotificationResponse, RowDescription and ParameterDescription.
#[inline]
#[must_use]
pub fn may_be_long(tag: u8) -> bool {
    matches!(tag, b'd' | b'D' | b'E' | b'V' | b'N' | b'A' | b'T' | b't')
}

/// Reads the header of a message that arrives before AuthenticationOk, when the peer may be anything: only three types
/// are expected, within narrow limits. A wrong type is told from its first byte.
pub fn startup_header(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some(&tag) = bytes.first() else {
        return Ok(None);
    };
    let (max, error) = match tag {
        b'R' => (2000, FrameError::InvalidAuthentication),
        b'v' => (2000, FrameError::InvalidNegotiation),
        b'E' => (MAX_SHORT as u32, FrameError::OldError),
        _ => return Err(FrameError::NotAuthentication(tag)),
    };
    let Some((&[_, a, b, c, d], _)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    if !(8..=max).contains(&length) {
        return Err(error);
    }
    Ok(Some(Header {
        tag,
        len: length as usize - 4,
    }))
}

/// Reads an error of the form that [`FrameError::OldError`] speaks of: `E`, a text, NUL. `None`: more is to come.
pub fn old_error(bytes: &[u8]) -> Result<Option<&[u8]>, FrameError> {
    let text = bytes.get(1..).unwrap_or_default();
    match text.iter().position(|&byte| byte == 0) {
        Some(end) => Ok(text.get(..end)),
        None if text.len() > MAX_SHORT => Err(FrameError::InvalidError),
        None => Ok(None),
    }
}

/// Reads the header of a frontend message, as a server does; lengths up to [`MAX_LONG`] are taken for every type.
pub fn frontend_header(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some((&[tag, a, b, c, d], _)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    if !(4..=MAX_LONG as u32).contains(&length) {
        return Err(FrameError::LostSync {
            tag,
            length: length as i32,
        });
    }
    Ok(Some(Header {
        tag,
        len: length as usize - 4,
    }))
}

/// The server's one-byte answer to SSLRequest or GSSENCRequest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncryptionAnswer {
    /// Begin with the handshake.
    Accepted,
    /// Go on without, or give up.
    Refused,
    /// The byte opens an ErrorResponse; it must not be shown, since the server has not been authenticated (CVE-2024-10977).
    Error,
}

/// Reads the answer to SSLRequest.
pub fn ssl_answer(byte: u8) -> Result<EncryptionAnswer, FrameError> {
    answer(byte, b'S').ok_or(FrameError::InvalidSslAnswer(byte))
}

/// Reads the answer to GSSENCRequest.
pub fn gss_answer(byte: u8) -> Result<EncryptionAnswer, FrameError> {
    answer(byte, b'G').ok_or(FrameError::InvalidGssAnswer(byte))
}

fn answer(byte: u8, yes: u8) -> Option<EncryptionAnswer> {
    match byte {
        b'N' => Some(EncryptionAnswer::Refused),
        b'E' => Some(EncryptionAnswer::Error),
        _ if byte == yes => Some(EncryptionAnswer::Accepted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(tag: u8, length: u32) -> [u8; 5] {
        let [a, b, c, d] = length.to_be_bytes();
        [tag, a, b, c, d]
    }

    #[test]
    fn a_header_needs_five_bytes() {
        assert_eq!(header(b"Z\0\0\0"), Ok(None));
        assert_eq!(
            header(b"Z\0\0\0\x05"),
            Ok(Some(Header { tag: b'Z', len: 1 }))
        );
        assert_eq!(
            header(&bytes(b'1', 4)),
            Ok(Some(Header { tag: b'1', len: 0 }))
        );
    }

    #[test]
    fn each_type_has_its_limit() {
        for tag in 0..=255 {
            let max = if b"dDEVNATt".contains(&tag) {
                0x3FFF_FFFF
            } else {
                30_000
            };
            assert_eq!(
                header(&bytes(tag, max)),
                Ok(Some(Header {
                    tag,
                    len: max as usize - 4
                }))
            );
            for length in [0, 3, max + 1, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
                assert_eq!(
                    header(&bytes(tag, length)),
                    Err(FrameError::LostSync {
                        tag,
                        length: length as i32
                    })
                );
            }
        }
    }

    #[test]
    fn the_text_of_a_lost_synchronization_is_libpqs() {
        let error = FrameError::LostSync {
            tag: b'Z',
            length: -1,
        };
        assert_eq!(
            error.to_string(),
            "lost synchronization with server: got message type \"Z\", length -1"
        );
    }

    #[test]
    fn before_authentication_only_three_types_are_taken() {
        assert_eq!(startup_header(b""), Ok(None));
        assert_eq!(
            startup_header(b"H"),
            Err(FrameError::NotAuthentication(b'H'))
        );
        assert_eq!(
            FrameError::NotAuthentication(b'H').to_string(),
            "expected authentication request from server, but received H"
        );
        let limits = [
            (b'R', 2000, FrameError::InvalidAuthentication),
            (b'v', 2000, FrameError::InvalidNegotiation),
            (b'E', 30_000, FrameError::OldError),
        ];
        for (tag, max, error) in limits {
            assert_eq!(startup_header(&bytes(tag, max)[..4]), Ok(None));
            assert_eq!(startup_header(&bytes(tag, 7)), Err(error));
            assert_eq!(
                startup_header(&bytes(tag, 8)),
                Ok(Some(Header { tag, len: 4 }))
            );
            assert_eq!(
                startup_header(&bytes(tag, max)),
                Ok(Some(Header {
                    tag,
                    len: max as usize - 4
                }))
            );
            assert_eq!(startup_header(&bytes(tag, max + 1)), Err(error));
        }
    }

    #[test]
    fn an_error_of_protocol_2_is_a_text() {
        assert_eq!(startup_header(b"EFATAL:  no"), Err(FrameError::OldError));
        assert_eq!(old_error(b"EFATAL:  no"), Ok(None));
        assert_eq!(
            old_error(b"EFATAL:  no\n\0"),
            Ok(Some(&b"FATAL:  no\n"[..]))
        );
        assert_eq!(old_error(&[b'E'; 30_001]), Ok(None));
        assert_eq!(old_error(&[b'E'; 30_002]), Err(FrameError::InvalidError));
    }

    #[test]
    fn encryption_is_answered_with_one_byte() {
        assert_eq!(ssl_answer(b'S'), Ok(EncryptionAnswer::Accepted));
        assert_eq!(gss_answer(b'G'), Ok(EncryptionAnswer::Accepted));
        assert_eq!(ssl_answer(b'N'), Ok(EncryptionAnswer::Refused));
        assert_eq!(gss_answer(b'E'), Ok(EncryptionAnswer::Error));
        assert_eq!(ssl_answer(b'G'), Err(FrameError::InvalidSslAnswer(b'G')));
        assert_eq!(gss_answer(b'S'), Err(FrameError::InvalidGssAnswer(b'S')));
    }
}
