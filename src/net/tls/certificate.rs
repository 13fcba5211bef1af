//! An X.509 certificate (RFC 5280), as x509-parser reads it and as it is asked here. Knows its fields, and not whom to trust.

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{AuthorityKeyIdentifier, GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

/// It cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// A certificate that can be read: no extension that matters is there twice or makes no sense.
#[derive(Debug)]
pub(super) struct Certificate<'a>(X509Certificate<'a>);

impl<'a> Certificate<'a> {
    /// Reads one; there must be nothing behind it.
    pub(super) fn read(der: &'a [u8]) -> Result<Certificate<'a>, Malformed> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| Malformed)?;
        let is_sound = rest.is_empty()
            && certificate.signature_algorithm == certificate.tbs_certificate.signature
            && certificate.extensions_map().is_ok()
            && certificate
                .extensions()
                .iter()
                .all(|extension| extension.parsed_extension().error().is_none());
        is_sound
            .then_some(Certificate(certificate))
            .ok_or(Malformed)
    }

    /// The certificate itself.
    pub(super) fn as_der(&self) -> &'a [u8] {
        self.0.as_raw()
    }

    /// Its parts.
    pub(super) fn parts(&self) -> &X509Certificate<'a> {
        &self.0
    }

    /// Of version 1, or 2, which has no extensions either.
    pub(super) fn is_old(&self) -> bool {
        self.0.version().0 < 2
    }

    /// Issued by itself, as far as its names tell.
    pub(super) fn is_self_issued(&self) -> bool {
        self.0.subject().as_raw() == self.0.issuer().as_raw()
    }

    /// The same, and its key identifiers do not deny it: the end of a chain.
    pub(super) fn is_self_signed(&self) -> bool {
        self.may_have_issued(self)
    }

    /// Whether `other` says that this one is its issuer.
    pub(super) fn may_have_issued(&self, other: &Certificate<'_>) -> bool {
        let said = other.authority();
        let key = said.and_then(|said| said.key_identifier.as_ref());
        let serial = said.and_then(|said| said.authority_cert_serial);
        self.0.subject().as_raw() == other.0.issuer().as_raw()
            && key.is_none_or(|key| self.has_key_identifier(key.0))
            && serial.is_none_or(|serial| serial == self.0.raw_serial())
    }

    /// Whether its key may be the one that is called so.
    pub(super) fn has_key_identifier(&self, identifier: &[u8]) -> bool {
        self.extensions().all(|extension| match extension {
            ParsedExtension::SubjectKeyIdentifier(own) => own.0 == identifier,
            _ => true,
        })
    }

    fn authority(&self) -> Option<&AuthorityKeyIdentifier<'a>> {
        self.extensions().find_map(|extension| match extension {
            ParsedExtension::AuthorityKeyIdentifier(authority) => Some(authority),
            _ => None,
        })
    }

    /// Its extensions, whatever they are.
    pub(super) fn extensions(&self) -> impl Iterator<Item = &ParsedExtension<'a>> {
        let extensions = self.0.extensions().iter();
        extensions.map(|extension| extension.parsed_extension())
    }

    /// One is critical, and nobody here understands it.
    pub(super) fn has_unknown_critical(&self) -> bool {
        self.0.extensions().iter().any(|extension| {
            extension.critical
                && matches!(
                    extension.parsed_extension(),
                    ParsedExtension::UnsupportedExtension { .. } | ParsedExtension::Unparsed
                )
        })
    }

    /// Its subject's alternative names.
    pub(super) fn alternative_names(&self) -> &[GeneralName<'a>] {
        let names = self.extensions().find_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names[..]),
            _ => None,
        });
        names.unwrap_or_default()
    }

    /// The first common name, as its bytes are.
    pub(super) fn common_name(&self) -> Option<&[u8]> {
        common_name(self.0.subject())
    }
}

/// The first common name in a Name, as its bytes are.
pub(super) fn common_name<'n>(name: &'n X509Name<'_>) -> Option<&'n [u8]> {
    name.iter_common_name().next().map(|name| name.as_slice())
}

/// The bits of the modulus, if it is an RSA key.
pub(super) fn rsa_bits(key: &SubjectPublicKeyInfo<'_>) -> Option<usize> {
    match key.parsed() {
        Ok(PublicKey::RSA(key)) => {
            let zeros = key.modulus.iter().take_while(|byte| **byte == 0).count();
            let first = key.modulus.get(zeros)?;
            Some((key.modulus.len() - zeros) * 8 - first.leading_zeros() as usize)
        }
        _ => None,
    }
}
