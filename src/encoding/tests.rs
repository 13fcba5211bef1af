#![allow(clippy::unwrap_used)]

use super::*;

fn all() -> impl Iterator<Item = Encoding> {
    (0..).map_while(Encoding::from_id)
}

fn id(name: &str) -> Option<i32> {
    Encoding::named(name.as_bytes()).map(Encoding::id)
}

/// An own generator: the same bytes each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u8 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 56) as u8
    }
}

#[test]
fn names_are_found_however_they_are_spelt() {
    for (name, number) in [
        ("SQL_ASCII", 0),
        ("utf8", 6),
        ("UTF-8", 6),
        ("Unicode", 6),
        ("iso-8859-1", 8),
        ("ISO 8859-15", 16),
        ("latin10", 17),
        ("TCVN", 19),
        ("alt", 20),
        ("koi8", 22),
        ("Win", 23),
        ("mskanji", 35),
        ("windows950", 36),
        ("shift_jis_2004", 41),
    ] {
        assert_eq!(id(name), Some(number), "{name}");
    }
    for name in ["", "-", "utf", "utf88", "utf\u{f6}8x", "cp1252"] {
        assert_eq!(id(name), None, "{name}");
    }
    let padded = |count: usize| format!("utf8{}", "-".repeat(count));
    assert_eq!((id(&padded(59)), id(&padded(60))), (Some(6), None));
}

#[test]
fn numbers_and_names_are_one() {
    assert_eq!(all().count(), 42);
    for encoding in all() {
        assert_eq!(
            Encoding::named(encoding.name().to_bytes()),
            Some(encoding),
            "{encoding:?}"
        );
    }
    assert_eq!(Encoding::UTF8.name(), c"UTF8");
    assert_eq!(Encoding::default().name(), c"SQL_ASCII");
    assert_eq!(Encoding::from_id(-1), None);
    assert_eq!(Encoding::from_id(256), None);
    let last = all().filter(|encoding| encoding.is_for_servers()).last();
    assert_eq!(last.unwrap().name(), c"KOI8U");
}

#[test]
fn locales_have_encodings() {
    let name = |name: &str, codeset: &str| {
        let found = Encoding::of_locale(name.as_bytes(), codeset.as_bytes())?;
        Some(found.name().to_str().unwrap())
    };
    assert_eq!(name("C", ""), Some("SQL_ASCII"));
    assert_eq!(name("C.UTF-8", "UTF-8"), Some("UTF8"));
    assert_eq!(name("ru_RU.koi8r", "koi8r"), Some("KOI8R"));
    assert_eq!(name("de_DE.ISO8859-15", "ISO8859-15"), Some("LATIN9"));
    assert_eq!(name("ja_JP.SJIS_2004", "SJIS_2004"), Some("SHIFT_JIS_2004"));
    assert_eq!(name("xx_XX", ""), None);
    assert_eq!(name("xx_XX.VISCII", "VISCII"), None);
}

#[test]
fn characters_are_told_apart() {
    let character = |name: &str, text: &[u8]| {
        let encoding = Encoding::named(name.as_bytes()).unwrap();
        (encoding.length(text), encoding.character(text))
    };
    for (name, text, length) in [
        ("UTF8", "\u{20ac}uro".as_bytes(), 3),
        ("UTF8", "\u{1f600}".as_bytes(), 4),
        ("EUC_JP", b"\x8e\xb1", 2),
        ("EUC_JP", b"\x8f\xb0\xa1", 3),
        ("EUC_TW", b"\x8e\xa2\xa1\xa1", 4),
        ("MULE_INTERNAL", b"\x92\xb0\xa1", 3),
        ("SJIS", b"\xb1\\", 1),
        ("SJIS", b"\x95\\", 2),
        ("BIG5", b"\xa5\\", 2),
        ("GB18030", b"\x81\x30\x81\x30", 4),
        ("GB18030", b"\xb0\xa1", 2),
        ("LATIN1", b"\xff", 1),
    ] {
        assert_eq!(character(name, text), (length, Ok(length)), "{name}");
        for cut in 1..length {
            let (_, error) = character(name, &text[..cut]);
            assert_eq!(error, Err(Invalid::Incomplete), "{name}");
        }
    }
    for (name, text, length) in [
        ("UTF8", &b"\xc0\x80"[..], 2),
        ("UTF8", b"\xed\xa0\x80", 3),
        ("UTF8", b"\xf5\x80\x80\x80", 4),
        ("UTF8", b"\x80", 1),
        ("EUC_KR", b"\xb0'", 2),
        ("EUC_CN", b"\x8e\xa1\xa1", 3),
        ("SJIS", b"\x95'", 2),
        ("BIG5", b"\x8d ", 2),
        ("GB18030", b"\xff\xa1", 2),
        ("JOHAB", b"\x8f\xa1'", 3),
    ] {
        let said = (length, Err(Invalid::Malformed));
        assert_eq!(character(name, text), said, "{name}");
    }
}

#[test]
fn what_marks_an_invalid_text_is_invalid_in_each_encoding() {
    for encoding in all().filter(|encoding| encoding.max_length() > 1) {
        let [first, second] = encoding.invalid();
        for next in 0..=255 {
            let text = [first, second, next, next];
            assert_eq!(encoding.valid_up_to(&text), 0, "{:?}", encoding.name());
        }
    }
}

#[test]
fn every_pair_of_bytes_is_utf8_or_not() {
    for first in 0x80..=0xff {
        for second in 0..=0xff {
            for tail in [0x7f, 0x80, 0xbf, 0xc0] {
                let text = [first, second, tail, tail];
                let length = Encoding::UTF8.length(&text);
                let valid = std::str::from_utf8(&text[..length]).is_ok();
                assert_eq!(Encoding::UTF8.character(&text).is_ok(), valid, "{text:?}");
            }
        }
    }
}

#[test]
fn ascii_is_hidden_in_no_encoding_that_keeps_it_apart() {
    for encoding in all().filter(|encoding| encoding.keeps_ascii_apart()) {
        for first in 0x80..=0xff {
            for second in 1..0x80 {
                for text in [[first, second, 0xa1, 0xa1], [first, 0xa1, second, 0xa1]] {
                    let length = encoding.character(&text);
                    assert!(length.is_err() || text[1..length.unwrap()].iter().all(|&b| b >= 0x80));
                }
            }
        }
    }
    let hiding = all().filter(|encoding| !encoding.keeps_ascii_apart());
    let hiding: Vec<bool> = hiding.map(Encoding::is_for_servers).collect();
    assert_eq!(hiding, [false; 6]);
}

#[test]
fn the_whole_is_as_valid_as_its_characters() {
    let mut random = Random(1);
    for encoding in all() {
        for _ in 0..300 {
            let length = usize::from(random.next() % 12);
            let text: Vec<u8> = (0..length).map(|_| random.next() | 0x40).collect();
            let valid = encoding.valid_up_to(&text);
            let mut at = 0;
            while let Ok(length) = encoding.character(&text[at..]) {
                assert!(length <= encoding.max_length());
                at += length;
            }
            assert_eq!(valid, at, "{:?} {text:?}", encoding.name());
            if encoding == Encoding::UTF8 {
                let valid = std::str::from_utf8(&text).map_or_else(|e| e.valid_up_to(), str::len);
                assert_eq!(valid, at, "{text:?}");
            }
            for at in 0..text.len() {
                let rest = &text[at..];
                let seen = &rest[..rest.len().min(encoding.length_looks_at(rest[0]))];
                assert_eq!(encoding.length(seen), encoding.length(rest));
                let seen = &rest[..rest.len().min(encoding.width_looks_at(rest[0]))];
                assert_eq!(encoding.width(seen), encoding.width(rest));
            }
        }
    }
    let latin = Encoding::named(b"LATIN1").unwrap();
    assert_eq!(latin.valid_up_to(b"a\xe4\0b"), 2);
    assert_eq!(Encoding::UTF8.valid_up_to(b"a\xc3\xa4\0b"), 3);
}

#[test]
fn widths_are_columns() {
    let width = |character: char| Encoding::UTF8.width(character.to_string().as_bytes());
    for (character, columns) in [
        ('a', 1),
        ('\0', 0),
        ('\t', -1),
        ('\u{7f}', -1),
        ('\u{85}', -1),
        ('\u{e4}', 1),
        ('\u{ad}', 0),
        ('\u{300}', 0),
        ('\u{36f}', 0),
        ('\u{370}', 1),
        ('\u{1100}', 2),
        ('\u{4e2d}', 2),
        ('\u{1f600}', 2),
        ('\u{e0001}', 0),
        ('\u{10ffff}', 1),
    ] {
        assert_eq!(width(character), columns, "{character:?}");
    }
    assert_eq!(Encoding::UTF8.width(b"\xff"), -1);
    assert_eq!(Encoding::UTF8.width(b"\xe4\xb8"), 2);
    assert_eq!(Encoding::UTF8.width(b""), 0);
    let width = |name: &str, text: &[u8]| Encoding::named(name.as_bytes()).unwrap().width(text);
    assert_eq!(width("EUC_JP", b"\x8e\xb1"), 1);
    assert_eq!(width("EUC_KR", b"\x8e\xb1"), 2);
    assert_eq!(width("SJIS", b"\xb1"), 1);
    assert_eq!(width("SJIS", b"\x95\\"), 2);
    assert_eq!(width("MULE_INTERNAL", b"\n"), 1);
    assert_eq!(width("MULE_INTERNAL", b"\x81\xe4"), 1);
    assert_eq!(width("LATIN1", b"\x80"), 1);
}
