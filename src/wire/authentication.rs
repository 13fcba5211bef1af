//! The Authentication* messages: what the server wants to see before it lets anyone in.

use super::cursor::Cursor;
use super::error::Error;
use super::list::List;
use super::writer::Writer;

/// An Authentication* message; the manual's name is `Authentication` followed by the variant's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// The server is satisfied.
    Ok,
    /// Wants Kerberos V5, which no server has asked for since PostgreSQL 9.3.
    KerberosV5,
    /// Wants the password as it is, in a PasswordMessage.
    CleartextPassword,
    /// Wants a PasswordMessage with a hash of user name, password and salt.
    MD5Password {
        /// Chosen anew for each connection.
        salt: [u8; 4],
    },
    /// Wants a GSSAPI exchange, begun with a GSSResponse.
    GSS,
    /// A step of the GSSAPI or SSPI exchange.
    GSSContinue {
        /// GSSAPI's or SSPI's own.
        data: &'a [u8],
    },
    /// Wants an SSPI exchange, begun with a GSSResponse.
    SSPI,
    /// Wants a SASL exchange, begun with a SASLInitialResponse.
    SASL {
        /// The names of the mechanisms that the server takes, in its order of preference.
        mechanisms: List<'a, &'a [u8]>,
    },
    /// A challenge, to be answered with a SASLResponse.
    SASLContinue {
        /// The mechanism's own.
        data: &'a [u8],
    },
    /// The last word of a SASL exchange that succeeded.
    SASLFinal {
        /// The mechanism's own; in SCRAM, the server's proof.
        data: &'a [u8],
    },
    /// A method that this version of the protocol does not define.
    Other {
        /// The number that tells the method.
        code: i32,
        /// What follows it.
        data: &'a [u8],
    },
}

const OK: i32 = 0;
const KERBEROS_V5: i32 = 2;
const CLEARTEXT_PASSWORD: i32 = 3;
const MD5_PASSWORD: i32 = 5;
const GSS: i32 = 7;
const GSS_CONTINUE: i32 = 8;
const SSPI: i32 = 9;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

message!(Authentication<'a>, b'R');

impl<'a> Authentication<'a> {
    /// The number that tells the method, or the step of it.
    #[must_use]
    pub fn code(&self) -> i32 {
        match self {
            Authentication::Ok => OK,
            Authentication::KerberosV5 => KERBEROS_V5,
            Authentication::CleartextPassword => CLEARTEXT_PASSWORD,
            Authentication::MD5Password { .. } => MD5_PASSWORD,
            Authentication::GSS => GSS,
            Authentication::GSSContinue { .. } => GSS_CONTINUE,
            Authentication::SSPI => SSPI,
            Authentication::SASL { .. } => SASL,
            Authentication::SASLContinue { .. } => SASL_CONTINUE,
            Authentication::SASLFinal { .. } => SASL_FINAL,
            Authentication::Other { code, .. } => *code,
        }
    }

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(match cursor.i32("method")? {
            OK => Authentication::Ok,
            KERBEROS_V5 => Authentication::KerberosV5,
            CLEARTEXT_PASSWORD => Authentication::CleartextPassword,
            MD5_PASSWORD => Authentication::MD5Password {
                salt: cursor.fixed("salt")?,
            },
            GSS => Authentication::GSS,
            GSS_CONTINUE => Authentication::GSSContinue {
                data: cursor.remainder(),
            },
            SSPI => Authentication::SSPI,
            SASL => Authentication::SASL {
                mechanisms: List::read_terminated(cursor, "mechanism")?,
            },
            SASL_CONTINUE => Authentication::SASLContinue {
                data: cursor.remainder(),
            },
            SASL_FINAL => Authentication::SASLFinal {
                data: cursor.remainder(),
            },
            code => Authentication::Other {
                code,
                data: cursor.remainder(),
            },
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.i32(self.code(), "method")?;
        match self {
            Authentication::MD5Password { salt } => writer.bytes(salt, "salt"),
            Authentication::SASL { mechanisms } => mechanisms.write_terminated(writer, "mechanism"),
            Authentication::GSSContinue { data }
            | Authentication::SASLContinue { data }
            | Authentication::SASLFinal { data }
            | Authentication::Other { data, .. } => writer.bytes(data, "data"),
            Authentication::Ok
            | Authentication::KerberosV5
            | Authentication::CleartextPassword
            | Authentication::GSS
            | Authentication::SSPI => Ok(()),
        }
    }
}
