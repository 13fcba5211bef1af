//! NotificationResponse: a NOTIFY by some session on a channel that this one listens to.

use super::cursor::Cursor;
use super::error::Error;
use super::writer::Writer;

/// May arrive at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotificationResponse<'a> {
    /// Of the notifying backend.
    pub process_id: i32,
    /// The channel's name.
    pub channel: &'a [u8],
    /// The payload; empty if there is none.
    pub payload: &'a [u8],
}

message!(NotificationResponse<'a>, b'A');

impl<'a> NotificationResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(NotificationResponse {
            process_id: cursor.i32("process ID")?,
            channel: cursor.cstr("channel")?,
            payload: cursor.cstr("payload")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.i32(self.process_id, "process ID")?;
        writer.cstr(self.channel, "channel")?;
        writer.cstr(self.payload, "payload")
    }
}
