//! Memory that goes with a result: texts, values made by hand, what a program asks for. Knows neither.

use std::ffi::c_char;
use std::{ptr, slice};

/// What any value may need: libpq promises that binary values are aligned so.
pub(crate) const ALIGNMENT: usize = align_of::<u64>();

/// Bytes of the first block; each further one is twice as large, up to [`MOST`].
const FIRST: usize = 1024;
const MOST: usize = 64 * 1024;

/// Values that are shorter than this are copied as if they were so long.
pub(crate) const SHORT: usize = 16;

/// Pieces of memory that live as long as the arena, and stay where they are.
#[derive(Debug)]
pub(crate) struct Arena {
    blocks: Vec<Vec<u64>>,
    /// The free bytes of one of the blocks.
    free: *mut u8,
    left: usize,
    /// Bytes of all blocks.
    size: usize,
}

impl Arena {
    pub(crate) const fn new() -> Self {
        Self {
            blocks: Vec::new(),
            free: ptr::null_mut(),
            left: 0,
            size: 0,
        }
    }

    /// Room for `len` bytes, aligned for anything; `None` without memory.
    #[inline]
    pub(crate) fn aligned(&mut self, len: usize) -> Option<*mut u8> {
        self.bytes(len, ALIGNMENT)
    }

    #[inline]
    fn bytes(&mut self, len: usize, alignment: usize) -> Option<*mut u8> {
        let skip = self.free.addr().wrapping_neg() % alignment;
        if self.left < skip || self.left - skip < len {
            return self.bytes_of_a_block(len);
        }
        let place = self.free.wrapping_add(skip);
        self.free = place.wrapping_add(len);
        self.left -= skip + len;
        Some(place)
    }

    /// The same where there is not enough: what is large gets a block of its own, and what is free stays so.
    #[cold]
    fn bytes_of_a_block(&mut self, len: usize) -> Option<*mut u8> {
        let usual = (FIRST << self.blocks.len().min(6)).min(MOST);
        let own = len > usual / 2;
        let size = if own { len } else { usual };
        let words = size.div_ceil(size_of::<u64>());
        let mut block: Vec<u64> = Vec::new();
        self.blocks.try_reserve(1).ok()?;
        block.try_reserve_exact(words).ok()?;
        let first: *mut u8 = block.as_mut_ptr().cast();
        self.size += words * size_of::<u64>();
        self.blocks.push(block);
        if !own {
            self.free = first.wrapping_add(len);
            self.left = size - len;
        }
        Some(first)
    }

    /// A copy of `text` with a NUL behind it; `None` without memory.
    pub(crate) fn string(&mut self, text: &[u8]) -> Option<*mut c_char> {
        let copy = self.bytes(text.len().checked_add(1)?, 1)?;
        // SAFETY: room for the text and the NUL.
        unsafe {
            copy.copy_from_nonoverlapping(text.as_ptr(), text.len());
            copy.add(text.len()).write(0);
        }
        Some(copy.cast())
    }

    /// A copy of a value as programs may read it, aligned and with a NUL behind it; `None` without memory.
    #[inline]
    pub(crate) fn value(&mut self, value: &[u8]) -> Option<*mut c_char> {
        let copy = self.bytes(value.len().checked_add(1)?, ALIGNMENT)?;
        // SAFETY: room for the value and the NUL.
        unsafe {
            copy.copy_from_nonoverlapping(value.as_ptr(), value.len());
            copy.add(value.len()).write(0);
        }
        Some(copy.cast())
    }

    /// The same for the `len` bytes at `value`; `readable`: at least [`SHORT`] bytes can be read there.
    ///
    /// # Safety
    /// There are as many bytes as said.
    #[inline]
    pub(crate) unsafe fn value_at(
        &mut self,
        value: *const u8,
        len: usize,
        readable: bool,
    ) -> Option<*mut c_char> {
        let skip = self.free.addr().wrapping_neg() % ALIGNMENT;
        if len < SHORT && readable && self.left >= skip + SHORT {
            // SAFETY: as many bytes can be read, and there is room for them; what is behind the value is written over.
            unsafe {
                let copy = self.free.add(skip);
                copy.copy_from_nonoverlapping(value, SHORT);
                copy.add(len).write(0);
                self.free = copy.add(len + 1);
                self.left -= skip + len + 1;
                return Some(copy.cast());
            }
        }
        // SAFETY: the caller's promise.
        self.value(unsafe { slice::from_raw_parts(value, len) })
    }

    /// Bytes that it holds on to.
    pub(crate) fn memory(&self) -> usize {
        self.size + self.blocks.capacity() * size_of::<Vec<u64>>()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_aligned_stay_and_do_not_overlap() {
        let mut arena = Arena::new();
        let mut pieces = Vec::new();
        let mut random = 1_u32;
        for number in 0..2000_u32 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let len = (random >> 24) as usize * if number % 100 == 0 { 500 } else { 1 };
            let text = vec![(number % 251) as u8; len];
            let copy = if number % 3 == 0 {
                arena.string(&text).unwrap()
            } else {
                let copy = arena.value(&text).unwrap();
                assert_eq!(copy.addr() % ALIGNMENT, 0);
                copy
            };
            pieces.push((copy, text));
        }
        for (copy, text) in pieces {
            // SAFETY: a piece of that length, with its NUL.
            let copied = unsafe { std::slice::from_raw_parts(copy.cast::<u8>(), text.len() + 1) };
            assert_eq!(&copied[..text.len()], text);
            assert_eq!(copied[text.len()], 0);
        }
        assert!(arena.aligned(usize::MAX - 3).is_none());
        assert!(arena.memory() > 100_000);
    }
}
