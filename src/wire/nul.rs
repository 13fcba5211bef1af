//! Finds the NUL that ends a String. Names are short, so what counts is the start, not the pace.

const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// Where the first NUL is.
#[inline]
pub(super) fn position(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut before = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The lowest bit that this leaves is the top bit of the first byte that is 0.
        let zeros = word.wrapping_sub(LOW) & !word & HIGH;
        if zeros != 0 {
            return Some(before + zeros.trailing_zeros() as usize / 8);
        }
        before += 8;
    }
    tail.iter()
        .position(|&byte| byte == 0)
        .map(|at| before + at)
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn the_first_nul_wherever_it_is() {
        for length in 0..40 {
            for filler in [1, 0x7f, 0x80, 0x81, 0xff] {
                let mut bytes = vec![filler; length];
                assert_eq!(position(&bytes), None);
                for at in (0..length).rev() {
                    bytes[at] = 0;
                    assert_eq!(position(&bytes), Some(at));
                }
            }
        }
    }
}
