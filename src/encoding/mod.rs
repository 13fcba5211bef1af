//! PostgreSQL's encodings: their names, and where the characters of a text begin and end. Knows bytes, converts nothing.
#![forbid(unsafe_code)]

mod form;
mod table;
mod width;

use std::ffi::CStr;

use self::form::Form;
use self::table::{ENCODINGS, SERVER_ENCODINGS};

/// An encoding of PostgreSQL (manual, 23.3.1); `SQL_ASCII` unless something else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Encoding(u8);

/// Why no character stands at the beginning of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// The text ends before the character does.
    Incomplete,
    /// The bytes are no character.
    Malformed,
}

/// Longer names are in no table (`NAMEDATALEN`, with the NUL).
const MOST_NAME_BYTES: usize = 63;

impl Encoding {
    /// No encoding: a byte is a character.
    pub const SQL_ASCII: Self = Self(0);
    /// Unicode.
    pub const UTF8: Self = Self(6);

    /// The encoding with PostgreSQL's number `id` (`pg_wchar.h`), as programs have it from `PQclientEncoding`.
    pub fn from_id(id: i32) -> Option<Self> {
        let id = u8::try_from(id).ok()?;
        (usize::from(id) < ENCODINGS.len()).then_some(Self(id))
    }

    /// The encoding with one of PostgreSQL's names for it. Case does not matter, nor does anything but letters and digits.
    pub fn named(name: &[u8]) -> Option<Self> {
        if name.len() > MOST_NAME_BYTES {
            return None;
        }
        Self::find(|row| {
            let mut names = row.aliases.iter().map(|alias| alias.as_bytes());
            is_same(row.name.to_bytes(), name) || names.any(|alias| is_same(alias, name))
        })
    }

    /// The encoding for a locale's character set, as `client_encoding=auto` has it. The locales C and POSIX stand for no
    /// character set.
    pub fn of_locale(name: &[u8], codeset: &[u8]) -> Option<Self> {
        if name.eq_ignore_ascii_case(b"C") || name.eq_ignore_ascii_case(b"POSIX") {
            return Some(Self::SQL_ASCII);
        }
        Self::find(|row| {
            let mut names = row.codesets.iter();
            names.any(|name| is_same(name.as_bytes(), codeset))
        })
    }

    fn find(is_it: impl Fn(&table::Row) -> bool) -> Option<Self> {
        let at = ENCODINGS.iter().position(is_it)?;
        Some(Self(at as u8))
    }

    fn row(self) -> &'static table::Row {
        &ENCODINGS[usize::from(self.0)]
    }

    /// PostgreSQL's number.
    pub fn id(self) -> i32 {
        self.0.into()
    }

    /// PostgreSQL's name.
    pub fn name(self) -> &'static CStr {
        self.row().name
    }

    /// Whether a database can have it; the others are for clients only.
    pub fn is_for_servers(self) -> bool {
        usize::from(self.0) < SERVER_ENCODINGS
    }

    /// The most bytes of a character.
    pub fn max_length(self) -> usize {
        self.row().form.max_length()
    }

    /// How many bytes the character at the beginning of `text` has, valid or not; there may be fewer. It shows in the first
    /// byte, in GB18030 in the first two. 1 for an empty text.
    pub fn length(self, text: &[u8]) -> usize {
        self.row().form.length(text)
    }

    /// How many bytes [`length`](Self::length) must see of a text that begins with `first`.
    pub fn length_looks_at(self, first: u8) -> usize {
        match self.row().form {
            Form::Gb18030 if first >= 0x80 => 2,
            _ => 1,
        }
    }

    /// Whether a byte below 0x80 is always a character of its own in a valid text. In some encodings that are for clients only it
    /// can be the end of one.
    pub fn keeps_ascii_apart(self) -> bool {
        !matches!(self.row().form, Form::Sjis | Form::Double | Form::Gb18030)
    }

    /// How many columns of a screen the character at the beginning of `text` takes: -1 for control characters, 0 for NUL and
    /// for what is written over another character.
    pub fn width(self, text: &[u8]) -> i32 {
        width::of(self.row().form, text)
    }

    /// How many bytes [`width`](Self::width) must see of a text that begins with `first`.
    pub fn width_looks_at(self, first: u8) -> usize {
        match self.row().form {
            Form::Utf8 => Form::Utf8.length(&[first]),
            _ => 1,
        }
    }

    /// The length of the character at the beginning of `text`, if it is one.
    ///
    /// # Errors
    /// Why it is none.
    pub fn character(self, text: &[u8]) -> Result<usize, Invalid> {
        let form = self.row().form;
        let length = match *text {
            [] => return Err(Invalid::Incomplete),
            // What follows decides how many are missing.
            [first] if first >= 0x80 && form == Form::Gb18030 => return Err(Invalid::Incomplete),
            _ => form.length(text),
        };
        let character = text.get(..length).ok_or(Invalid::Incomplete)?;
        match form.is_character(character) {
            true => Ok(length),
            false => Err(Invalid::Malformed),
        }
    }

    /// How many bytes at the beginning of `text` are valid characters other than NUL.
    pub fn valid_up_to(self, text: &[u8]) -> usize {
        let mut at = 0;
        let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
        match self.row().form {
            Form::Single => return text.len(),
            Form::Utf8 => match std::str::from_utf8(text) {
                Ok(_) => return text.len(),
                Err(error) => return error.valid_up_to(),
            },
            _ => {}
        }
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            match self.character(rest) {
                Ok(length) => at += length,
                Err(_) => break,
            }
        }
        at
    }

    /// Two bytes that a server refuses as a text in this encoding, whatever surrounds them; for encodings with characters of
    /// more than one byte.
    pub fn invalid(self) -> [u8; 2] {
        match self.row().form {
            Form::Utf8 => [0xc0, b' '],
            _ => [0x8d, b' '],
        }
    }
}

/// Whether two names are one: only letters, in either case, and digits count.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    significant(one).eq(significant(other))
}

fn significant(name: &[u8]) -> impl Iterator<Item = u8> {
    let kept = name.iter().filter(|byte| byte.is_ascii_alphanumeric());
    kept.map(u8::to_ascii_lowercase)
}

#[cfg(test)]
mod tests;
