//! Finds the NUL that ends a String. Names are short, so what counts is the start, not the pace.

const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// Whether there is one: the last word overlaps the one before it, so that no byte is looked at by itself.
#[inline(always)]
pub(super) fn is_in(bytes: &[u8]) -> bool {
    let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) else {
        return is_in_short(bytes);
    };
    if bytes.len() <= 16 {
        return zeros(u64::from_le_bytes(*first)) | zeros(u64::from_le_bytes(*last)) != 0;
    }
    let (words, _) = bytes.as_chunks::<8>();
    zeros(u64::from_le_bytes(*last)) != 0
        || words
            .iter()
            .any(|word| zeros(u64::from_le_bytes(*word)) != 0)
}

/// The same for less than eight bytes.
#[inline(always)]
fn is_in_short(bytes: &[u8]) -> bool {
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>(), bytes) {
        (Some(first), Some(last), _) => {
            let first = u64::from(u32::from_le_bytes(*first));
            zeros(first << 32 | u64::from(u32::from_le_bytes(*last))) != 0
        }
        (_, _, [first, .., last]) => *first == 0 || bytes[1] == 0 || *last == 0,
        (_, _, [only]) => *only == 0,
        _ => false,
    }
}

/// The lowest bit of it is the top bit of the first byte that is 0; 0 when none is.
#[inline(always)]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

/// Where the first NUL is.
#[inline]
pub(super) fn position(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut before = 0;
    for word in words {
        let zeros = zeros(u64::from_le_bytes(*word));
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
    use super::{is_in, position};

    #[test]
    fn the_first_nul_wherever_it_is() {
        for length in 0..40 {
            for filler in [1, 0x7f, 0x80, 0x81, 0xff] {
                let mut bytes = vec![filler; length];
                assert_eq!(position(&bytes), None);
                assert!(!is_in(&bytes));
                for at in 0..length {
                    let mut bytes = bytes.clone();
                    bytes[at] = 0;
                    assert!(is_in(&bytes));
                }
                for at in (0..length).rev() {
                    bytes[at] = 0;
                    assert_eq!(position(&bytes), Some(at));
                }
            }
        }
    }
}
