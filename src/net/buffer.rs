//! Buffers for ciphertext from a small pool per thread, so that an idle connection owns none. Knows sizes, not contents.
#![forbid(unsafe_code)]

use std::cell::Cell;

use crate::rows::OutOfMemory;

/// Bytes of a buffer: what is read or sent by one system call, and a little more for the headers of records.
pub(super) const SIZE: usize = MOST_PLAIN + 4 * 1024;
/// Plaintext that is encrypted into one buffer.
pub(super) const MOST_PLAIN: usize = 64 * 1024;
/// Buffers that a thread keeps: one for each direction.
const KEPT: usize = 2;

thread_local! {
    static POOL: [Cell<Vec<u8>>; KEPT] = const { [const { Cell::new(Vec::new()) }; KEPT] };
}

/// A window of bytes in a pooled buffer.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Of [`SIZE`] bytes, or empty.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// The bytes that are there.
    pub(super) fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// The same, to be changed.
    pub(super) fn filled_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(super) fn is_half_full(&self) -> bool {
        self.filled().len() > SIZE / 2
    }

    /// Forgets `count` bytes at the front; the buffer goes back when it is empty.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.is_empty() {
            self.give_back();
        }
    }

    /// Room behind the bytes: at least `wanted`, unless so much is filled.
    pub(super) fn room(&mut self, wanted: usize) -> Result<&mut [u8], OutOfMemory> {
        if self.bytes.is_empty() {
            self.bytes = take()?;
        }
        if self.bytes.len() - self.end < wanted && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        Ok(&mut self.bytes[self.end..])
    }

    /// Says that `count` bytes of the room were filled.
    pub(super) fn add(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
        if self.is_empty() {
            self.give_back();
        }
    }

    /// Appends what `write` writes; `None` if it does not fit or there is no memory.
    pub(super) fn append(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<()> {
        let written = match self.room(SIZE) {
            Ok(room) => write(room),
            Err(OutOfMemory) => None,
        };
        self.add(written.unwrap_or(0));
        written.map(|_| ())
    }

    fn give_back(&mut self) {
        (self.start, self.end) = (0, 0);
        let bytes = std::mem::take(&mut self.bytes);
        if bytes.len() == SIZE {
            give(bytes);
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A buffer of initialised bytes whose values mean nothing.
fn take() -> Result<Vec<u8>, OutOfMemory> {
    let kept = POOL.try_with(|pool| {
        let mut buffers = pool.iter().map(Cell::take);
        buffers.find(|bytes| !bytes.is_empty())
    });
    if let Ok(Some(bytes)) = kept {
        return Ok(bytes);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(SIZE)?;
    bytes.resize(SIZE, 0);
    Ok(bytes)
}

/// Keeps a buffer if there is a place for it. A thread that ends keeps none.
fn give(bytes: Vec<u8>) {
    let _ = POOL.try_with(|pool| {
        for place in pool {
            let there = place.take();
            if there.is_empty() {
                place.set(bytes);
                return;
            }
            place.set(there);
        }
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_is_empty_again_is_used_again() {
        let mut first = Buffer::default();
        let place = first.room(1).unwrap().as_ptr();
        first.add(3);
        first.consume(3);
        let mut second = Buffer::default();
        assert_eq!(second.room(1).unwrap().as_ptr(), place);
        assert_eq!(first.filled(), b"");
    }

    #[test]
    fn bytes_move_to_the_front_when_there_is_too_little_room_behind_them() {
        let mut buffer = Buffer::default();
        buffer.room(1).unwrap().fill(7);
        buffer.add(SIZE);
        assert!(buffer.room(1).unwrap().is_empty());
        buffer.consume(SIZE - 10);
        assert_eq!(buffer.room(100).unwrap().len(), SIZE - 10);
        assert_eq!(buffer.filled(), [7; 10]);
    }

    #[test]
    fn the_pool_is_bounded() {
        let mut all: Vec<Buffer> = (0..10).map(|_| Buffer::default()).collect();
        for buffer in &mut all {
            buffer.room(1).unwrap();
            buffer.add(1);
        }
        drop(all);
        let kept = POOL.with(|pool| pool.iter().filter(|place| !place.take().is_empty()).count());
        assert_eq!(kept, KEPT);
    }
}
