//! Whole numbers in option values, read as libpq reads them. Knows no option's range.

use super::error::Error;
use super::parse::{is_space, trim_start};

/// Reads a C `int` in decimal, with any spaces around it.
///
/// # Errors
/// `invalid integer value "…" for connection option "…"`.
pub(super) fn parse_integer(keyword: &str, value: &[u8]) -> Result<i32, Error> {
    read(value).ok_or_else(|| {
        Error::of(&[
            b"invalid integer value \"",
            value,
            b"\" for connection option \"",
            keyword.as_bytes(),
            b"\"",
        ])
    })
}

fn read(value: &[u8]) -> Option<i32> {
    let text = trim_start(value);
    let end = text
        .iter()
        .rposition(|byte| !is_space(*byte))
        .map_or(0, |last| last + 1);
    std::str::from_utf8(text.get(..end)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_and_signs_are_fine_and_anything_else_is_not() {
        for (text, number) in [
            (&b"0"[..], 0),
            (b" \t\x0b42 \n", 42),
            (b"-7", -7),
            (b"+7", 7),
            (b"007", 7),
            (b"2147483647", i32::MAX),
            (b"-2147483648", i32::MIN),
        ] {
            assert_eq!(parse_integer("port", text), Ok(number), "{text:?}");
        }
        for text in [
            &b""[..],
            b" ",
            b"-",
            b"- 7",
            b"+-7",
            b"7s",
            b"0x10",
            b"1 2",
            b"1.0",
            b"2147483648",
            b"99999999999999999999",
            b"\xff",
        ] {
            let error = parse_integer("connect_timeout", text).err();
            let expected = [
                b"invalid integer value \"",
                text,
                b"\" for connection option \"connect_timeout\"",
            ]
            .concat();
            assert_eq!(error.as_ref().map(Error::as_bytes), Some(&expected[..]));
        }
    }
}
