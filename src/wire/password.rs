//! The frontend's answers to Authentication*. All four have the same tag: which one it is follows from what was asked.

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SASLInitialResponse<'a> {
    /// The mechanism chosen.
    pub mechanism: &'a [u8],
    /// The mechanism's first message; `None` when it has none.
    pub response: Option<&'a [u8]>,
}

/// Answers AuthenticationSASLContinue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SASLResponse<'a> {
    /// The mechanism's own.
    pub data: &'a [u8],
}

/// Answers AuthenticationGSS, AuthenticationSSPI and AuthenticationGSSContinue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// It may be a password, and passwords do not belong into logs.
impl std::fmt::Debug for AuthenticationResponse<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthenticationResponse")
            .finish_non_exhaustive()
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

/// Passwords do not belong into logs.
impl std::fmt::Debug for PasswordMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordMessage").finish_non_exhaustive()
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
