//! Bind: makes a portal of a prepared statement and the values of its parameters.

use super::bare::encode_sync;
use super::cursor::Cursor;
use super::error::Error;
use super::execute::encode_execute;
use super::list::List;
use super::nul;
use super::target::encode_describe;
use super::window::{self, Window};
use super::writer::{Writer, message};

/// The second step of the extended query protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Of the portal; empty for the unnamed one.
    pub portal: &'a [u8],
    /// Of the prepared statement; empty for the unnamed one.
    pub statement: &'a [u8],
    /// The parameters' formats, 0 text or 1 binary: none (all are text), one for all, or one for each.
    pub formats: List<'a, i16>,
    /// The parameters' values; `None` for NULL.
    pub values: List<'a, Option<&'a [u8]>>,
    /// The result columns' formats: none (all are text), one for all, or one for each.
    pub result_formats: List<'a, i16>,
}

message!(Bind<'a>, b'B');

impl<'a> Bind<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(Bind {
            portal: cursor.cstr("portal name")?,
            statement: cursor.cstr("statement name")?,
            formats: List::read_counted(cursor, "parameter format count", "parameter format")?,
            values: List::read_counted(cursor, "parameter count", "parameter value")?,
            result_formats: List::read_counted(cursor, "result format count", "result format")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.cstr(self.portal, "portal name")?;
        writer.cstr(self.statement, "statement name")?;
        self.formats
            .write_counted(writer, "parameter format count", "parameter format")?;
        self.values
            .write_counted(writer, "parameter count", "parameter value")?;
        self.result_formats
            .write_counted(writer, "result format count", "result format")
    }
}

/// The values that a statement is executed with, wherever the caller keeps them.
pub trait Parameters {
    /// How many there are.
    fn len(&self) -> usize;
    /// The value of the one at `index`, counted from 0; `None` for NULL. Asked for once per message, and a second time
    /// where something is wrong with it.
    fn value(&self, index: usize) -> Option<&[u8]>;
    /// Its format: 0 text, 1 binary. Asked for only where [`has_formats`](Parameters::has_formats).
    fn format(&self, index: usize) -> i16 {
        let _ = index;
        0
    }
    /// Whether formats are sent, one for each parameter; if not, all are text.
    fn has_formats(&self) -> bool {
        false
    }
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// No parameters.
impl Parameters for () {
    fn len(&self) -> usize {
        0
    }

    fn value(&self, _: usize) -> Option<&[u8]> {
        None
    }
}

/// Parameters in text form.
impl<const N: usize> Parameters for [Option<&[u8]>; N] {
    fn len(&self) -> usize {
        N
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        self.get(index).copied().flatten()
    }
}

impl Parameters for &[Option<&[u8]>] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        self.get(index).copied().flatten()
    }
}

/// Parameters with their formats.
impl Parameters for &[(Option<&[u8]>, i16)] {
    fn len(&self) -> usize {
        <[_]>::len(self)
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        self.get(index).and_then(|(value, _)| *value)
    }

    fn format(&self, index: usize) -> i16 {
        self.get(index).map_or(0, |(_, format)| *format)
    }

    fn has_formats(&self) -> bool {
        true
    }
}

/// Appends what executes a prepared statement by the unnamed portal: Bind, Describe of the portal where its columns are to be
/// described, Execute without a row limit, and Sync where that ends the group. After an error `out` is as it was.
#[inline(always)]
pub fn encode_execution<P: Parameters + ?Sized>(
    out: &mut Vec<u8>,
    statement: &[u8],
    parameters: &P,
    format: i16,
    describe: bool,
    sync: bool,
) -> Result<(), Error> {
    if encode_usual(out, statement, parameters, format, describe, sync) {
        return Ok(());
    }
    encode_one_by_one(out, statement, parameters, format, describe, sync)
}

#[inline(never)]
fn encode_one_by_one<P: Parameters + ?Sized>(
    out: &mut Vec<u8>,
    statement: &[u8],
    parameters: &P,
    format: i16,
    describe: bool,
    sync: bool,
) -> Result<(), Error> {
    let before = out.len();
    let encode = |out: &mut Vec<u8>| {
        encode_bind(out, b"", statement, parameters, &[format])?;
        if describe {
            encode_describe(out, b'P', b"")?;
        }
        encode_execute(out, b"", 0)?;
        if sync {
            encode_sync(out)?;
        }
        Ok(())
    };
    let encoded = encode(out);
    if encoded.is_err() {
        out.truncate(before);
    }
    encoded
}

/// The same for what nearly all are: parameters in text form, all of them short. False, and `out` is as it was, where it is not so,
/// or where something is wrong with it.
#[inline(always)]
fn encode_usual<P: Parameters + ?Sized>(
    out: &mut Vec<u8>,
    statement: &[u8],
    parameters: &P,
    format: i16,
    describe: bool,
    sync: bool,
) -> bool {
    let Ok(count) = u16::try_from(parameters.len()) else {
        return false;
    };
    !parameters.has_formats()
        && !nul::is_in(statement)
        && window::append(out, |window| {
            window.fixed(&HEAD, HEAD.len())?;
            window.bytes(statement)?;
            window.fixed(&behind_name(count), BEHIND_NAME)?;
            write_values(window, parameters, &Rest::new(format, describe), sync)
        })
}

/// What follows the values: the format of the results, which ends the Bind, and the messages behind it, with a Sync at the end.
#[derive(Debug)]
struct Rest {
    bytes: [u8; 32],
    /// How many of them are used.
    len: usize,
}

impl Rest {
    #[inline(always)]
    fn new(format: i16, describe: bool) -> Self {
        const DESCRIBED: [u8; 32] =
            Rest::padded(b"\0\x01\0\0D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04");
        const UNDESCRIBED: [u8; 32] = Rest::padded(b"\0\x01\0\0E\0\0\0\x09\0\0\0\0\0S\0\0\0\x04");
        let (mut bytes, len) = match describe {
            true => (DESCRIBED, 26),
            false => (UNDESCRIBED, 19),
        };
        [bytes[2], bytes[3]] = format.to_be_bytes();
        Self { bytes, len }
    }

    const fn padded(used: &[u8]) -> [u8; 32] {
        let (mut bytes, mut at) = ([0; 32], 0);
        while at < used.len() {
            bytes[at] = used[at];
            at += 1;
        }
        bytes
    }
}

/// Bytes of a Sync.
const SYNC: usize = 5;

/// Tag, length, and the name of the unnamed portal.
const HEAD: [u8; 6] = [Bind::TAG, 0, 0, 0, 0, 0];

/// The NUL of the statement's name, no formats, and so many parameters.
#[inline(always)]
fn behind_name(count: u16) -> [u8; BEHIND_NAME] {
    let [high, low] = count.to_be_bytes();
    [0, 0, 0, high, low]
}

const BEHIND_NAME: usize = 5;

/// The rest of the Bind that the window begins with, values, and the messages behind it.
#[inline(always)]
fn write_values<P: Parameters + ?Sized>(
    window: &mut Window<'_>,
    parameters: &P,
    rest: &Rest,
    sync: bool,
) -> Option<()> {
    for index in 0..parameters.len() {
        match parameters.value(index) {
            Some(value) => {
                window.fixed(&(value.len() as u32).to_be_bytes(), 4)?;
                window.bytes(value)?;
            }
            None => window.fixed(&(-1_i32).to_be_bytes(), 4)?,
        }
    }
    // The tag does not count; the format, with which the rest begins, does.
    window.set_length(window.used() as u32 - 1 + 4);
    window.fixed(&rest.bytes, if sync { rest.len } else { rest.len - SYNC })
}

/// What executes a prepared statement whose columns are known, again and again, for many sets of parameters in text form.
#[derive(Debug)]
pub struct Executions {
    /// The Bind up to its parameters; `head_len` bytes of it are used.
    head: [u8; 48],
    head_len: usize,
    rest: Rest,
    /// Of the parameters.
    count: usize,
}

impl Executions {
    /// `count`: of the parameters; `format`: of the results. `None` where the messages are not of the usual kind, or the name is
    /// longer than names are.
    pub fn new(statement: &[u8], count: usize, format: i16) -> Option<Self> {
        let behind = behind_name(u16::try_from(count).ok()?);
        let name_end = HEAD.len() + statement.len();
        let head_len = name_end + behind.len();
        let mut head = [0; 48];
        head[..HEAD.len()].copy_from_slice(&HEAD);
        head.get_mut(HEAD.len()..name_end)?
            .copy_from_slice(statement);
        head.get_mut(name_end..head_len)?.copy_from_slice(&behind);
        (!nul::is_in(statement)).then(|| Self {
            head,
            head_len,
            rest: Rest::new(format, false),
            count,
        })
    }

    /// Appends the next one, with a Sync where that ends the group. False, and `out` is as it was, where it is not of the usual
    /// kind, or something is wrong with it.
    #[inline(always)]
    pub fn encode<P: Parameters>(&self, out: &mut Vec<u8>, parameters: &P, sync: bool) -> bool {
        parameters.len() == self.count
            && !parameters.has_formats()
            && window::append(out, |window| {
                window.fixed(&self.head, self.head_len)?;
                write_values(window, parameters, &self.rest, sync)
            })
    }
}

/// Appends a Bind message; after an error `out` is as it was.
///
/// As in libpq, the formats of the parameters are left out when the caller gives none, even where all are text.
pub fn encode_bind<P: Parameters + ?Sized>(
    out: &mut Vec<u8>,
    portal: &[u8],
    statement: &[u8],
    parameters: &P,
    result_formats: &[i16],
) -> Result<(), Error> {
    let count = parameters.len();
    message(out, Bind::TAG, "Bind", |writer| {
        writer.cstr(portal, "portal name")?;
        writer.cstr(statement, "statement name")?;
        if parameters.has_formats() {
            writer.count(count, "parameter format count")?;
            for index in 0..count {
                writer.i16(parameters.format(index), "parameter format")?;
            }
            writer.count(count, "parameter count")?;
        } else {
            writer.counts(0, count, "parameter count")?;
        }
        for index in 0..count {
            writer.value(parameters.value(index), "parameter value")?;
        }
        match result_formats {
            [format] => writer.counts(1, usize::from(*format as u16), "result format"),
            _ => List::from(result_formats).write_counted(
                writer,
                "result format count",
                "result format",
            ),
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The short ways and the long one write the same, or the short ones leave it to the long one.
    #[test]
    fn the_usual_messages_are_the_general_ones() {
        let values: [&[Option<&[u8]>]; 4] = [
            &[],
            &[Some(b"17")],
            &[None, Some(b""), Some(b"\0\x01")],
            &[Some(&[b'x'; 70_000]), None],
        ];
        let names = [
            &b""[..],
            b"s",
            b"a statement with a long name",
            b"with\0NUL",
        ];
        let kinds = [
            (0, false, false),
            (1, false, true),
            (0, true, false),
            (-2, true, true),
        ];
        for (statement, parameters) in names
            .iter()
            .flat_map(|name| values.map(|values| (name, values)))
        {
            for (format, describe, sync) in kinds {
                let (mut usual, mut any) = (b"before".to_vec(), b"before".to_vec());
                let done = encode_usual(&mut usual, statement, &parameters, format, describe, sync);
                let said =
                    encode_one_by_one(&mut any, statement, &parameters, format, describe, sync);
                let is_short = |value: &Option<&[u8]>| value.is_none_or(|value| value.len() < 100);
                assert_eq!(done, said.is_ok() && parameters.iter().all(is_short));
                let expected = if done { &any[..] } else { b"before" };
                assert_eq!(usual, expected);
                let many = Executions::new(statement, parameters.len(), format);
                assert_eq!(many.is_some(), said.is_ok());
                if let Some(many) = many.filter(|_| !describe) {
                    let mut one = b"before".to_vec();
                    assert_eq!(many.encode(&mut one, &parameters, sync), done);
                    assert_eq!(one, expected);
                }
            }
        }
        let with_formats: &[(Option<&[u8]>, i16)] = &[(Some(b"1"), 1)];
        assert!(!encode_usual(
            &mut Vec::new(),
            b"",
            &with_formats,
            0,
            false,
            false
        ));
        let many: &[Option<&[u8]>] = &vec![None; 65_536];
        assert!(!encode_usual(&mut Vec::new(), b"", &many, 0, false, false));
    }
}
