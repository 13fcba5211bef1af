//! FunctionCall and FunctionCallResponse: the function call sub-protocol, which large objects still use.

use super::bind::Parameters;
use super::cursor::Cursor;
use super::error::Error;
use super::list::List;
use super::writer::{Writer, message};

/// Calls a function by its object ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    /// Of the function.
    pub function_oid: u32,
    /// The arguments' formats, 0 text or 1 binary: none (all are text), one for all, or one for each.
    pub formats: List<'a, i16>,
    /// The arguments; `None` for NULL.
    pub arguments: List<'a, Option<&'a [u8]>>,
    /// The format of the result.
    pub result_format: i16,
}

/// What the function returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionCallResponse<'a> {
    /// `None` for NULL.
    pub value: Option<&'a [u8]>,
}

message!(FunctionCall<'a>, b'F');
message!(FunctionCallResponse<'a>, b'V');

impl<'a> FunctionCall<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(FunctionCall {
            function_oid: cursor.u32("function")?,
            formats: List::read_counted(cursor, "argument format count", "argument format")?,
            arguments: List::read_counted(cursor, "argument count", "argument value")?,
            result_format: cursor.i16("result format")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        layout(
            writer,
            self.function_oid,
            self.formats,
            self.arguments.iter(),
            self.result_format,
        )
    }
}

impl<'a> FunctionCallResponse<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(FunctionCallResponse {
            value: cursor.value("value")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.value(self.value, "value")
    }
}

/// Appends a FunctionCall message; after an error `out` is as it was. Only the values of `arguments` are used: `formats`
/// is as in [`FunctionCall`] (libpq sends one for all, `&[1]`).
pub fn encode_function_call(
    out: &mut Vec<u8>,
    function_oid: u32,
    formats: &[i16],
    arguments: &dyn Parameters,
    result_format: i16,
) -> Result<(), Error> {
    message(out, FunctionCall::TAG, "FunctionCall", |writer| {
        let values = (0..arguments.len()).map(|index| arguments.value(index));
        layout(writer, function_oid, formats.into(), values, result_format)
    })
}

fn layout<'v>(
    writer: &mut Writer<'_>,
    function_oid: u32,
    formats: List<'_, i16>,
    arguments: impl ExactSizeIterator<Item = Option<&'v [u8]>>,
    result_format: i16,
) -> Result<(), Error> {
    writer.u32(function_oid, "function")?;
    formats.write_counted(writer, "argument format count", "argument format")?;
    writer.count(arguments.len(), "argument count")?;
    for argument in arguments {
        writer.value(argument, "argument value")?;
    }
    writer.i16(result_format, "result format")
}
