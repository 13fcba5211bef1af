//! Starting operations: the safe Rust spelling of the engine's commands.

use super::Connection;
use crate::engine::{Command, End};
use crate::error::Error;
use crate::wire::Parameters;

/// Unsent bytes from which on [`Connection::is_full`] says so.
const FULL: usize = 16 * 1024 * 1024;

impl Connection {
    /// Whether so much is queued and not sent that nothing more should be started before a poll has sent some of it. One
    /// operation may be as large as it likes: only what was queued before it counts.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.engine().output().len() >= FULL
    }

    /// Starts a simple query of one or several statements; results come as text.
    pub fn start_query(&mut self, sql: impl AsRef<[u8]>) -> Result<u64, Error> {
        let sql = sql.as_ref();
        self.start(Command::Query { sql }, End::Sync)
    }

    /// Starts one statement with parameters. `types`: OIDs, 0 or missing ones are inferred. `format`: of all result
    /// columns, 0 text, 1 binary.
    pub fn start_query_params(
        &mut self,
        sql: impl AsRef<[u8]>,
        types: &[u32],
        params: &dyn Parameters,
        format: i16,
    ) -> Result<u64, Error> {
        let sql = sql.as_ref();
        let max_rows = 0;
        self.start(
            Command::Params {
                sql,
                types,
                params,
                format,
                max_rows,
            },
            End::Sync,
        )
    }

    /// Starts to prepare a statement. Its description is an item, and its columns are remembered, so that executing it
    /// asks for none.
    pub fn start_prepare(
        &mut self,
        name: impl AsRef<[u8]>,
        sql: impl AsRef<[u8]>,
        types: &[u32],
    ) -> Result<u64, Error> {
        let (name, sql) = (name.as_ref(), sql.as_ref());
        let describe = true;
        self.start(
            Command::Prepare {
                name,
                sql,
                types,
                describe,
            },
            End::Sync,
        )
    }

    /// Starts a prepared statement. `format`: of all result columns, 0 text, 1 binary.
    pub fn start_prepared(
        &mut self,
        name: impl AsRef<[u8]>,
        params: &dyn Parameters,
        format: i16,
    ) -> Result<u64, Error> {
        let name = name.as_ref();
        self.start(
            Command::Prepared {
                name,
                params,
                format,
                max_rows: 0,
                describe: false,
            },
            End::Sync,
        )
    }

    /// Starts any command. With [`End::More`] it has no Sync of its own: [`sync`](Connection::sync) ends the group.
    #[inline]
    pub fn start(&mut self, command: Command<'_>, end: End) -> Result<u64, Error> {
        self.engine_mut().start(command, end)
    }

    /// Ends a group of operations. Its done carries the errors of the commit.
    pub fn sync(&mut self) -> Result<u64, Error> {
        self.start(Command::Sync, End::Sync)
    }
}
