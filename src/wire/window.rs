//! Messages that are short together, written where they are sent from: room is made once, and each part costs a look at what is
//! left of it. Knows no message.

use super::short;

/// Bytes of a window.
const ROOM: usize = 128;

/// What is being written, and how much of it is.
pub(super) struct Window<'a> {
    room: &'a mut [u8; ROOM],
    used: usize,
}

impl Window<'_> {
    /// Appends the first `used` of the bytes: to copy all, whose number is known, is less than to copy those.
    #[inline(always)]
    pub(super) fn fixed<const N: usize>(&mut self, bytes: &[u8; N], used: usize) -> Option<()> {
        let room = self.room.get_mut(self.used..)?.first_chunk_mut()?;
        *room = *bytes;
        self.used += used;
        Some(())
    }

    /// Appends a few bytes.
    #[inline(always)]
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let room = self.room.get_mut(self.used..)?.get_mut(..bytes.len())?;
        short::copy(room, bytes);
        self.used += bytes.len();
        Some(())
    }

    /// So many bytes are written.
    #[inline(always)]
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// The length word of the message that all of it begins with.
    #[inline(always)]
    pub(super) fn set_length(&mut self, length: u32) {
        self.room[1..5].copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends what `write` writes. False, and `out` is as it was, where that does not fit into a window, or there is no memory.
#[inline(always)]
pub(super) fn append(out: &mut Vec<u8>, write: impl FnOnce(&mut Window<'_>) -> Option<()>) -> bool {
    if out.try_reserve(ROOM).is_err() {
        return false;
    }
    let before = out.len();
    out.extend_from_slice(&[0; ROOM]);
    let written = out.last_chunk_mut().and_then(|room| {
        let mut window = Window { room, used: 0 };
        write(&mut window).map(|()| window.used)
    });
    out.truncate(before + written.unwrap_or(0));
    written.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_leaves_nothing() {
        for length in [0, 1, ROOM - 6, ROOM - 5, ROOM, 10 * ROOM] {
            let mut out = b"before".to_vec();
            let long = vec![b'x'; length];
            let fits = append(&mut out, |window| {
                window.fixed(b"m....too much", 5)?;
                window.bytes(&long)?;
                window.set_length(window.used() as u32);
                Some(())
            });
            let expected = match fits {
                true => [b"beforem\0\0\0", &[(5 + length) as u8][..], &long].concat(),
                false => b"before".to_vec(),
            };
            assert_eq!(fits, length + 5 <= ROOM);
            assert_eq!(out, expected);
        }
    }
}
