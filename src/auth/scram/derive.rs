//! Key derivation of SCRAM-SHA-256 in slices: Hi() of RFC 5802, 2.2, which is PBKDF2. Knows hashes, not the exchange.

use hmac::{Hmac, KeyInit, Mac};
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

/// A key or a signature: as long as SHA-256's output, wiped when dropped. On the heap, so that moving it leaves nothing behind.
pub(super) type Key = Box<Zeroizing<[u8; 32]>>;

const BLOCK: usize = 64;

/// The state in which SHA-256 begins (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// SaltedPassword on its way. The two halves of HMAC's key are compressed once, so that an iteration costs two compressions.
pub(super) struct SaltedPassword {
    inner: Zeroizing<[u32; 8]>,
    outer: Zeroizing<[u32; 8]>,
    /// The newest U, padded to the block that both hashes read: they all have the same length.
    block: Zeroizing<[u8; BLOCK]>,
    /// The U of all iterations, xored.
    sum: Zeroizing<[u32; 8]>,
    left: u32,
}

impl SaltedPassword {
    /// Does the first of `iterations` (0 counts as 1).
    pub(super) fn new(password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        match key.get_mut(..password.len()) {
            Some(start) => start.copy_from_slice(password),
            None => key[..32].copy_from_slice(&**sha256(password)),
        }
        let half = |pad: u8| {
            let mut state = Zeroizing::new(INITIAL);
            let block = Zeroizing::new(key.map(|byte| byte ^ pad));
            compress256(&mut state, std::slice::from_ref(&*block));
            state
        };
        let first = hmac(&*key, &[salt, &1u32.to_be_bytes()]);
        let mut block = Zeroizing::new([0; BLOCK]);
        block[..32].copy_from_slice(&**first);
        block[32] = 0x80;
        let bits = (BLOCK + 32) as u64 * 8;
        block[56..].copy_from_slice(&bits.to_be_bytes());
        let mut sum = Zeroizing::new([0; 8]);
        for (word, bytes) in sum.iter_mut().zip(first.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        Self {
            inner: half(0x36),
            outer: half(0x5c),
            block,
            sum,
            left: iterations.saturating_sub(1),
        }
    }

    /// Goes on for at most `iterations`; whether all are done.
    pub(super) fn derive(&mut self, iterations: u32) -> bool {
        let now = iterations.min(self.left);
        for _ in 0..now {
            for start in [&self.inner, &self.outer] {
                let mut state = **start;
                compress256(&mut state, std::slice::from_ref(&*self.block));
                for (bytes, word) in self.block.as_chunks_mut().0.iter_mut().zip(state) {
                    *bytes = word.to_be_bytes();
                }
            }
            for (sum, bytes) in self.sum.iter_mut().zip(self.block.as_chunks().0) {
                *sum ^= u32::from_be_bytes(*bytes);
            }
        }
        self.left -= now;
        self.left == 0
    }

    /// ClientKey and ServerKey (RFC 5802, 3); `None` while iterations are left.
    pub(super) fn keys(&self) -> Option<(Key, Key)> {
        if self.left != 0 {
            return None;
        }
        let mut salted = Key::default();
        for (bytes, word) in salted.as_chunks_mut().0.iter_mut().zip(*self.sum) {
            *bytes = word.to_be_bytes();
        }
        let key = |name: &[u8]| hmac(&**salted, &[name]);
        Some((key(b"Client Key"), key(b"Server Key")))
    }
}

/// HMAC-SHA-256 of `parts`, one after the other.
pub(super) fn hmac(key: &[u8], parts: &[&[u8]]) -> Key {
    // The only error of this constructor is a length of the key, and HMAC takes any.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC refused a key of {} bytes", key.len())
    };
    for part in parts {
        mac.update(part);
    }
    let mut output = mac.finalize().into_bytes();
    let result = self::key(&output.into());
    output.zeroize();
    result
}

/// A copy of `bytes`.
pub(super) fn key(bytes: &[u8; 32]) -> Key {
    let mut key = Key::default();
    key.copy_from_slice(bytes);
    key
}

/// SHA-256 of `bytes`.
pub(super) fn sha256(bytes: &[u8]) -> Key {
    let mut output = Key::default();
    Sha256::new()
        .chain_update(bytes)
        .finalize_into((&mut **output).into());
    output
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// PBKDF2 as RFC 8018 writes it, without anything prepared.
    fn plain(password: &[u8], salt: &[u8], iterations: u32) -> [u32; 8] {
        let mut newest = hmac(password, &[salt, &[0, 0, 0, 1]]);
        let mut sum = newest.clone();
        for _ in 1..iterations {
            newest = hmac(password, &[&**newest]);
            for (sum, byte) in sum.iter_mut().zip(newest.iter()) {
                *sum ^= byte;
            }
        }
        let words = sum.as_chunks().0.iter().copied().map(u32::from_be_bytes);
        words.collect::<Vec<_>>().try_into().unwrap()
    }

    #[test]
    fn equals_the_plain_definition() {
        let long = [b'x'; 200];
        for password in [b"" as &[u8], b"pencil", &long[..64], &long[..65], &long] {
            for salt in [b"" as &[u8], b"salt", &long] {
                for iterations in [1, 2, 3, 100] {
                    let mut sliced = SaltedPassword::new(password, salt, iterations);
                    assert!(sliced.derive(u32::MAX));
                    assert_eq!(*sliced.sum, plain(password, salt, iterations));
                }
            }
        }
    }

    #[test]
    fn known_value() {
        // hashlib.pbkdf2_hmac('sha256', b'password', b'salt', 4096)
        let mut salted = SaltedPassword::new(b"password", b"salt", 4096);
        assert!(salted.derive(4096));
        assert_eq!(
            *salted.sum,
            [
                0xc5e4_78d5,
                0x9288_c841,
                0xaa53_0db6,
                0x845c_4c8d,
                0x9628_93a0,
                0x01ce_4e11,
                0xa496_3873,
                0xaa98_134a
            ]
        );
    }

    #[test]
    fn slices_make_no_difference() {
        let mut whole = SaltedPassword::new(b"password", b"salt", 1000);
        assert!(whole.derive(u32::MAX));
        for slice in [1, 7, 333, 998, 999, 1000] {
            let mut sliced = SaltedPassword::new(b"password", b"salt", 1000);
            let mut calls = 1;
            while !sliced.derive(slice) {
                assert!(sliced.keys().is_none());
                calls += 1;
            }
            assert_eq!(calls, 999u32.div_ceil(slice));
            assert_eq!(sliced.sum, whole.sum);
            assert_eq!(sliced.keys(), whole.keys());
        }
    }
}
