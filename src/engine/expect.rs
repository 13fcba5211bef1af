//! What an operation waits for, as the reading side needs it.

use std::ops::{BitOr, BitOrAssign};
use std::sync::Arc;

use super::large_object::Call;
use super::statements::Source;
use super::unwanted::Standing;
use crate::rows::{Columns, Limits};

/// The replies that an operation waits for, a bit each, in the order in which they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Steps(u16);

impl Steps {
    pub(super) const QUERY: Self = Self(1);
    pub(super) const PARSE: Self = Self(2);
    pub(super) const BIND: Self = Self(4);
    pub(super) const DESCRIBE_STATEMENT: Self = Self(8);
    pub(super) const DESCRIBE_PORTAL: Self = Self(16);
    pub(super) const EXECUTE: Self = Self(32);
    pub(super) const CLOSE: Self = Self(64);
    pub(super) const SYNC: Self = Self(128);
    /// The portal has a row limit: it may be suspended and continued.
    pub(super) const LIMITED: Self = Self(256);
    /// The server is told goodbye, and closes the connection.
    pub(super) const SHUTDOWN: Self = Self(512);
    /// A COPY may begin.
    pub(super) const COPY: Self = Self(1024);
    /// A function is called by its object ID.
    pub(super) const CALL: Self = Self(2048);
    /// Many calls, and a file besides.
    pub(super) const TRANSFER: Self = Self(4096);

    /// The one whose reply comes first; none where none is left.
    #[inline]
    pub(super) fn next(self) -> Self {
        Self(self.0 & self.0.wrapping_neg())
    }

    /// These and those.
    #[inline]
    pub(super) const fn with(self, steps: Self) -> Self {
        Self(self.0 | steps.0)
    }

    /// All of them but `steps`.
    #[inline]
    pub(super) const fn without(self, steps: Self) -> Self {
        Self(self.0 & !steps.0)
    }

    #[inline]
    pub(super) fn has(self, step: Self) -> bool {
        self.0 & step.0 != 0
    }

    /// In words, for people.
    pub(super) fn what(self) -> &'static str {
        match self {
            _ if self.has(Self::COPY) => "COPY",
            _ if self.has(Self::QUERY) => "query",
            _ if self.has(Self::CALL) => "function call",
            _ if self.has(Self::PARSE) && self.has(Self::EXECUTE) => "query with parameters",
            _ if self.has(Self::PARSE) => "prepare",
            _ if self.has(Self::EXECUTE) => "execute prepared statement",
            _ if self.has(Self::DESCRIBE_STATEMENT) => "describe statement",
            _ if self.has(Self::DESCRIBE_PORTAL) => "describe portal",
            _ if self.has(Self::CLOSE) => "close",
            _ if self.has(Self::SHUTDOWN) => "shutdown",
            _ => "sync",
        }
    }
}

impl BitOr for Steps {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Steps {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// A queued operation, as the reading side needs it.
#[derive(Debug)]
pub(super) struct Expect {
    pub operation: u64,
    pub steps: Steps,
    /// Those of them whose replies have not come yet.
    pub left: Steps,
    pub limits: Limits,
    /// The format that Bind asked for; `None` where the RowDescription says it.
    pub format: Option<i16>,
    /// The columns of the result where they are remembered.
    pub columns: Option<Arc<Columns>>,
    /// What is called.
    pub call: Call,
    /// The statement that is prepared, described or closed.
    pub subject: Option<Box<Subject>>,
    /// Whether its items are given.
    pub standing: Standing,
    /// The operation before it, if any, has ended its own group.
    pub begins_group: bool,
    /// It was never sent, and never will be.
    pub withdrawn: bool,
    /// How many bytes are sent before its first one.
    pub from: u64,
    /// When it was started.
    pub since: u64,
    /// When it is given up; counted from its start as long as `since` is not known. [`u64::MAX`]: never.
    pub deadline: u64,
}

impl Expect {
    /// In words, for people.
    pub(super) fn what(&self) -> &'static str {
        self.call.what().unwrap_or_else(|| self.steps.what())
    }

    /// The statement that it makes anew or closes.
    pub(super) fn changes(&self) -> Option<&[u8]> {
        let changes = self.steps.has(Steps::PARSE | Steps::CLOSE);
        let name = &*self.subject.as_deref()?.name;
        (changes && !name.is_empty()).then_some(name)
    }
}

/// The statement that an operation is about.
#[derive(Debug)]
pub(super) struct Subject {
    pub name: Box<[u8]>,
    /// What it is prepared from.
    pub source: Option<Box<Source>>,
}

impl Subject {
    pub(super) fn of(name: &[u8]) -> Option<Box<Self>> {
        let source = None;
        let name = name.into();
        Some(Box::new(Self { name, source }))
    }
}
