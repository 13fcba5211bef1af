//! Memory that C frees: it comes from malloc, because programs call `free` for `PQfreemem`.

use std::ffi::{c_char, c_void};

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

/// Frees what libpq's functions gave to the caller.
///
/// # Safety
/// `memory` is NULL or came from such a function, and was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQfreemem(memory: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { libc::free(memory) };
}
