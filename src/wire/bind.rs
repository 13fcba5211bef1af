//! Bind: makes a portal of a prepared statement and the values of its parameters.

use super::cursor::Cursor;
use super::error::Error;
use super::list::List;
use super::writer::{Writer, message};

/// The second step of the extended query protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Of the portal; empty for the unnamed one.
    pub portal: &'a [u8],
    /// Of the prepared statement; empty for the unnamed one.
    pub statement: &'a [u8],
    /// The parameters' formats, 0 text or 1 binary: none (all are text), one for all, or one for each.
    pub formats: List<'a, i16>,
    /// The parameters' values; `None` for NULL.
    pub values: List<'a, Option<&'a [u8]>>,
    /// The result columns' formats: none (all are text), one for all, or one for each.
    pub result_formats: List<'a, i16>,
}

message!(Bind<'a>, b'B');

impl<'a> Bind<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(Bind {
            portal: cursor.cstr("portal name")?,
            statement: cursor.cstr("statement name")?,
            formats: List::read_counted(cursor, "parameter format count", "parameter format")?,
            values: List::read_counted(cursor, "parameter count", "parameter value")?,
            result_formats: List::read_counted(cursor, "result format count", "result format")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.cstr(self.portal, "portal name")?;
        writer.cstr(self.statement, "statement name")?;
        self.formats
            .write_counted(writer, "parameter format count", "parameter format")?;
        self.values
            .write_counted(writer, "parameter count", "parameter value")?;
        self.result_formats
            .write_counted(writer, "result format count", "result format")
    }
}

/// The values that a statement is executed with, wherever the caller keeps them.
pub trait Parameters {
    /// How many there are.
    fn len(&self) -> usize;
    /// The value of the one at `index`, counted from 0; `None` for NULL. Asked for once per message.
    fn value(&self, index: usize) -> Option<&[u8]>;
    /// Its format: 0 text, 1 binary. Asked for only where [`has_formats`](Parameters::has_formats).
    fn format(&self, index: usize) -> i16 {
        let _ = index;
        0
    }
    /// Whether formats are sent, one for each parameter; if not, all are text.
    fn has_formats(&self) -> bool {
        false
    }
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// No parameters.
impl Parameters for () {
    fn len(&self) -> usize {
        0
    }

    fn value(&self, _: usize) -> Option<&[u8]> {
        None
    }
}

/// Parameters in text form.
impl<const N: usize> Parameters for [Option<&[u8]>; N] {
    fn len(&self) -> usize {
        N
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        self.get(index).copied().flatten()
    }
}

impl Parameters for &[Option<&[u8]>] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        self.get(index).copied().flatten()
    }
}

/// Parameters with their formats.
impl Parameters for &[(Option<&[u8]>, i16)] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        self.get(index).and_then(|(value, _)| *value)
    }

    fn format(&self, index: usize) -> i16 {
        self.get(index).map_or(0, |(_, format)| *format)
    }

    fn has_formats(&self) -> bool {
        true
    }
}

/// Appends a Bind message; after an error `out` is as it was.
///
/// As in libpq, the formats of the parameters are left out when the caller gives none, even where all are text.
#[inline(always)]
pub fn encode_bind(
    out: &mut Vec<u8>,
    portal: &[u8],
    statement: &[u8],
    parameters: &dyn Parameters,
    result_formats: &[i16],
) -> Result<(), Error> {
    let count = parameters.len();
    message(out, Bind::TAG, "Bind", |writer| {
        writer.cstr(portal, "portal name")?;
        writer.cstr(statement, "statement name")?;
        if parameters.has_formats() {
            writer.count(count, "parameter format count")?;
            for index in 0..count {
                writer.i16(parameters.format(index), "parameter format")?;
            }
            writer.count(count, "parameter count")?;
        } else {
            writer.counts(0, count, "parameter count")?;
        }
        for index in 0..count {
            writer.value(parameters.value(index), "parameter value")?;
        }
        match result_formats {
            [format] => writer.counts(1, usize::from(*format as u16), "result format"),
            _ => List::from(result_formats).write_counted(
                writer,
                "result format count",
                "result format",
            ),
        }
    })
}
