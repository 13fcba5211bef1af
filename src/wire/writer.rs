//! Appends the data types of the manual's section "Message Data Types" to an output buffer. Knows no message.

use super::error::{Error, Problem};
use super::nul;

/// The largest length word: what a PostgreSQL server is ready to allocate (1 GB - 1).
pub(super) const MAX_LENGTH: usize = 0x3FFF_FFFF;

/// One message under construction at the end of the output buffer.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
    /// Where the length word is.
    start: usize,
    message: &'static str,
}

/// Appends a message: its tag, the length word, and what `body` writes. After an error `out` is as it was.
#[inline(always)]
pub(super) fn message(
    out: &mut Vec<u8>,
    tag: u8,
    name: &'static str,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    append(out, Some(tag), name, body)
}

/// Appends a message that is always the same.
#[inline(always)]
pub(super) fn constant<const N: usize>(
    out: &mut Vec<u8>,
    message: &[u8; N],
    name: &'static str,
) -> Result<(), Error> {
    if N > out.capacity() - out.len() {
        grow(out, N, name, "length")?;
    }
    out.extend_from_slice(message);
    Ok(())
}

/// Appends a message of the startup phase, which has no tag.
pub(super) fn untagged(
    out: &mut Vec<u8>,
    name: &'static str,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    append(out, None, name, body)
}

#[inline(always)]
fn append(
    out: &mut Vec<u8>,
    tag: Option<u8>,
    message: &'static str,
    body: impl FnOnce(&mut Writer<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let before = out.len();
    let start = before + usize::from(tag.is_some());
    let mut writer = Writer {
        out,
        start,
        message,
    };
    let written = writer
        .open(tag)
        .and_then(|()| body(&mut writer))
        .and_then(|()| writer.close());
    if written.is_err() {
        writer.out.truncate(before);
    }
    written
}

/// Appends bytes to the message whose length word is at `start` and that ends where `out` does. After an error `out` is as it was.
#[inline]
pub(super) fn extend(
    out: &mut Vec<u8>,
    start: usize,
    message: &'static str,
    bytes: &[u8],
) -> Result<(), Error> {
    let before = out.len();
    let mut writer = Writer {
        out,
        start,
        message,
    };
    let written = writer.bytes(bytes, "data").and_then(|()| writer.close());
    if written.is_err() {
        writer.out.truncate(before);
    }
    written
}

impl Writer<'_> {
    #[inline(always)]
    fn open(&mut self, tag: Option<u8>) -> Result<(), Error> {
        match tag {
            Some(tag) => self.bytes(&[tag, 0, 0, 0, 0], "length"),
            None => self.bytes(&[0; 4], "length"),
        }
    }

    #[inline(always)]
    fn close(&mut self) -> Result<(), Error> {
        let length = self.length();
        if length > MAX_LENGTH {
            return Err(self.error("length", Problem::TooLong(length)));
        }
        if let Some(word) = self.out.get_mut(self.start..self.start + 4) {
            word.copy_from_slice(&(length as u32).to_be_bytes());
        }
        Ok(())
    }

    /// The error that this message's `field` has this `problem`.
    #[inline(always)]
    pub(super) fn error(&self, field: &'static str, problem: Problem) -> Error {
        Error {
            message: self.message,
            field,
            problem,
        }
    }

    /// How long the message is up to here, the length word included.
    pub(super) fn length(&self) -> usize {
        self.out.len() - self.start
    }

    /// The byte at `position`, counted as [`Writer::length`] counts.
    pub(super) fn byte_at(&self, position: usize) -> Option<u8> {
        self.out.get(self.start + position).copied()
    }

    /// Makes room for `n` more bytes. It is the check that `Vec` would make, and replaces it where the compiler sees both.
    #[inline(always)]
    fn reserve(&mut self, n: usize, field: &'static str) -> Result<(), Error> {
        if n > self.out.capacity() - self.out.len() {
            return grow(self.out, n, self.message, field);
        }
        Ok(())
    }

    /// Appends bytes as they are. Always inlined, as are those that use it on the way of every query: the compiler would
    /// rather call them, and a fifth of a Bind message's cost is that.
    #[inline(always)]
    pub(super) fn bytes(&mut self, bytes: &[u8], field: &'static str) -> Result<(), Error> {
        self.reserve(bytes.len(), field)?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    pub(super) fn u8(&mut self, value: u8, field: &'static str) -> Result<(), Error> {
        self.bytes(&[value], field)
    }

    #[inline]
    pub(super) fn i16(&mut self, value: i16, field: &'static str) -> Result<(), Error> {
        self.bytes(&value.to_be_bytes(), field)
    }

    #[inline]
    pub(super) fn i32(&mut self, value: i32, field: &'static str) -> Result<(), Error> {
        self.bytes(&value.to_be_bytes(), field)
    }

    #[inline]
    pub(super) fn u32(&mut self, value: u32, field: &'static str) -> Result<(), Error> {
        self.bytes(&value.to_be_bytes(), field)
    }

    /// Appends a count as Int16; more than 65535 cannot be expressed.
    #[inline]
    pub(super) fn count(&mut self, count: usize, field: &'static str) -> Result<(), Error> {
        match u16::try_from(count) {
            Ok(count) => self.bytes(&count.to_be_bytes(), field),
            Err(_) => Err(self.error(field, Problem::TooLong(count))),
        }
    }

    /// Appends two Int16 that follow each other, as one word.
    #[inline(always)]
    pub(super) fn counts(
        &mut self,
        first: u16,
        second: usize,
        field: &'static str,
    ) -> Result<(), Error> {
        match u16::try_from(second) {
            Ok(second) => self.u32(u32::from(first) << 16 | u32::from(second), field),
            Err(_) => Err(self.error(field, Problem::TooLong(second))),
        }
    }

    /// Appends a String and its NUL.
    #[inline(always)]
    pub(super) fn cstr(&mut self, string: &[u8], field: &'static str) -> Result<(), Error> {
        if string.is_empty() {
            return self.u8(0, field);
        }
        if nul::is_in(string) {
            return Err(self.error(field, Problem::HasNul));
        }
        self.reserve(string.len() + 1, field)?;
        self.out.extend_from_slice(string);
        self.out.push(0);
        Ok(())
    }

    /// Appends a value: its length as Int32, -1 for NULL, and its bytes.
    #[inline(always)]
    pub(super) fn value(&mut self, value: Option<&[u8]>, field: &'static str) -> Result<(), Error> {
        let Some(value) = value else {
            return self.i32(-1, field);
        };
        // A length that this cuts off makes the whole message too long, which `grow` or `close` refuses.
        self.u32(value.len() as u32, field)?;
        self.bytes(value, field)
    }
}

/// Makes room in earnest. Takes nothing of the writer, which stays in registers for that.
#[cold]
#[inline(never)]
fn grow(
    out: &mut Vec<u8>,
    n: usize,
    message: &'static str,
    field: &'static str,
) -> Result<(), Error> {
    let problem = if n > MAX_LENGTH {
        Problem::TooLong(n)
    } else if out.try_reserve(n).is_err() {
        Problem::OutOfMemory
    } else {
        return Ok(());
    };
    Err(Error {
        message,
        field,
        problem,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Problem, message, untagged};

    #[test]
    fn the_length_word_counts_itself_but_not_the_tag() {
        let mut out = b"before".to_vec();
        message(&mut out, b'x', "Test", |w| w.bytes(b"abc", "field")).unwrap();
        untagged(&mut out, "Test", |w| w.i16(1, "field")).unwrap();
        assert_eq!(out, b"beforex\0\0\0\x07abc\0\0\0\x06\0\x01");
    }

    #[test]
    fn an_error_leaves_the_buffer_as_it_was() {
        let mut out = b"before".to_vec();
        let error = message(&mut out, b'x', "Test", |w| {
            w.bytes(b"abc", "first")?;
            w.cstr(b"a\0b", "second")
        });
        assert_eq!(
            error.unwrap_err().to_string(),
            "cannot send Test message: second: contains a NUL byte"
        );
        assert_eq!(out, b"before");
    }

    #[test]
    fn counts_end_at_65535() {
        let mut out = Vec::new();
        message(&mut out, b'x', "Test", |w| w.count(65535, "count")).unwrap();
        let error = message(&mut out, b'x', "Test", |w| w.count(65536, "count")).unwrap_err();
        assert_eq!(error.problem, Problem::TooLong(65536));
    }
}
