//! Why a certificate is not accepted, in the words of OpenSSL that libpq's users know. Knows how to say it, nothing more.

use std::fmt;

use x509_parser::x509::X509Name;

use crate::net::tls::certificate::{Certificate, common_name};

/// What is wrong, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    reason: &'static str,
    about: String,
}

impl Problem {
    /// Something is wrong with no certificate in particular.
    pub(super) fn new(reason: &'static str) -> Problem {
        Problem {
            reason,
            about: String::new(),
        }
    }

    /// Something is wrong with this one.
    pub(super) fn of(reason: &'static str, certificate: &Certificate<'_>) -> Problem {
        let about = format!(
            " (certificate {}, issued by {})",
            quoted(certificate.parts().subject()),
            quoted(certificate.parts().issuer())
        );
        Problem { reason, about }
    }

    /// OpenSSL's words for it.
    #[cfg(test)]
    pub(super) fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.reason, self.about)
    }
}

/// A Name by its common name.
fn quoted(name: &X509Name<'_>) -> String {
    match common_name(name) {
        Some(name) => format!("\"{}\"", printable(name)),
        None => String::from("without a common name"),
    }
}

/// Text of a certificate for a message: what is not text, or would not stay on its line, is replaced.
pub(super) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}
