//! How the bytes of a character are told apart, for each family of encodings. Knows no names.

use std::ops::RangeInclusive;

/// Encodings with the same structure. ASCII is a part of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A byte is a character.
    Single,
    EucJp,
    EucKr,
    EucCn,
    EucTw,
    Johab,
    Mule,
    Utf8,
    Sjis,
    /// Two bytes, the second whatever it is: BIG5, GBK, UHC.
    Double,
    Gb18030,
}

/// The next character is of code set 2, or 3, of an EUC encoding.
const SS2: u8 = 0x8e;
const SS3: u8 = 0x8f;

/// The bytes of EUC's characters.
const EUC: RangeInclusive<u8> = 0xa1..=0xfe;

impl Form {
    pub(super) fn max_length(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Sjis | Self::Double => 2,
            Self::EucJp | Self::EucKr | Self::EucCn | Self::Johab => 3,
            Self::EucTw | Self::Mule | Self::Utf8 | Self::Gb18030 => 4,
        }
    }

    /// How many bytes the character has that `text` begins with; 1 for ASCII and for an empty text.
    pub(super) fn length(self, text: &[u8]) -> usize {
        let first = text.first().copied().unwrap_or(0);
        if first < 0x80 {
            return 1;
        }
        match (self, first) {
            (Self::Single, _) => 1,
            (Self::EucJp | Self::EucKr | Self::Johab, SS2) => 2,
            (Self::EucCn, SS2) => 3,
            (Self::EucTw, SS2) => 4,
            (Self::EucJp | Self::EucKr | Self::EucCn | Self::EucTw | Self::Johab, SS3) => 3,
            (Self::EucJp | Self::EucKr | Self::EucCn | Self::EucTw | Self::Johab, _) => 2,
            (Self::Mule, 0x81..=0x8d) => 2,
            (Self::Mule, 0x90..=0x9b) => 3,
            (Self::Mule, 0x9c | 0x9d) => 4,
            (Self::Mule, _) => 1,
            (Self::Utf8, 0xc0..=0xdf) => 2,
            (Self::Utf8, 0xe0..=0xef) => 3,
            (Self::Utf8, 0xf0..=0xf7) => 4,
            (Self::Utf8, _) => 1,
            (Self::Sjis, 0xa1..=0xdf) => 1,
            (Self::Sjis | Self::Double, _) => 2,
            (Self::Gb18030, _) => match text.get(1) {
                Some(b'0'..=b'9') => 4,
                _ => 2,
            },
        }
    }

    /// Whether these bytes, as many as [`length`](Self::length) says, are a character.
    pub(super) fn is_character(self, bytes: &[u8]) -> bool {
        let is_euc = |bytes: &[u8]| bytes.iter().all(|byte| EUC.contains(byte));
        match (self, bytes) {
            // NUL is ASCII, but no part of a text.
            (Self::Utf8, _) => is_utf8(bytes),
            (_, [..0x80]) | (Self::Single, _) => true,
            (Self::EucJp, [SS2, kana]) => (0xa1..=0xdf).contains(kana),
            (Self::EucJp, [SS3, kanji @ ..]) => is_euc(kanji),
            (Self::EucJp | Self::EucKr | Self::EucCn, _) => is_euc(bytes),
            (Self::EucTw, [SS2, plane, rest @ ..]) => (0xa1..=0xa7).contains(plane) && is_euc(rest),
            (Self::EucTw, [SS3, ..]) => false,
            (Self::EucTw | Self::Johab, [_, rest @ ..]) => is_euc(rest),
            (Self::Mule, [_, rest @ ..]) => rest.iter().all(|&byte| byte >= 0x80),
            (Self::Sjis, [_]) => true,
            (Self::Sjis, [head, tail]) => {
                matches!(head, 0x81..=0x9f | 0xe0..=0xfc)
                    && matches!(tail, 0x40..=0x7e | 0x80..=0xfc)
            }
            // No text has this pair: see `Encoding::invalid`.
            (Self::Double, [0x8d, b' ']) => false,
            (Self::Double, [_, rest @ ..]) => !rest.contains(&0),
            (Self::Gb18030, [a, b]) => {
                matches!(a, 0x81..=0xfe) && matches!(b, 0x40..=0x7e | 0x80..=0xfe)
            }
            (Self::Gb18030, [a, _, c, d]) => {
                matches!(a, 0x81..=0xfe) && matches!(c, 0x81..=0xfe) && d.is_ascii_digit()
            }
            _ => false,
        }
    }
}

/// One character of UTF-8 (RFC 3629, 4).
fn is_utf8(bytes: &[u8]) -> bool {
    let is_tail = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, 0x80..=0xbf));
    match *bytes {
        [first] => matches!(first, 1..0x80),
        [first, second, ref rest @ ..] => {
            let head = match first {
                0xe0 => matches!(second, 0xa0..=0xbf),
                0xed => matches!(second, 0x80..=0x9f),
                0xf0 => matches!(second, 0x90..=0xbf),
                0xf4 => matches!(second, 0x80..=0x8f),
                0xc2..=0xf4 => matches!(second, 0x80..=0xbf),
                _ => false,
            };
            head && is_tail(rest)
        }
        [] => false,
    }
}
