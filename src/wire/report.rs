//! ErrorResponse and NoticeResponse: what the server has to say, in fields. The manual's section "Error and Notice Message
//! Fields" lists their codes.

use super::cursor::Cursor;
use super::element::Element;
use super::error::Error;
use super::list::List;
use super::writer::Writer;

/// A field's code, such as `C` for SQLSTATE, and its text.
impl<'a> Element<'a> for (u8, &'a [u8]) {
    #[inline]
    fn read(cursor: &mut Cursor<'a>, field: &'static str) -> Result<Self, Error> {
        Ok((cursor.u8(field)?, cursor.cstr(field)?))
    }

    fn write(self, writer: &mut Writer<'_>, field: &'static str) -> Result<(), Error> {
        writer.u8(self.0, field)?;
        writer.cstr(self.1, field)
    }
}

macro_rules! report {
    ($(#[$doc:meta])* $type:ident, $tag:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $type<'a> {
            /// Codes and texts in the server's order, those of unknown codes too: the manual asks to ignore them quietly.
            pub fields: List<'a, (u8, &'a [u8])>,
        }

        message!($type<'a>, $tag);

        impl<'a> $type<'a> {
            /// The text of the first field with this code.
            #[must_use]
            pub fn field(&self, code: u8) -> Option<&'a [u8]> {
                self.fields.iter().find(|field| field.0 == code).map(|field| field.1)
            }

            fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
                Ok($type { fields: List::read_terminated(cursor, "field")? })
            }

            fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
                self.fields.write_terminated(writer, "field")
            }
        }
    };
}

report!(
    /// A command failed, or the session did.
    ErrorResponse,
    b'E'
);
report!(
    /// A warning or another message that ends nothing. May arrive at any time.
    NoticeResponse,
    b'N'
);
