//! ReadyForQuery: the server waits for the next query cycle. Tells the state of the transaction.

use super::cursor::Cursor;
use super::error::{Error, Problem};
use super::writer::Writer;

/// Where the session stands between two query cycles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Not in a transaction block.
    Idle,
    /// In a transaction block.
    InTransaction,
    /// In a transaction block that has failed: everything is refused until it ends.
    Failed,
}

impl TransactionStatus {
    /// The status that ReadyForQuery's byte stands for.
    #[inline]
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(TransactionStatus::Idle),
            b'T' => Some(TransactionStatus::InTransaction),
            b'E' => Some(TransactionStatus::Failed),
            _ => None,
        }
    }

    /// ReadyForQuery's byte for the status.
    #[inline]
    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            TransactionStatus::Idle => b'I',
            TransactionStatus::InTransaction => b'T',
            TransactionStatus::Failed => b'E',
        }
    }
}

/// Ends every query cycle, and the startup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyForQuery {
    /// Where the session stands now.
    pub status: TransactionStatus,
}

message!(ReadyForQuery, b'Z');

impl ReadyForQuery {
    #[inline]
    fn read(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let byte = cursor.u8("transaction status")?;
        match TransactionStatus::from_byte(byte) {
            Some(status) => Ok(ReadyForQuery { status }),
            None => Err(cursor.error("transaction status", Problem::BadValue(byte.into()))),
        }
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.u8(self.status.byte(), "transaction status")
    }
}
