//! The hash of a server's certificate that SCRAM binds to: tls-server-end-point (RFC 5929, section 4.1). Knows hashes only.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use crate::net::tls::asn1::{self, Malformed, Reader, tag};
use crate::net::tls::certificate::{Certificate, oid};

/// The hash, or libpq's words for why there is none.
pub(super) fn hash(certificate: &[u8]) -> Result<Vec<u8>, String> {
    let algorithm = Certificate::read(certificate)
        .and_then(|certificate| Digests::of(certificate.signed.algorithm))
        .map_err(|Malformed| {
            String::from("could not determine server certificate signature algorithm")
        })?;
    match algorithm {
        Digests::Sha224 => Ok(Sha224::digest(certificate).to_vec()),
        Digests::Sha256 => Ok(Sha256::digest(certificate).to_vec()),
        Digests::Sha384 => Ok(Sha384::digest(certificate).to_vec()),
        Digests::Sha512 => Ok(Sha512::digest(certificate).to_vec()),
        Digests::None => Err(String::from("could not find digest for NID UNDEF")),
    }
}

/// The hash that a signature is made with; SHA-256 in place of MD5 and SHA-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digests {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    /// It is made without.
    None,
}

impl Digests {
    fn of(signature: &[u8]) -> Result<Digests, Malformed> {
        /// 1.2.840.113549.1.1, 1.2.840.10045.4, 1.2.840.10040.4, 2.16.840.1.101.3.4.3, 1.3.101.
        const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
        const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4];
        const DSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4];
        const DSA_SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3];
        const EDWARDS: &[u8] = &[0x2b, 0x65];

        let mut identifier = Reader::new(signature);
        let oid = identifier.value(tag::OID)?;
        if oid == oid::RSA_PSS {
            return Self::of_pss(identifier);
        }
        let after = |prefix| oid.strip_prefix(prefix);
        if let Some(number) = after(RSA) {
            return match number {
                [4 | 5 | 11] => Ok(Self::Sha256),
                [12] => Ok(Self::Sha384),
                [13] => Ok(Self::Sha512),
                [14] => Ok(Self::Sha224),
                _ => Err(Malformed),
            };
        }
        match (after(ECDSA), after(DSA), after(DSA_SHA2), after(EDWARDS)) {
            (Some([1]), ..) | (_, Some([3]), ..) => Ok(Self::Sha256),
            (Some([3, 1]), ..) | (_, _, Some([1]), _) => Ok(Self::Sha224),
            (Some([3, 2]), ..) | (_, _, Some([2]), _) => Ok(Self::Sha256),
            (Some([3, 3]), ..) | (_, _, Some([3]), _) => Ok(Self::Sha384),
            (Some([3, 4]), ..) | (_, _, Some([4]), _) => Ok(Self::Sha512),
            (.., Some([0x70 | 0x71])) => Ok(Self::None),
            _ => Err(Malformed),
        }
    }

    /// RSASSA-PSS-params (RFC 8017, appendix A.2.3): SHA-1 unless they say otherwise.
    fn of_pss(mut identifier: Reader<'_>) -> Result<Digests, Malformed> {
        /// 2.16.840.1.101.3.4.2.
        const SHA2: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2];

        let mut parameters = identifier.sequence()?;
        let Some(named) = parameters.optional(tag::nested(0))? else {
            return Ok(Self::Sha256);
        };
        let mut named = Reader::new(asn1::only(named, tag::SEQUENCE)?);
        match named.value(tag::OID)?.strip_prefix(SHA2) {
            Some([1]) => Ok(Self::Sha256),
            Some([2]) => Ok(Self::Sha384),
            Some([3]) => Ok(Self::Sha512),
            Some([4]) => Ok(Self::Sha224),
            Some(_) => Err(Malformed),
            None => Ok(Self::Sha256), // SHA-1 written out
        }
    }
}
