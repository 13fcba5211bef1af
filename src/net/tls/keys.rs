//! The client's own certificate and key: reads them in all the forms that libpq takes. Knows forms, and no handshake.

use std::sync::Arc;

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use des::TdesEde3;
use md5::{Digest, Md5};
use pkcs8::{EncryptedPrivateKeyInfoRef, pkcs5};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::sign::{CertifiedKey, SigningKey};
use zeroize::Zeroizing;

use crate::conninfo::tls::Identity;
use crate::link::LinkError;
use crate::net::tls::certificate::Certificate;
use crate::net::tls::config::setup_error;
use crate::net::tls::problem::printable;
use crate::net::tls::trust;

/// Reads both, and sees that they belong together.
pub(super) fn load(identity: &Identity) -> Result<Arc<CertifiedKey>, LinkError> {
    let chain = trust::certificates(&identity.certificate.content).map_err(|why| {
        let path = printable(&identity.certificate.path);
        // For a file without any, OpenSSL has other words here than for one of roots.
        let why = if why == trust::NO_CERTIFICATE {
            "no start line"
        } else {
            why
        };
        setup_error(format!("could not read certificate file \"{path}\": {why}"))
    })?;
    let path = printable(&identity.key_path);
    let password = identity.password.as_ref().map(|password| password.expose());
    let key = read(identity.key.expose(), password)
        .map_err(|why| setup_error(format!("could not load private key file \"{path}\": {why}")))?;
    if !is_pair(chain.first().map_or(&[], Vec::as_slice), &*key) {
        return Err(setup_error(format!(
            "could not load private key file \"{path}\": key values mismatch"
        )));
    }
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

/// Whether a certificate is for a key.
fn is_pair(certificate: &[u8], key: &dyn SigningKey) -> bool {
    let Ok(certificate) = Certificate::read(certificate) else {
        return false;
    };
    key.public_key()
        .is_some_and(|public| public.as_ref() == certificate.parts().public_key().raw)
}

/// Reads a key, PEM or DER.
pub(super) fn read(content: &[u8], password: Option<&[u8]>) -> Result<Arc<dyn SigningKey>, String> {
    if content.first() == Some(&0x30) {
        return match EncryptedPrivateKeyInfoRef::try_from(content) {
            Ok(encrypted) => decrypt(&encrypted, password),
            Err(_) => PrivateKeyDer::try_from(content)
                .map_err(|_| String::from("no start line: it is neither PEM nor a key in DER"))
                .and_then(sign),
        };
    }
    let blocks = pem::parse_many(content).map_err(|_| String::from("bad base64 decode"))?;
    for block in blocks {
        let how = block.headers().get("DEK-Info").map(String::from);
        let label = String::from(block.tag());
        let mut bytes = Zeroizing::new(block.into_contents());
        if let Some(how) = how {
            bytes = decrypt_old(&how, &bytes, wanted(password)?)?;
        }
        let key = match label.as_str() {
            "ENCRYPTED PRIVATE KEY" => {
                let encrypted = EncryptedPrivateKeyInfoRef::try_from(&bytes[..]);
                let encrypted = encrypted.map_err(|_| String::from(UNSUPPORTED_ENCRYPTION))?;
                return decrypt(&encrypted, password);
            }
            "PRIVATE KEY" => PrivatePkcs8KeyDer::from(&bytes[..]).into(),
            "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(&bytes[..]).into(),
            "EC PRIVATE KEY" => PrivateSec1KeyDer::from(&bytes[..]).into(),
            "DSA PRIVATE KEY" => return Err(String::from(UNSUPPORTED)),
            _ => continue,
        };
        return sign(key);
    }
    Err(String::from("no start line: there is no private key in it"))
}

/// Decrypts PKCS #8.
fn decrypt(
    encrypted: &EncryptedPrivateKeyInfoRef<'_>,
    password: Option<&[u8]>,
) -> Result<Arc<dyn SigningKey>, String> {
    let is_long = encrypted
        .encryption_algorithm
        .pbes2()
        .and_then(|scheme| scheme.kdf.pbkdf2())
        .is_some_and(|derivation| derivation.iteration_count > MOST_ROUNDS);
    if is_long {
        return Err(format!("its password takes more than {MOST_ROUNDS} rounds"));
    }
    let plain = encrypted
        .decrypt(wanted(password)?)
        .map_err(|error| match error {
            pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm { .. })
            | pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::NoPbes1CryptSupport) => {
                String::from(UNSUPPORTED_ENCRYPTION)
            }
            _ => String::from(BAD_DECRYPT),
        })?;
    sign(PrivatePkcs8KeyDer::from(plain.as_bytes()).into())
}

fn sign(key: PrivateKeyDer<'_>) -> Result<Arc<dyn SigningKey>, String> {
    any_supported_type(&key).map_err(|_| String::from(UNSUPPORTED))
}

fn wanted(password: Option<&[u8]>) -> Result<&[u8], String> {
    password.ok_or_else(|| {
        String::from("processing error: the key is encrypted; give its password as sslpassword")
    })
}

/// The most rounds of key derivation: they run within a call that must not take long.
const MOST_ROUNDS: u32 = if cfg!(fuzzing) { 100 } else { 10_000_000 };

/// What OpenSSL says of a wrong password.
const BAD_DECRYPT: &str = "bad decrypt";

const UNSUPPORTED: &str = "unsupported: RSA keys of 2048 to 4096 bits, ECDSA keys on P-256 or P-384, and Ed25519 keys can be used";

const UNSUPPORTED_ENCRYPTION: &str =
    "unsupported encryption: convert the key with \"openssl pkcs8 -topk8 -v2 aes256\"";

/// Decrypts OpenSSL's old PEM, `DEK-Info: cipher,iv`, whose key is made by `EVP_BytesToKey` with MD5.
fn decrypt_old(how: &str, data: &[u8], password: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
    let (name, iv) = how.split_once(',').ok_or(UNSUPPORTED_ENCRYPTION)?;
    let iv = hex(iv.trim()).ok_or("bad iv chars")?;
    let salt = iv.get(..8).ok_or("short header")?;
    let mut key = Zeroizing::new(Vec::with_capacity(48));
    while key.len() < 32 {
        let last = key.len().saturating_sub(16);
        let mut hash = Md5::new();
        hash.update(key.get(last..).unwrap_or_default());
        hash.update(password);
        hash.update(salt);
        key.extend_from_slice(&hash.finalize());
    }
    let mut buffer = Zeroizing::new(data.to_vec());
    let length = match name {
        "AES-128-CBC" => decrypt_cbc::<Decryptor<Aes128>>(&key[..16], &iv, &mut buffer),
        "AES-192-CBC" => decrypt_cbc::<Decryptor<Aes192>>(&key[..24], &iv, &mut buffer),
        "AES-256-CBC" => decrypt_cbc::<Decryptor<Aes256>>(&key[..32], &iv, &mut buffer),
        "DES-EDE3-CBC" => decrypt_cbc::<Decryptor<TdesEde3>>(&key[..24], &iv, &mut buffer),
        _ => return Err(String::from(UNSUPPORTED_ENCRYPTION)),
    };
    buffer.truncate(length.ok_or(BAD_DECRYPT)?);
    Ok(buffer)
}

/// Decrypts in place: how much of it is plain text. All keys begin alike, so that a wrong password is seen even where the end looks
/// right by chance.
fn decrypt_cbc<C: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8],
    buffer: &mut [u8],
) -> Option<usize> {
    let cipher = C::new_from_slices(key, iv).ok()?;
    let plain = cipher.decrypt_padded::<Pkcs7>(buffer).ok()?;
    plain.starts_with(&[0x30]).then_some(plain.len())
}

fn hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}
