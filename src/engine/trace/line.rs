//! Prints the pieces of a message as libpq's trace does. Knows data types, not messages.

use std::io::Write;

/// The line of one message, and what of its body has not been printed yet.
///
/// A body that ends early prints what there is; [`Line::end`] says so.
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    body: &'a [u8],
    rest: &'a [u8],
    short: bool,
}

impl<'a> Line<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, body: &'a [u8]) -> Self {
        Self {
            out,
            body,
            rest: body,
            short: false,
        }
    }

    /// The name, as it stands before the fields.
    pub(super) fn name(&mut self, name: &str) {
        self.out.extend_from_slice(name.as_bytes());
    }

    /// The name and the tab behind it.
    pub(super) fn fields(&mut self, name: &str) {
        self.name(name);
        self.out.push(b'\t');
    }

    pub(super) fn format(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a vector does not fail.
        let _ = self.out.write_fmt(text);
    }

    /// Whether something is left to print.
    pub(super) fn has_more(&self) -> bool {
        !self.rest.is_empty() && !self.short
    }

    /// The next byte, left where it is.
    pub(super) fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        match self.rest.split_at_checked(count) {
            Some((head, rest)) if !self.short => {
                self.rest = rest;
                Some(head)
            }
            _ => {
                self.short = true;
                None
            }
        }
    }

    /// A Byte1; what cannot be printed as a number.
    pub(super) fn byte1(&mut self) -> u8 {
        let Some(&[byte]) = self.take(1) else {
            return 0;
        };
        if is_print(byte) {
            self.out.extend_from_slice(&[b' ', byte]);
        } else {
            self.format(format_args!(" \\x{byte:02x}"));
        }
        byte
    }

    /// An Int16. libpq prints it unsigned.
    pub(super) fn int16(&mut self) -> u16 {
        let Some(&[a, b]) = self.take(2) else {
            return 0;
        };
        let value = u16::from_be_bytes([a, b]);
        self.format(format_args!(" {value}"));
        value
    }

    /// An Int32; `hidden`: `NNNN` in its place.
    pub(super) fn int32(&mut self, hidden: bool) -> i32 {
        let Some(&[a, b, c, d]) = self.take(4) else {
            return -1;
        };
        let value = i32::from_be_bytes([a, b, c, d]);
        if hidden {
            self.name(" NNNN");
        } else {
            self.format(format_args!(" {value}"));
        }
        value
    }

    /// A String; `hidden`: `"SSSS"` in its place.
    pub(super) fn string(&mut self, hidden: bool) {
        let Some(end) = self.rest.iter().position(|&byte| byte == 0) else {
            self.short = true;
            return;
        };
        let text = self.take(end).unwrap_or_default();
        self.take(1);
        if hidden {
            self.name(" \"SSSS\"");
        } else {
            self.name(" \"");
            self.out.extend_from_slice(text);
            self.out.push(b'"');
        }
    }

    /// `count` bytes; `hidden`: `'BBBB'` in their place.
    pub(super) fn bytes(&mut self, count: usize, hidden: bool) {
        let Some(bytes) = self.take(count) else {
            return;
        };
        if hidden {
            self.name(" 'BBBB'");
            return;
        }
        self.name(" '");
        for &byte in bytes {
            if is_print(byte) {
                self.out.push(byte);
            } else {
                self.format(format_args!("\\x{byte:02x}"));
            }
        }
        self.out.push(b'\'');
    }

    /// All bytes that are left.
    pub(super) fn remainder(&mut self, hidden: bool) {
        self.bytes(self.rest.len(), hidden);
    }

    /// An Int32 that says what the rest is; not printed.
    pub(super) fn code(&mut self) -> i32 {
        let code = self.take(4).and_then(|code| code.first_chunk());
        code.map_or(-1, |code| i32::from_be_bytes(*code))
    }

    /// Goes past `count` bytes without printing them.
    pub(super) fn discard(&mut self, count: usize) {
        self.take(count);
    }

    /// An Int16 that counts, and as many times `each`.
    pub(super) fn list(&mut self, mut each: impl FnMut(&mut Self)) {
        for _ in 0..self.int16() {
            if self.short {
                return;
            }
            each(self);
        }
    }

    /// A value with its length word; -1 is NULL.
    pub(super) fn value(&mut self, hidden: bool) {
        if let Ok(length) = usize::try_from(self.int32(false)) {
            self.bytes(length, hidden);
        }
    }

    /// Ends the line, and says it when the fields were not the whole body.
    pub(super) fn end(mut self) {
        self.out.push(b'\n');
        if self.short || !self.rest.is_empty() {
            // libpq counts the length word too.
            let (consumed, expected) = (self.body.len() - self.rest.len(), self.body.len());
            self.format(format_args!(
                "mismatched message length: consumed {}, expected {}\n",
                consumed + 4,
                expected + 4
            ));
        }
    }
}

/// `isprint` of the C locale.
fn is_print(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}
