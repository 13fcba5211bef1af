//! A small pool of buffers per thread, so that an idle connection owns none. Knows sizes, not contents.

use std::cell::Cell;

use super::OutOfMemory;

/// Bytes in a pooled buffer.
pub const CHUNK: usize = 16 * 1024;
/// Buffers of either kind that a thread keeps.
const KEPT: usize = 8;

thread_local! {
    /// Initialised buffers, to receive into.
    static FULL: Pool = const { Pool::new() };
    /// Empty buffers with room, to write into.
    static EMPTY: Pool = const { Pool::new() };
}

/// A buffer of [`CHUNK`] initialised bytes (their values mean nothing).
#[inline]
pub fn take() -> Result<Vec<u8>, OutOfMemory> {
    let chunk = FULL.with(Pool::take);
    if chunk.is_empty() {
        return zeroed(CHUNK);
    }
    Ok(chunk)
}

/// Gives a buffer back; one of another size is freed.
#[inline]
pub fn give(chunk: Vec<u8>) {
    if chunk.len() == CHUNK {
        FULL.with(|pool| pool.give(chunk));
    }
}

/// An empty buffer with room for [`CHUNK`] bytes, to write into; with no room when there is no memory.
#[inline]
pub fn take_empty() -> Vec<u8> {
    let mut bytes = EMPTY.with(Pool::take);
    if bytes.capacity() == 0 {
        // Without the memory the encoder that writes into it reports the failure.
        let _ = bytes.try_reserve_exact(CHUNK);
    }
    bytes
}

/// Gives a written buffer back; one that has grown is freed.
#[inline]
pub fn give_empty(mut bytes: Vec<u8>) {
    if bytes.capacity() == CHUNK {
        bytes.clear();
        EMPTY.with(|pool| pool.give(bytes));
    }
}

/// A stack of buffers that needs no memory of its own.
struct Pool {
    buffers: [Cell<Vec<u8>>; KEPT],
    count: Cell<usize>,
}

impl Pool {
    const fn new() -> Self {
        Self {
            buffers: [const { Cell::new(Vec::new()) }; KEPT],
            count: Cell::new(0),
        }
    }

    /// The last buffer given; one without room when there is none.
    #[inline]
    fn take(&self) -> Vec<u8> {
        let last = self.count.get().wrapping_sub(1);
        match self.buffers.get(last) {
            Some(buffer) => {
                self.count.set(last);
                buffer.take()
            }
            None => Vec::new(),
        }
    }

    /// Keeps a buffer if there is a place for it.
    #[inline]
    fn give(&self, bytes: Vec<u8>) {
        let count = self.count.get();
        if let Some(place) = self.buffers.get(count) {
            place.set(bytes);
            self.count.set(count + 1);
        }
    }
}

/// `size` initialised bytes.
pub(crate) fn zeroed(size: usize) -> Result<Vec<u8>, OutOfMemory> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size)?;
    bytes.resize(size, 0);
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_given_back_is_taken_again() {
        let first = take().unwrap();
        let place = first.as_ptr();
        give(first);
        let second = take().unwrap();
        assert_eq!(second.as_ptr(), place);
        assert_eq!(second.len(), CHUNK);
    }

    #[test]
    fn a_grown_buffer_is_not_kept() {
        give(vec![0; CHUNK * 2]);
        assert_eq!(take().unwrap().len(), CHUNK);
    }

    #[test]
    fn the_pool_is_bounded() {
        for _ in 0..100 {
            give(vec![0; CHUNK]);
        }
        assert_eq!(FULL.with(|pool| pool.count.get()), KEPT);
    }
}
