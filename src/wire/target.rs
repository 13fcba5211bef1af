//! Describe and Close: both name a prepared statement or a portal.

use super::cursor::Cursor;
use super::error::{Error, Problem};
use super::writer::{Writer, message};

/// Asks for a description: of a statement ParameterDescription and RowDescription, of a portal only the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Describe<'a> {
    /// `S` for a prepared statement, `P` for a portal.
    pub kind: u8,
    /// Its name; empty for the unnamed one.
    pub name: &'a [u8],
}

/// Closes a prepared statement or a portal; it is no error if there is none of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close<'a> {
    /// `S` for a prepared statement, `P` for a portal.
    pub kind: u8,
    /// Its name; empty for the unnamed one.
    pub name: &'a [u8],
}

message!(Describe<'a>, b'D');
message!(Close<'a>, b'C');

impl<'a> Describe<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        let (kind, name) = read(cursor)?;
        Ok(Describe { kind, name })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        write(writer, self.kind, self.name)
    }
}

impl<'a> Close<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        let (kind, name) = read(cursor)?;
        Ok(Close { kind, name })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        write(writer, self.kind, self.name)
    }
}

/// Appends a Describe message; after an error `out` is as it was.
pub fn encode_describe(out: &mut Vec<u8>, kind: u8, name: &[u8]) -> Result<(), Error> {
    message(out, Describe::TAG, "Describe", |writer| {
        write(writer, kind, name)
    })
}

/// Appends a Close message; after an error `out` is as it was.
pub fn encode_close(out: &mut Vec<u8>, kind: u8, name: &[u8]) -> Result<(), Error> {
    message(out, Close::TAG, "Close", |writer| write(writer, kind, name))
}

fn read<'a>(cursor: &mut Cursor<'a>) -> Result<(u8, &'a [u8]), Error> {
    match cursor.u8("kind")? {
        kind @ (b'S' | b'P') => Ok((kind, cursor.cstr("name")?)),
        kind => Err(cursor.error("kind", Problem::BadValue(kind.into()))),
    }
}

#[inline]
fn write(writer: &mut Writer<'_>, kind: u8, name: &[u8]) -> Result<(), Error> {
    if !matches!(kind, b'S' | b'P') {
        return Err(writer.error("kind", Problem::BadValue(kind.into())));
    }
    writer.u8(kind, "kind")?;
    writer.cstr(name, "name")
}
