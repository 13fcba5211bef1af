//! The encodings of `pg_wchar.h`, in the order of their numbers, and their names. Knows facts only.

use std::ffi::CStr;

use super::form::Form;

/// What is known of an encoding.
pub(super) struct Row {
    /// PostgreSQL's name.
    pub(super) name: &'static CStr,
    pub(super) form: Form,
    /// Other names that PostgreSQL takes, in small letters and digits only.
    pub(super) aliases: &'static [&'static str],
    /// What operating systems call it, written so, too.
    pub(super) codesets: &'static [&'static str],
}

/// So many of them, the first ones, can be a database's.
pub(super) const SERVER_ENCODINGS: usize = 35;

pub(super) const ENCODINGS: &[Row] = &[
    row(c"SQL_ASCII", Form::Single, &[], &["usascii", "ansix341968"]),
    row(
        c"EUC_JP",
        Form::EucJp,
        &[],
        &["eucjp", "ibmeucjp", "sdeckanji", "cp20932"],
    ),
    row(
        c"EUC_CN",
        Form::EucCn,
        &[],
        &["euccn", "ibmeuccn", "gb2312", "dechanzi", "cp20936"],
    ),
    row(
        c"EUC_KR",
        Form::EucKr,
        &[],
        &["euckr", "ibmeuckr", "deckorean", "5601", "cp51949"],
    ),
    row(
        c"EUC_TW",
        Form::EucTw,
        &[],
        &["euctw", "ibmeuctw", "cns11643"],
    ),
    row(c"EUC_JIS_2004", Form::EucJp, &[], &[]),
    row(c"UTF8", Form::Utf8, &["unicode"], &["utf8", "cp65001"]),
    row(c"MULE_INTERNAL", Form::Mule, &[], &[]),
    row(
        c"LATIN1",
        Form::Single,
        &["iso88591"],
        &["iso88591", "cp28591"],
    ),
    row(
        c"LATIN2",
        Form::Single,
        &["iso88592"],
        &["iso88592", "cp28592"],
    ),
    row(
        c"LATIN3",
        Form::Single,
        &["iso88593"],
        &["iso88593", "cp28593"],
    ),
    row(
        c"LATIN4",
        Form::Single,
        &["iso88594"],
        &["iso88594", "cp28594"],
    ),
    row(
        c"LATIN5",
        Form::Single,
        &["iso88599"],
        &["iso88599", "cp28599"],
    ),
    row(c"LATIN6", Form::Single, &["iso885910"], &["iso885910"]),
    row(c"LATIN7", Form::Single, &["iso885913"], &["iso885913"]),
    row(c"LATIN8", Form::Single, &["iso885914"], &["iso885914"]),
    row(
        c"LATIN9",
        Form::Single,
        &["iso885915"],
        &["iso885915", "cp28605"],
    ),
    row(c"LATIN10", Form::Single, &["iso885916"], &["iso885916"]),
    row(c"WIN1256", Form::Single, &["windows1256"], &["cp1256"]),
    row(
        c"WIN1258",
        Form::Single,
        &["abc", "tcvn", "tcvn5712", "vscii", "windows1258"],
        &["cp1258"],
    ),
    row(c"WIN866", Form::Single, &["alt", "windows866"], &["cp866"]),
    row(c"WIN874", Form::Single, &["windows874"], &["cp874"]),
    row(c"KOI8R", Form::Single, &["koi8"], &["koi8r", "cp20866"]),
    row(
        c"WIN1251",
        Form::Single,
        &["win", "windows1251"],
        &["cp1251", "ansi1251"],
    ),
    row(c"WIN1252", Form::Single, &["windows1252"], &["cp1252"]),
    row(c"ISO_8859_5", Form::Single, &[], &["iso88595", "cp28595"]),
    row(c"ISO_8859_6", Form::Single, &[], &["iso88596", "cp28596"]),
    row(c"ISO_8859_7", Form::Single, &[], &["iso88597", "cp28597"]),
    row(c"ISO_8859_8", Form::Single, &[], &["iso88598", "cp28598"]),
    row(c"WIN1250", Form::Single, &["windows1250"], &["cp1250"]),
    row(c"WIN1253", Form::Single, &["windows1253"], &["cp1253"]),
    row(c"WIN1254", Form::Single, &["windows1254"], &["cp1254"]),
    row(c"WIN1255", Form::Single, &["windows1255"], &["cp1255"]),
    row(c"WIN1257", Form::Single, &["windows1257"], &["cp1257"]),
    row(c"KOI8U", Form::Single, &[], &["koi8u", "cp21866"]),
    row(
        c"SJIS",
        Form::Sjis,
        &["mskanji", "shiftjis", "win932", "windows932"],
        &["sjis", "pck", "cp932", "shiftjis"],
    ),
    row(
        c"BIG5",
        Form::Double,
        &["win950", "windows950"],
        &["big5", "big5hkscs", "cp950"],
    ),
    row(
        c"GBK",
        Form::Double,
        &["win936", "windows936"],
        &["gbk", "cp936"],
    ),
    row(
        c"UHC",
        Form::Double,
        &["win949", "windows949"],
        &["uhc", "cp949"],
    ),
    row(c"GB18030", Form::Gb18030, &[], &["gb18030", "cp54936"]),
    row(c"JOHAB", Form::Johab, &[], &["johab", "cp1361"]),
    row(c"SHIFT_JIS_2004", Form::Sjis, &[], &["sjis2004"]),
];

const fn row(
    name: &'static CStr,
    form: Form,
    aliases: &'static [&'static str],
    codesets: &'static [&'static str],
) -> Row {
    Row {
        name,
        form,
        aliases,
        codesets,
    }
}
