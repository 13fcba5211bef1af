//! RowDescription: the columns of the rows that follow.

use super::cursor::Cursor;
use super::element::Element;
use super::error::Error;
use super::list::List;
use super::writer::Writer;

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The column's name.
    pub name: &'a [u8],
    /// The object ID of the table it is a column of; 0 if of none.
    pub table_oid: u32,
    /// Its number in that table, from 1; negative for system columns, 0 if of none.
    pub column: i16,
    /// The object ID of its type.
    pub type_oid: u32,
    /// The type's size in bytes (`pg_type.typlen`); negative if it varies.
    pub type_size: i16,
    /// The type's modifier (`pg_attribute.atttypmod`); -1 if it has none.
    pub type_modifier: i32,
    /// 0 text, 1 binary; always 0 in the answer to Describe of a statement, where it is not known yet.
    pub format: i16,
}

impl<'a> Element<'a> for Field<'a> {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, field: &'static str) -> Result<Self, Error> {
        Ok(Field {
            name: cursor.cstr("column name")?,
            table_oid: cursor.u32(field)?,
            column: cursor.i16(field)?,
            type_oid: cursor.u32(field)?,
            type_size: cursor.i16(field)?,
            type_modifier: cursor.i32(field)?,
            format: cursor.i16(field)?,
        })
    }

    fn write(self, writer: &mut Writer<'_>, field: &'static str) -> Result<(), Error> {
        writer.cstr(self.name, "column name")?;
        writer.u32(self.table_oid, field)?;
        writer.i16(self.column, field)?;
        writer.u32(self.type_oid, field)?;
        writer.i16(self.type_size, field)?;
        writer.i32(self.type_modifier, field)?;
        writer.i16(self.format, field)
    }
}

/// Comes before the first DataRow, and as the answer to Describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowDescription<'a> {
    /// The columns.
    pub fields: List<'a, Field<'a>>,
}

message!(RowDescription<'a>, b'T');

impl<'a> RowDescription<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(RowDescription {
            fields: List::read_counted(cursor, "column count", "column")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        self.fields.write_counted(writer, "column count", "column")
    }
}
