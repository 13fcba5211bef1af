//! Copies of a few bytes: two words that may overlap, where a call would cost more than the copy. Knows no meanings.

/// Copies `from` into `to`, which is as long.
#[inline(always)]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        8..=16 => copy_ends::<8>(to, from),
        4..=7 => copy_ends::<4>(to, from),
        17..=32 => copy_ends::<16>(to, from),
        _ => to.copy_from_slice(from),
    }
}

/// The first and the last `N` bytes, which are all.
#[inline(always)]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) {
        if let Some(place) = to.first_chunk_mut::<N>() {
            *place = *first;
        }
        if let Some(place) = to.last_chunk_mut::<N>() {
            *place = *last;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_is_copied_whole() {
        for length in 0..70 {
            let bytes: Vec<u8> = (1..=length).collect();
            let mut copied = vec![0; bytes.len()];
            copy(&mut copied, &bytes);
            assert_eq!(copied, bytes);
        }
    }
}
