//! What an operation is, as the caller says it.

use std::fmt;

use super::large_object::LargeObject;
use crate::wire::Parameters;

/// What to do. Texts are bytes in the client's encoding, without a NUL.
#[derive(Clone, Copy)]
pub enum Command<'a> {
    /// A simple query: one or several statements, results in text.
    Query {
        /// The statements.
        sql: &'a [u8],
    },
    /// One statement with parameters: parsed, bound and executed at once.
    Params {
        /// The statement.
        sql: &'a [u8],
        /// Parameter types; 0 or missing ones are inferred by the server.
        types: &'a [u32],
        /// The values.
        params: &'a dyn Parameters,
        /// The format of all result columns: 0 text, 1 binary.
        format: i16,
        /// Suspend after so many rows; 0 gives all.
        max_rows: u32,
    },
    /// Prepares a statement.
    Prepare {
        /// Its name; empty is the unnamed statement.
        name: &'a [u8],
        /// The statement.
        sql: &'a [u8],
        /// Parameter types; 0 or missing ones are inferred by the server.
        types: &'a [u32],
        /// Also describe it, and remember its columns.
        describe: bool,
    },
    /// Executes a prepared statement.
    Prepared {
        /// Its name.
        name: &'a [u8],
        /// The values.
        params: &'a dyn Parameters,
        /// The format of all result columns: 0 text, 1 binary.
        format: i16,
        /// Suspend after so many rows; 0 gives all.
        max_rows: u32,
        /// Ask for the columns even when they are remembered.
        describe: bool,
    },
    /// Describes a prepared statement.
    DescribeStatement {
        /// Its name.
        name: &'a [u8],
    },
    /// Describes a portal.
    DescribePortal {
        /// Its name.
        name: &'a [u8],
    },
    /// Closes a prepared statement; it is no error if there is none.
    CloseStatement {
        /// Its name.
        name: &'a [u8],
    },
    /// Closes a portal; it is no error if there is none.
    ClosePortal {
        /// Its name.
        name: &'a [u8],
    },
    /// A simple query that begins a COPY. Until its end nothing else can be started.
    Copy {
        /// The statement.
        sql: &'a [u8],
    },
    /// Calls a function by its object ID; arguments and result in binary.
    Call {
        /// Of the function.
        function: u32,
        /// The arguments.
        arguments: &'a dyn Parameters,
    },
    /// Calls a function of a large object.
    LargeObject(LargeObject<'a>),
    /// Makes a large object of the content of a file, which whoever drives the engine reads: see
    /// [`Engine::file_turn`](super::Engine::file_turn). Until its end nothing else can be started.
    Import {
        /// The object ID that it is to have; 0: any that is free.
        oid: u32,
    },
    /// The reverse: the content of a large object goes to a file.
    Export {
        /// The large object.
        oid: u32,
    },
    /// Ends a group of operations.
    Sync,
}

/// Only which command it is: the texts and values may be secret.
impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Query { .. } => "Query",
            Self::Params { .. } => "Params",
            Self::Prepare { .. } => "Prepare",
            Self::Prepared { .. } => "Prepared",
            Self::DescribeStatement { .. } => "DescribeStatement",
            Self::DescribePortal { .. } => "DescribePortal",
            Self::CloseStatement { .. } => "CloseStatement",
            Self::ClosePortal { .. } => "ClosePortal",
            Self::Copy { .. } => "Copy",
            Self::Call { .. } => "Call",
            Self::LargeObject(_) => "LargeObject",
            Self::Import { .. } => "Import",
            Self::Export { .. } => "Export",
            Self::Sync => "Sync",
        })
    }
}

/// Where an operation stands in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It ends with its own Sync.
    Sync,
    /// More follows in the same group, which a later Sync ends.
    More,
}
