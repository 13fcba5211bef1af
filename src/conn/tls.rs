//! What is told of a connection's TLS, under the names that libpq gives it. Knows no handshake.

use std::borrow::Cow;
use std::ffi::CStr;

use super::Connection;
use crate::link::TlsFacts;

/// What [`Connection::tls_attribute`] knows, in libpq's order.
pub const TLS_ATTRIBUTES: [&CStr; 6] = [
    c"library",
    c"key_bits",
    c"cipher",
    c"compression",
    c"protocol",
    c"alpn",
];

/// The library that does TLS.
pub const TLS_LIBRARY: &CStr = c"rustls";

impl Connection {
    /// Whether what goes over the wire is encrypted, with TLS or GSSAPI.
    pub fn is_encrypted(&self) -> bool {
        self.facts().tls().is_some() || self.facts().gss_encrypted()
    }

    /// What libpq's `PQsslAttribute` tells of an encrypted connection: one of [`TLS_ATTRIBUTES`]. `None` for another name, and
    /// while the connection is not encrypted.
    pub fn tls_attribute(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        attribute(self.facts().tls()?, name)
    }
}

fn attribute<'a>(facts: &'a TlsFacts, name: &[u8]) -> Option<Cow<'a, [u8]>> {
    let value = match name {
        b"library" => TLS_LIBRARY.to_bytes(),
        b"key_bits" => return Some(Cow::Owned(facts.key_bits.to_string().into_bytes())),
        b"cipher" => facts.cipher.as_bytes(),
        // It gives secrets away, and TLS 1.3 has none.
        b"compression" => b"off",
        b"protocol" => facts.version.as_bytes(),
        b"alpn" => facts.alpn.as_deref().unwrap_or_default(),
        _ => return None,
    };
    Some(Cow::Borrowed(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_attribute_has_a_value_and_nothing_else_has() {
        let facts = TlsFacts {
            version: "TLSv1.3",
            cipher: "TLS_AES_256_GCM_SHA384",
            key_bits: 256,
            alpn: Some(b"postgresql".to_vec()),
            ..TlsFacts::default()
        };
        let said = TLS_ATTRIBUTES.map(|name| {
            let value = attribute(&facts, name.to_bytes()).unwrap();
            String::from_utf8(value.into_owned()).unwrap()
        });
        assert_eq!(
            said,
            [
                "rustls",
                "256",
                "TLS_AES_256_GCM_SHA384",
                "off",
                "TLSv1.3",
                "postgresql"
            ]
        );
        assert_eq!(attribute(&facts, b"Library"), None);
        let facts = TlsFacts::default();
        let alpn = attribute(&facts, b"alpn").unwrap();
        assert_eq!(*alpn, *b"", "nothing was selected");
    }

    #[test]
    fn a_connection_in_clear_has_none() {
        let connection = Connection::failed(crate::error::Error::misuse("no"));
        assert!(!connection.is_encrypted());
        for name in TLS_ATTRIBUTES {
            assert_eq!(connection.tls_attribute(name.to_bytes()), None);
        }
    }
}
