//! The server's two SCRAM messages, taken apart (RFC 5802, 7). Knows their grammar, not the keys.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::MAX_ITERATIONS;
use crate::auth::Error;

/// No message of a SCRAM exchange is longer: libpq takes no authentication request above 2000 bytes either.
const MAX_LENGTH: usize = 2000;

/// server-first-message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerFirst<'a> {
    pub(super) nonce: &'a [u8],
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

impl<'a> ServerFirst<'a> {
    /// Reads the message that must continue our `nonce`.
    pub(super) fn parse(message: &'a [u8], nonce: &[u8]) -> Result<Self, Error> {
        let mut rest = Attributes::of(message)?;
        let combined = rest.take('r')?;
        // A nonce without the server's part would let an old exchange be played back to it.
        if !combined.starts_with(nonce) || combined.len() == nonce.len() {
            return Err(Error::Nonce);
        }
        let salt = STANDARD
            .decode(rest.take('s')?)
            .map_err(|_| malformed("invalid salt"))?;
        let iterations = iterations(rest.take('i')?)?;
        rest.end("garbage at end of server-first-message")?;
        Ok(Self {
            nonce: combined,
            salt,
            iterations,
        })
    }
}

/// The server's signature in server-final-message, or its refusal as an error.
pub(super) fn server_final(message: &[u8]) -> Result<[u8; 32], Error> {
    let mut rest = Attributes::of(message)?;
    if message.starts_with(b"e") {
        let text = String::from_utf8_lossy(rest.take('e')?);
        return Err(Error::Server(text.into()));
    }
    let signature = rest.take('v')?;
    rest.end("garbage at end of server-final-message")?;
    STANDARD
        .decode(signature)
        .ok()
        .and_then(|signature| signature.try_into().ok())
        .ok_or(malformed("invalid server signature"))
}

/// `a=value,b=value…`, from the front. A value has no comma in it.
struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    fn of(message: &'a [u8]) -> Result<Self, Error> {
        if message.is_empty() {
            return Err(malformed("empty message"));
        }
        if message.contains(&0) {
            return Err(malformed("length mismatch"));
        }
        if message.len() > MAX_LENGTH {
            return Err(malformed("message too long"));
        }
        Ok(Self(message))
    }

    /// The value of the next attribute, which must be `name`.
    fn take(&mut self, name: char) -> Result<&'a [u8], Error> {
        let Some((_, rest)) = self.0.split_first().filter(|(a, _)| **a == name as u8) else {
            return Err(malformed(format!("attribute \"{name}\" expected")));
        };
        let Some(rest) = rest.strip_prefix(b"=") else {
            return Err(malformed(format!(
                "expected character \"=\" for attribute \"{name}\""
            )));
        };
        let (value, rest) = match rest.iter().position(|byte| *byte == b',') {
            Some(comma) => (&rest[..comma], &rest[comma..]),
            None => (rest, &[] as &[u8]),
        };
        // A comma promises another attribute: it stays when nothing follows, and `end` finds it.
        self.0 = match rest {
            [b',', more @ ..] if !more.is_empty() => more,
            end => end,
        };
        Ok(value)
    }

    /// Passes over extensions, which RFC 5802 wants ignored unless they are mandatory (`m`).
    fn end(mut self, otherwise: &'static str) -> Result<(), Error> {
        while let Some(name) = self.0.first() {
            if !name.is_ascii_alphabetic() || *name == b'm' {
                return Err(malformed(otherwise));
            }
            self.take(char::from(*name))
                .map_err(|_| malformed(otherwise))?;
        }
        Ok(())
    }
}

fn iterations(digits: &[u8]) -> Result<u32, Error> {
    let mut count = 0u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(malformed("invalid iteration count"));
        }
        count = count
            .saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'));
    }
    match count {
        0 => Err(malformed("invalid iteration count")),
        1..=MAX_ITERATIONS => Ok(count),
        _ => Err(Error::Iterations),
    }
}

fn malformed(what: impl Into<Cow<'static, str>>) -> Error {
    Error::Malformed(what.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn first(message: &str) -> Result<ServerFirst<'_>, String> {
        ServerFirst::parse(message.as_bytes(), b"ours").map_err(|error| error.to_string())
    }

    fn last(message: &str) -> String {
        server_final(message.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn reads_server_first() {
        let read = first("r=ours+theirs,s=c2FsdA==,i=4096").unwrap();
        assert_eq!(read.nonce, b"ours+theirs");
        assert_eq!(
            (read.salt.as_slice(), read.iterations),
            (b"salt" as &[u8], 4096)
        );
        assert_eq!(
            first("r=ours+theirs,s=c2FsdA==,i=4096,x=y,Z=").as_ref(),
            Ok(&read)
        );
    }

    #[test]
    fn refuses_a_wrong_server_first_in_libpqs_words() {
        for (message, what) in [
            ("", "empty message"),
            ("r=ours+,s=c2FsdA==,i=1\0", "length mismatch"),
            ("s=c2FsdA==,i=1", "attribute \"r\" expected"),
            ("m=x,r=ours+,s=c2FsdA==,i=1", "attribute \"r\" expected"),
            ("r", "expected character \"=\" for attribute \"r\""),
            ("r=ours+", "attribute \"s\" expected"),
            ("r=ours+,i=1", "attribute \"s\" expected"),
            ("r=ours+,s:", "expected character \"=\" for attribute \"s\""),
            ("r=ours+,s=c2FsdA==", "attribute \"i\" expected"),
            ("r=ours+,s=c2FsdA=,i=1", "invalid salt"),
            ("r=ours+,s=c2F dA==,i=1", "invalid salt"),
            ("r=ours+,s=c2FsdA==,i=", "invalid iteration count"),
            ("r=ours+,s=c2FsdA==,i=0", "invalid iteration count"),
            ("r=ours+,s=c2FsdA==,i=-1", "invalid iteration count"),
            ("r=ours+,s=c2FsdA==,i=+1", "invalid iteration count"),
            ("r=ours+,s=c2FsdA==,i= 1", "invalid iteration count"),
            ("r=ours+,s=c2FsdA==,i=1e3", "invalid iteration count"),
            (
                "r=ours+,s=c2FsdA==,i=1,",
                "garbage at end of server-first-message",
            ),
            (
                "r=ours+,s=c2FsdA==,i=1,x",
                "garbage at end of server-first-message",
            ),
            (
                "r=ours+,s=c2FsdA==,i=1,=x",
                "garbage at end of server-first-message",
            ),
            (
                "r=ours+,s=c2FsdA==,i=1,x=y,,",
                "garbage at end of server-first-message",
            ),
            (
                "r=ours+,s=c2FsdA==,i=1,m=x",
                "garbage at end of server-first-message",
            ),
        ] {
            assert_eq!(
                first(message).unwrap_err(),
                format!("malformed SCRAM message ({what})"),
                "{message:?}"
            );
        }
        let long = format!("r=ours{},s=c2FsdA==,i=1", "x".repeat(MAX_LENGTH));
        assert!(first(&long).unwrap_err().contains("too long"));
    }

    #[test]
    fn refuses_a_nonce_that_does_not_continue_ours() {
        for nonce in ["", "ours", "our", "theirs", "Ours+theirs", " ours+theirs"] {
            assert_eq!(
                first(&format!("r={nonce},s=c2FsdA==,i=1")).unwrap_err(),
                "invalid SCRAM response (nonce mismatch)"
            );
        }
    }

    #[test]
    fn caps_the_iteration_count() {
        let count = |count: &str| {
            let message = format!("r=ours+,s=c2FsdA==,i={count}");
            first(&message).map(|read| read.iterations)
        };
        assert_eq!(count("16777216"), Ok(MAX_ITERATIONS));
        assert_eq!(count("0001"), Ok(1));
        for above in ["16777217", "4294967297", "99999999999999999999999999"] {
            let error = count(above).unwrap_err();
            assert!(error.contains("above the limit of 16777216"), "{error}");
        }
    }

    #[test]
    fn refuses_a_wrong_server_final_in_libpqs_words() {
        assert_eq!(
            last("e=other-error"),
            "error received from server in SCRAM exchange: other-error"
        );
        let signature = STANDARD.encode([7; 32]);
        let fine = format!("v={signature}");
        assert_eq!(server_final(fine.as_bytes()), Ok([7; 32]));
        for (message, what) in [
            ("", "empty message"),
            ("v=\0", "length mismatch"),
            ("x=1", "attribute \"v\" expected"),
            ("e", "expected character \"=\" for attribute \"e\""),
            ("v", "expected character \"=\" for attribute \"v\""),
            ("v=", "invalid server signature"),
            ("v=c2FsdA==", "invalid server signature"),
            (&fine[..fine.len() - 1], "invalid server signature"),
            (
                &format!("{fine},"),
                "garbage at end of server-final-message",
            ),
        ] {
            assert_eq!(last(message), format!("malformed SCRAM message ({what})"));
        }
    }
}
