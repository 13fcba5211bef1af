//! The hash of a server's certificate that SCRAM binds to: tls-server-end-point (RFC 5929, section 4.1). Knows hashes only.

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use x509_parser::x509::AlgorithmIdentifier;

use crate::net::tls::certificate::Certificate;
use crate::net::tls::signature::{SHA256, SHA384, SHA512, is_weak, pss_hash, pss_parameters};

/// The hash, or libpq's words for why there is none.
pub(super) fn hash(der: &[u8]) -> Result<Vec<u8>, String> {
    let algorithm = Certificate::read(der)
        .ok()
        .and_then(|certificate| Hash::of(&certificate.parts().signature_algorithm))
        .ok_or("could not determine server certificate signature algorithm")?;
    match algorithm {
        Hash::Sha224 => Ok(Sha224::digest(der).to_vec()),
        Hash::Sha256 => Ok(Sha256::digest(der).to_vec()),
        Hash::Sha384 => Ok(Sha384::digest(der).to_vec()),
        Hash::Sha512 => Ok(Sha512::digest(der).to_vec()),
        Hash::None => Err(String::from("could not find digest for NID UNDEF")),
    }
}

/// The hash that a signature is made with; SHA-256 in place of MD5 and SHA-1.
enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    /// It is made without.
    None,
}

impl Hash {
    fn of(signature: &AlgorithmIdentifier<'_>) -> Option<Hash> {
        if let Some(parameters) = pss_parameters(signature) {
            return Some(match pss_hash(&parameters).as_str() {
                "1.3.14.3.2.26" | SHA256 => Hash::Sha256,
                SHA384 => Hash::Sha384,
                SHA512 => Hash::Sha512,
                _ => return None,
            });
        }
        // RSA, ECDSA and DSA with each.
        Some(match signature.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.14" | "1.2.840.10045.4.3.1" | "2.16.840.1.101.3.4.3.1" => {
                Hash::Sha224
            }
            "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" | "2.16.840.1.101.3.4.3.2" => {
                Hash::Sha256
            }
            "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" | "2.16.840.1.101.3.4.3.3" => {
                Hash::Sha384
            }
            "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" | "2.16.840.1.101.3.4.3.4" => {
                Hash::Sha512
            }
            id if is_weak(id) => Hash::Sha256,
            "1.3.101.112" | "1.3.101.113" => Hash::None,
            _ => return None,
        })
    }
}
