//! COPY: the safe Rust spelling of it, and how much of its data may be queued. Knows no row of it.

use super::Connection;
use crate::engine::{Command, CopyMessages, End};
use crate::error::Error;

impl Connection {
    /// Starts a COPY (FROM STDIN, TO STDOUT, or the START_REPLICATION of a replication connection), which is a simple query:
    /// there may be other statements and other COPYs in it, and what is none is just run. Nothing else can be started until it is
    /// done.
    ///
    /// Each COPY gives an item ([`Reply::Copy`](crate::engine::Reply::Copy)) when it begins; then
    /// [`copy_put`](Connection::copy_put) and [`copy_end`](Connection::copy_end), or [`copy_get`](Connection::copy_get), go on with it.
    pub fn start_copy(&mut self, sql: impl AsRef<[u8]>) -> Result<u64, Error> {
        let sql = sql.as_ref();
        self.start(Command::Copy { sql }, End::Sync)
    }

    /// Puts data, in pieces of any size, which need not be rows; replication takes each piece as a message. With an error that
    /// [`is_would_block`](Error::is_would_block) nothing of it was taken because too much is queued:
    /// [`poll`](Connection::poll) says [`ROOM`](super::Readiness::ROOM) when there is room again.
    ///
    /// Also refused, in words that say so, behind an error of the server, which is an item.
    #[inline]
    pub fn copy_put(&mut self, data: &[u8]) -> Result<(), Error> {
        self.check_copy_room()?;
        self.engine.copy_put(data)
    }

    /// Says that all data is put. With an error the server gives the COPY up and fails with it.
    ///
    /// Ends the client's part of a COPY in both directions; what the server still gives is to be taken.
    pub fn copy_end(&mut self, error: Option<&[u8]>) -> Result<(), Error> {
        self.engine.copy_end(error)
    }

    /// Takes data of a COPY: messages as the server sent them (in text form a row each), at most so many at once, where they were
    /// received. None when none has arrived, and while an item is there to be taken first.
    ///
    /// What is not taken stops the reading, so memory stays bounded.
    #[inline]
    pub fn copy_get(&mut self, most: usize) -> CopyMessages<'_> {
        if !self.engine.has_copy_data() {
            self.catch_up();
        }
        self.engine.copy_get(most)
    }
}
