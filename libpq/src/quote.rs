//! Texts and binary strings as they can stand in a statement, and back (manual, "Escaping Strings for Inclusion in SQL
//! Commands"). Knows bytes and encodings; what is made is handed out piece by piece, front to back.

use pgpoll::encoding::{Encoding, Invalid};

/// Takes what is made, piece by piece.
pub(crate) type Put<'a> = dyn FnMut(&[u8]) + 'a;

/// How a binary string is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytea {
    /// In hexadecimal digits, which servers from 9.0 on read; otherwise in octal ones where a byte needs it.
    pub hex: bool,
    /// Backslashes are nothing special in literals; otherwise each is written twice.
    pub standard_strings: bool,
}

/// Doubles the ASCII characters that are `special`. What is no character is replaced by bytes that no server takes, and the
/// first of them is what is wrong with the text.
pub(crate) fn double(
    text: &[u8],
    encoding: Encoding,
    special: impl Fn(u8) -> bool,
    mut put: impl FnMut(&[u8]),
) -> Option<Invalid> {
    let mut wrong = None;
    // From `done` on nothing has been handed out yet.
    let (mut done, mut at) = (0, 0);
    while let Some(&byte) = text.get(at) {
        if byte < 0x80 {
            if special(byte) {
                put(&text[done..=at]);
                done = at;
            }
            at += 1;
            continue;
        }
        match encoding.character(&text[at..]) {
            Ok(length) => at += length,
            Err(why) => {
                wrong = wrong.or(Some(why));
                put(&text[done..at]);
                put(&encoding.invalid());
                // What follows may mean something to somebody: it is kept.
                at += 1;
                done = at;
            }
        }
    }
    put(&text[done..]);
    wrong
}

/// What is wrong with a text as a whole.
pub(crate) fn check(text: &[u8], encoding: Encoding) -> Result<(), Invalid> {
    let Some(first) = text.iter().position(|&byte| byte >= 0x80) else {
        return Ok(());
    };
    let rest = &text[first..];
    match encoding.character(rest) {
        Err(Invalid::Incomplete) => Err(Invalid::Incomplete),
        _ if encoding.valid_up_to(rest) == rest.len() => Ok(()),
        _ => Err(Invalid::Malformed),
    }
}

/// A valid text that is to stand in quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quoted<'a> {
    text: &'a [u8],
    encoding: Encoding,
    quote: u8,
    /// How many quotes, and how many backslashes, are to be doubled.
    quotes: usize,
    backslashes: usize,
}

impl<'a> Quoted<'a> {
    /// As a literal.
    pub(crate) fn literal(text: &'a [u8], encoding: Encoding) -> Result<Self, Invalid> {
        let quoted = Self::identifier(text, encoding)?;
        Ok(Self {
            quote: b'\'',
            quotes: count(text, encoding, b'\''),
            backslashes: count(text, encoding, b'\\'),
            ..quoted
        })
    }

    /// As an identifier.
    pub(crate) fn identifier(text: &'a [u8], encoding: Encoding) -> Result<Self, Invalid> {
        check(text, encoding)?;
        Ok(Self {
            text,
            encoding,
            quote: b'"',
            quotes: count(text, encoding, b'"'),
            backslashes: 0,
        })
    }

    /// The bytes that are written; `None` when there are more than can be.
    pub(crate) fn len(&self) -> Option<usize> {
        let quotes = 2 + self.prefix().len();
        let more = self.quotes.checked_add(self.backslashes)?;
        self.text.len().checked_add(more)?.checked_add(quotes)
    }

    /// With this syntax a backslash means the same whatever the server's setting; the space keeps it from what stands before.
    fn prefix(&self) -> &'static [u8] {
        if self.backslashes > 0 { b" E" } else { b"" }
    }

    pub(crate) fn write(&self, put: &mut Put<'_>) {
        put(self.prefix());
        put(&[self.quote]);
        if self.quotes + self.backslashes == 0 {
            put(self.text);
        } else {
            let is_special = |byte| byte == self.quote || byte == b'\\' && self.backslashes > 0;
            double(self.text, self.encoding, is_special, &mut *put);
        }
        put(&[self.quote]);
    }
}

/// How often an ASCII character occurs in a valid text.
fn count(text: &[u8], encoding: Encoding, wanted: u8) -> usize {
    if encoding.keeps_ascii_apart() {
        return text.iter().filter(|&&byte| byte == wanted).count();
    }
    let mut rest = text;
    let mut count = 0;
    while let Some(&first) = rest.first() {
        count += usize::from(first == wanted);
        rest = rest.get(encoding.length(rest)..).unwrap_or_default();
    }
    count
}

/// Gathers pieces that are too small to be handed out one by one.
struct Gathered<'a, 'b> {
    put: &'a mut Put<'b>,
    bytes: [u8; 256],
    length: usize,
}

impl<'a, 'b> Gathered<'a, 'b> {
    fn new(put: &'a mut Put<'b>) -> Self {
        Self {
            put,
            bytes: [0; 256],
            length: 0,
        }
    }

    fn put(&mut self, piece: &[u8]) {
        if self.length + piece.len() > self.bytes.len() {
            self.flush();
        }
        for &byte in piece {
            self.bytes[self.length] = byte;
            self.length += 1;
        }
    }

    fn flush(&mut self) {
        (self.put)(&self.bytes[..self.length]);
        self.length = 0;
    }
}

/// A binary string as it stands inside of a literal's quotes.
pub(crate) fn bytea(bytes: &[u8], how: Bytea, put: &mut Put<'_>) {
    let backslash: &[u8] = if how.standard_strings { b"\\" } else { b"\\\\" };
    if how.hex {
        put(backslash);
        put(b"x");
        // Many at a time.
        for bytes in bytes.chunks(128) {
            let mut digits = [0; 256];
            for (pair, &byte) in digits.as_chunks_mut().0.iter_mut().zip(bytes) {
                *pair = [digit(byte >> 4), digit(byte & 15)];
            }
            put(&digits[..2 * bytes.len()]);
        }
        return;
    }
    let mut out = Gathered::new(put);
    for &byte in bytes {
        match byte {
            b'\'' => out.put(b"''"),
            b'\\' => {
                out.put(backslash);
                out.put(backslash);
            }
            b' '..=b'~' => out.put(&[byte]),
            _ => {
                out.put(backslash);
                out.put(&[byte >> 6, byte >> 3 & 7, byte & 7].map(|digit| b'0' + digit));
            }
        }
    }
    out.flush();
}

fn digit(half: u8) -> u8 {
    match half {
        0..10 => b'0' + half,
        _ => b'a' + half - 10,
    }
}

/// The binary string in a text that a server sent, in either format. What makes no sense is passed over.
pub(crate) fn unescape(text: &[u8], put: &mut Put<'_>) {
    match text {
        [b'\\', b'x', digits @ ..] => unescape_hex(digits, put),
        _ => unescape_octal(text, put),
    }
}

fn unescape_hex(mut digits: &[u8], put: &mut Put<'_>) {
    let mut out = Gathered::new(put);
    // A byte that is no digit is passed over, with the digit before it.
    while let [first, rest @ ..] = digits {
        digits = rest;
        let (Some(high), [second, rest @ ..]) = (value(*first), rest) else {
            continue;
        };
        digits = rest;
        if let Some(low) = value(*second) {
            out.put(&[high << 4 | low]);
        }
    }
    out.flush();
}

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn unescape_octal(mut text: &[u8], put: &mut Put<'_>) {
    while let Some(at) = text.iter().position(|&byte| byte == b'\\') {
        put(&text[..at]);
        text = &text[at + 1..];
        match text {
            [b'\\', rest @ ..] => {
                put(b"\\");
                text = rest;
            }
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
                put(&[(a - b'0') << 6 | (b - b'0') << 3 | (c - b'0')]);
                text = rest;
            }
            // The backslash alone is dropped.
            _ => {}
        }
    }
    put(text);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn collected(write: impl FnOnce(&mut Put<'_>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut |piece| out.extend_from_slice(piece));
        out
    }

    fn doubled(text: &[u8], name: &str) -> (Vec<u8>, Option<Invalid>) {
        let mut out = Vec::new();
        let encoding = Encoding::named(name.as_bytes()).unwrap();
        let wrong = double(
            text,
            encoding,
            |byte| byte == b'\'',
            |piece| out.extend_from_slice(piece),
        );
        (out, wrong)
    }

    #[test]
    fn quotes_are_doubled_and_no_invalid_byte_hides_one() {
        let said = |text: &[u8], wrong| (text.to_vec(), wrong);
        assert_eq!(doubled(b"", "UTF8"), said(b"", None));
        assert_eq!(doubled(b"'a''b'", "UTF8"), said(b"''a''''b''", None));
        let incomplete = Some(Invalid::Incomplete);
        let malformed = Some(Invalid::Malformed);
        assert_eq!(doubled(b"\xc3'", "UTF8"), said(b"\xc0 ''", malformed));
        assert_eq!(doubled(b"a\xc3", "UTF8"), said(b"a\xc0 ", incomplete));
        assert_eq!(
            doubled(b"\xe4\xb8'", "UTF8"),
            said(b"\xc0 \xc0 ''", malformed)
        );
        assert_eq!(doubled(b"\x95'", "SJIS"), said(b"\x8d ''", malformed));
        assert_eq!(doubled(b"\xa5'", "BIG5"), said(b"\xa5'", None));
        assert_eq!(doubled(b"\xa5'", "LATIN1"), said(b"\xa5''", None));
        assert_eq!(doubled(b"\x81", "GB18030"), said(b"\x8d ", incomplete));
    }

    #[test]
    fn literals_and_identifiers_have_their_quotes() {
        let utf8 = Encoding::UTF8;
        let shown = |text: &str| {
            let literal = Quoted::literal(text.as_bytes(), utf8).unwrap();
            let identifier = Quoted::identifier(text.as_bytes(), utf8).unwrap();
            [literal, identifier].map(|quoted| {
                let written = collected(|put| quoted.write(put));
                assert_eq!(quoted.len(), Some(written.len()));
                String::from_utf8(written).unwrap()
            })
        };
        assert_eq!(shown(""), ["''", "\"\""]);
        assert_eq!(shown("it's"), ["'it''s'", "\"it's\""]);
        assert_eq!(shown("a\\\"b'"), [" E'a\\\\\"b'''", "\"a\\\"\"b'\""]);
        // No backslash, but half of a character.
        let sjis = Encoding::named(b"SJIS").unwrap();
        let quoted = Quoted::literal(b"\x95\\", sjis).unwrap();
        assert_eq!(collected(|put| quoted.write(put)), b"'\x95\\'");
    }

    #[test]
    fn binary_strings_come_back() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).chain(*b"\\\\x'").collect();
        for hex in [false, true] {
            for length in [0, 1, 127, 128, 129, all.len()] {
                let how = Bytea {
                    hex,
                    standard_strings: true,
                };
                let escaped = collected(|put| bytea(&all[..length], how, put));
                // What the server makes of a literal.
                let read = String::from_utf8(escaped).unwrap().replace("''", "'");
                let back = collected(|put| unescape(read.as_bytes(), put));
                assert_eq!(back, &all[..length]);
            }
        }
        let old = Bytea {
            hex: true,
            standard_strings: false,
        };
        assert_eq!(collected(|put| bytea(b"\x00\xff", old, put)), b"\\\\x00ff");
    }

    #[test]
    fn what_makes_no_sense_is_passed_over() {
        for (text, bytes) in [
            ("", &b""[..]),
            ("\\", b""),
            ("\\\\", b"\\"),
            ("\\0", b"0"),
            ("\\400\\377\\08", b"400\xff08"),
            ("\\x", b""),
            ("\\x1", b""),
            ("\\x12 34", b"\x124"),
            ("\\x1g2", b""),
            ("\\xg12", b"\x12"),
            ("\\xAfaF\u{e9}01", b"\xaf\xaf\x01"),
            ("a\\x41", b"ax41"),
        ] {
            assert_eq!(
                collected(|put| unescape(text.as_bytes(), put)),
                bytes,
                "{text}"
            );
        }
    }

    #[test]
    fn a_text_is_checked_from_its_first_character_beyond_ascii() {
        let utf8 = |text: &[u8]| check(text, Encoding::UTF8);
        assert_eq!(utf8(b"plain'"), Ok(()));
        assert_eq!(utf8("\u{e4}\u{20ac}".as_bytes()), Ok(()));
        assert_eq!(utf8(b"a\xc3"), Err(Invalid::Incomplete));
        // Only the first character is said to be incomplete.
        assert_eq!(utf8(b"\xc3\xa4\xc3"), Err(Invalid::Malformed));
        assert_eq!(utf8(b"\xff"), Err(Invalid::Malformed));
        assert_eq!(check(b"\xff", Encoding::SQL_ASCII), Ok(()));
    }
}
