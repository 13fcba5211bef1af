//! Checks signatures: of certificates, and of a server on its handshake. Knows algorithms, and no trust.

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::SignatureVerificationAlgorithm;

use crate::net::tls::asn1::{Reader, tag};
use crate::net::tls::certificate::{PublicKey, Signed, oid};

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

/// RSA-PSS with a key that is for RSA-PSS alone: TLS has numbers of its own for it (RFC 8446, section 4.2.3), and rustls no names.
const PSS_KEYS: [(u16, SignatureScheme); 3] = [
    (0x0809, SignatureScheme::RSA_PSS_SHA256),
    (0x080a, SignatureScheme::RSA_PSS_SHA384),
    (0x080b, SignatureScheme::RSA_PSS_SHA512),
];

/// The smallest RSA key: OpenSSL's security level 2, which Debian and others set, and the least that ring takes.
const LEAST_RSA_BITS: usize = 2_048;

/// What is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Made with MD5 or SHA-1.
    Weak,
    /// Made with an RSA key that is too small.
    SmallKey,
    /// Made with what cannot be checked here.
    Unsupported,
    /// Not the key's on these bytes.
    Bad,
}

/// Whether a key is too small to be worth anything.
pub(super) fn is_small(key: &PublicKey<'_>) -> bool {
    key.rsa_bits().is_some_and(|bits| bits < LEAST_RSA_BITS)
}

/// Checks an issuer's signature.
pub(super) fn check(signed: &Signed<'_>, key: &PublicKey<'_>) -> Result<(), Wrong> {
    let mut same = algorithms()
        .all
        .iter()
        .filter(|algorithm| algorithm.signature_alg_id().as_ref() == signed.algorithm)
        .peekable();
    if same.peek().is_none() {
        return Err(if is_weak(signed.algorithm) {
            Wrong::Weak
        } else {
            Wrong::Unsupported
        });
    }
    let algorithm = same
        .find(|algorithm| takes(**algorithm, key))
        .ok_or(Wrong::Unsupported)?;
    verify(*algorithm, key, signed.bytes, signed.signature)
}

/// Checks a server's signature on its handshake. Of TLS 1.3 only the schemes that it has.
pub(super) fn check_handshake(
    message: &[u8],
    key: &PublicKey<'_>,
    scheme: SignatureScheme,
    signature: &[u8],
    is_tls13: bool,
) -> Result<(), Wrong> {
    use SignatureScheme as Scheme;
    let is_old = matches!(
        scheme,
        Scheme::RSA_PKCS1_SHA256 | Scheme::RSA_PKCS1_SHA384 | Scheme::RSA_PKCS1_SHA512
    );
    let for_pss_keys = PSS_KEYS
        .iter()
        .find(|(number, _)| *number == u16::from(scheme))
        .map(|(_, same)| *same);
    let (_, candidates) = algorithms()
        .mapping
        .iter()
        .find(|(known, _)| *known == for_pss_keys.unwrap_or(scheme))
        .ok_or(Wrong::Unsupported)?;
    // The curve belongs to the scheme in TLS 1.3: only the first is it.
    let most = if is_tls13 { 1 } else { candidates.len() };
    let is_fit = |algorithm: Algorithm| match for_pss_keys {
        Some(_) => is_pss_key(key),
        None => algorithm.public_key_alg_id().as_ref() == key.algorithm,
    };
    let algorithm = candidates
        .iter()
        .take(most)
        .find(|algorithm| is_fit(**algorithm) && !(is_tls13 && is_old))
        .ok_or(Wrong::Unsupported)?;
    verify(*algorithm, key, message, signature)
}

/// The schemes that a server may sign its handshake with, the best first.
pub(super) fn schemes() -> Vec<SignatureScheme> {
    let mut schemes = algorithms().supported_schemes();
    schemes.extend(
        PSS_KEYS
            .iter()
            .map(|(number, _)| SignatureScheme::from(*number)),
    );
    schemes
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    rustls::crypto::ring::default_provider().signature_verification_algorithms
}

fn takes(algorithm: Algorithm, key: &PublicKey<'_>) -> bool {
    let is_pss = algorithm_oid(algorithm.signature_alg_id().as_ref()) == Some(oid::RSA_PSS);
    algorithm.public_key_alg_id().as_ref() == key.algorithm || (is_pss && is_pss_key(key))
}

fn verify(
    algorithm: Algorithm,
    key: &PublicKey<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Wrong> {
    if is_small(key) {
        return Err(Wrong::SmallKey);
    }
    algorithm
        .verify_signature(key.bits, message, signature)
        .map_err(|_| Wrong::Bad)
}

fn is_pss_key(key: &PublicKey<'_>) -> bool {
    algorithm_oid(key.algorithm) == Some(oid::RSA_PSS)
}

fn algorithm_oid(identifier: &[u8]) -> Option<&[u8]> {
    Reader::new(identifier).value(tag::OID).ok()
}

/// Signatures that OpenSSL's security level 1 refuses, and with it libpq: MD2, MD4, MD5 and SHA-1 with RSA, SHA-1 with DSA and ECDSA.
fn is_weak(identifier: &[u8]) -> bool {
    const RSA_OLD: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1];
    const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
    const DSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3];
    match algorithm_oid(identifier) {
        Some([prefix @ .., 2..=5]) if prefix == RSA_OLD => true,
        Some(oid) => oid == ECDSA_SHA1 || oid == DSA_SHA1,
        None => false,
    }
}
