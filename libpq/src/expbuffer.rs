//! PQExpBuffer: a growing string in C's own memory. Knows bytes; what formats them is `variadic.c`.
//!
//! The structure is open: programs read its fields, take its data for themselves, and write into it after
//! `enlargePQExpBuffer`. So everything is kept in the fields, and the data comes from malloc.

use std::ffi::{c_char, c_int};
use std::ptr;

/// `data` with `len` bytes, a NUL behind them, and room for `maxlen` with the NUL. Without memory a buffer is *broken*:
/// `data` is an empty string that nobody may write, `maxlen` is 0, and nothing can be appended until it is reset.
#[repr(C)]
#[derive(Debug)]
pub struct PQExpBufferData {
    data: *mut c_char,
    len: usize,
    maxlen: usize,
}

/// What a new buffer has room for.
const INITIAL_SIZE: usize = 256;
/// What no buffer grows beyond: programs take lengths for ints.
const LIMIT: usize = c_int::MAX as usize;
/// The data of every broken buffer. It is read-only: who writes into it is told so at once.
static BROKEN: u8 = 0;

impl PQExpBufferData {
    /// An empty buffer; broken without memory.
    fn new() -> Self {
        // SAFETY: malloc takes any size; what it gives has room for the NUL.
        unsafe {
            let data = libc::malloc(INITIAL_SIZE).cast::<c_char>();
            if data.is_null() {
                return Self::broken();
            }
            data.write(0);
            Self {
                data,
                len: 0,
                maxlen: INITIAL_SIZE,
            }
        }
    }

    fn broken() -> Self {
        Self {
            data: (&raw const BROKEN).cast_mut().cast(),
            len: 0,
            maxlen: 0,
        }
    }

    fn owns_data(&self) -> bool {
        !ptr::eq(self.data.cast(), &raw const BROKEN)
    }

    /// Gives the data back; nothing is left.
    fn break_up(&mut self) {
        if self.owns_data() {
            // SAFETY: the data is from malloc, and nothing refers to it after this.
            unsafe { libc::free(self.data.cast()) };
        }
        *self = Self::broken();
    }

    /// Empties the buffer; a broken one is made anew if there is memory again.
    fn reset(&mut self) {
        if self.owns_data() {
            self.len = 0;
            // SAFETY: data of a buffer has room for the NUL.
            unsafe { self.data.write(0) };
        } else {
            *self = Self::new();
        }
    }

    /// Makes room for `more` bytes and the NUL, at least doubling. Without memory, and beyond the limit, the buffer breaks.
    fn enlarge(&mut self, more: usize) -> bool {
        if self.maxlen == 0 {
            return false;
        }
        if more >= LIMIT.saturating_sub(self.len) {
            self.break_up();
            return false;
        }
        let needed = self.len + more + 1;
        if needed <= self.maxlen {
            return true;
        }
        let mut size = self.maxlen.saturating_mul(2);
        while size < needed {
            size *= 2;
        }
        let size = size.min(LIMIT);
        // SAFETY: the data is from malloc.
        let data = unsafe { libc::realloc(self.data.cast(), size) };
        if data.is_null() {
            self.break_up();
            return false;
        }
        self.data = data.cast();
        self.maxlen = size;
        true
    }

    /// # Safety
    /// There are `len` bytes at `from`, none of them in the buffer.
    unsafe fn append(&mut self, from: *const c_char, len: usize) {
        if self.enlarge(len) {
            // SAFETY: the caller's promise; there is room for the bytes and the NUL.
            unsafe {
                let end = self.data.add(self.len);
                end.copy_from_nonoverlapping(from, len);
                end.add(len).write(0);
            }
            self.len += len;
        }
    }
}

/// A new buffer, to be given to [`destroyPQExpBuffer`]. NULL without memory for the structure, broken without memory for its
/// data.
#[unsafe(no_mangle)]
pub extern "C" fn createPQExpBuffer() -> *mut PQExpBufferData {
    // SAFETY: malloc takes any size.
    let buffer = unsafe { libc::malloc(size_of::<PQExpBufferData>()) }.cast::<PQExpBufferData>();
    if !buffer.is_null() {
        // SAFETY: room for the structure, aligned for all.
        unsafe { buffer.write(PQExpBufferData::new()) };
    }
    buffer
}

/// Makes an empty buffer of a structure of the caller's, whatever stands in it. Give its data back with [`termPQExpBuffer`].
///
/// # Safety
/// `buffer` is NULL or room for the structure.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn initPQExpBuffer(buffer: *mut PQExpBufferData) {
    if !buffer.is_null() {
        // SAFETY: the caller's promise.
        unsafe { buffer.write(PQExpBufferData::new()) };
    }
}

/// Frees a buffer of [`createPQExpBuffer`]. NULL is fine.
///
/// # Safety
/// `buffer` is NULL or was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn destroyPQExpBuffer(buffer: *mut PQExpBufferData) {
    // SAFETY: the caller's promise; the structure is from malloc.
    unsafe {
        if let Some(buffer) = buffer.as_mut() {
            buffer.break_up();
        }
        libc::free(buffer.cast());
    }
}

/// Frees the data of a buffer of [`initPQExpBuffer`], and leaves it broken.
///
/// # Safety
/// `buffer` is NULL or a buffer that nobody else uses now; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn termPQExpBuffer(buffer: *mut PQExpBufferData) {
    // SAFETY: the caller's promise.
    if let Some(buffer) = unsafe { buffer.as_mut() } {
        buffer.break_up();
    }
}

/// Empties a buffer; a broken one is usable again if there is memory.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn resetPQExpBuffer(buffer: *mut PQExpBufferData) {
    // SAFETY: the caller's promise.
    if let Some(buffer) = unsafe { buffer.as_mut() } {
        buffer.reset();
    }
}

/// Makes room for `needed` bytes more, the NUL not counted: 1, or 0 when the buffer is, or now became, broken.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn enlargePQExpBuffer(buffer: *mut PQExpBufferData, needed: usize) -> c_int {
    // SAFETY: the caller's promise.
    let buffer = unsafe { buffer.as_mut() };
    c_int::from(buffer.is_some_and(|buffer| buffer.enlarge(needed)))
}

/// Appends a string.
///
/// # Safety
/// As above; `text` is NULL or ends with a NUL, and is not in the buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn appendPQExpBufferStr(buffer: *mut PQExpBufferData, text: *const c_char) {
    if !text.is_null() {
        // SAFETY: the caller's promise.
        unsafe { append(buffer, text, libc::strlen(text)) };
    }
}

/// Appends one byte.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn appendPQExpBufferChar(buffer: *mut PQExpBufferData, byte: c_char) {
    // SAFETY: the caller's promise; one byte.
    unsafe { append(buffer, &raw const byte, 1) };
}

/// Appends `len` bytes, NULs and all.
///
/// # Safety
/// As above; `data` has `len` bytes, which are not in the buffer. It may be NULL when there are none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn appendBinaryPQExpBuffer(
    buffer: *mut PQExpBufferData,
    data: *const c_char,
    len: usize,
) {
    if !data.is_null() || len == 0 {
        // SAFETY: the caller's promise.
        unsafe { append(buffer, data, len) };
    }
}

/// # Safety
/// As for [`appendBinaryPQExpBuffer`].
unsafe fn append(buffer: *mut PQExpBufferData, from: *const c_char, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        if let Some(buffer) = buffer.as_mut() {
            buffer.append(from, len);
        }
    }
}

/// For `variadic.c`, which may not call what is exported.
///
/// # Safety
/// `buffer` is a buffer that nobody else uses now; so for all three.
#[unsafe(no_mangle)]
unsafe extern "C" fn pgpoll_expbuffer_reset(buffer: &mut PQExpBufferData) {
    buffer.reset();
}

/// # Safety
/// As above.
#[unsafe(no_mangle)]
unsafe extern "C" fn pgpoll_expbuffer_enlarge(buffer: &mut PQExpBufferData, more: usize) -> bool {
    buffer.enlarge(more)
}

/// # Safety
/// As above.
#[unsafe(no_mangle)]
unsafe extern "C" fn pgpoll_expbuffer_break(buffer: &mut PQExpBufferData) {
    buffer.break_up();
}
