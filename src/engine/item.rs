//! What an operation yields: items in order, the last of which is its done.

use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::rows::{Batch, Columns};
use crate::wire::TransactionStatus;

/// One thing that is finished, and the operation that it belongs to.
#[derive(Debug)]
pub struct Item {
    /// The id that the starter returned.
    pub operation: u64,
    /// What it is.
    pub reply: Reply,
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
    /// The operation failed. The rows of an unfinished batch are dropped.
    Error(Error),
    /// Not executed: an operation before it in the same group failed.
    Skipped,
    /// A prepared statement was described; `None` when it returns no rows.
    Described {
        /// The parameters' types.
        parameters: Box<[u32]>,
        /// The columns, whose formats are not known yet.
        columns: Option<Arc<Columns>>,
    },
    /// The last item of every operation.
    Done(Done),
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
    /// It failed; an error item came before.
    Failed,
    /// It was not tried: an operation before it in its group failed, or the connection was lost.
    Skipped,
}

/// What the connection is good for after an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Usable, outside of a transaction block.
    Clean,
    /// Usable, inside a transaction block (or a failed one, or an open group).
    InTransaction,
    /// Over. Whether the operation took effect is not known unless it was skipped.
    Lost,
}

/// A command tag (`INSERT 0 1`), kept in place when it is as short as those of queries are.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandTag {
    short: [u8; Self::SHORT],
    len: u8,
    long: Option<Box<[u8]>>,
}

impl CommandTag {
    const SHORT: usize = 23;

    pub(super) fn new(tag: &[u8]) -> Self {
        let mut short = [0; Self::SHORT];
        let len = tag.len().min(Self::SHORT);
        short[..len].copy_from_slice(&tag[..len]);
        Self {
            short,
            len: len as u8,
            long: (tag.len() > Self::SHORT).then(|| tag.into()),
        }
    }

    /// The tag as the server wrote it.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.long {
            Some(long) => long,
            None => &self.short[..usize::from(self.len)],
        }
    }

    /// The number of rows that the command touched, where the tag says it.
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
