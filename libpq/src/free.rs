//! Memory that C frees: it comes from malloc, because programs call `free` for `PQfreemem`.

use std::ffi::{c_char, c_void};
use std::slice;

use zeroize::Zeroize;

/// A copy of `text` with a NUL behind it, from malloc; NULL without memory.
pub(crate) fn string(text: &[u8]) -> *mut c_char {
    // SAFETY: malloc takes any size; what it gives has room for the text and the NUL.
    unsafe {
        let copy = libc::malloc(text.len() + 1).cast::<u8>();
        if !copy.is_null() {
            copy.copy_from_nonoverlapping(text.as_ptr(), text.len());
            copy.add(text.len()).write(0);
        }
        copy.cast()
    }
}

/// Overwrites a string from malloc and frees it.
///
/// # Safety
/// `text` is such a string that was not freed yet.
pub(crate) unsafe fn wipe(text: *mut c_char) {
    // SAFETY: the caller's promise.
    unsafe {
        let length = libc::strlen(text);
        slice::from_raw_parts_mut(text.cast::<u8>(), length).zeroize();
        libc::free(text.cast());
    }
}

/// Memory of C's, written from front to back and never beyond its end.
#[derive(Debug)]
pub(crate) struct Output {
    start: *mut u8,
    written: usize,
    size: usize,
}

impl Output {
    /// # Safety
    /// `start` has `size` bytes that nobody else uses.
    pub(crate) unsafe fn new(start: *mut u8, size: usize) -> Self {
        Self {
            start,
            written: 0,
            size,
        }
    }

    /// Memory from malloc; `None` without memory.
    pub(crate) fn allocate(size: usize) -> Option<Self> {
        // SAFETY: malloc takes any size, but for none it may give NULL; what it gives is ours.
        unsafe {
            let start = libc::malloc(size.max(1)).cast::<u8>();
            (!start.is_null()).then(|| Self::new(start, size))
        }
    }

    /// Writes `bytes` behind what is written already; what does not fit is left out.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        let length = bytes.len().min(self.size - self.written);
        // SAFETY: so many bytes are left; they are nobody else's.
        unsafe {
            let at = self.start.add(self.written);
            at.copy_from_nonoverlapping(bytes.as_ptr(), length);
        }
        self.written += length;
    }

    /// How many bytes are written.
    pub(crate) fn written(&self) -> usize {
        self.written
    }

    /// Gives the memory away: to [`PQfreemem`], if it came from malloc.
    pub(crate) fn into_raw(self) -> *mut u8 {
        self.start
    }
}

/// Frees what libpq's functions gave to the caller.
///
/// # Safety
/// `memory` is NULL or came from such a function, and was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQfreemem(memory: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { libc::free(memory) };
}
