//! ParameterStatus: the value of a server setting that the client needs to know, at startup and whenever it changes.

use super::cursor::Cursor;
use super::error::Error;
use super::writer::Writer;

/// May arrive at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    /// Of the setting, such as `client_encoding`.
    pub name: &'a [u8],
    /// Its value from now on.
    pub value: &'a [u8],
}

message!(ParameterStatus<'a>, b'S');

impl<'a> ParameterStatus<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(ParameterStatus {
            name: cursor.cstr("name")?,
            value: cursor.cstr("value")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.cstr(self.name, "name")?;
        writer.cstr(self.value, "value")
    }
}
