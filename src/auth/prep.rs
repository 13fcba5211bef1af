//! SASLprep (RFC 4013) of a password, exactly as PostgreSQL does it. Knows Unicode tables, nothing of SCRAM.

use stringprep::tables;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Prepares a password for SCRAM, so that two ways to type it derive the same keys. Bytes that are not UTF-8, or that SASLprep
/// prohibits, are taken as they are: a server in another encoding stored them so.
///
/// It differs from RFC 4013 where PostgreSQL does, or else the keys would not match those on the server: pure ASCII is never
/// touched, what is prohibited is looked for before normalization, and a password of nothing but ignorable characters stays.
pub fn saslprep(password: &[u8]) -> Zeroizing<Vec<u8>> {
    prepared(password).unwrap_or_else(|| Zeroizing::new(password.to_vec()))
}

/// The prepared form, or `None` if the bytes are to be taken as they are.
fn prepared(password: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if password.is_ascii() {
        return None;
    }
    let text = std::str::from_utf8(password).ok()?;
    let mapped = || {
        text.chars()
            .map(|c| match tables::non_ascii_space_character(c) {
                true => ' ',
                false => c,
            })
            .filter(|&c| !tables::commonly_mapped_to_nothing(c))
    };
    let (first, last) = (mapped().next()?, mapped().next_back()?);
    if mapped().any(|c| prohibited(c) || tables::unassigned_code_point(c)) {
        return None;
    }
    // RFC 3454, 6: right-to-left text has no left-to-right letters and is right-to-left at both ends.
    if mapped().any(tables::bidi_r_or_al)
        && (mapped().any(left_to_right)
            || !tables::bidi_r_or_al(first)
            || !tables::bidi_r_or_al(last))
    {
        return None;
    }
    // The length is counted first: a buffer that grew would leave pieces of the password behind.
    let length = mapped().nfkc().map(char::len_utf8).sum();
    let mut output = Zeroizing::new(Vec::with_capacity(length));
    for c in mapped().nfkc() {
        let mut utf8 = Zeroizing::new([0; 4]);
        output.extend_from_slice(c.encode_utf8(&mut *utf8).as_bytes());
    }
    Some(output)
}

/// RFC 3454, D.2. The nabla and partial differential letters of mathematics are neutral in today's Unicode, but not there.
fn left_to_right(c: char) -> bool {
    tables::bidi_l(c)
        || matches!(
            c,
            '\u{1d6c1}' | '\u{1d6db}' | '\u{1d6fb}' | '\u{1d715}' | '\u{1d735}'
        )
        || matches!(
            c,
            '\u{1d74f}' | '\u{1d76f}' | '\u{1d789}' | '\u{1d7a9}' | '\u{1d7c3}'
        )
}

/// RFC 4013, 2.3.
fn prohibited(c: char) -> bool {
    tables::non_ascii_space_character(c)
        || tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::inappropriate_for_canonical_representation(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prepares_what_it_can() {
        for (typed, stored) in [
            ("secret", "secret"),
            ("I\u{ad}X", "IX"),
            ("\u{aa}", "a"),
            ("\u{2168}", "IX"),
            ("a\u{a0}b", "a b"),
            ("e\u{301}", "\u{e9}"),
            ("\u{627}1\u{628}", "\u{627}1\u{628}"),
            ("\u{fb01}n\u{ad}", "fin"),
        ] {
            assert_eq!(saslprep(typed.as_bytes()).as_slice(), stored.as_bytes());
        }
    }

    #[test]
    fn leaves_the_rest_alone() {
        for password in [
            b"" as &[u8],
            b"\x07 bell",
            b"\xff\xfe latin",
            b"\xed\xa0\x80",
            "\u{ad}".as_bytes(),
            "\u{e9}\u{7}".as_bytes(),
            "\u{627}1".as_bytes(),
            "\u{627}a\u{628}".as_bytes(),
            "\u{627}\u{1d6c1}\u{628}".as_bytes(),
            "\u{2168}\u{e000}".as_bytes(),
            "\u{2168}\u{221}".as_bytes(),
        ] {
            assert_eq!(saslprep(password).as_slice(), password);
        }
    }
}
