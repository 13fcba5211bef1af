//! Text between C and Rust: NUL-terminated there, slices here. Knows no meaning.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

/// The bytes of a C string without its NUL; `None` for NULL.
///
/// # Safety
/// `text` is NULL or points to a NUL-terminated string that lives and stays as it is for `'a`.
#[inline]
pub(crate) unsafe fn bytes<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// A copy for C; it ends at the first NUL.
pub(crate) fn owned(text: &[u8]) -> CString {
    let end = text
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// Borrowed text for C: the slice must end with its NUL, or be absent, which is NULL.
#[inline]
pub(crate) fn borrowed(with_nul: Option<&[u8]>) -> *const c_char {
    match with_nul {
        Some(text) => {
            debug_assert_eq!(text.last(), Some(&0));
            text.as_ptr().cast()
        }
        None => ptr::null(),
    }
}

/// So many elements of an array of C; NULL is empty.
///
/// # Safety
/// `first` is NULL or points to `count` elements that live and stay as they are for `'a`.
#[inline]
pub(crate) unsafe fn array<'a, T>(first: *const T, count: usize) -> &'a [T] {
    if first.is_null() || count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(first, count) }
}
