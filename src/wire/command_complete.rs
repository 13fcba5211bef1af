//! CommandComplete: an SQL command is done, and what it did.

use super::cursor::Cursor;
use super::error::Error;
use super::nul;
use super::writer::Writer;

/// Ends the results of one command; it is not yet committed, which only ReadyForQuery tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandComplete<'a> {
    /// Such as `INSERT 0 1`, `SELECT 3` or `CREATE TABLE`.
    pub tag: &'a [u8],
}

message!(CommandComplete<'a>, b'C');

impl<'a> CommandComplete<'a> {
    /// The command's name: the tag without its numbers.
    #[must_use]
    pub fn command(&self) -> &'a [u8] {
        let mut name = self.tag;
        while let Some(space) = name.iter().rposition(|&byte| byte == b' ') {
            let (head, word) = name.split_at(space);
            if !is_number(word.get(1..).unwrap_or_default()) {
                break;
            }
            name = head;
        }
        name
    }

    /// How many rows were retrieved or affected, for the commands that say so. By the rules of libpq's `PQcmdTuples`.
    #[must_use]
    #[inline(always)]
    pub fn rows(&self) -> Option<u64> {
        const SELECT: u64 = verb(*b"SELECT  ");
        const UPDATE: u64 = verb(*b"UPDATE  ");
        const DELETE: u64 = verb(*b"DELETE  ");
        const INSERT: u64 = verb(*b"INSERT  ");
        let tag = self.tag;
        let numbers = tag.get(7..).unwrap_or_default();
        match tag.first_chunk::<8>().map_or(0, |first| verb(*first)) {
            SELECT | UPDATE | DELETE => number(numbers),
            // The object ID stands first, and has been 0 since PostgreSQL 12.
            INSERT => {
                let space = numbers.iter().position(|&byte| byte == b' ')?;
                number(numbers.get(space + 1..)?)
            }
            _ => self.rows_of_others(),
        }
    }

    /// The same for commands whose name does not have six letters.
    #[inline(never)]
    fn rows_of_others(&self) -> Option<u64> {
        match *self.tag {
            [b'F', b'E', b'T', b'C', b'H', b' ', ref digits @ ..]
            | [b'M', b'E', b'R', b'G', b'E', b' ', ref digits @ ..]
            | [b'M', b'O', b'V', b'E', b' ', ref digits @ ..]
            | [b'C', b'O', b'P', b'Y', b' ', ref digits @ ..] => number(digits),
            _ => None,
        }
    }

    /// The tag in the body of such a message; `None` where something is wrong with it, as [`decode`](Self::decode) says.
    #[must_use]
    #[inline(always)]
    pub fn tag_in(body: &'a [u8]) -> Option<&'a [u8]> {
        let (&end, tag) = body.split_last()?;
        (end == 0 && !nul::is_in(tag)).then_some(tag)
    }

    fn read(cursor: &mut Cursor<'a>) -> Result<Self, Error> {
        Ok(CommandComplete {
            tag: cursor.cstr("command tag")?,
        })
    }

    fn write(&self, writer: &mut Writer<'_>) -> Result<(), Error> {
        writer.cstr(self.tag, "command tag")
    }
}

/// A verb of six letters and the space behind it as one word: the byte behind them does not count.
#[inline(always)]
const fn verb(first: [u8; 8]) -> u64 {
    u64::from_le_bytes(first) & (u64::MAX >> 8)
}

fn is_number(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

/// A number that fits; `None` for anything else.
#[inline(always)]
fn number(digits: &[u8]) -> Option<u64> {
    if let [digit @ b'0'..=b'9'] = digits {
        return Some(u64::from(digit - b'0'));
    }
    // So many digits fit in any case.
    if digits.is_empty() || digits.len() > 19 {
        return large_number(digits);
    }
    let (mut number, mut all) = (0_u64, true);
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        all &= value <= 9;
        number = number.wrapping_mul(10).wrapping_add(u64::from(value));
    }
    all.then_some(number)
}

#[cold]
fn large_number(digits: &[u8]) -> Option<u64> {
    let mut number = (!digits.is_empty()).then_some(0_u64)?;
    for digit in digits {
        let value = char::from(*digit).to_digit(10)?;
        number = number.checked_mul(10)?.checked_add(u64::from(value))?;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::CommandComplete;

    #[test]
    fn rows_and_command_come_from_the_tag() {
        let cases: &[(&str, &str, Option<u64>)] = &[
            ("INSERT 0 1", "INSERT", Some(1)),
            ("INSERT 17 12345678901", "INSERT", Some(12_345_678_901)),
            ("INSERT 5", "INSERT", None),
            ("SELECT 3", "SELECT", Some(3)),
            ("COPY 0", "COPY", Some(0)),
            ("COPY", "COPY", None),
            ("MERGE 9", "MERGE", Some(9)),
            ("FETCH 2", "FETCH", Some(2)),
            ("MOVE 2", "MOVE", Some(2)),
            ("UPDATE -1", "UPDATE -1", None),
            ("DELETE 99999999999999999999", "DELETE", None),
            ("CREATE TABLE", "CREATE TABLE", None),
            ("VACUUM 7", "VACUUM", None),
            ("SELECT ", "SELECT ", None),
            ("", "", None),
        ];
        for (tag, command, rows) in cases {
            let complete = CommandComplete {
                tag: tag.as_bytes(),
            };
            assert_eq!(complete.command(), command.as_bytes(), "{tag}");
            assert_eq!(complete.rows(), *rows, "{tag}");
        }
    }
}
