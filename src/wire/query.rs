//! Query: one or more SQL commands of the simple protocol.

use super::cursor::Cursor;
use super::error::Error;
use super::writer::{Writer, message};

/// Begins a cycle of the simple query protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query<'a> {
    /// The commands.
    pub sql: &'a [u8],
}

message!(Query<'a>, b'Q');

impl<'a> Query<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(Query {
            sql: cursor.cstr("query")?,
        })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.cstr(self.sql, "query")
    }
}

/// Appends a Query message; after an error `out` is as it was.
pub fn encode_query(out: &mut Vec<u8>, sql: &[u8]) -> Result<(), Error> {
    message(out, Query::TAG, "Query", |writer| {
        Query { sql }.write(writer)
    })
}
