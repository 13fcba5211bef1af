//! ParameterDescription: the types of a prepared statement's parameters.

use super::cursor::Cursor;
use super::error::Error;
use super::list::List;
use super::writer::Writer;

/// The first answer to Describe of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParameterDescription<'a> {
    /// The object IDs of the types.
    pub types: List<'a, u32>,
}

message!(ParameterDescription<'a>, b't');

impl<'a> ParameterDescription<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(ParameterDescription {
            types: List::read_counted(cursor, "parameter count", "parameter type")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        self.types
            .write_counted(writer, "parameter count", "parameter type")
    }
}
