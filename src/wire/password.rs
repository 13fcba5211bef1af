//! The frontend's answers to Authentication*. All four have the same tag: which one it is follows from what was asked.

use std::fmt;

use super::cursor::Cursor;
use super::error::Error;
use super::writer::Writer;

/// Any of the four, not told apart: its body is for the `decode` of the one that was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AuthenticationResponse<'a> {
    /// All that follows the length word.
    pub body: &'a [u8],
}

/// Answers AuthenticationCleartextPassword and AuthenticationMD5Password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PasswordMessage<'a> {
    /// The password, or `md5` and the hash in hexadecimal.
    pub password: &'a [u8],
}

/// Begins a SASL exchange.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SASLInitialResponse<'a> {
    /// The mechanism chosen.
    pub mechanism: &'a [u8],
    /// The mechanism's first message; `None` when it has none.
    pub response: Option<&'a [u8]>,
}

/// Answers AuthenticationSASLContinue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SASLResponse<'a> {
    /// The mechanism's own.
    pub data: &'a [u8],
}

/// Answers AuthenticationGSS, AuthenticationSSPI and AuthenticationGSSContinue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct GSSResponse<'a> {
    /// GSSAPI's or SSPI's own.
    pub data: &'a [u8],
}

message!(AuthenticationResponse<'a>, b'p');
message!(PasswordMessage<'a>, b'p');
message!(SASLInitialResponse<'a>, b'p');
message!(SASLResponse<'a>, b'p');
message!(GSSResponse<'a>, b'p');

impl<'a> AuthenticationResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(AuthenticationResponse {
            body: cursor.remainder(),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.bytes(self.body, "body")
    }
}

impl<'a> PasswordMessage<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(PasswordMessage {
            password: cursor.cstr("password")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.cstr(self.password, "password")
    }
}

impl<'a> SASLInitialResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(SASLInitialResponse {
            mechanism: cursor.cstr("mechanism")?,
            response: cursor.value("response")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.cstr(self.mechanism, "mechanism")?;
        writer.value(self.response, "response")
    }
}

impl<'a> SASLResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(SASLResponse {
            data: cursor.remainder(),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.bytes(self.data, "data")
    }
}

impl<'a> GSSResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(GSSResponse {
            data: cursor.remainder(),
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.bytes(self.data, "data")
    }
}

/// Passwords, and what proves that one is known, do not belong into logs.
macro_rules! hidden {
    ($($message:ident),*) => {
        $(impl fmt::Debug for $message<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message)).finish_non_exhaustive()
            }
        })*
    };
}

hidden!(
    AuthenticationResponse,
    PasswordMessage,
    SASLInitialResponse,
    SASLResponse,
    GSSResponse
);
