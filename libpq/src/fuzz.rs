//! What a fuzz target calls, and a test here with fewer texts: escaping and unescaping of any bytes, and what must hold of it. Knows no C.

use pgpoll::encoding::Encoding;

use crate::quote::{self, Bytea, Put, Quoted};

/// Escapes `text` in `encoding` in every way, and reads it as escaped.
///
/// # Panics
/// When something does not hold.
pub fn quoting(text: &[u8], encoding: Encoding, standard_strings: bool) {
    let special = |byte| byte == b'\'' || byte == b'\\' && !standard_strings;
    let mut escaped = Vec::new();
    let wrong = quote::double(text, encoding, special, |piece| {
        escaped.extend_from_slice(piece);
    });
    assert!(escaped.len() <= 2 * text.len());
    assert_closed(&escaped, encoding, special);
    let is_text = !text.contains(&0);
    if is_text {
        let valid = encoding.valid_up_to(&escaped) == escaped.len();
        assert_eq!(valid, wrong.is_none());
    }
    if is_text && quote::check(text, encoding).is_ok() {
        assert!(wrong.is_none());
        let [identifier, literal] = [Quoted::identifier, Quoted::literal].map(|quoted| {
            let Ok(quoted) = quoted(text, encoding) else {
                unreachable!("{text:?} is valid")
            };
            let written = written(|put| quoted.write(put));
            assert_eq!(quoted.len(), Some(written.len()));
            written
        });
        assert_eq!(undoubled(&identifier, encoding, b"\""), text);
        match literal.strip_prefix(b" E") {
            Some(literal) => assert_eq!(undoubled(literal, encoding, b"'\\"), text),
            None => assert_eq!(undoubled(&literal, encoding, b"'"), text),
        }
    }
    for hex in [false, true] {
        let how = Bytea {
            hex,
            standard_strings: true,
        };
        let escaped = written(|put| quote::bytea(text, how, put));
        let read = undoubled(&[b"'", &*escaped, b"'"].concat(), Encoding::SQL_ASCII, b"'");
        assert_eq!(written(|put| quote::unescape(&read, put)), text);
    }
    assert!(written(|put| quote::unescape(text, put)).len() <= text.len());
}

fn written(write: impl FnOnce(&mut Put<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut |piece| out.extend_from_slice(piece));
    out
}

/// Whoever reads character by character, even invalid ones, finds what is special in pairs only.
fn assert_closed(text: &[u8], encoding: Encoding, special: impl Fn(u8) -> bool) {
    let mut rest = text;
    while let Some(&first) = rest.first() {
        let mut length = encoding.length(rest);
        if special(first) {
            assert_eq!(rest.get(1), Some(&first), "{text:?}");
            length = 2;
        }
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// What stands between the quotes, with what is doubled once.
fn undoubled(quoted: &[u8], encoding: Encoding, doubled: &[u8]) -> Vec<u8> {
    let mut rest = &quoted[1..quoted.len() - 1];
    assert_closed(rest, encoding, |byte| doubled.contains(&byte));
    let mut out = Vec::new();
    while let Some(first) = rest.first() {
        let length = encoding.length(rest).min(rest.len());
        out.extend_from_slice(&rest[..length]);
        let length = length + usize::from(doubled.contains(first));
        rest = &rest[length..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_from_its_quotes() {
        let mut state = 1_u64;
        let mut draw = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let bytes =
            b"''\\\"a0@\x7f\x80\x81\x8d\x8e\x8f\x95\x9a\x9c\xa1\xa5\xb1\xc0\xc3\xe2\xed\xf0\xff";
        for encoding in (0..42).filter_map(Encoding::from_id) {
            for _ in 0..500 {
                let length = draw(12);
                let text = (0..length).map(|_| match draw(4) {
                    0 => draw(256) as u8,
                    _ => bytes[draw(bytes.len() as u64) as usize],
                });
                let text: Vec<u8> = text.collect();
                quoting(&text, encoding, draw(2) == 0);
            }
        }
    }
}
