//! Starting operations: the safe Rust spelling of the engine's commands.

use super::Connection;
use crate::engine::{Command, End};
use crate::error::Error;
use crate::wire::Parameters;

/// As much as a fast network carries in ten milliseconds: whoever polls that often never waits for room.
const DEFAULT_BYTES: usize = 16 * 1024 * 1024;

/// The same of a COPY: it has a steady source, and this much keeps a transport busy.
const COPY_BYTES: usize = 128 * 1024;

/// Operations that may be started and not done: each takes about a hundred bytes from its start to its done.
const MOST_OPERATIONS: usize = 256 * 1024;

/// What may be queued.
#[derive(Debug, Clone, Copy)]
pub(super) struct SendQueue {
    /// Unsent bytes from which on nothing more is accepted.
    bytes: usize,
    /// Something was refused, and nobody has been told that there is room again.
    pub(super) refused: bool,
}

impl Default for SendQueue {
    fn default() -> Self {
        Self {
            bytes: DEFAULT_BYTES,
            refused: false,
        }
    }
}

impl SendQueue {
    /// The same for a connection that is begun anew: nothing is queued in it.
    pub(super) fn anew(self) -> Self {
        Self {
            refused: false,
            ..self
        }
    }
}

impl Connection {
    /// How many bytes may be queued and not sent (16 MiB, also for 0): with as many queued, what would queue more is refused
    /// with an error that [`is_would_block`](Error::is_would_block). One operation may be as large as it likes: only what was
    /// queued before it counts. Of a COPY's data no more than 128 KiB is queued before more is refused. Besides, no more than 262,144 operations may be started and not done. After a refusal the
    /// poll by which half of it is free again says [`Readiness::ROOM`], once.
    ///
    /// [`Readiness::ROOM`]: super::Readiness::ROOM
    pub fn set_send_queue(&mut self, bytes: usize) {
        self.send_queue.bytes = match bytes {
            0 => DEFAULT_BYTES,
            bytes => bytes,
        };
    }

    /// How many bytes may be queued now.
    #[inline]
    fn queue_limit(&self) -> usize {
        match self.engine().takes_copy_data() {
            true => self.send_queue.bytes.min(COPY_BYTES),
            false => self.send_queue.bytes,
        }
    }

    /// What is asked before data of a COPY is queued: an error when too much is.
    #[inline]
    pub(super) fn check_copy_room(&mut self) -> Result<(), Error> {
        if self.engine().unsent() >= self.send_queue.bytes.min(COPY_BYTES)
            && self.engine().takes_copy_data()
        {
            return Err(self.refuse_for_now());
        }
        Ok(())
    }

    /// Whether so much is queued that nothing more is accepted.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.engine().unsent() >= self.send_queue.bytes || self.engine().queued() >= MOST_OPERATIONS
    }

    /// What everything that queues output asks first: an error when too much is queued.
    #[inline]
    pub fn check_room(&mut self) -> Result<(), Error> {
        if self.is_full() {
            return Err(self.refuse_for_now());
        }
        Ok(())
    }

    #[cold]
    fn refuse_for_now(&mut self) -> Error {
        self.send_queue.refused = true;
        let unsent = self.engine().unsent() >= self.queue_limit();
        Error::would_block(if unsent {
            "too much is queued and not sent: poll until some of it is sent, then start more"
        } else {
            "too many operations are queued: poll, and take what comes, until some of them are done, then start more"
        })
    }

    /// Whether the caller is to be told that there is room again: not before half of it is free, so that it does not go
    /// to and fro with each message.
    #[inline]
    pub(super) fn has_made_room(&mut self) -> bool {
        self.send_queue.refused && self.tell_of_room()
    }

    #[cold]
    fn tell_of_room(&mut self) -> bool {
        let room = self.engine().unsent() <= self.queue_limit() / 2
            && self.engine().queued() <= MOST_OPERATIONS / 2;
        self.send_queue.refused = !room;
        room
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
    /// asks for none. So is its text: see [`set_healing`](Connection::set_healing).
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

    /// Whether a prepared statement is prepared again and executed once more when the server refuses its execution because it
    /// has lost the statement (26000: a pooler, DISCARD in a function), or because its result has other columns than when it
    /// was prepared (0A000: a migration). It is, unless this says otherwise; switched on, for what is prepared from then on.
    ///
    /// That happens only where nothing but the failure could be undone by it: outside of a transaction block, with its own
    /// Sync, started when nothing else was under way, and with nothing started behind it. Then its result is given as if
    /// nothing had happened, with the columns that it has now; else the error is given.
    pub fn set_healing(&mut self, heals: bool) {
        self.engine_mut().set_healing(heals);
    }

    /// Whether every execution of a prepared statement asks for its columns. Else those that it had when it was prepared are
    /// taken for granted: a server that has prepared a statement refuses to execute it with others. Behind a pooler that is not
    /// enough, for the server may be one that prepares the statement only now. `None`, as at the beginning: asks where a pooler
    /// is in between ([`Facts::is_pooled`](crate::engine::Facts::is_pooled)).
    pub fn set_describing(&mut self, describes: Option<bool>) {
        self.engine_mut().set_describing(describes);
    }

    /// Starts any command. With [`End::More`] it has no Sync of its own: [`sync`](Connection::sync) ends the group.
    #[inline(always)]
    pub fn start(&mut self, command: Command<'_>, end: End) -> Result<u64, Error> {
        self.check_room()?;
        let started = self.engine.start(command, end);
        self.trace_step();
        started
    }

    /// Starts a prepared statement as [`Command::Prepared`] does, compiled for the kind of the parameters.
    #[inline(always)]
    pub fn start_prepared_as<P: Parameters>(
        &mut self,
        name: &[u8],
        params: &P,
        format: i16,
        max_rows: u32,
        end: End,
    ) -> Result<u64, Error> {
        self.check_room()?;
        let started = self
            .engine
            .start_prepared(name, params, format, max_rows, end);
        self.trace_step();
        started
    }

    /// Starts a prepared statement for many sets of parameters in one call: `params` of each number below `count`. Gives the id of
    /// the first operation, behind which the others follow, and how many were started; fewer than `count` where the send queue
    /// has no room for more ([`set_send_queue`](Connection::set_send_queue)), or where something is wrong with the next one: a
    /// call for the rest says what.
    ///
    /// All but the one with the last number have no Sync of their own; `end` says whether that one has. `whole`: where there is room
    /// for one there is room for all, so that nothing else comes between them.
    pub fn start_prepared_many<P: Parameters>(
        &mut self,
        name: &[u8],
        count: usize,
        params: impl Fn(usize) -> P,
        format: i16,
        end: End,
        whole: bool,
    ) -> Result<(u64, usize), Error> {
        self.check_room()?;
        let most = match whole {
            true => (usize::MAX, usize::MAX),
            false => (self.queue_limit(), MOST_OPERATIONS),
        };
        let started = self
            .engine
            .start_prepared_many(name, count, params, format, end, most);
        self.send_queue.refused |= started.as_ref().is_ok_and(|(_, many)| *many < count);
        self.trace_step();
        started
    }

    /// Ends a group of operations. Its done carries the errors of the commit.
    pub fn sync(&mut self) -> Result<u64, Error> {
        self.start(Command::Sync, End::Sync)
    }
}
