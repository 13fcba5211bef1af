//! Why a message cannot be read or written. Names the message, the field and the problem; knows no layout.

/// A message that breaks the layout given in the manual's section "Message Formats", or that cannot be put into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{} {message} message: {field}: {problem}", if self.problem.is_ours() { "cannot send" } else { "malformed" })]
pub struct Error {
    /// The manual's name of the message, such as `DataRow`.
    pub message: &'static str,
    /// The part of the message that is wrong, such as `column count`.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The message is over before the field is.
    #[error("ends early")]
    EndsEarly,
    /// So many bytes follow the last field.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
    /// A string or a list has no terminating NUL.
    #[error("no terminating NUL")]
    NoTerminator,
    /// The length of a value or a list is one that the manual does not allow.
    #[error("invalid length {0}")]
    BadLength(i64),
    /// A number or a code is one that the manual does not allow.
    #[error("invalid value {0}")]
    BadValue(i64),
    /// The tag belongs to no message of the protocol.
    #[error("unknown message type 0x{0:02x}")]
    UnknownTag(u8),
    /// To be sent, but of more bytes or elements than the protocol can express; the number that was asked for.
    #[error("too long: {0}")]
    TooLong(usize),
    /// To be sent as a string, but with a NUL inside.
    #[error("contains a NUL byte")]
    HasNul,
    /// There is no memory for the encoded message.
    #[error("out of memory")]
    OutOfMemory,
}

impl Problem {
    /// Whether the message was to be sent: then the caller's values are at fault, not the peer's bytes.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(
            self,
            Problem::TooLong(_) | Problem::HasNul | Problem::OutOfMemory
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Problem};

    #[test]
    fn the_text_names_message_field_and_problem() {
        let error = |problem| {
            Error {
                message: "DataRow",
                field: "column count",
                problem,
            }
            .to_string()
        };
        assert_eq!(
            error(Problem::EndsEarly),
            "malformed DataRow message: column count: ends early"
        );
        assert_eq!(
            error(Problem::BadLength(-2)),
            "malformed DataRow message: column count: invalid length -2"
        );
        assert_eq!(
            error(Problem::HasNul),
            "cannot send DataRow message: column count: contains a NUL byte"
        );
    }
}
