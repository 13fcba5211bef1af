//! `client_encoding=auto`: a locale's character set to PostgreSQL's name for it. Knows names only.

/// PostgreSQL's encodings, each with the names that operating systems have for it, in small letters and digits only.
const ENCODINGS: &[(&str, &[&str])] = &[
    ("EUC_JP", &["eucjp", "ibmeucjp", "sdeckanji", "cp20932"]),
    (
        "EUC_CN",
        &["euccn", "ibmeuccn", "gb2312", "dechanzi", "cp20936"],
    ),
    (
        "EUC_KR",
        &["euckr", "ibmeuckr", "deckorean", "5601", "cp51949"],
    ),
    ("EUC_TW", &["euctw", "ibmeuctw", "cns11643"]),
    ("UTF8", &["utf8", "cp65001"]),
    ("LATIN1", &["iso88591", "cp28591"]),
    ("LATIN2", &["iso88592", "cp28592"]),
    ("LATIN3", &["iso88593", "cp28593"]),
    ("LATIN4", &["iso88594", "cp28594"]),
    ("LATIN5", &["iso88599", "cp28599"]),
    ("LATIN6", &["iso885910"]),
    ("LATIN7", &["iso885913"]),
    ("LATIN8", &["iso885914"]),
    ("LATIN9", &["iso885915", "cp28605"]),
    ("LATIN10", &["iso885916"]),
    ("KOI8R", &["koi8r", "cp20866"]),
    ("KOI8U", &["koi8u", "cp21866"]),
    ("WIN866", &["cp866"]),
    ("WIN874", &["cp874"]),
    ("WIN1250", &["cp1250"]),
    ("WIN1251", &["cp1251", "ansi1251"]),
    ("WIN1252", &["cp1252"]),
    ("WIN1253", &["cp1253"]),
    ("WIN1254", &["cp1254"]),
    ("WIN1255", &["cp1255"]),
    ("WIN1256", &["cp1256"]),
    ("WIN1257", &["cp1257"]),
    ("WIN1258", &["cp1258"]),
    ("ISO_8859_5", &["iso88595", "cp28595"]),
    ("ISO_8859_6", &["iso88596", "cp28596"]),
    ("ISO_8859_7", &["iso88597", "cp28597"]),
    ("ISO_8859_8", &["iso88598", "cp28598"]),
    ("SJIS", &["sjis", "pck", "cp932", "shiftjis"]),
    ("BIG5", &["big5", "big5hkscs", "cp950"]),
    ("GBK", &["gbk", "cp936"]),
    ("UHC", &["uhc", "cp949"]),
    ("JOHAB", &["johab", "cp1361"]),
    ("GB18030", &["gb18030", "cp54936"]),
    ("SHIFT_JIS_2004", &["sjis2004"]),
    ("SQL_ASCII", &["usascii", "ansix341968"]),
];

/// PostgreSQL's name for the character set of the locale `name`, if it has one.
///
/// The C and POSIX locales stand for no character set (`SQL_ASCII`). Spelling does not matter: `utf8` and `UTF-8` are one.
pub(super) fn of_locale(name: &[u8], codeset: &[u8]) -> Option<&'static str> {
    if name.eq_ignore_ascii_case(b"C") || name.eq_ignore_ascii_case(b"POSIX") {
        return Some("SQL_ASCII");
    }
    let wanted: Vec<u8> = codeset
        .iter()
        .filter(|byte| byte.is_ascii_alphanumeric())
        .map(u8::to_ascii_lowercase)
        .collect();
    ENCODINGS
        .iter()
        .find(|(_, names)| names.iter().any(|name| name.as_bytes() == wanted))
        .map(|(encoding, _)| *encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter() {
        assert_eq!(of_locale(b"C", b""), Some("SQL_ASCII"));
        assert_eq!(of_locale(b"C.UTF-8", b"UTF-8"), Some("UTF8"));
        assert_eq!(of_locale(b"ru_RU.koi8r", b"koi8r"), Some("KOI8R"));
        assert_eq!(
            of_locale(b"de_DE.ISO8859-15", b"ISO8859-15"),
            Some("LATIN9")
        );
        assert_eq!(
            of_locale(b"ja_JP.SJIS_2004", b"SJIS_2004"),
            Some("SHIFT_JIS_2004")
        );
        assert_eq!(of_locale(b"xx_XX", b""), None);
        assert_eq!(of_locale(b"xx_XX.VISCII", b"VISCII"), None);
    }
}
