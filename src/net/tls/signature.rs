//! Checks signatures: of certificates, and of a server on its handshake. Knows which of webpki's algorithms is meant, and no trust.

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer};
use webpki::{Error, RawPublicKeyEntity, ring};
use x509_parser::signature_algorithm::{RsaSsaPssParams, SignatureAlgorithm};
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::net::tls::certificate::rsa_bits;

type Algorithm = &'static dyn SignatureVerificationAlgorithm;

const RSA_PSS: &str = "1.2.840.113549.1.1.10";

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
    /// Made with MD5 or SHA-1, which OpenSSL's security level 1 refuses, and libpq with it.
    Weak,
    /// Made with an RSA key that is too small.
    SmallKey,
    /// Made with what cannot be checked here.
    Unsupported,
    /// Not the key's on these bytes.
    Bad,
}

/// Whether a key is too small to be worth anything.
pub(super) fn is_small(key: &SubjectPublicKeyInfo<'_>) -> bool {
    rsa_bits(key).is_some_and(|bits| bits < LEAST_RSA_BITS)
}

/// Checks an issuer's signature on what it has signed.
pub(super) fn check(
    body: &[u8],
    algorithm: &AlgorithmIdentifier<'_>,
    signature: &[u8],
    key: &SubjectPublicKeyInfo<'_>,
) -> Result<(), Wrong> {
    let candidates = match algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.11" => vec![ring::RSA_PKCS1_2048_8192_SHA256],
        "1.2.840.113549.1.1.12" => vec![ring::RSA_PKCS1_2048_8192_SHA384],
        "1.2.840.113549.1.1.13" => vec![ring::RSA_PKCS1_2048_8192_SHA512],
        RSA_PSS => vec![of_pss(algorithm).ok_or(Wrong::Unsupported)?],
        "1.2.840.10045.4.3.2" => vec![ring::ECDSA_P256_SHA256, ring::ECDSA_P384_SHA256],
        "1.2.840.10045.4.3.3" => vec![ring::ECDSA_P256_SHA384, ring::ECDSA_P384_SHA384],
        "1.3.101.112" => vec![ring::ED25519],
        id if is_weak(id) => return Err(Wrong::Weak),
        _ => return Err(Wrong::Unsupported),
    };
    verify(&candidates, key, body, signature)
}

/// Checks a server's signature on its handshake. Of TLS 1.3 only the schemes that it has.
pub(super) fn check_handshake(
    message: &[u8],
    key: &SubjectPublicKeyInfo<'_>,
    scheme: SignatureScheme,
    signature: &[u8],
    is_tls13: bool,
) -> Result<(), Wrong> {
    use SignatureScheme as Scheme;
    let for_pss_key = PSS_KEYS
        .iter()
        .find(|(number, _)| *number == u16::from(scheme))
        .map(|(_, same)| *same);
    let is_old = matches!(
        scheme,
        Scheme::RSA_PKCS1_SHA256 | Scheme::RSA_PKCS1_SHA384 | Scheme::RSA_PKCS1_SHA512
    );
    if for_pss_key.is_some() != is_pss_key(key) || (is_tls13 && is_old) {
        return Err(Wrong::Unsupported);
    }
    let (_, candidates) = algorithms()
        .mapping
        .iter()
        .find(|(known, _)| *known == for_pss_key.unwrap_or(scheme))
        .ok_or(Wrong::Unsupported)?;
    // The curve belongs to the scheme in TLS 1.3: only the first is it.
    let most = if is_tls13 { 1 } else { candidates.len() };
    let candidates = candidates.get(..most).unwrap_or_default();
    verify(candidates, key, message, signature)
}

/// The schemes that a server may sign its handshake with, the best first.
pub(super) fn schemes() -> Vec<SignatureScheme> {
    let mut schemes = algorithms().supported_schemes();
    let for_pss_keys = PSS_KEYS
        .iter()
        .map(|(number, _)| SignatureScheme::from(*number));
    schemes.extend(for_pss_keys);
    schemes
}

fn algorithms() -> WebPkiSupportedAlgorithms {
    rustls::crypto::ring::default_provider().signature_verification_algorithms
}

fn verify(
    candidates: &[Algorithm],
    key: &SubjectPublicKeyInfo<'_>,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Wrong> {
    if is_small(key) {
        return Err(Wrong::SmallKey);
    }
    if is_pss_key(key) {
        // Webpki does not take such a key, but its algorithms do.
        let bits = &key.subject_public_key.data;
        let algorithm = candidates.first().ok_or(Wrong::Unsupported)?;
        let verified = algorithm.verify_signature(bits, message, signature);
        return verified.map_err(|_| Wrong::Bad);
    }
    let der = SubjectPublicKeyInfoDer::from(key.raw);
    let entity = RawPublicKeyEntity::try_from(&der).map_err(|_| Wrong::Unsupported)?;
    for algorithm in candidates {
        match entity.verify_signature(*algorithm, message, signature) {
            Ok(()) => return Ok(()),
            Err(Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
            Err(_) => return Err(Wrong::Bad),
        }
    }
    Err(Wrong::Unsupported)
}

/// RSA-PSS with the parameters that everybody uses: as much salt as the hash is long.
fn of_pss(algorithm: &AlgorithmIdentifier<'_>) -> Option<Algorithm> {
    let parameters = pss_parameters(algorithm)?;
    match (pss_hash(&parameters).as_str(), parameters.salt_length()) {
        (SHA256, 32) => Some(ring::RSA_PSS_2048_8192_SHA256_LEGACY_KEY),
        (SHA384, 48) => Some(ring::RSA_PSS_2048_8192_SHA384_LEGACY_KEY),
        (SHA512, 64) => Some(ring::RSA_PSS_2048_8192_SHA512_LEGACY_KEY),
        _ => None,
    }
}

pub(super) const SHA256: &str = "2.16.840.1.101.3.4.2.1";
pub(super) const SHA384: &str = "2.16.840.1.101.3.4.2.2";
pub(super) const SHA512: &str = "2.16.840.1.101.3.4.2.3";

/// The parameters of RSA-PSS, if that is the algorithm and it has some.
pub(super) fn pss_parameters<'a>(
    algorithm: &AlgorithmIdentifier<'a>,
) -> Option<Box<RsaSsaPssParams<'a>>> {
    if algorithm.algorithm.to_id_string() != RSA_PSS {
        return None;
    }
    match SignatureAlgorithm::try_from(algorithm) {
        Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) => Some(parameters),
        _ => None,
    }
}

/// The identifier of its hash.
pub(super) fn pss_hash(parameters: &RsaSsaPssParams<'_>) -> String {
    parameters.hash_algorithm_oid().to_id_string()
}

fn is_pss_key(key: &SubjectPublicKeyInfo<'_>) -> bool {
    key.algorithm.algorithm.to_id_string() == RSA_PSS
}

/// MD2, MD4, MD5 and SHA-1 with RSA, SHA-1 with ECDSA and DSA.
pub(super) fn is_weak(id: &str) -> bool {
    matches!(
        id,
        "1.2.840.113549.1.1.2"
            | "1.2.840.113549.1.1.3"
            | "1.2.840.113549.1.1.4"
            | "1.2.840.113549.1.1.5"
            | "1.2.840.10045.4.1"
            | "1.2.840.10040.4.3"
    )
}
