//! The messages without a body: their type is all they say.

use super::cursor::Cursor;
use super::error::Error;
use super::writer::{Writer, constant};

macro_rules! bare {
    ($($(#[$doc:meta])* $type:ident, $tag:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $type;

        message!($type, $tag);

        impl $type {
            #[inline]
            fn read(_: &mut Cursor<'_>) -> Result<Self, Error> {
                Ok($type)
            }

            #[inline]
            fn write(&self, _: &mut Writer<'_>) -> Result<(), Error> {
                Ok(())
            }
        }
    )*};
}

bare! {
    /// From the frontend: send what there is, but do not end the cycle.
    Flush, b'H';
    /// From the frontend: ends a cycle of the extended query protocol, and its implicit transaction.
    Sync, b'S';
    /// From the frontend: the session is over.
    Terminate, b'X';
    /// From the backend: Parse is done.
    ParseComplete, b'1';
    /// From the backend: Bind is done.
    BindComplete, b'2';
    /// From the backend: Close is done.
    CloseComplete, b'3';
    /// From the backend, to Describe: there will be no rows.
    NoData, b'n';
    /// From the backend, to Execute: the row limit is reached.
    PortalSuspended, b's';
    /// From the backend, in CommandComplete's place: the query was empty.
    EmptyQueryResponse, b'I';
    /// From both sides: no more CopyData.
    CopyDone, b'c';
}

/// Appends a Sync message; after an error `out` is as it was.
#[inline]
pub fn encode_sync(out: &mut Vec<u8>) -> Result<(), Error> {
    constant(out, &[Sync::TAG, 0, 0, 0, 4], "Sync")
}

/// Appends a Flush message; after an error `out` is as it was.
pub fn encode_flush(out: &mut Vec<u8>) -> Result<(), Error> {
    Flush.encode(out)
}
