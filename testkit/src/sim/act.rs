//! What a client does: operations with values of their own, in the order of its program.

use pgpoll::engine::{Command, End, Engine, LargeObject};
use pgpoll::error::Error;
use pgpoll::rows::Limits;

/// An operation, with values of its own.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum What {
    Query(String),
    Params {
        sql: String,
        types: Vec<u32>,
        params: Vec<Option<Vec<u8>>>,
        format: i16,
        max_rows: u32,
    },
    Prepare {
        name: String,
        sql: String,
    },
    Prepared {
        name: String,
        params: Vec<Option<Vec<u8>>>,
        format: i16,
    },
    DescribeStatement(String),
    DescribePortal(String),
    CloseStatement(String),
    ClosePortal(String),
    Copy(String),
    Call {
        function: u32,
        arguments: Vec<Option<Vec<u8>>>,
    },
    LargeObject(LargeObject<'static>),
    Import(u32),
    Export(u32),
    Sync,
}

/// One thing that the client does.
#[derive(Debug, Clone)]
pub enum Act {
    /// Starts an operation that ends with its own Sync.
    Start(What),
    /// Starts one that more of the same group follow.
    More(What),
    /// Waits for the portal to be suspended and asks for so many rows more.
    Continue(u32),
    /// Takes everything until all operations are done.
    Wait,
    /// Waits until data of a COPY can be put, and puts this; does nothing once the server has ended the COPY.
    Put(Vec<u8>),
    /// The same with its end.
    End(Option<String>),
    /// Waits until so many messages of data have been taken.
    Got(usize),
    /// Cuts the rows of the operations that follow.
    Limits(Limits),
}

impl Act {
    /// Whether it imports or exports a file.
    pub fn moves_file(&self) -> bool {
        matches!(self, Self::Start(What::Import(_) | What::Export(_)))
    }
}

impl What {
    /// Starts it.
    pub fn start(&self, engine: &mut Engine, end: End) -> Result<u64, Error> {
        match self {
            Self::Query(sql) => {
                let sql = sql.as_bytes();
                engine.start(Command::Query { sql }, end)
            }
            Self::Params {
                sql,
                types,
                params,
                format,
                max_rows,
            } => {
                let params = borrowed(params);
                let command = Command::Params {
                    sql: sql.as_bytes(),
                    types,
                    params: &&params[..],
                    format: *format,
                    max_rows: *max_rows,
                };
                engine.start(command, end)
            }
            Self::Prepare { name, sql } => {
                let command = Command::Prepare {
                    name: name.as_bytes(),
                    sql: sql.as_bytes(),
                    types: &[],
                    describe: true,
                };
                engine.start(command, end)
            }
            Self::Prepared {
                name,
                params,
                format,
            } => {
                let params = borrowed(params);
                let command = Command::Prepared {
                    name: name.as_bytes(),
                    params: &&params[..],
                    format: *format,
                    max_rows: 0,
                    describe: false,
                };
                engine.start(command, end)
            }
            Self::DescribeStatement(name) => {
                let name = name.as_bytes();
                engine.start(Command::DescribeStatement { name }, end)
            }
            Self::DescribePortal(name) => {
                let name = name.as_bytes();
                engine.start(Command::DescribePortal { name }, end)
            }
            Self::CloseStatement(name) => {
                let name = name.as_bytes();
                engine.start(Command::CloseStatement { name }, end)
            }
            Self::ClosePortal(name) => {
                let name = name.as_bytes();
                engine.start(Command::ClosePortal { name }, end)
            }
            Self::Copy(sql) => {
                let sql = sql.as_bytes();
                engine.start(Command::Copy { sql }, end)
            }
            Self::Call {
                function,
                arguments,
            } => {
                let arguments = borrowed(arguments);
                let command = Command::Call {
                    function: *function,
                    arguments: &&arguments[..],
                };
                engine.start(command, end)
            }
            Self::LargeObject(what) => engine.start(Command::LargeObject(*what), end),
            Self::Import(oid) => engine.start(Command::Import { oid: *oid }, end),
            Self::Export(oid) => engine.start(Command::Export { oid: *oid }, end),
            Self::Sync => engine.start(Command::Sync, end),
        }
    }
}

fn borrowed(params: &[Option<Vec<u8>>]) -> Vec<Option<&[u8]>> {
    params.iter().map(Option::as_deref).collect()
}
