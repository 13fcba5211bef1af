//! Execute: runs a portal, wholly or for so many rows.

use super::cursor::Cursor;
use super::error::Error;
use super::writer::{Writer, constant, message};

/// The third step of the extended query protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execute<'a> {
    /// Of the portal; empty for the unnamed one.
    pub portal: &'a [u8],
    /// After so many rows comes PortalSuspended; 0 for no limit.
    pub max_rows: i32,
}

message!(Execute<'a>, b'E');

impl<'a> Execute<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(Execute {
            portal: cursor.cstr("portal name")?,
            max_rows: cursor.i32("row limit")?,
        })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.cstr(self.portal, "portal name")?;
        writer.i32(self.max_rows, "row limit")
    }
}

/// That of the unnamed portal, all of whose rows are wanted.
pub(super) const ALL: [u8; 10] = [Execute::TAG, 0, 0, 0, 9, 0, 0, 0, 0, 0];

/// Appends an Execute message; after an error `out` is as it was.
#[inline(always)]
pub fn encode_execute(out: &mut Vec<u8>, portal: &[u8], max_rows: i32) -> Result<(), Error> {
    // Nearly always it is the unnamed portal, all of whose rows are wanted: then the message is the same.
    if portal.is_empty() && max_rows == 0 {
        return constant(out, &ALL, "Execute");
    }
    message(out, Execute::TAG, "Execute", |writer| {
        Execute { portal, max_rows }.write(writer)
    })
}
