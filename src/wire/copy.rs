//! The messages of COPY but CopyDone, which has no body.

use super::cursor::Cursor;
use super::error::{Error, Problem};
use super::list::List;
use super::writer::{self, Writer};

macro_rules! copy_response {
    ($(#[$doc:meta])* $type:ident, $tag:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $type<'a> {
            /// Of the whole: 0 text (rows end with newlines), 1 binary.
            pub format: u8,
            /// Of each column; all 0 if the whole is text.
            pub column_formats: List<'a, i16>,
        }

        message!($type<'a>, $tag);

        impl<'a> $type<'a> {
            fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
                let format = cursor.u8("format")?;
                if format > 1 {
                    return Err(cursor.error("format", Problem::BadValue(format.into())));
                }
                let column_formats = List::read_counted(cursor, "column count", "column format")?;
                Ok($type { format, column_formats })
            }

            fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
                writer.u8(self.format, "format")?;
                self.column_formats.write_counted(writer, "column count", "column format")
            }
        }
    };
}

copy_response!(
    /// The server waits for CopyData.
    CopyInResponse,
    b'G'
);
copy_response!(
    /// CopyData follows.
    CopyOutResponse,
    b'H'
);
copy_response!(
    /// Both; only streaming replication does this.
    CopyBothResponse,
    b'W'
);

/// A piece of the data, in both directions. Its ends need not be the rows' ends when the frontend sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyData<'a> {
    /// The piece.
    pub data: &'a [u8],
}

/// The frontend gives up COPY FROM STDIN; the server answers with an ErrorResponse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyFail<'a> {
    /// Why; the server repeats it.
    pub reason: &'a [u8],
}

message!(CopyData<'a>, b'd');
message!(CopyFail<'a>, b'f');

impl<'a> CopyData<'a> {
    #[inline]
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(CopyData {
            data: cursor.remainder(),
        })
    }

    #[inline]
    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.bytes(self.data, "data")
    }
}

/// Appends to the data of the CopyData message that begins at `start` and ends where `out` does. After an error `out` is as it was.
#[inline]
pub fn extend_copy_data(out: &mut Vec<u8>, start: usize, data: &[u8]) -> Result<(), Error> {
    writer::extend(out, start + 1, "CopyData", data)
}

impl<'a> CopyFail<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(CopyFail {
            reason: cursor.cstr("reason")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.cstr(self.reason, "reason")
    }
}
