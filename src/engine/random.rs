//! Random numbers from a seed that is given at open: nonces and the order of hosts. Knows no source of entropy.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A generator: SHA-256 over the seed and a counter.
pub struct Random {
    seed: Zeroizing<[u8; 32]>,
    counter: u64,
}

/// Without the seed, from which everything follows.
impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

impl Random {
    /// From 32 bytes of the operating system's randomness; in a simulation, from any.
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            seed: Zeroizing::new(seed),
            counter: 0,
        }
    }

    fn next(&mut self) -> [u8; 32] {
        self.counter += 1;
        Sha256::new()
            .chain_update(*self.seed)
            .chain_update(self.counter.to_be_bytes())
            .finalize()
            .into()
    }

    /// A nonce for SCRAM, as long as libpq's.
    pub(super) fn nonce(&mut self) -> [u8; 18] {
        let mut nonce = [0; 18];
        nonce.copy_from_slice(&self.next()[..18]);
        nonce
    }

    /// Brings `items` into a random order (Fisher and Yates).
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let mut word = [0; 8];
            word.copy_from_slice(&self.next()[..8]);
            items.swap(
                last,
                (u64::from_be_bytes(word) % (last as u64 + 1)) as usize,
            );
        }
    }
}
