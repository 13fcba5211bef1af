//! CommandComplete: an SQL command is done, and what it did.

use super::cursor::Cursor;
use super::error::Error;
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
    pub fn rows(&self) -> Option<u64> {
        let tag = self.tag;
        match *tag {
            // The object ID stands first, and has been 0 since PostgreSQL 12.
            [b'I', b'N', b'S', b'E', b'R', b'T', b' ', ref numbers @ ..] => {
                let space = numbers.iter().position(|&byte| byte == b' ')?;
                number(numbers.get(space + 1..)?)
            }
            [b'S', b'E', b'L', b'E', b'C', b'T', b' ', ref digits @ ..]
            | [b'D', b'E', b'L', b'E', b'T', b'E', b' ', ref digits @ ..]
            | [b'U', b'P', b'D', b'A', b'T', b'E', b' ', ref digits @ ..]
            | [b'F', b'E', b'T', b'C', b'H', b' ', ref digits @ ..]
            | [b'M', b'E', b'R', b'G', b'E', b' ', ref digits @ ..]
            | [b'M', b'O', b'V', b'E', b' ', ref digits @ ..]
            | [b'C', b'O', b'P', b'Y', b' ', ref digits @ ..] => number(digits),
            _ => None,
        }
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

fn is_number(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(u8::is_ascii_digit)
}

/// A number that fits; `None` for anything else.
fn number(digits: &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        number = number.checked_mul(10)?.checked_add(u64::from(value))?;
    }
    (!digits.is_empty()).then_some(number)
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
