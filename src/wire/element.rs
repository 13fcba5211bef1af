//! What the lists of messages are made of: how one element is read and written. Knows nothing of counts and ends.

use super::cursor::Cursor;
use super::error::Error;
use super::writer::Writer;

/// What can stand in a [`List`](super::List): it reads and writes itself.
pub trait Element<'a>: Copy {
    #[doc(hidden)]
    fn read(cursor: &mut Cursor<'a>, field: &'static str) -> Result<Self, Error>;
    #[doc(hidden)]
    fn write(self, writer: &mut Writer<'_>, field: &'static str) -> Result<(), Error>;
}

impl<'a> Element<'a> for u32 {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, field: &'static str) -> Result<Self, Error> {
        cursor.u32(field)
    }

    #[inline]
    fn write(self, writer: &mut Writer<'_>, field: &'static str) -> Result<(), Error> {
        writer.u32(self, field)
    }
}

impl<'a> Element<'a> for i16 {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, field: &'static str) -> Result<Self, Error> {
        cursor.i16(field)
    }

    #[inline]
    fn write(self, writer: &mut Writer<'_>, field: &'static str) -> Result<(), Error> {
        writer.i16(self, field)
    }
}

/// A String.
impl<'a> Element<'a> for &'a [u8] {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, field: &'static str) -> Result<Self, Error> {
        cursor.cstr(field)
    }

    #[inline]
    fn write(self, writer: &mut Writer<'_>, field: &'static str) -> Result<(), Error> {
        writer.cstr(self, field)
    }
}

/// A name and its value, both a String.
impl<'a> Element<'a> for (&'a [u8], &'a [u8]) {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, field: &'static str) -> Result<Self, Error> {
        Ok((cursor.cstr(field)?, cursor.cstr(field)?))
    }

    #[inline]
    fn write(self, writer: &mut Writer<'_>, field: &'static str) -> Result<(), Error> {
        writer.cstr(self.0, field)?;
        writer.cstr(self.1, field)
    }
}

/// A value that may be NULL.
impl<'a> Element<'a> for Option<&'a [u8]> {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, field: &'static str) -> Result<Self, Error> {
        cursor.value(field)
    }

    #[inline]
    fn write(self, writer: &mut Writer<'_>, field: &'static str) -> Result<(), Error> {
        writer.value(self, field)
    }
}
