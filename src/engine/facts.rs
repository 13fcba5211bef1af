//! What is known of the connection: phase, server, parameters, transaction. Set by the engine, read by everyone.

use std::ops::Range;

use crate::conninfo::Secret;
use crate::encoding::Encoding;
use crate::link::{Addr, TlsFacts};
use crate::wire::TransactionStatus;

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Nothing has happened yet.
    #[default]
    Start,
    /// Waiting for the addresses of a host name.
    Resolving,
    /// Looking for credentials for GSSAPI.
    Credentials,
    /// Waiting for the socket to be connected.
    Dialling,
    /// The server is asked whether it encrypts with GSSAPI.
    NegotiatingGss,
    /// The GSSAPI handshake is under way.
    SecuringGss,
    /// The server is asked whether it encrypts with TLS.
    Negotiating,
    /// The TLS handshake is under way.
    Securing,
    /// The startup packet is under way.
    Startup,
    /// Proving who the user is.
    Authenticating,
    /// Authenticated; the server sends its parameters.
    Settling,
    /// Finding out whether the server is the wanted kind (`target_session_attrs`).
    CheckingTarget,
    /// Up.
    Ready,
    /// The end.
    Over,
}

impl Phase {
    /// The name that `conn_inspect` prints.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Resolving => "resolving",
            Self::Credentials => "looking for credentials",
            Self::Dialling => "dialling",
            Self::NegotiatingGss => "negotiating GSSAPI encryption",
            Self::SecuringGss => "securing with GSSAPI",
            Self::Negotiating => "negotiating encryption",
            Self::Securing => "securing",
            Self::Startup => "startup",
            Self::Authenticating => "authenticating",
            Self::Settling => "settling",
            Self::CheckingTarget => "checking target",
            Self::Ready => "ready",
            Self::Over => "over",
        }
    }
}

/// What the server has said about the texts of the session, and how often: what was said last, on whatever connection, is
/// what libpq's functions without a connection go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Texts {
    /// `client_encoding`; `SQL_ASCII` when it is none that is known here.
    pub encoding: Encoding,
    /// `standard_conforming_strings`: backslashes are nothing special in literals.
    pub standard_strings: bool,
    /// How often the first, and the second, was reported.
    pub reports: (u16, u16),
}

/// What is known of the connection.
#[derive(Debug, Default)]
pub struct Facts {
    pub(super) phase: Phase,
    pub(super) parameters: Parameters,
    pub(super) pid: u32,
    pub(super) key: Option<Secret>,
    pub(super) protocol: u32,
    pub(super) transaction: Option<TransactionStatus>,
    pub(super) host: usize,
    pub(super) addr: Option<Addr>,
    pub(super) tls: Option<Box<TlsFacts>>,
    pub(super) challenged: bool,
    pub(super) gss_encrypted: bool,
    pub(super) gss_used: bool,
    pub(super) password_needed: bool,
    pub(super) password_used: bool,
    pub(super) server_version: u32,
    texts: Texts,
}

impl Facts {
    /// Where the connection is in its life.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether operations can be started.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// A parameter that the server reported (`server_encoding`, `TimeZone`, …).
    pub fn parameter(&self, name: &[u8]) -> Option<&[u8]> {
        self.parameters.find(name)
    }

    /// The same with its NUL.
    pub fn parameter_with_nul(&self, name: &[u8]) -> Option<&[u8]> {
        self.parameters.find_with_nul(name)
    }

    /// All reported parameters.
    pub fn parameters(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.parameters.iter()
    }

    /// The process ID of the server's backend; 0 before it is known.
    pub fn backend_pid(&self) -> u32 {
        self.pid
    }

    /// Whether it is a pooler that has answered: it gave a number that no process has, since its own is none of a backend's.
    /// Linux counts processes up to 2^22, other systems less far.
    pub fn is_pooled(&self) -> bool {
        !(1..=1 << 22).contains(&self.pid)
    }

    /// The key that a cancel request has to carry.
    pub fn cancel_key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }

    /// The protocol version as on the wire: the one that is asked for, until the server names an older one.
    pub fn protocol(&self) -> u32 {
        self.protocol
    }

    /// The transaction status that the last ReadyForQuery told; `None` before the first.
    pub fn transaction(&self) -> Option<TransactionStatus> {
        self.transaction
    }

    /// The host in use, as its number in the plan.
    pub fn host(&self) -> usize {
        self.host
    }

    /// The address in use.
    pub fn addr(&self) -> Option<&Addr> {
        self.addr.as_ref()
    }

    /// What the TLS handshake came to; `None` while the connection is not encrypted with it.
    pub fn tls(&self) -> Option<&TlsFacts> {
        self.tls.as_deref()
    }

    /// The server has spoken of authentication: there is one, whatever becomes of the connection.
    pub fn challenged(&self) -> bool {
        self.challenged
    }

    /// Whether what goes over the wire is encrypted with GSSAPI.
    pub fn gss_encrypted(&self) -> bool {
        self.gss_encrypted
    }

    /// Whether GSSAPI has told the server who we are: by an authentication, or by encryption.
    pub fn gss_used(&self) -> bool {
        self.gss_used
    }

    /// The server asked for a password and there was none.
    pub fn password_needed(&self) -> bool {
        self.password_needed
    }

    /// The server asked for a password and got one, or what was made of one.
    pub fn password_used(&self) -> bool {
        self.password_used
    }

    /// `server_version` as a number: 180006 for 18.6, 90603 for 9.6.3; 0 before it is known.
    pub fn server_version(&self) -> u32 {
        self.server_version
    }

    /// What the server has said about texts.
    pub fn texts(&self) -> Texts {
        self.texts
    }

    /// Keeps a parameter that the server reported. The work of it grows with the bytes of all, which are returned.
    pub(super) fn set_parameter(&mut self, name: &[u8], value: &[u8]) -> usize {
        let texts = &mut self.texts;
        match name {
            b"server_version" => self.server_version = version_number(value),
            b"client_encoding" => {
                texts.encoding = Encoding::named(value).unwrap_or_default();
                texts.reports.0 = texts.reports.0.wrapping_add(1);
            }
            b"standard_conforming_strings" => {
                texts.standard_strings = value == b"on";
                texts.reports.1 = texts.reports.1.wrapping_add(1);
            }
            _ => {}
        }
        self.parameters.set(name, value);
        self.parameters.0.len()
    }

    /// Forgets what one server said before another one is tried.
    pub(super) fn forget_server(&mut self) {
        self.parameters = Parameters::default();
        self.pid = 0;
        self.key = None;
        self.challenged = false;
        self.transaction = None;
        self.addr = None;
        self.tls = None;
        self.gss_encrypted = false;
        self.gss_used = false;
        self.server_version = 0;
        self.texts = Texts {
            reports: self.texts.reports,
            ..Texts::default()
        };
        self.password_needed = false;
        self.password_used = false;
    }
}

/// Reported parameters, some 15 short ones, rarely looked up: for each the lengths of its name and its value (`u16`, in
/// the machine's byte order), then `name NUL value NUL`.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<u8>);

/// More than this many bytes of parameters are not kept: a server reports some five hundred.
const MOST_PARAMETER_BYTES: usize = 32 * 1024;

/// One parameter: where it lies, and the lengths of its parts.
#[derive(Clone, Copy)]
struct Parameter {
    at: usize,
    name: usize,
    value: usize,
}

impl Parameter {
    const LENGTHS: usize = 4;

    fn name(self) -> Range<usize> {
        let start = self.at + Self::LENGTHS;
        start..start + self.name
    }

    fn value(self) -> Range<usize> {
        let start = self.name().end + 1;
        start..start + self.value
    }

    fn end(self) -> usize {
        self.value().end + 1
    }
}

impl Parameters {
    fn places(&self) -> impl Iterator<Item = Parameter> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let &[a, b, c, d] = self.0.get(at..)?.first_chunk()?;
            let found = Parameter {
                at,
                name: u16::from_ne_bytes([a, b]).into(),
                value: u16::from_ne_bytes([c, d]).into(),
            };
            at = found.end();
            Some(found)
        })
    }

    fn place(&self, name: &[u8]) -> Option<Parameter> {
        self.places()
            .find(|found| found.name == name.len() && self.0.get(found.name()) == Some(name))
    }

    fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.places()
            .filter_map(|found| Some((self.0.get(found.name())?, self.0.get(found.value())?)))
    }

    fn find(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.get(self.place(name)?.value())
    }

    fn find_with_nul(&self, name: &[u8]) -> Option<&[u8]> {
        let value = self.place(name)?.value();
        self.0.get(value.start..value.end + 1)
    }

    fn set(&mut self, name: &[u8], value: &[u8]) {
        // An old value is worse than none.
        if let Some(old) = self.place(name) {
            self.0.drain(old.at..old.end());
        }
        let more = Parameter::LENGTHS + name.len() + value.len() + 2;
        if self.0.len() + more > MOST_PARAMETER_BYTES {
            return;
        }
        self.0.reserve_exact(more);
        // What fits into the limit above fits into 16 bits.
        self.0.extend_from_slice(&(name.len() as u16).to_ne_bytes());
        self.0
            .extend_from_slice(&(value.len() as u16).to_ne_bytes());
        for part in [name, b"\0", value, b"\0"] {
            self.0.extend_from_slice(part);
        }
    }
}

/// libpq's number for a version text: `18.6 (Debian 18.6-3)` is 180006, `9.6.3` is 90603, `19devel` is 190000.
fn version_number(text: &[u8]) -> u32 {
    let mut parts = text.split(|&byte| byte == b'.').map(|part| {
        // Four digits, so that no text overflows what follows.
        let digits = part.iter().take_while(|byte| byte.is_ascii_digit()).take(4);
        digits.fold(None, |number: Option<u32>, digit| {
            Some(number.unwrap_or(0) * 10 + u32::from(digit - b'0'))
        })
    });
    let mut next = || parts.next().flatten();
    match (next(), next(), next()) {
        (Some(major), minor, _) if major >= 10 => major * 10_000 + minor.unwrap_or(0),
        (Some(major), minor, patch) => {
            (major * 100 + minor.unwrap_or(0)) * 100 + patch.unwrap_or(0)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_numbers() {
        for (text, number) in [
            ("18.6", 180_006),
            ("15.18 (Debian 15.18-0+deb12u1)", 150_018),
            ("9.6.3", 90_603),
            ("19devel", 190_000),
            ("10.1rc2", 100_001),
            ("nonsense", 0),
            ("", 0),
            ("999999999.999999999", 99_999_999),
        ] {
            assert_eq!(version_number(text.as_bytes()), number, "{text}");
        }
    }

    #[test]
    fn what_is_said_about_texts_is_counted() {
        let mut facts = Facts::default();
        facts.set_parameter(b"client_encoding", b"UTF8");
        facts.set_parameter(b"standard_conforming_strings", b"on");
        facts.set_parameter(b"client_encoding", b"KLINGON");
        let mut texts = Texts {
            encoding: Encoding::SQL_ASCII,
            standard_strings: true,
            reports: (2, 1),
        };
        assert_eq!(facts.texts(), texts);
        facts.forget_server();
        texts.standard_strings = false;
        assert_eq!(facts.texts(), texts);
    }

    #[test]
    fn the_last_value_of_a_parameter_counts() {
        let mut facts = Facts::default();
        facts.set_parameter(b"TimeZone", b"UTC");
        facts.set_parameter(b"application_name", b"");
        facts.set_parameter(b"TimeZone", b"Europe/Berlin");
        assert_eq!(facts.parameter(b"TimeZone"), Some(&b"Europe/Berlin"[..]));
        assert_eq!(facts.parameter(b"application_name"), Some(&b""[..]));
        assert_eq!(
            facts.parameter_with_nul(b"application_name"),
            Some(&b"\0"[..])
        );
        assert_eq!(facts.parameter(b"UTC"), None);
        // One that is too long to be kept is not known, rather than known as it was.
        facts.set_parameter(b"search_path", b"public");
        facts.set_parameter(b"search_path", &[b's'; MOST_PARAMETER_BYTES]);
        assert_eq!(facts.parameter(b"search_path"), None);
        assert_eq!(facts.parameters().count(), 2);
    }
}
