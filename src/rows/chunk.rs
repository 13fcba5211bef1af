//! A small pool of buffers per thread, so that an idle connection owns none. Knows sizes, not contents.

use std::cell::RefCell;

use super::OutOfMemory;

/// Bytes in a pooled buffer.
pub const CHUNK: usize = 16 * 1024;
/// Buffers that a thread keeps.
const KEPT: usize = 8;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static EMPTY: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`CHUNK`] initialised bytes (their values mean nothing).
pub fn take() -> Result<Vec<u8>, OutOfMemory> {
    match POOL.with_borrow_mut(Vec::pop) {
        Some(chunk) => Ok(chunk),
        None => zeroed(CHUNK),
    }
}

/// Gives a buffer back; one of another size is freed.
pub fn give(chunk: Vec<u8>) {
    if chunk.len() != CHUNK {
        return;
    }
    POOL.with_borrow_mut(|pool| {
        if pool.len() < KEPT && pool.try_reserve(1).is_ok() {
            pool.push(chunk);
        }
    });
}

/// An empty buffer with room for [`CHUNK`] bytes, to write into; with no room when there is no memory.
pub fn take_empty() -> Vec<u8> {
    EMPTY.with_borrow_mut(Vec::pop).unwrap_or_else(|| {
        let mut bytes = Vec::new();
        // Without the memory the encoder that writes into it reports the failure.
        let _ = bytes.try_reserve_exact(CHUNK);
        bytes
    })
}

/// Gives a written buffer back; one that has grown is freed.
pub fn give_empty(mut bytes: Vec<u8>) {
    if bytes.capacity() != CHUNK {
        return;
    }
    bytes.clear();
    EMPTY.with_borrow_mut(|pool| {
        if pool.len() < KEPT && pool.try_reserve(1).is_ok() {
            pool.push(bytes);
        }
    });
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
        assert!(POOL.with_borrow(Vec::len) <= KEPT);
    }
}
