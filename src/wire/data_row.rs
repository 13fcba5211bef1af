//! DataRow: the values of one row.

use super::cursor::Cursor;
use super::error::Error;
use super::list::List;
use super::writer::Writer;

/// One row, described by the RowDescription before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRow<'a> {
    /// The values, in the columns' order; `None` for NULL.
    pub values: List<'a, Option<&'a [u8]>>,
}

message!(DataRow<'a>, b'D');

impl<'a> DataRow<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(DataRow {
            values: List::read_counted(cursor, "column count", "column value")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        self.values
            .write_counted(writer, "column count", "column value")
    }
}
