//! Large objects (manual, chapter of that name): the functions behind them, their arguments, and what their replies must be
//! like. Knows no files and no sequence of calls.

use std::sync::{Arc, LazyLock};

use crate::error::Error;
use crate::rows::{Batch, Columns};
use crate::wire::{self, Field, List, RowDescription, encode_function_call};

/// The most bytes that one call reads or writes: a message of the server's has at most 1 GB.
pub const MOST_AT_ONCE: usize = 0x3fff_fc00;

/// One call of a large object's function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LargeObject<'a> {
    /// Creates an empty one; gives its object ID.
    Create {
        /// The object ID that it is to have; 0: any that is free.
        oid: u32,
    },
    /// Opens one; gives a descriptor, which lives until the end of the transaction.
    Open {
        /// The large object.
        oid: u32,
        /// [`LO_READ`], [`LO_WRITE`] or both.
        mode: i32,
    },
    /// Closes a descriptor.
    Close {
        /// The descriptor.
        fd: i32,
    },
    /// Reads at the descriptor's position; gives fewer bytes than asked for only at the end.
    Read {
        /// The descriptor.
        fd: i32,
        /// How many bytes at most.
        length: usize,
    },
    /// Writes at the descriptor's position; gives how many bytes were written.
    Write {
        /// The descriptor.
        fd: i32,
        /// The bytes.
        data: &'a [u8],
    },
    /// Moves the descriptor's position; gives the new one.
    Seek {
        /// The descriptor.
        fd: i32,
        /// How far from there.
        offset: i64,
        /// From where: 0 the beginning, 1 the position, 2 the end.
        whence: i32,
    },
    /// Gives the descriptor's position.
    Tell {
        /// The descriptor.
        fd: i32,
    },
    /// Makes it so long: cuts it off, or fills it up with zeroes.
    Truncate {
        /// The descriptor, which must be open for writing.
        fd: i32,
        /// Bytes.
        length: i64,
    },
    /// Removes one; gives 1.
    Unlink {
        /// The large object.
        oid: u32,
    },
}

/// The mode of [`LargeObject::Open`] in which it can be read as it was when the transaction's snapshot was taken.
pub const LO_READ: i32 = 0x0004_0000;
/// The mode in which it can be written, and read as it is.
pub const LO_WRITE: i32 = 0x0002_0000;

/// A function of the server's that is called by its object ID, which never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its object ID.
    pub oid: u32,
    /// Its name in the schema `pg_catalog`.
    pub name: &'static str,
    /// The type that it returns.
    pub returns: u32,
}

const OID: u32 = 26;
const INT4: u32 = 23;
const INT8: u32 = 20;
const BYTEA: u32 = 17;

const fn function(oid: u32, name: &'static str, returns: u32) -> Function {
    Function { oid, name, returns }
}

/// The functions that are called, as the server's catalog has them.
pub const LARGE_OBJECT_FUNCTIONS: [Function; 9] = [
    function(715, "lo_create", OID),
    function(952, "lo_open", INT4),
    function(953, "lo_close", INT4),
    function(954, "loread", BYTEA),
    function(955, "lowrite", INT4),
    function(3170, "lo_lseek64", INT8),
    function(3171, "lo_tell64", INT8),
    function(3172, "lo_truncate64", INT4),
    function(964, "lo_unlink", INT4),
];

/// What an operation calls: the replies that are believed depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Call {
    /// Nothing, or a function of which nothing is known.
    #[default]
    Any,
    Create,
    Open,
    Close,
    /// At most so many bytes are asked for.
    Read(u32),
    /// So many bytes are sent.
    Write(u32),
    Seek,
    Tell,
    Truncate,
    Unlink,
    /// Many calls: the content of a file becomes a large object.
    Import,
    /// The reverse.
    Export,
}

impl LargeObject<'_> {
    /// Whether it can be asked for at all. What the server checks is left to it.
    pub(super) fn check(&self) -> Result<(), Error> {
        let too_much = match self {
            Self::Read { length, .. } => *length > MOST_AT_ONCE,
            Self::Write { data, .. } => data.len() > MOST_AT_ONCE,
            Self::Seek { whence, .. } if !(0..=2).contains(whence) => {
                return Err(Error::misuse(
                    "whence is neither 0 (from the beginning), 1 (from the position) nor 2 (from the end)",
                ));
            }
            Self::Truncate { length, .. } if *length < 0 => {
                return Err(Error::misuse("the length is negative"));
            }
            _ => false,
        };
        match too_much {
            true => Err(Error::misuse(
                "too much for one call: the server moves at most 1 GB less 1 KB at once; move it in pieces",
            )),
            false => Ok(()),
        }
    }

    pub(super) fn call(&self) -> Call {
        match self {
            Self::Create { .. } => Call::Create,
            Self::Open { .. } => Call::Open,
            Self::Close { .. } => Call::Close,
            Self::Read { length, .. } => Call::Read(*length as u32),
            Self::Write { data, .. } => Call::Write(data.len() as u32),
            Self::Seek { .. } => Call::Seek,
            Self::Tell { .. } => Call::Tell,
            Self::Truncate { .. } => Call::Truncate,
            Self::Unlink { .. } => Call::Unlink,
        }
    }

    /// Appends the function call.
    pub(super) fn encode(&self, out: &mut Vec<u8>) -> Result<(), wire::Error> {
        let function = self.call().function().map_or(0, |function| function.oid);
        let mut call =
            |arguments: &[Option<&[u8]>]| encode_function_call(out, function, &[1], &arguments, 1);
        match *self {
            Self::Create { oid } | Self::Unlink { oid } => call(&[Some(&oid.to_be_bytes())]),
            Self::Open { oid, mode } => {
                call(&[Some(&oid.to_be_bytes()), Some(&mode.to_be_bytes())])
            }
            Self::Close { fd } | Self::Tell { fd } => call(&[Some(&fd.to_be_bytes())]),
            Self::Read { fd, length } => call(&[
                Some(&fd.to_be_bytes()),
                Some(&(length as i32).to_be_bytes()),
            ]),
            Self::Write { fd, data } => call(&[Some(&fd.to_be_bytes()), Some(data)]),
            Self::Seek { fd, offset, whence } => call(&[
                Some(&fd.to_be_bytes()),
                Some(&offset.to_be_bytes()),
                Some(&whence.to_be_bytes()),
            ]),
            Self::Truncate { fd, length } => {
                call(&[Some(&fd.to_be_bytes()), Some(&length.to_be_bytes())])
            }
        }
    }
}

impl Call {
    /// In words, for people; `None` of a function of which nothing is known.
    pub(super) fn what(self) -> Option<&'static str> {
        Some(match self {
            Self::Any => return None,
            Self::Create => "large object create",
            Self::Open => "large object open",
            Self::Close => "large object close",
            Self::Read(_) => "large object read",
            Self::Write(_) => "large object write",
            Self::Seek => "large object seek",
            Self::Tell => "large object tell",
            Self::Truncate => "large object truncate",
            Self::Unlink => "large object unlink",
            Self::Import => "large object import",
            Self::Export => "large object export",
        })
    }

    fn place(self) -> Option<usize> {
        Some(match self {
            Self::Any => return None,
            // Of these the object ID is what is told.
            Self::Create | Self::Import | Self::Export => 0,
            Self::Open => 1,
            Self::Close => 2,
            Self::Read(_) => 3,
            Self::Write(_) => 4,
            Self::Seek => 5,
            Self::Tell => 6,
            Self::Truncate => 7,
            Self::Unlink => 8,
        })
    }

    fn function(self) -> Option<&'static Function> {
        LARGE_OBJECT_FUNCTIONS.get(self.place()?)
    }

    /// The one column of what it returns.
    pub(super) fn columns(self) -> Arc<Columns> {
        static COLUMNS: LazyLock<Vec<Arc<Columns>>> = LazyLock::new(|| {
            let known = LARGE_OBJECT_FUNCTIONS.iter();
            let known = known.map(|function| column(function.name, function.returns));
            known.chain([column("", 0)]).collect()
        });
        let place = self.place().unwrap_or(LARGE_OBJECT_FUNCTIONS.len());
        COLUMNS.get(place).cloned().unwrap_or_default()
    }

    /// The number that was returned; 0 if it is none.
    pub(super) fn number_of(self, value: &[u8]) -> i64 {
        let returns = self.function().map_or(0, |function| function.returns);
        number(value, returns).unwrap_or(0)
    }

    /// Whether the function can have returned this; if not, why.
    pub(super) fn check(self, value: Option<&[u8]>) -> Result<(), Error> {
        let Some(function) = self.function() else {
            return Ok(());
        };
        let wrong = |how: String| {
            let what = self.what().unwrap_or_default();
            Err(Error::transport(format!(
                "{what}: the server returned {how}"
            )))
        };
        let Some(value) = value else {
            return wrong("NULL".to_owned());
        };
        let size = match (function.returns, self) {
            (BYTEA, Self::Read(most)) if value.len() > most as usize => {
                return wrong(format!(
                    "{} bytes where at most {most} were asked for",
                    value.len()
                ));
            }
            (BYTEA, _) => return Ok(()),
            (INT8, _) => 8,
            _ => 4,
        };
        if value.len() != size {
            let len = value.len();
            return wrong(format!("{len} bytes where a number of {size} was expected"));
        }
        match (number(value, function.returns), self) {
            (Some(negative @ ..0), _) => wrong(format!("the number {negative}")),
            (Some(written), Self::Write(sent)) if written > i64::from(sent) => {
                wrong(format!("the number {written}, having got {sent} bytes"))
            }
            _ => Ok(()),
        }
    }
}

/// The number that a function returned; `None` when it is no number of 4 or 8 bytes. `batch`: of a
/// [`Reply::Called`](super::Reply::Called).
pub fn number_returned(batch: &Batch) -> Option<i64> {
    number(batch.value(0, 0)?, batch.columns().get(0)?.type_oid)
}

/// The number that a value in binary is, if it has 4 or 8 bytes. `type_oid`: of its type, where that is known.
fn number(value: &[u8], type_oid: u32) -> Option<i64> {
    if type_oid == BYTEA {
        return None;
    }
    if let Ok(four) = <[u8; 4]>::try_from(value) {
        return Some(match type_oid {
            OID => u32::from_be_bytes(four).into(),
            _ => i32::from_be_bytes(four).into(),
        });
    }
    <[u8; 8]>::try_from(value).ok().map(i64::from_be_bytes)
}

/// The description of one column in binary.
fn column(name: &str, type_oid: u32) -> Arc<Columns> {
    let field = Field {
        name: name.as_bytes(),
        table_oid: 0,
        column: 0,
        type_oid,
        type_size: match type_oid {
            INT4 | OID => 4,
            INT8 => 8,
            _ => -1,
        },
        type_modifier: -1,
        format: 1,
    };
    let mut message = Vec::new();
    let fields = [field];
    let fields = List::from(&fields);
    let encoded = RowDescription { fields }.encode(&mut message);
    let body = message.get(5..).filter(|_| encoded.is_ok());
    let columns = body.and_then(|body| Columns::read(body).ok());
    Arc::new(columns.unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_believed_only_if_the_function_can_have_made_it() {
        let four = |number: i32| number.to_be_bytes().to_vec();
        let eight = |number: i64| number.to_be_bytes().to_vec();
        let wrong = |call: Call, value: Option<Vec<u8>>| {
            let error = call.check(value.as_deref()).unwrap_err();
            error.message().to_owned()
        };
        for (call, value) in [
            (Call::Any, vec![]),
            (Call::Create, vec![0xff; 4]),
            (Call::Open, four(0)),
            (Call::Close, four(0)),
            (Call::Read(3), vec![1, 2, 3]),
            (Call::Read(3), vec![]),
            (Call::Write(7), four(7)),
            (Call::Seek, eight(i64::MAX)),
            (Call::Tell, eight(0)),
            (Call::Truncate, four(0)),
            (Call::Unlink, four(1)),
        ] {
            assert_eq!(call.check(Some(&value)), Ok(()), "{call:?}");
        }
        assert_eq!(Call::Any.check(None), Ok(()));
        assert_eq!(
            wrong(Call::Read(3), Some(vec![0; 4])),
            "large object read: the server returned 4 bytes where at most 3 were asked for"
        );
        assert_eq!(
            wrong(Call::Tell, Some(four(1))),
            "large object tell: the server returned 4 bytes where a number of 8 was expected"
        );
        assert_eq!(
            wrong(Call::Open, None),
            "large object open: the server returned NULL"
        );
        assert_eq!(
            wrong(Call::Open, Some(four(-1))),
            "large object open: the server returned the number -1"
        );
        assert_eq!(
            wrong(Call::Write(7), Some(four(8))),
            "large object write: the server returned the number 8, having got 7 bytes"
        );
    }

    #[test]
    fn object_ids_are_not_negative() {
        assert_eq!(number(&[0xff; 4], OID), Some(0xffff_ffff));
        assert_eq!(number(&[0xff; 4], INT4), Some(-1));
        assert_eq!(number(&[0xff; 4], 0), Some(-1));
        assert_eq!(number(&[0xff; 8], 0), Some(-1));
        assert_eq!(number(b"", INT4), None);
        assert_eq!(number(&[0; 4], BYTEA), None);
    }

    #[test]
    fn what_is_returned_has_one_column_in_binary() {
        for (call, name, type_oid) in [
            (Call::Any, "", 0),
            (Call::Read(1), "loread", BYTEA),
            (Call::Import, "lo_create", OID),
        ] {
            let columns = call.columns();
            assert_eq!(columns.len(), 1);
            assert_eq!(columns.name(0), Some(name.as_bytes()));
            let column = columns.get(0).unwrap();
            assert_eq!((column.type_oid, column.format), (type_oid, 1));
        }
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        let refused = |call: LargeObject<'_>| call.check().unwrap_err().message().to_owned();
        let length = MOST_AT_ONCE + 1;
        assert!(refused(LargeObject::Read { fd: 0, length }).contains("in pieces"));
        let length = MOST_AT_ONCE;
        assert_eq!(LargeObject::Read { fd: 0, length }.check(), Ok(()));
        let seek = |whence| LargeObject::Seek {
            fd: 0,
            offset: -1,
            whence,
        };
        assert!(refused(seek(3)).contains("whence"));
        assert!(refused(seek(-1)).contains("whence"));
        assert_eq!(seek(2).check(), Ok(()));
        let length = -1;
        assert!(refused(LargeObject::Truncate { fd: 0, length }).contains("negative"));
    }
}
