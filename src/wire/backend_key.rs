//! BackendKeyData: what a CancelRequest for this session must show.

use super::cursor::Cursor;
use super::error::{Error, Problem};
use super::writer::Writer;

/// Sent once, after authentication.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BackendKeyData<'a> {
    /// Of the backend; poolers invent one.
    pub process_id: i32,
    /// 4 bytes in version 3.0 (that it is so there is for the reader to hold), 4 to 256 in 3.2.
    pub secret_key: &'a [u8],
}

message!(BackendKeyData<'a>, b'K');

impl<'a> BackendKeyData<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        let process_id = cursor.i32("process ID")?;
        let secret_key = cursor.remainder();
        match secret_key.len() {
            4..=256 => Ok(BackendKeyData {
                process_id,
                secret_key,
            }),
            length => Err(cursor.error("secret key", Problem::BadLength(length as i64))),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.i32(self.process_id, "process ID")?;
        match self.secret_key.len() {
            4..=256 => writer.bytes(self.secret_key, "secret key"),
            length => Err(writer.error("secret key", Problem::BadLength(length as i64))),
        }
    }
}

/// The key is a secret: it does not belong into logs.
impl std::fmt::Debug for BackendKeyData<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BackendKeyData")
            .field("process_id", &self.process_id)
            .finish_non_exhaustive()
    }
}
