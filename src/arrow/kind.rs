//! What a PostgreSQL type becomes in Arrow. Knows type OIDs (src/include/catalog/pg_type.dat) and format strings.

use std::borrow::Cow;
use std::ffi::{CStr, CString};

use super::Options;
use crate::rows::{Column, OutOfMemory};

/// The most digits of a decimal128.
const DIGITS: i32 = 38;

/// What the values of a column become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `bool`: bits.
    Bool,
    /// `int2`.
    Int2,
    /// `int4`.
    Int4,
    /// `int8`.
    Int8,
    /// `oid`, `xid`, `cid`: 32 bits without sign.
    Oid,
    /// `xid8`: 64 bits without sign.
    Xid8,
    /// `float4`.
    Float4,
    /// `float8`.
    Float8,
    /// `numeric(p,s)` of at most 38 digits: decimal128.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// Any other `numeric`: text, as the server writes it.
    Numeric,
    /// `date`: days since 1970-01-01.
    Date,
    /// `time`: microseconds since midnight.
    Time,
    /// `timestamp`: microseconds since 1970-01-01, no zone.
    Timestamp,
    /// `timestamptz`: the same in UTC.
    Timestamptz,
    /// `uuid`: 16 bytes, the extension type arrow.uuid.
    Uuid,
    /// `bytea`: bytes.
    Bytea,
    /// Types whose binary format is their text.
    Text,
    /// `jsonb`: its text, which has a version byte before it in binary.
    Jsonb,
    /// Everything else: text in text results, the type's own bytes in binary ones.
    Other,
}

impl Kind {
    /// What a column becomes.
    #[must_use]
    pub fn of(column: &Column, options: Options) -> Self {
        match column.type_oid {
            16 => Self::Bool,
            17 => Self::Bytea,
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            26 | 28 | 29 => Self::Oid,
            5069 => Self::Xid8,
            700 => Self::Float4,
            701 => Self::Float8,
            1082 => Self::Date,
            1083 => Self::Time,
            1114 => Self::Timestamp,
            1184 => Self::Timestamptz,
            1700 if options.numeric_text => Self::Numeric,
            1700 => numeric(column.type_modifier),
            2950 => Self::Uuid,
            3802 => Self::Jsonb,
            // "char", name, text, json, xml, unknown, bpchar, varchar, refcursor, cstring
            18 | 19 | 25 | 114 | 142 | 705 | 1042 | 1043 | 1790 | 2275 => Self::Text,
            _ => Self::Other,
        }
    }

    /// Whether values are text, which must be UTF-8.
    pub(super) fn is_text(self, binary: bool) -> bool {
        match self {
            Self::Text | Self::Jsonb | Self::Numeric => true,
            Self::Other => !binary,
            _ => false,
        }
    }

    /// The format string; `views` and `large` are about text and bytes alone.
    pub(super) fn format(self, binary: bool, views: bool, large: bool) -> Cow<'static, CStr> {
        Cow::Borrowed(match self {
            Self::Bool => c"b",
            Self::Int2 => c"s",
            Self::Int4 => c"i",
            Self::Int8 => c"l",
            Self::Oid => c"I",
            Self::Xid8 => c"L",
            Self::Float4 => c"f",
            Self::Float8 => c"g",
            Self::Decimal { precision, scale } => {
                let text = CString::new(format!("d:{precision},{scale}"));
                return Cow::Owned(text.unwrap_or_default());
            }
            Self::Date => c"tdD",
            Self::Time => c"ttu",
            Self::Timestamp => c"tsu:",
            Self::Timestamptz => c"tsu:UTC",
            Self::Uuid => c"w:16",
            Self::Numeric | Self::Bytea | Self::Text | Self::Jsonb | Self::Other => {
                match (self.is_text(binary), views, large) {
                    (true, true, _) => c"vu",
                    (true, _, true) => c"U",
                    (true, ..) => c"u",
                    (_, true, _) => c"vz",
                    (_, _, true) => c"Z",
                    _ => c"z",
                }
            }
        })
    }

    /// The metadata of the field in the encoding of ArrowSchema.metadata: the type's OID and modifier, and the extension's name.
    pub(super) fn metadata(self, column: &Column) -> Result<Vec<u8>, OutOfMemory> {
        let oid = column.type_oid.to_string();
        let modifier = column.type_modifier.to_string();
        let pairs = [
            ("postgresql.type_oid", &*oid),
            ("postgresql.type_modifier", &*modifier),
            ("ARROW:extension:name", "arrow.uuid"),
            ("ARROW:extension:metadata", ""),
        ];
        let pairs = if self == Self::Uuid {
            &pairs[..]
        } else {
            &pairs[..2]
        };
        let texts = pairs.iter().flat_map(|&(key, value)| [key, value]);
        let mut bytes = Vec::new();
        let size = texts.clone().map(|text| 4 + text.len()).sum::<usize>();
        bytes.try_reserve_exact(4 + size)?;
        bytes.extend_from_slice(&(pairs.len() as i32).to_ne_bytes());
        for text in texts {
            bytes.extend_from_slice(&(text.len() as i32).to_ne_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
        Ok(bytes)
    }
}

/// A decimal where the type modifier gives a precision that fits (numerictypmodin in the server's numeric.c).
fn numeric(modifier: i32) -> Kind {
    if modifier < 4 {
        return Kind::Numeric;
    }
    let precision = (modifier - 4) >> 16 & 0xFFFF;
    // Eleven bits with sign.
    let scale = ((modifier - 4) & 0x7FF ^ 1024) - 1024;
    // A scale below zero or beyond the precision, allowed since PostgreSQL 15, is no decimal everywhere.
    let precision = (precision - scale.min(0)).max(scale);
    let scale = scale.max(0);
    if !(1..=DIGITS).contains(&precision) {
        return Kind::Numeric;
    }
    Kind::Decimal {
        precision: precision as u8,
        scale: scale as u8,
    }
}
