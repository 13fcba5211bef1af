//! What an operation yields: items in order, the last of which is its done.

use std::fmt;
use std::sync::Arc;

use super::large_object::number_returned;
use crate::error::Error;
use crate::rows::{Batch, Columns};
use crate::wire::{TransactionStatus, short};

/// One thing that is finished, and the operation that it belongs to.
#[derive(Debug)]
pub struct Item {
    /// The id that the starter returned.
    pub operation: u64,
    /// What it is.
    pub reply: Reply,
    /// Bytes that it holds and that a server decides on.
    pub(super) held: usize,
}

impl Item {
    #[inline(always)]
    pub(super) fn new(operation: u64, reply: Reply) -> Self {
        let held = reply.memory();
        Self {
            operation,
            reply,
            held,
        }
    }
}

/// What is finished.
#[derive(Debug)]
pub enum Reply {
    /// Rows: all of a result, or a batch of it. A result without rows yields one empty batch.
    Rows(Batch),
    /// A command is complete, with its tag. Not yet committed: that is known at [`Done`].
    Complete(CommandTag),
    /// The query string was empty.
    EmptyQuery,
    /// The portal has given as many rows as were asked for; continue it or end it with a sync.
    Suspended,
    /// The operation failed. The rows of an unfinished batch are dropped. That its deadline has passed is said at once, before
    /// the items of operations that were started earlier.
    Error(Box<Error>),
    /// Not executed: an operation before it in the same group failed.
    Skipped,
    /// A prepared statement was described; `None` when it returns no rows.
    Described {
        /// The parameters' types.
        parameters: Box<[u32]>,
        /// The columns, whose formats are not known yet.
        columns: Option<Arc<Columns>>,
    },
    /// A COPY has begun: [`Engine::start_copy`](super::Command::Copy). Its data is no item.
    Copy(Copying),
    /// What a function returned, called by its object ID: one row with one column, in binary. [`Reply::number`] reads it.
    Called(Batch),
    /// The last item of every operation.
    Done(Done),
}

/// What a COPY that has begun is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copying {
    /// Which way the data goes.
    pub way: CopyWay,
    /// The format of the whole: 0 text (text or CSV, rows end with newlines), 1 binary.
    pub format: i16,
    /// The format of each column; all 0 if the whole is text, and none for replication.
    pub columns: Box<[i16]>,
}

/// Which way the data of a COPY goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyWay {
    /// To the server: COPY FROM STDIN.
    In,
    /// From the server: COPY TO STDOUT.
    Out,
    /// Both at once: streaming replication.
    Both,
}

impl Reply {
    /// The number that a function returned; `None` when it is no number of 4 or 8 bytes.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Called(batch) => number_returned(batch),
            _ => None,
        }
    }

    /// Bytes that it holds and that a server decides on.
    #[inline(always)]
    fn memory(&self) -> usize {
        match self {
            Self::Rows(batch) | Self::Called(batch) => batch.memory(),
            Self::Error(error) => error
                .server_error()
                .map_or(0, |error| error.as_bytes().len()),
            Self::Described { parameters, .. } => size_of_val(&**parameters),
            Self::Copy(copying) => size_of_val(&*copying.columns),
            _ => 0,
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Whether it did what was asked.
    pub outcome: Outcome,
    /// The transaction's status: from the ReadyForQuery that ended the operation, or, inside a group, the last known.
    pub transaction: TransactionStatus,
    /// What the connection is good for now.
    pub verdict: Verdict,
}

/// Whether an operation did what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Ok,
    /// It failed, and an error item came before, unless it had been abandoned; or it had been sent when the connection was
    /// lost ([`Verdict::Lost`]).
    Failed,
    /// It was not tried: an operation before it in its group failed, or nothing of it had been sent when the connection was
    /// lost, when its deadline passed, or when it was abandoned.
    Skipped,
    /// The server has done it, after its deadline had passed or after it had been abandoned: it has taken effect, and what
    /// it gave was discarded.
    Discarded,
}

/// What the connection is good for after an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Usable, outside of a transaction block.
    Clean,
    /// Usable, inside a transaction block (or a failed one, or an open group).
    InTransaction,
    /// Over. Whether the operation took effect is not known, unless it was skipped.
    Lost,
}

impl Verdict {
    /// After a ReadyForQuery.
    #[inline]
    pub(super) fn after(status: TransactionStatus) -> Self {
        match status {
            TransactionStatus::Idle => Self::Clean,
            _ => Self::InTransaction,
        }
    }
}

/// A command tag (`INSERT 0 1`), kept in place when it is as short as those of queries are.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandTag(Tag);

#[derive(Clone, PartialEq, Eq)]
enum Tag {
    Short { len: u8, text: [u8; SHORT] },
    Long(Box<[u8]>),
}

const SHORT: usize = 22;

impl CommandTag {
    #[inline(always)]
    pub(super) fn new(tag: &[u8]) -> Self {
        let mut text = [0; SHORT];
        Self(match text.get_mut(..tag.len()) {
            Some(start) => {
                short::copy(start, tag);
                Tag::Short {
                    len: tag.len() as u8,
                    text,
                }
            }
            None => Tag::Long(tag.into()),
        })
    }

    /// The tag as the server wrote it.
    #[inline(always)]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Tag::Short { len, text } => &text[..usize::from(*len)],
            Tag::Long(text) => text,
        }
    }

    /// The number of rows that the command touched, where the tag says it.
    #[inline(always)]
    pub fn rows(&self) -> Option<u64> {
        crate::wire::CommandComplete {
            tag: self.as_bytes(),
        }
        .rows()
    }
}

impl fmt::Debug for CommandTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_small_enough_to_be_moved_about() {
        assert!(size_of::<Item>() <= 96, "{}", size_of::<Item>());
    }

    #[test]
    fn a_tag_of_any_length_is_kept_whole() {
        for len in 0..80 {
            let text: Vec<u8> = (0..len).map(|at| b'A' + at % 26).collect();
            assert_eq!(CommandTag::new(&text).as_bytes(), text);
        }
        assert_eq!(CommandTag::new(b"INSERT 0 17").rows(), Some(17));
        assert_eq!(CommandTag::new(b"BEGIN").rows(), None);
    }
}
