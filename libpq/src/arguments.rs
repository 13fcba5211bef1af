//! What C hands in: strings, arrays of parameters, keywords and values. Knows pointers, not what is done with them.

use std::ffi::{CStr, c_char, c_int};
use std::slice;

use pgpoll::conninfo::{Error, Options};
use pgpoll::wire::Parameters;

/// A string of C; `None` for NULL.
///
/// # Safety
/// `text` is NULL or a string that lives as long as what is returned.
pub(crate) unsafe fn text<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// The options in arrays of keywords and values.
///
/// # Safety
/// The arrays are NULL, or of NULLs and strings, the keywords ended by a NULL.
pub(crate) unsafe fn pairs(
    keywords: *const *const c_char,
    values: *const *const c_char,
    expand_dbname: bool,
) -> Result<Options, Error> {
    let mut found = Vec::new();
    if !keywords.is_null() && !values.is_null() {
        // SAFETY: the caller's promise.
        unsafe {
            let mut at = 0;
            while let Some(keyword) = text(*keywords.add(at)) {
                found.push((keyword, text(*values.add(at))));
                at += 1;
            }
        }
    }
    Options::from_pairs(found, expand_dbname)
}

/// An array of C as a slice; empty when it is NULL or has no elements.
///
/// # Safety
/// `first` is NULL or has `count` elements that live as long as what is returned.
pub(crate) unsafe fn array<'a, T>(first: *const T, count: c_int) -> &'a [T] {
    match usize::try_from(count) {
        // SAFETY: the caller's promise.
        Ok(count) if count > 0 && !first.is_null() => unsafe {
            slice::from_raw_parts(first, count)
        },
        _ => &[],
    }
}

/// The parameters of a statement where the program keeps them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'a> {
    count: usize,
    values: &'a [*const c_char],
    lengths: &'a [c_int],
    formats: &'a [c_int],
}

impl Values<'_> {
    /// # Safety
    /// Each array is NULL or has `count` elements; values are NULL, binary of the length given, or strings.
    pub(crate) unsafe fn new(
        count: c_int,
        values: *const *const c_char,
        lengths: *const c_int,
        formats: *const c_int,
    ) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            Self {
                count: usize::try_from(count).unwrap_or(0),
                values: array(values, count),
                lengths: array(lengths, count),
                formats: array(formats, count),
            }
        }
    }

    fn is_binary(&self, index: usize) -> bool {
        self.formats.get(index).is_some_and(|&format| format != 0)
    }

    /// Whether a binary value has no length.
    pub(crate) fn lacks_length(&self) -> bool {
        let given = |index: usize| self.values.get(index).is_some_and(|value| !value.is_null());
        let length = |index: usize| self.lengths.get(index).is_some_and(|&length| length >= 0);
        (0..self.count).any(|index| given(index) && self.is_binary(index) && !length(index))
    }
}

impl Parameters for Values<'_> {
    fn len(&self) -> usize {
        self.count
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        let value = *self.values.get(index)?;
        if self.is_binary(index) {
            if value.is_null() {
                return None;
            }
            let length = usize::try_from(*self.lengths.get(index)?).ok()?;
            // SAFETY: the promise of the one who made this.
            return Some(unsafe { slice::from_raw_parts(value.cast(), length) });
        }
        // SAFETY: as above.
        unsafe { text(value) }
    }

    fn format(&self, index: usize) -> i16 {
        self.formats.get(index).map_or(0, |&format| format as i16)
    }

    fn has_formats(&self) -> bool {
        !self.formats.is_empty()
    }
}
