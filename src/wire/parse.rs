//! Parse: makes a prepared statement of an SQL command.

use super::cursor::Cursor;
use super::error::Error;
use super::list::List;
use super::writer::Writer;

/// The first step of the extended query protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Of the prepared statement; empty for the unnamed one.
    pub statement: &'a [u8],
    /// One command.
    pub sql: &'a [u8],
    /// The object IDs of the parameters' types, 0 for "find out"; may be fewer than there are parameters.
    pub types: List<'a, u32>,
}

message!(Parse<'a>, b'P');

impl<'a> Parse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(Parse {
            statement: cursor.cstr("statement name")?,
            sql: cursor.cstr("query")?,
            types: List::read_counted(cursor, "parameter type count", "parameter type")?,
        })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.cstr(self.statement, "statement name")?;
        writer.cstr(self.sql, "query")?;
        self.types
            .write_counted(writer, "parameter type count", "parameter type")
    }
}

/// Appends a Parse message; after an error `out` is as it was.
pub fn encode_parse(
    out: &mut Vec<u8>,
    statement: &[u8],
    sql: &[u8],
    types: &[u32],
) -> Result<(), Error> {
    Parse {
        statement,
        sql,
        types: types.into(),
    }
    .encode(out)
}
