//! Reads the data types of the manual's section "Message Data Types" off a message body. Knows no message.

use super::error::{Error, Problem};
use super::nul;

/// The unread rest of one message body. Every read is checked and names its field, for the error.
#[derive(Debug, Clone, Copy)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    message: &'static str,
}

impl<'a> Cursor<'a> {
    /// Starts at the first byte after the length word; `message` is the name for errors.
    #[inline]
    #[must_use]
    pub fn new(body: &'a [u8], message: &'static str) -> Self {
        Cursor {
            rest: body,
            message,
        }
    }

    /// What has not been read yet.
    #[inline]
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The error that this message's `field` has this `problem`.
    #[cold]
    #[must_use]
    pub fn error(&self, field: &'static str, problem: Problem) -> Error {
        Error {
            message: self.message,
            field,
            problem,
        }
    }

    #[inline]
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(self.error(field, Problem::EndsEarly)),
        }
    }

    /// Reads a Byte1 or an unsigned Int8.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Error> {
        self.array(field).map(|[byte]| byte)
    }

    /// Reads an Int16 that is signed.
    #[inline]
    pub fn i16(&mut self, field: &'static str) -> Result<i16, Error> {
        self.array(field).map(i16::from_be_bytes)
    }

    /// Reads an Int16 that cannot be negative, such as a count.
    #[inline]
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Error> {
        self.array(field).map(u16::from_be_bytes)
    }

    /// Reads an Int32 that is signed.
    #[inline]
    pub fn i32(&mut self, field: &'static str) -> Result<i32, Error> {
        self.array(field).map(i32::from_be_bytes)
    }

    /// Reads an Int32 that cannot be negative, such as an object ID.
    #[inline]
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Error> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// Reads an Int64, as replication messages carry.
    #[inline]
    pub fn i64(&mut self, field: &'static str) -> Result<i64, Error> {
        self.array(field).map(i64::from_be_bytes)
    }

    /// Reads a Byte*n* of a fixed size, such as the md5 salt.
    #[inline]
    pub fn fixed<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error> {
        self.array(field)
    }

    /// Reads `n` bytes.
    #[inline]
    pub fn bytes(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], Error> {
        match self.rest.split_at_checked(n) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(self.error(field, Problem::EndsEarly)),
        }
    }

    /// Reads all that is left.
    #[inline]
    pub fn remainder(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Reads a String; the NUL is consumed but not returned.
    #[inline]
    pub fn cstr(&mut self, field: &'static str) -> Result<&'a [u8], Error> {
        let Some(length) = nul::position(self.rest) else {
            return Err(self.error(field, Problem::NoTerminator));
        };
        let (string, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(string)
    }

    /// Reads a value: an Int32 length, -1 for NULL, and so many bytes.
    #[inline]
    pub fn value(&mut self, field: &'static str) -> Result<Option<&'a [u8]>, Error> {
        let length = self.i32(field)?;
        match usize::try_from(length) {
            Ok(length) => self.bytes(length, field).map(Some),
            Err(_) if length == -1 => Ok(None),
            Err(_) => Err(self.error(field, Problem::BadLength(length.into()))),
        }
    }

    /// Holds that nothing is left.
    #[inline]
    pub fn end(&self) -> Result<(), Error> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.error("end", Problem::TrailingBytes(self.rest.len())))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Cursor, Problem};

    #[test]
    fn numbers_are_big_endian_and_signed_where_they_say_so() {
        let mut cursor = Cursor::new(
            &[0xff, 0xff, 0xfe, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff],
            "Test",
        );
        assert_eq!(cursor.u8("a").unwrap(), 255);
        assert_eq!(cursor.i16("b").unwrap(), -2);
        assert_eq!(cursor.u16("c").unwrap(), 65534);
        let mut same = cursor;
        assert_eq!(cursor.i32("d").unwrap(), -1);
        assert_eq!(same.u32("d").unwrap(), u32::MAX);
        cursor.end().unwrap();
        assert_eq!(cursor.u8("e").unwrap_err().problem, Problem::EndsEarly);
    }

    #[test]
    fn a_string_needs_its_nul_and_loses_it() {
        let mut cursor = Cursor::new(b"ab\0\0c", "Test");
        assert_eq!(cursor.cstr("s").unwrap(), b"ab");
        assert_eq!(cursor.cstr("s").unwrap(), b"");
        assert_eq!(cursor.cstr("s").unwrap_err().problem, Problem::NoTerminator);
        assert_eq!(cursor.end().unwrap_err().problem, Problem::TrailingBytes(1));
    }

    #[test]
    fn only_minus_one_is_null() {
        assert_eq!(Cursor::new(&[0xff; 4], "Test").value("v").unwrap(), None);
        assert_eq!(
            Cursor::new(&[0, 0, 0, 1, 7], "Test").value("v").unwrap(),
            Some(&[7][..])
        );
        let error = Cursor::new(&[0xff, 0xff, 0xff, 0xfe], "Test")
            .value("v")
            .unwrap_err();
        assert_eq!(error.problem, Problem::BadLength(-2));
        let error = Cursor::new(&[0x7f, 0xff, 0xff, 0xff], "Test")
            .value("v")
            .unwrap_err();
        assert_eq!(error.problem, Problem::EndsEarly);
    }
}
