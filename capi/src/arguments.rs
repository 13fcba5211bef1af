//! What C hands to the starters: texts, counts, formats and arrays, checked and read in place.

use std::ffi::{CStr, c_char, c_int};

use pgpoll::wire::Parameters;

use crate::border::Inner;
use crate::start::{CONN_BINARY, CONN_TEXT};
use crate::text;

/// The most parameters that a Bind message can carry.
const MOST_PARAMETERS: usize = 65_535;

impl Inner {
    /// # Safety
    /// `text` is NULL or a C string that lives for `'a`.
    #[inline]
    pub(crate) unsafe fn text<'a>(
        &mut self,
        text: *const c_char,
        missing: &'static str,
    ) -> Option<&'a [u8]> {
        // SAFETY: the caller's promise.
        match unsafe { text::bytes(text) } {
            Some(text) => Some(text),
            None => self.misuse(missing),
        }
    }

    #[inline]
    pub(crate) fn count(&mut self, n: c_int) -> Option<usize> {
        match usize::try_from(n) {
            Ok(count) if count <= MOST_PARAMETERS => Some(count),
            Ok(_) => self.misuse("n is too large: a statement has at most 65535 parameters"),
            Err(_) => self.misuse("n is negative: pass the number of parameters"),
        }
    }

    #[inline]
    pub(crate) fn rows(&mut self, max_rows: c_int) -> Option<u32> {
        match u32::try_from(max_rows) {
            Ok(rows) => Some(rows),
            Err(_) => self.misuse("max_rows is negative: pass 0 for all rows"),
        }
    }

    #[inline]
    pub(crate) fn format(&mut self, format: c_int) -> Option<i16> {
        match format {
            CONN_TEXT => Some(0),
            CONN_BINARY => Some(1),
            _ => self.misuse("a format is neither CONN_TEXT (0) nor CONN_BINARY (1)"),
        }
    }

    /// The parameters where the caller has them, checked.
    ///
    /// # Safety
    /// The arrays are NULL or have `n` elements; text values are C strings, binary ones are as long as `lengths` says; all of
    /// it lives for `'a`.
    #[inline(always)]
    pub(crate) unsafe fn values<'a>(
        &mut self,
        n: c_int,
        values: *const *const c_char,
        lengths: *const c_int,
        formats: *const c_int,
    ) -> Option<Values<'a>> {
        // SAFETY: the caller's promise.
        let many = unsafe { self.many_values(n, 1, values, lengths, formats)? };
        Some(many.row(0))
    }

    /// The same for so many rows of them: the arrays have `rows` times `n` elements, but for `formats`, which has `n`.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    pub(crate) unsafe fn many_values<'a>(
        &mut self,
        n: c_int,
        rows: usize,
        values: *const *const c_char,
        lengths: *const c_int,
        formats: *const c_int,
    ) -> Option<ManyValues<'a>> {
        let count = self.count(n)?;
        if count > 0 && values.is_null() {
            return self.misuse("values is NULL while n is not 0: pass n values");
        }
        let Some(all) = count.checked_mul(rows) else {
            return self.misuse("rows is too large: there cannot be so many values");
        };
        // SAFETY: the caller's promise.
        let values = unsafe {
            Values {
                values: text::array(values, all),
                lengths: text::array(lengths, all),
                formats: text::array(formats, count),
            }
        };
        if !values.formats.is_empty() {
            self.check_formats(&values)?;
        }
        Some(ManyValues {
            count,
            rows,
            values,
        })
    }

    /// Whether formats are formats, and binary values have lengths.
    fn check_formats(&mut self, all: &Values<'_>) -> Option<()> {
        for &format in all.formats {
            self.format(format)?;
        }
        let formats = all.formats.iter().cycle();
        for (index, (value, &format)) in all.values.iter().zip(formats).enumerate() {
            if format == CONN_TEXT || value.is_null() {
                continue;
            }
            match all.lengths.get(index) {
                Some(0..) => {}
                Some(_) => return self.misuse("the length of a binary value is negative"),
                None => return self.misuse("a value is binary: pass lengths"),
            }
        }
        Some(())
    }
}

/// The parameters of several executions in the caller's arrays. Made by [`Inner::many_values`] alone, which checks them.
pub(crate) struct ManyValues<'a> {
    /// Of one execution.
    count: usize,
    rows: usize,
    /// Of all: `rows` times `count`, or none.
    values: Values<'a>,
}

impl<'a> ManyValues<'a> {
    /// Those of one execution.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> Values<'a> {
        Values {
            values: self.own(self.values.values, row),
            lengths: self.own(self.values.lengths, row),
            formats: self.values.formats,
        }
    }

    /// What an array has of one execution.
    #[inline(always)]
    fn own<T>(&self, all: &'a [T], row: usize) -> &'a [T] {
        if row >= self.rows || all.is_empty() {
            return &[];
        }
        let from = row * self.count;
        // SAFETY: an array that is not empty has `count` elements for each of so many rows.
        unsafe { all.get_unchecked(from..from + self.count) }
    }
}

/// Parameters in the caller's arrays, checked.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    values: &'a [*const c_char],
    lengths: &'a [c_int],
    formats: &'a [c_int],
}

impl Parameters for Values<'_> {
    #[inline]
    fn len(&self) -> usize {
        self.values.len()
    }

    #[inline]
    fn value(&self, index: usize) -> Option<&[u8]> {
        let value = *self.values.get(index)?;
        if value.is_null() {
            return None;
        }
        if self.format(index) == 0 {
            // SAFETY: a text value, which is a C string.
            return Some(unsafe { CStr::from_ptr(value) }.to_bytes());
        }
        let length = self.lengths.get(index).copied().unwrap_or(0);
        // SAFETY: a binary value of `length` bytes, which is not negative.
        Some(unsafe { std::slice::from_raw_parts(value.cast(), length as usize) })
    }

    #[inline]
    fn format(&self, index: usize) -> i16 {
        self.formats.get(index).copied().unwrap_or(0) as i16
    }

    #[inline]
    fn has_formats(&self) -> bool {
        !self.formats.is_empty()
    }
}
