//! A small pool of buffers per thread, so that an idle connection owns none. Knows sizes, not contents. It goes before the
//! thread's last callers do (handlers of atexit, destructors of other thread locals): these get buffers that are not pooled.

use std::cell::Cell;
use std::mem;

use super::OutOfMemory;

/// Bytes in a pooled buffer.
pub const CHUNK: usize = 16 * 1024;
/// Bytes in a pooled buffer for a small result: a row of some 120 bytes, with what the owner keeps before it.
pub(super) const SMALL: usize = 320;
/// Buffers of a chunk's size, of either kind, that a thread keeps.
const KEPT: usize = 8;
/// Small ones: as many results as a pipeline has under way.
const SMALL_KEPT: usize = 128;

thread_local! {
    /// Initialised buffers, to receive into.
    static FULL: Pool<KEPT> = const { Pool::new() };
    /// Empty buffers with room, to write into.
    static EMPTY: Pool<KEPT> = const { Pool::new() };
    /// Initialised buffers for small results.
    static RESULTS: Pool<SMALL_KEPT> = const { Pool::new() };
}

/// A buffer of [`CHUNK`] initialised bytes (their values mean nothing).
#[inline]
pub fn take() -> Result<Vec<u8>, OutOfMemory> {
    let chunk = FULL.try_with(Pool::take).unwrap_or_default();
    if chunk.is_empty() {
        return zeroed(CHUNK);
    }
    Ok(chunk)
}

/// Gives a buffer back; one of another size is freed.
#[inline]
pub fn give(chunk: Vec<u8>) {
    if chunk.len() == CHUNK {
        let _ = FULL.try_with(|pool| pool.give(chunk));
    }
}

/// An empty buffer with room for [`CHUNK`] bytes, to write into; with no room when there is no memory.
#[inline]
pub fn take_empty() -> Vec<u8> {
    let mut bytes = EMPTY.try_with(Pool::take).unwrap_or_default();
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
        let _ = EMPTY.try_with(|pool| pool.give(bytes));
    }
}

/// A buffer of [`SMALL`] initialised bytes (their values mean nothing).
#[inline(always)]
pub(super) fn take_small() -> Result<Vec<u8>, OutOfMemory> {
    let small = RESULTS.try_with(Pool::take).unwrap_or_default();
    if small.is_empty() {
        return zeroed(SMALL);
    }
    Ok(small)
}

/// Gives a buffer back; one of another size is freed. In a thread that is ending there is no pool any more.
#[inline(always)]
pub(super) fn give_small(buffer: Vec<u8>) {
    if buffer.len() == SMALL {
        let _ = RESULTS.try_with(|pool| pool.give(buffer));
    }
}

/// A stack of buffers that needs no memory of its own.
struct Pool<const MOST: usize> {
    buffers: [Cell<Vec<u8>>; MOST],
    count: Cell<usize>,
}

impl<const MOST: usize> Pool<MOST> {
    const fn new() -> Self {
        Self {
            buffers: [const { Cell::new(Vec::new()) }; MOST],
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
    #[inline(always)]
    fn give(&self, bytes: Vec<u8>) {
        let count = self.count.get();
        if let Some(place) = self.buffers.get(count) {
            // What is behind the count has no room: there is nothing to free.
            mem::forget(place.replace(bytes));
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
    fn there_are_buffers_when_the_pool_is_gone() {
        /// Lives longer than the pool: thread locals are dropped in the order of their first use, the last first.
        struct Last(std::sync::mpsc::Sender<usize>);
        impl Drop for Last {
            fn drop(&mut self) {
                let (full, small, empty) = (take().unwrap(), take_small().unwrap(), take_empty());
                let _ = self.0.send(full.len() + small.len() + empty.capacity());
                give(full);
                give_small(small);
                give_empty(empty);
            }
        }
        thread_local!(static LAST: Cell<Option<Last>> = const { Cell::new(None) });

        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(|| {
            LAST.set(Some(Last(sender)));
            give(take().unwrap());
            give_small(take_small().unwrap());
            give_empty(take_empty());
        });
        assert_eq!(receiver.recv().unwrap(), 2 * CHUNK + SMALL);
        thread.join().unwrap();
    }

    #[test]
    fn the_pool_is_bounded() {
        for _ in 0..100 {
            give(vec![0; CHUNK]);
        }
        assert_eq!(FULL.with(|pool| pool.count.get()), KEPT);
        for _ in 0..2 * SMALL_KEPT {
            give_small(vec![0; SMALL]);
        }
        assert_eq!(RESULTS.with(|pool| pool.count.get()), SMALL_KEPT);
        give_small(vec![0; SMALL + 1]);
        assert_eq!(take_small().unwrap().len(), SMALL);
    }
}
