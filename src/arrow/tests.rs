//! The export by itself: what each kind of value becomes in both formats, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use super::*;
use crate::rows::{Columns, Gather};
use crate::wire::{Field, List, RowDescription};

type Row = Vec<Option<Vec<u8>>>;

const TEXT: u32 = 25;
const PLAIN: Options = Options {
    views: false,
    numeric_text: false,
};
const VIEWS: Options = Options {
    views: true,
    numeric_text: false,
};

/// Columns of these types and modifiers, all of one format.
fn columns(types: &[(u32, i32)], format: i16) -> Arc<Columns> {
    let fields: Vec<Field<'_>> = types
        .iter()
        .map(|&(type_oid, type_modifier)| Field {
            name: b"c",
            table_oid: 0,
            column: 0,
            type_oid,
            type_size: -1,
            type_modifier,
            format,
        })
        .collect();
    let mut message = Vec::new();
    let fields = List::from(&fields[..]);
    RowDescription { fields }.encode(&mut message).unwrap();
    Arc::new(Columns::read(&message[5..]).unwrap())
}

/// A batch whose rows lie in blocks of so many, taken over and copied in turn.
fn batch(columns: Arc<Columns>, rows: &[Row], block: usize) -> Batch {
    let mut gather = Gather::new();
    gather.begin(columns, None);
    for (number, rows) in rows.chunks(block).enumerate() {
        let mut chunk = vec![0xEE; 7];
        let mut bodies = Vec::new();
        for row in rows {
            chunk.extend([0, 9, 9, 9, 9]);
            let start = chunk.len();
            chunk.extend((row.len() as u16).to_be_bytes());
            for value in row {
                let length = value.as_ref().map_or(-1, |value| value.len() as i32);
                chunk.extend(length.to_be_bytes());
                chunk.extend(value.as_deref().unwrap_or_default());
            }
            bodies.push((start, chunk.len() - start));
        }
        chunk.push(b'D');
        for (start, len) in bodies {
            gather.row(&mut chunk, start, len).unwrap();
        }
        if number % 2 == 0 {
            gather.keep(chunk).unwrap();
        } else {
            gather.copy(&chunk).unwrap();
        }
    }
    gather.batch(&[]).unwrap().unwrap()
}

/// One column of one type.
fn column(oid: u32, modifier: i32, format: i16, values: &[Option<&[u8]>]) -> Batch {
    let rows: Vec<Row> = values
        .iter()
        .map(|value| vec![value.map(<[u8]>::to_vec)])
        .collect();
    batch(columns(&[(oid, modifier)], format), &rows, 2)
}

/// What an export of one value says.
fn one(oid: u32, modifier: i32, format: i16, value: &[u8]) -> Result<i128, Error> {
    let batch = column(oid, modifier, format, &[None, Some(value)]);
    let export = export(&batch, PLAIN)?;
    let Buffer::Own(own) = &export.columns[0].buffers[0] else {
        panic!("lent");
    };
    assert_eq!(export.columns[0].nulls, 1);
    Ok(match own {
        Own::Bytes(bits) => i128::from(bits[0] >> 1 & 1),
        Own::Short(all) => all[1].into(),
        Own::Int(all) => all[1].into(),
        Own::Long(all) => all[1].into(),
        Own::Wide(all) => all[1],
    })
}

fn bytes<'a>(buffer: &'a Buffer<'_>) -> &'a [u8] {
    match buffer {
        Buffer::Lent(bytes) => bytes,
        Buffer::Own(Own::Bytes(bytes)) => bytes,
        Buffer::Own(_) => panic!("no bytes"),
    }
}

/// The value as exported; views are followed.
fn value(column: &Column<'_>, row: usize) -> Option<Vec<u8>> {
    if let Some(bits) = &column.validity
        && bits[row / 8] >> (row % 8) & 1 == 0
    {
        return None;
    }
    match &column.buffers[0] {
        Buffer::Own(Own::Int(offsets)) => {
            let (from, to) = (offsets[row] as usize, offsets[row + 1] as usize);
            Some(bytes(&column.buffers[1])[from..to].to_vec())
        }
        Buffer::Own(Own::Wide(views)) => {
            let view = views[row].to_ne_bytes();
            let word = |at| i32::from_ne_bytes(*view[at..].first_chunk().unwrap()) as usize;
            let length = word(0);
            if length <= 12 {
                assert!(view[4 + length..].iter().all(|&byte| byte == 0), "padding");
                return Some(view[4..4 + length].to_vec());
            }
            let data = bytes(&column.buffers[1 + word(8)]);
            let found = &data[word(12)..word(12) + length];
            assert_eq!(&view[4..8], &found[..4], "the prefix");
            let Some(Buffer::Own(Own::Long(sizes))) = column.buffers.last() else {
                panic!("no sizes");
            };
            assert_eq!(sizes.len(), column.buffers.len() - 2);
            assert_eq!(sizes[word(8)] as usize, data.len());
            Some(found.to_vec())
        }
        other => panic!("{other:?}"),
    }
}

fn modifier(precision: i32, scale: i32) -> i32 {
    (precision << 16 | scale & 0x7FF) + 4
}

/// A numeric in binary.
fn numeric(digits: &[u16], weight: i16, sign: u16, scale: u16) -> Vec<u8> {
    let head = [digits.len() as u16, weight as u16, sign, scale];
    let words = head.iter().chain(digits);
    words.flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn values_of_fixed_width() {
    for (oid, text, binary, expected) in [
        (16, &b"t"[..], &b"\x01"[..], 1),
        (16, b"f", b"\0", 0),
        (21, b"-32768", b"\x80\0", -32768),
        (23, b"2147483647", b"\x7f\xff\xff\xff", 2147483647),
        (
            20,
            b"-9223372036854775808",
            b"\x80\0\0\0\0\0\0\0",
            i64::MIN.into(),
        ),
        // Unsigned, seen with sign.
        (26, b"4294967295", b"\xff\xff\xff\xff", -1),
        (
            5069,
            b"18446744073709551615",
            b"\xff\xff\xff\xff\xff\xff\xff\xff",
            -1,
        ),
        (700, b"1.5", b"\x3f\xc0\0\0", 0x3fc0_0000),
        (
            701,
            b"-2",
            b"\xc0\0\0\0\0\0\0\0",
            i128::from(0xc000_0000_0000_0000_u64 as i64),
        ),
        (1082, b"1970-01-02", b"\xff\xff\xd5\x34", 1),
        (1082, b"infinity", b"\x7f\xff\xff\xff", i32::MAX.into()),
        (1082, b"-infinity", b"\x80\0\0\0", -i128::from(i32::MAX)),
        (1083, b"00:00:01.5", b"\0\0\0\0\0\x16\xe3\x60", 1_500_000),
        (
            1114,
            b"1999-12-31 23:59:59",
            b"\xff\xff\xff\xff\xff\xf0\xbd\xc0",
            946_684_799_000_000,
        ),
        (
            1184,
            b"2000-01-01 05:29:59+05:30",
            b"\xff\xff\xff\xff\xff\xf0\xbd\xc0",
            946_684_799_000_000,
        ),
        (
            1184,
            b"-infinity",
            b"\x80\0\0\0\0\0\0\0",
            -i128::from(i64::MAX),
        ),
    ] {
        assert_eq!(one(oid, -1, 0, text).unwrap(), expected, "{oid}");
        assert_eq!(one(oid, -1, 1, binary).unwrap(), expected, "{oid}");
    }
    let offset = one(1184, -1, 0, b"1890-01-01 00:19:32.000001+00:19:32 BC").unwrap();
    assert_eq!(
        offset,
        one(1114, -1, 0, b"1890-01-01 00:00:00.000001 BC").unwrap()
    );
}

#[test]
fn decimals() {
    let two = modifier(6, 2);
    for (text, binary, expected) in [
        (&b"0.00"[..], numeric(&[], 0, 0, 2), 0),
        (b"-1234.56", numeric(&[1234, 5600], 0, 0x4000, 2), -123_456),
        (b"9999.99", numeric(&[9999, 9900], 0, 0, 2), 999_999),
        (b"0.01", numeric(&[100], -1, 0, 2), 1),
        (b"12", numeric(&[12], 0, 0, 0), 1200),
        (b"1.100", numeric(&[1, 1000], 0, 0, 3), 110),
    ] {
        assert_eq!(one(1700, two, 0, text).unwrap(), expected);
        assert_eq!(one(1700, two, 1, &binary).unwrap(), expected);
    }
    let most = 10_i128.pow(38) - 1;
    let digits: Vec<u16> = std::iter::once(99).chain([9999; 9]).collect();
    let binary = numeric(&digits, 9, 0, 0);
    assert_eq!(one(1700, modifier(38, 0), 1, &binary).unwrap(), most);
    assert_eq!(one(1700, modifier(38, 0), 0, &[b'9'; 38]).unwrap(), most);
    for (precision, scale, format) in [
        (5, 2, Some(c"d:5,2")),
        (3, -2, Some(c"d:5,0")),
        (3, 5, Some(c"d:5,5")),
        (38, 38, Some(c"d:38,38")),
        (39, 0, None),
        (37, -2, None),
    ] {
        let batch = column(1700, modifier(precision, scale), 0, &[None]);
        let exported = export(&batch, PLAIN).unwrap();
        assert_eq!(&*exported.columns[0].format, format.unwrap_or(c"u"));
        let text = Options {
            numeric_text: true,
            views: true,
        };
        assert_eq!(&*export(&batch, text).unwrap().columns[0].format, c"vu");
    }
}

/// A numeric without precision is written as the server writes it.
#[test]
fn numerics_as_text() {
    for (binary, expected) in [
        (numeric(&[], 0, 0, 0), "0"),
        (numeric(&[], 0, 0, 3), "0.000"),
        (numeric(&[1], 2, 0, 0), "100000000"),
        (numeric(&[12, 3400], 0, 0x4000, 2), "-12.34"),
        (numeric(&[7], -3, 0, 12), "0.000000000007"),
        (numeric(&[7000], -2, 0, 5), "0.00007"),
        (numeric(&[1, 2, 3], 0, 0, 6), "1.000200"),
        (numeric(&[], 0, 0xC000, 0), "NaN"),
        (numeric(&[], 0, 0xD000, 0), "Infinity"),
        (numeric(&[], 0, 0xF000, 0), "-Infinity"),
    ] {
        for options in [PLAIN, VIEWS] {
            let batch = column(1700, -1, 1, &[Some(&binary)]);
            let export = export(&batch, options).unwrap();
            assert_eq!(value(&export.columns[0], 0).unwrap(), expected.as_bytes());
        }
    }
}

#[test]
fn what_is_no_value_of_its_type_is_refused() {
    let long = [b'9'; 40];
    let texts: &[(u32, i32, &[&[u8]])] = &[
        (16, -1, &[b"", b"true", b"1"]),
        (
            21,
            -1,
            &[b"", b"-", b"32768", b"-32769", b"1x", b" 1", b"--1", b"+1"],
        ),
        (23, -1, &[b"2147483648", b"0x1", b"1.0", &long]),
        (
            20,
            -1,
            &[
                b"9223372036854775808",
                b"18446744073709551616",
                b"-9223372036854775809",
                &long,
            ],
        ),
        (26, -1, &[b"-1", b"4294967296"]),
        (
            5069,
            -1,
            &[
                b"-1",
                b"18446744073709551616",
                b"99999999999999999999",
                &long,
            ],
        ),
        (700, -1, &[b"", b"1,5", b"\xff", b"1e"]),
        (701, -1, &[b"", b"abc"]),
        (
            1082,
            -1,
            &[
                b"",
                b"99-01-01",
                b"2025-1-01",
                b"2025-13-01",
                b"2025-02-29",
                b"2025-00-10",
                b"2025-01-00",
                b"0000-01-01",
            ],
        ),
        (
            1082,
            -1,
            &[
                b"2025-01-01 AD",
                b"2025-01-01BC",
                b"12345678-01-01",
                b"5881581-01-01",
                b"01/02/2025",
                b"2025-0a-01",
                b"Infinity",
            ],
        ),
        (
            1083,
            -1,
            &[
                b"",
                b"1:00:00",
                b"24:00:00",
                b"24:00:01",
                b"10:60:00",
                b"10:00:60",
                b"10:00:00.",
                b"10:00:00.1234567",
                b"10:00:00x",
            ],
        ),
        (
            1114,
            -1,
            &[
                b"2025-01-01",
                b"2025-01-01T00:00:00",
                b"2025-01-01 24:00:00",
                b"2025-01-01 00:00:00+00",
                b"999999-01-01 00:00:00",
            ],
        ),
        (
            1184,
            -1,
            &[
                b"2025-01-01 00:00:00",
                b"2025-01-01 00:00:00 CET",
                b"2025-01-01 00:00:00+0",
                b"2025-01-01 00:00:00+00:00:00:00",
                b"2025-01-01 00:00:00*01",
            ],
        ),
        (
            1700,
            modifier(5, 2),
            &[
                b"", b"-", b".", b"1.2.3", b"1000", b"0.001", b"NaN", b"1e2", b"1_0", &long,
            ],
        ),
        (
            2950,
            -1,
            &[
                b"",
                b"00112233445566778899aabbccddeeff",
                b"00112233-4455-6677-8899-aabbccddeefg",
                b"001122334-455-6677-8899-aabbccddeeff",
            ],
        ),
        (17, -1, &[b"\\x0", b"\\x0g", b"\\", b"\\400", b"\\12"]),
        (
            TEXT,
            -1,
            &[
                b"\xff",
                b"\xc3",
                b"long enough to be elsewhere \xed\xa0\x80",
            ],
        ),
    ];
    let long = vec![0; 300];
    let binaries: &[(u32, i32, &[&[u8]])] = &[
        (16, -1, &[b"", b"\x02", b"\0\0"]),
        (21, -1, &[b"", b"\0", b"\0\0\0", b"\0\0\0\0", &long]),
        (23, -1, &[b"", b"\0\0\0", b"\0\0\0\0\0", b"12345678", &long]),
        (700, -1, &[b"", b"\0\0\0"]),
        (20, -1, &[b"", b"1234", b"123456789", &long]),
        (701, -1, &[b"", b"1234567", &long]),
        (1082, -1, &[b"", b"123", b"\x7f\xff\xff\xfe"]),
        (
            1083,
            -1,
            &[
                b"",
                b"1234",
                b"\xff\xff\xff\xff\xff\xff\xff\xff",
                b"\x7f\0\0\0\0\0\0\0",
            ],
        ),
        (
            1114,
            -1,
            &[b"", b"1234", b"\x7f\xff\xff\xff\xff\xff\xff\xfe"],
        ),
        (1184, -1, &[b"", b"123456789"]),
        (2950, -1, &[b"", b"123456789012345", b"12345678901234567"]),
        (
            1700,
            modifier(5, 2),
            &[
                b"",
                b"\0",
                b"\0\x01\0\0\0\0\0\0",
                b"\0\0\0\0\0\0\0\0\0",
                b"\0\0\0\0\xc0\0\0\0",
                b"\0\0\0\0\x12\x34\0\0",
            ],
        ),
        (
            1700,
            modifier(5, 2),
            &[
                b"\0\x01\0\0\0\0\0\0\x27\x10",
                b"\0\x01\0\0\0\0\0\0\x03\xe8",
                b"\0\x01\xff\xff\0\0\0\0\0\x01",
                b"\0\x01\x7f\xff\0\0\0\0\0\x01",
            ],
        ),
        (
            1700,
            -1,
            &[
                b"",
                b"\0\x01\0\0\0\0\0\0\x27\x10",
                b"\0\0\0\0\0\0\xff\xff",
                b"\0\x01\0\0\0\0\0\0",
            ],
        ),
        (3802, -1, &[b"", b"{}", b"\x02{}", b"\x01\xff"]),
        (TEXT, -1, &[b"\xff"]),
    ];
    for (format, cases) in [(0, texts), (1, binaries)] {
        for &(oid, modifier, values) in cases {
            for value in values {
                let batch = column(
                    oid,
                    modifier,
                    format,
                    &[None, None, None, Some(value), None],
                );
                for options in [PLAIN, VIEWS] {
                    let error = export(&batch, options).unwrap_err();
                    let Error::Value { row, column, .. } = &error else {
                        panic!("{oid} {value:?}: {error}");
                    };
                    assert_eq!((*row, &**column), (3, "c"), "{error}");
                }
            }
        }
    }
    let error = one(23, -1, 0, b"tw\no").unwrap_err().to_string();
    assert_eq!(
        error,
        "row 1, column \"c\": \"tw\\no\" is not an integer of the column's type"
    );
    let error = one(20, -1, 1, &[0xAB; 21]).unwrap_err().to_string();
    let shown = "ab".repeat(20);
    let expected = format!(
        "row 1, column \"c\": \\x{shown}... (21 bytes) has not as many bytes as a binary value of the column's type"
    );
    assert_eq!(error, expected);
}

/// Each half of a character is wrong, although the whole column would be right.
#[test]
fn a_character_may_not_lie_in_two_values() {
    for options in [PLAIN, VIEWS] {
        let batch = column(TEXT, -1, 0, &[Some(b"a"), Some(b"\xc3"), Some(b"\xbc")]);
        let error = export(&batch, options).unwrap_err();
        assert!(matches!(error, Error::Value { row: 1, .. }), "{error}");
        let batch = column(17, -1, 1, &[Some(b"a"), Some(b"\xc3"), Some(b"\xbc")]);
        assert!(export(&batch, options).is_ok(), "bytes may be anything");
    }
}

/// Text of every length, NULLs, rows of 64 KB and values of 16 MB, in blocks of every kind.
#[test]
fn text_is_what_it_was() {
    let lengths = [
        0, 1, 4, 11, 12, 13, 15, 16, 17, 31, 32, 33, 64, 200, 5_000, 70_000,
    ];
    let mut rows: Vec<Row> = Vec::new();
    for (number, length) in lengths.into_iter().cycle().take(100).enumerate() {
        let fill = |letter: u8| vec![letter + (number % 20) as u8; length];
        let null = (number % 3 == 0).then(|| b"short".to_vec());
        rows.push(vec![null, Some(fill(b'a')), None, Some(fill(b'A'))]);
    }
    rows.push(vec![
        None,
        Some(vec![b'x'; 0x00FF_FFFF]),
        None,
        Some(b"y".to_vec()),
    ]);
    rows.push(vec![None, Some(b"".to_vec()), None, None]);
    for format in [0, 1] {
        let types = [(TEXT, -1), (1043, 20), (TEXT, -1), (999_999, -1)];
        for block in [1, 7, 1000] {
            let batch = batch(columns(&types, format), &rows, block);
            for options in [PLAIN, VIEWS] {
                let export = export(&batch, options).unwrap();
                for (at, column) in export.columns.iter().enumerate() {
                    let nulls = rows.iter().filter(|row| row[at].is_none()).count();
                    assert_eq!(
                        (column.nulls, column.validity.is_some()),
                        (nulls, nulls > 0)
                    );
                }
                for (number, row) in rows.iter().enumerate() {
                    if number % 100 > 60 || row[1].as_ref().is_some_and(|value| value.len() < 100) {
                        for (column, expected) in export.columns.iter().zip(row) {
                            let found = value(column, number);
                            assert!(found == *expected, "row {number}");
                        }
                    }
                }
                let others: &[u8] = match (format, options.views) {
                    (0, false) => b"u",
                    (0, true) => b"vu",
                    (_, false) => b"z",
                    (_, true) => b"vz",
                };
                assert_eq!(export.columns[3].format.to_bytes(), others);
            }
        }
    }
}

#[test]
fn many_columns_of_rows_too_wide_for_the_index() {
    let width = 1_600;
    let row = |number: u32| -> Row {
        let cell = |column: u32| (column % 5 != 1).then(|| vec![number as u8; 50]);
        (0..width).map(cell).collect()
    };
    let rows: Vec<Row> = (0..9).map(row).collect();
    let types = vec![(TEXT, -1); width as usize];
    let batch = batch(columns(&types, 1), &rows, 4);
    for options in [PLAIN, VIEWS] {
        let export = export(&batch, options).unwrap();
        for (at, column) in export.columns.iter().enumerate().step_by(97) {
            for (number, row) in rows.iter().enumerate() {
                assert_eq!(value(column, number), row[at], "row {number}, column {at}");
            }
        }
    }
}

#[test]
fn nothing_is_something_too() {
    let empty = batch(columns(&[(23, -1), (TEXT, -1), (16, -1)], 0), &[], 1);
    for options in [PLAIN, VIEWS] {
        let export = export(&empty, options).unwrap();
        assert_eq!((export.rows, export.columns.len()), (0, 3));
        assert!(export.columns.iter().all(|column| column.nulls == 0));
    }
    let narrow = batch(columns(&[], 0), &[vec![], vec![]], 1);
    let export = export(&narrow, PLAIN).unwrap();
    assert_eq!((export.rows, export.columns.len()), (2, 0));
}

#[test]
fn fields_are_described() {
    let batch = column(2950, -1, 1, &[Some(&[7; 16])]);
    let export = export(&batch, PLAIN).unwrap();
    let column = &export.columns[0];
    assert_eq!((column.name, &*column.format), (c"c", c"w:16"));
    let mut rest = &column.metadata[..];
    let mut number = || {
        let (word, behind) = rest.split_first_chunk().unwrap();
        rest = behind;
        i32::from_ne_bytes(*word) as usize
    };
    assert_eq!(number(), 4);
    let mut texts = Vec::new();
    while !rest.is_empty() {
        let (word, behind) = rest.split_first_chunk().unwrap();
        let (text, behind) = behind.split_at(i32::from_ne_bytes(*word) as usize);
        texts.push(str::from_utf8(text).unwrap());
        rest = behind;
    }
    let expected = [
        "postgresql.type_oid",
        "2950",
        "postgresql.type_modifier",
        "-1",
        "ARROW:extension:name",
        "arrow.uuid",
        "ARROW:extension:metadata",
        "",
    ];
    assert_eq!(texts, expected);
}
