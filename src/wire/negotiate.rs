//! NegotiateProtocolVersion: the server speaks an older minor version, or does not know some of the options asked for.

use super::cursor::Cursor;
use super::error::{Error, Problem};
use super::list::List;
use super::writer::Writer;

/// Sent before authentication when StartupMessage asked for more than the server supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NegotiateProtocolVersion<'a> {
    /// The newest version that the server supports for the major version asked for. Not checked against that.
    pub version: i32,
    /// The protocol options that the server does not know.
    pub options: List<'a, &'a [u8]>,
}

message!(NegotiateProtocolVersion<'a>, b'v');

impl<'a> NegotiateProtocolVersion<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        let version = cursor.i32("protocol version")?;
        let count = cursor.i32("option count")?;
        let count = usize::try_from(count)
            .map_err(|_| cursor.error("option count", Problem::BadValue(count.into())))?;
        Ok(NegotiateProtocolVersion {
            version,
            options: List::read(cursor, count, "option")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.i32(self.version, "protocol version")?;
        let count = self.options.len();
        let count = i32::try_from(count)
            .map_err(|_| writer.error("option count", Problem::TooLong(count)))?;
        writer.i32(count, "option count")?;
        self.options.write(writer, "option")
    }
}
