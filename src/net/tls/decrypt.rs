//! Private keys that are encrypted with a password: PKCS #8 with PBES2 (RFC 8018), and OpenSSL's old PEM. Knows no keys.

use std::num::NonZeroU32;

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, KeyIvInit};
use des::TdesEde3;
use md5::{Digest, Md5};
use ring::pbkdf2;
use zeroize::Zeroizing;

use crate::net::tls::asn1::{self, Malformed, Reader, tag};
use crate::net::tls::keys::{BAD_DECRYPT, Plain};

/// The most rounds of key derivation: they run within a call that must not take long.
const MOST_ROUNDS: u32 = if cfg!(fuzzing) { 100 } else { 10_000_000 };

/// Decrypts an `EncryptedPrivateKeyInfo`.
pub(super) fn pkcs8(bytes: &[u8], password: &[u8]) -> Result<Plain, String> {
    let (algorithm, data) =
        parts(bytes).map_err(|Malformed| String::from("the key is malformed"))?;
    let scheme = Scheme::read(algorithm).map_err(|Malformed| {
        String::from(
            "unsupported encryption: convert the key with \"openssl pkcs8 -topk8 -v2 aes256\"",
        )
    })?;
    if scheme.rounds.get() > MOST_ROUNDS {
        return Err(format!(
            "its password is derived in {} rounds, and {MOST_ROUNDS} are the most",
            scheme.rounds
        ));
    }
    let mut key = Zeroizing::new([0; 32]);
    let key = key
        .get_mut(..scheme.cipher.key_length())
        .unwrap_or_default();
    pbkdf2::derive(scheme.hash, scheme.rounds, scheme.salt, password, key);
    scheme.cipher.decrypt(key, scheme.iv, data)
}

/// Decrypts the contents of a PEM block with `DEK-Info: cipher,iv`, whose key is made by `EVP_BytesToKey` with MD5.
pub(super) fn old_pem(how: &[u8], data: &[u8], password: &[u8]) -> Result<Plain, String> {
    let unsupported = || {
        String::from(
            "unsupported encryption: convert the key with \"openssl pkcs8 -topk8 -v2 aes256\"",
        )
    };
    let (name, iv) = split(how, b',').ok_or_else(unsupported)?;
    let cipher = Cipher::ALL
        .into_iter()
        .find(|cipher| cipher.pem_name() == name)
        .ok_or_else(unsupported)?;
    let iv = hex(iv).ok_or_else(|| String::from("bad iv chars"))?;
    let salt = iv.get(..8).ok_or_else(|| String::from("short header"))?;
    let mut key = Zeroizing::new(Vec::with_capacity(48));
    let mut last = Zeroizing::new([0; 16]);
    while key.len() < cipher.key_length() {
        let mut hash = Md5::new();
        if !key.is_empty() {
            hash.update(*last);
        }
        hash.update(password);
        hash.update(salt);
        *last = hash.finalize().into();
        key.extend_from_slice(&*last);
    }
    let key = key.get(..cipher.key_length()).unwrap_or_default();
    cipher.decrypt(key, &iv, data)
}

/// The ciphers that keys are encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    TripleDes,
}

impl Cipher {
    const ALL: [Cipher; 4] = [Self::Aes128, Self::Aes192, Self::Aes256, Self::TripleDes];

    fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 | Self::TripleDes => 24,
            Self::Aes256 => 32,
        }
    }

    fn pem_name(self) -> &'static [u8] {
        match self {
            Self::Aes128 => b"AES-128-CBC",
            Self::Aes192 => b"AES-192-CBC",
            Self::Aes256 => b"AES-256-CBC",
            Self::TripleDes => b"DES-EDE3-CBC",
        }
    }

    /// 2.16.840.1.101.3.4.1.{2,22,42} and 1.2.840.113549.3.7.
    fn oid(self) -> &'static [u8] {
        match self {
            Self::Aes128 => &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 2],
            Self::Aes192 => &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 22],
            Self::Aes256 => &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42],
            Self::TripleDes => &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 3, 7],
        }
    }

    fn decrypt(self, key: &[u8], iv: &[u8], data: &[u8]) -> Result<Plain, String> {
        let mut buffer = Zeroizing::new(data.to_vec());
        let length = match self {
            Self::Aes128 => decrypt::<Decryptor<Aes128>>(key, iv, &mut buffer),
            Self::Aes192 => decrypt::<Decryptor<Aes192>>(key, iv, &mut buffer),
            Self::Aes256 => decrypt::<Decryptor<Aes256>>(key, iv, &mut buffer),
            Self::TripleDes => decrypt::<Decryptor<TdesEde3>>(key, iv, &mut buffer),
        };
        buffer.truncate(length.ok_or(BAD_DECRYPT)?);
        Ok(buffer)
    }
}

/// Decrypts in place: how much of it is plain text.
fn decrypt<C: KeyIvInit + BlockModeDecrypt>(
    key: &[u8],
    iv: &[u8],
    buffer: &mut [u8],
) -> Option<usize> {
    let cipher = C::new_from_slices(key, iv).ok()?;
    let plain = cipher.decrypt_padded::<Pkcs7>(buffer).ok()?;
    Some(plain.len())
}

/// PBES2 with PBKDF2 (RFC 8018, appendix A).
struct Scheme<'a> {
    hash: pbkdf2::Algorithm,
    rounds: NonZeroU32,
    salt: &'a [u8],
    cipher: Cipher,
    iv: &'a [u8],
}

impl<'a> Scheme<'a> {
    fn read(algorithm: &'a [u8]) -> Result<Self, Malformed> {
        /// 1.2.840.113549.1.5.{13,12}.
        const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
        const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];

        let mut outside = expect(Reader::new(algorithm), PBES2)?;
        let mut parameters = outside.sequence()?;
        let mut derivation = expect(parameters.sequence()?, PBKDF2)?.sequence()?;
        let salt = derivation.value(tag::OCTET_STRING)?;
        let rounds = NonZeroU32::new(derivation.small()?).ok_or(Malformed)?;
        let length = derivation
            .optional(tag::INTEGER)?
            .map(asn1::number)
            .transpose()?;
        let hash = hash(derivation)?;
        let mut encryption = parameters.sequence()?;
        let oid = encryption.value(tag::OID)?;
        let cipher = Cipher::ALL
            .into_iter()
            .find(|cipher| cipher.oid() == oid)
            .ok_or(Malformed)?;
        let iv = encryption.value(tag::OCTET_STRING)?;
        if length.is_some_and(|length| length as usize != cipher.key_length()) {
            return Err(Malformed);
        }
        Ok(Self {
            hash,
            rounds,
            salt,
            cipher,
            iv,
        })
    }
}

/// 1.2.840.113549.2.{7,9,10,11}: HMAC with SHA-1, which is the default, and SHA-2.
fn hash(mut derivation: Reader<'_>) -> Result<pbkdf2::Algorithm, Malformed> {
    const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2];

    if derivation.is_empty() {
        return Ok(pbkdf2::PBKDF2_HMAC_SHA1);
    }
    let oid = derivation.sequence()?.value(tag::OID)?;
    match oid.strip_prefix(HMAC) {
        Some([7]) => Ok(pbkdf2::PBKDF2_HMAC_SHA1),
        Some([9]) => Ok(pbkdf2::PBKDF2_HMAC_SHA256),
        Some([10]) => Ok(pbkdf2::PBKDF2_HMAC_SHA384),
        Some([11]) => Ok(pbkdf2::PBKDF2_HMAC_SHA512),
        _ => Err(Malformed),
    }
}

/// What is behind an identifier that must be this one.
fn expect<'a>(mut reader: Reader<'a>, oid: &[u8]) -> Result<Reader<'a>, Malformed> {
    if reader.value(tag::OID)? == oid {
        Ok(reader)
    } else {
        Err(Malformed)
    }
}

fn parts(bytes: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut inside = Reader::new(asn1::only(bytes, tag::SEQUENCE)?);
    let algorithm = inside.value(tag::SEQUENCE)?;
    let data = inside.value(tag::OCTET_STRING)?;
    inside.end()?;
    Ok((algorithm, data))
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == at)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}
