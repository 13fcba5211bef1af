//! Starting operations: the starters, and what continues and ends what they have started.

use std::ffi::{c_char, c_int};

use pgpoll::engine::{Command, End};
use pgpoll::error::Error;
use pgpoll::wire::Parameters;

use crate::border::{Inner, inside};
use crate::open::Conn;
use crate::text;

/// More follows in this group: the operation has no Sync of its own, and conn_sync ends the group.
pub const CONN_MORE: u32 = 1;
/// Of conn_start_prepared_many: where there is room for one execution in the send queue, there is room for all.
pub const CONN_WHOLE: u32 = 2;

/// Values as text.
pub const CONN_TEXT: c_int = 0;
/// Values in PostgreSQL's binary form of their type.
pub const CONN_BINARY: c_int = 1;

/// Starts a simple query: one or several statements in one string, results as text.
///
/// conn: a connection that is up. sql: the statements; not needed after the call.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, which sends it; conn_get_result gives its items, the last of which is CONN_ITEM_DONE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_query(conn: *mut Conn, sql: *const c_char) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let sql = inner.text(sql, "sql is NULL: pass the statements")?;
            inner.start_hot(Command::Query { sql }, 0)
        })
    }
}

/// Starts one statement with parameters ($1, $2, …).
///
/// conn: a connection that is up. sql: the statement. n: how many parameters, at most 65535.
/// types: n type OIDs, 0 where the server infers one; NULL where it infers all.
/// values: n values, NULL for SQL NULL. A text value ends with NUL. May be NULL when n is 0.
/// lengths: n lengths; only those of binary values are read. May be NULL when all values are text.
/// formats: n formats, CONN_TEXT or CONN_BINARY; NULL when all are text.
/// result_format: CONN_TEXT or CONN_BINARY, of all columns of the result.
/// max_rows: after so many rows the operation is suspended (CONN_ITEM_SUSPENDED): conn_continue or conn_sync; 0 gives all.
/// flags: 0 or CONN_MORE. Nothing that is passed is needed after the call.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_query_params(
    conn: *mut Conn,
    sql: *const c_char,
    n: c_int,
    types: *const u32,
    values: *const *const c_char,
    lengths: *const c_int,
    formats: *const c_int,
    result_format: c_int,
    max_rows: c_int,
    flags: u32,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let sql = inner.text(sql, "sql is NULL: pass the statement")?;
            let params = inner.values(n, values, lengths, formats)?;
            let command = Command::Params {
                sql,
                types: text::array(types, params.len()),
                params: &params,
                format: inner.format(result_format)?,
                max_rows: inner.rows(max_rows)?,
            };
            inner.start_hot(command, flags)
        })
    }
}

/// Starts to prepare a statement. Its description is an item (CONN_ITEM_DESCRIBED), and its columns are remembered, so that
/// executing it costs the server and the network no more than it must.
///
/// conn: a connection that is up. name: the statement's name; "" is the unnamed one. sql: the statement.
/// n, types: type OIDs of the first n parameters, 0 where the server infers one; 0 and NULL where it infers all.
/// flags: 0 or CONN_MORE. Nothing that is passed is needed after the call.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result; conn_start_prepared executes it, and may be called at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_prepare(
    conn: *mut Conn,
    name: *const c_char,
    sql: *const c_char,
    n: c_int,
    types: *const u32,
    flags: u32,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let name = inner.text(name, NAME)?;
            let sql = inner.text(sql, "sql is NULL: pass the statement")?;
            let count = inner.count(n)?;
            if count > 0 && types.is_null() {
                return inner.misuse("types is NULL while n is not 0: pass n type OIDs");
            }
            let command = Command::Prepare {
                name,
                sql,
                types: text::array(types, count),
                describe: true,
            };
            inner.start(command, flags)
        })
    }
}

/// Starts a prepared statement.
///
/// conn: a connection that is up. name: the statement's name.
/// n, values, lengths, formats, result_format, max_rows, flags: as in conn_start_query_params.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_prepared(
    conn: *mut Conn,
    name: *const c_char,
    n: c_int,
    values: *const *const c_char,
    lengths: *const c_int,
    formats: *const c_int,
    result_format: c_int,
    max_rows: c_int,
    flags: u32,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let name = inner.text(name, NAME)?;
            let params = inner.values(n, values, lengths, formats)?;
            let format = inner.format(result_format)?;
            let max_rows = inner.rows(max_rows)?;
            let end = inner.end(flags)?;
            let connection = &mut inner.connection;
            let started = connection.start_prepared_as(name, &params, format, max_rows, end);
            inner.started(started)
        })
    }
}

/// Starts a prepared statement many times, each time with values of its own: what a loop of conn_start_prepared with CONN_MORE
/// does, for less.
///
/// conn: a connection that is up. name: the statement's name. n: how many parameters it has.
/// rows: how many times. values: rows times n values, those of one execution behind those of the one before; as in
/// conn_start_query_params. lengths: as many lengths, or NULL when all values are text. formats: n formats, the same for
/// all executions; NULL when all are text. result_format: as there.
/// flags: CONN_MORE, CONN_WHOLE, both, or 0. The executions are one group; with CONN_MORE it ends with conn_sync, else with the last
/// one. With CONN_WHOLE only what was queued before them counts as queued: where there is room for one, all are started.
/// started: where it goes how many were started. Fewer than rows where too much is queued (conn_set_send_queue): go on with the
/// rest when conn_poll says CONN_ROOM; or where something is wrong with the next one: call it with the rest to be told.
/// Returns the id of the first operation, behind which the others' follow; 0 when none was started, and conn_error(conn) says
/// why.
/// Next: conn_poll, conn_get_results.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_prepared_many(
    conn: *mut Conn,
    name: *const c_char,
    n: c_int,
    rows: usize,
    values: *const *const c_char,
    lengths: *const c_int,
    formats: *const c_int,
    result_format: c_int,
    flags: u32,
    started: *mut usize,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        if !started.is_null() {
            started.write(0);
        }
        inside(conn, 0, |inner, _| {
            if started.is_null() {
                return inner.misuse("started is NULL: pass the address of a size_t");
            }
            if rows == 0 {
                return inner.misuse("rows is 0: there is nothing to start");
            }
            let name = inner.text(name, NAME)?;
            let params = inner.many_values(n, rows, values, lengths, formats)?;
            let format = inner.format(result_format)?;
            let end = inner.end(flags & !CONN_WHOLE)?;
            let whole = flags & CONN_WHOLE != 0;
            let params = |row| params.row(row);
            let connection = &mut inner.connection;
            match connection.start_prepared_many(name, rows, params, format, end, whole) {
                Ok((first, count)) => {
                    started.write(count);
                    Some(first)
                }
                Err(error) => inner.refuse(error),
            }
        })
    }
}

/// Starts to describe a prepared statement: its parameters and columns (CONN_ITEM_DESCRIBED).
///
/// conn: a connection that is up. name: the statement's name. flags: 0 or CONN_MORE.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_describe_statement(
    conn: *mut Conn,
    name: *const c_char,
    flags: u32,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        named(conn, name, flags, |name| Command::DescribeStatement {
            name,
        })
    }
}

/// Starts to describe a portal (a cursor): its columns (CONN_ITEM_DESCRIBED).
///
/// conn: a connection that is up. name: the portal's name. flags: 0 or CONN_MORE.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_describe_portal(
    conn: *mut Conn,
    name: *const c_char,
    flags: u32,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { named(conn, name, flags, |name| Command::DescribePortal { name }) }
}

/// Starts to close a prepared statement. It is no error if there is none of that name.
///
/// conn: a connection that is up. name: the statement's name. flags: 0 or CONN_MORE.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_close_statement(
    conn: *mut Conn,
    name: *const c_char,
    flags: u32,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { named(conn, name, flags, |name| Command::CloseStatement { name }) }
}

/// Starts to close a portal (a cursor). It is no error if there is none of that name.
///
/// conn: a connection that is up. name: the portal's name. flags: 0 or CONN_MORE.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_close_portal(
    conn: *mut Conn,
    name: *const c_char,
    flags: u32,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { named(conn, name, flags, |name| Command::ClosePortal { name }) }
}

/// Ends a group of operations started with CONN_MORE, or a suspended operation. Outside of a transaction block the group's
/// work is committed here: the done of this operation says whether it was.
///
/// conn: a connection that is up.
/// Returns the id of the sync, an operation of its own (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_sync(conn: *mut Conn) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { inside(conn, 0, |inner, _| inner.start(Command::Sync, 0)) }
}

/// Asks for more rows of an operation that was suspended at its max_rows. To be done with it instead, call conn_sync.
///
/// conn: a connection whose last item was CONN_ITEM_SUSPENDED. max_rows: how many more at most; 0 gives all.
/// Returns 1; 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: the rows belong to the operation that was suspended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_continue(conn: *mut Conn, max_rows: c_int) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let max_rows = inner.rows(max_rows)?;
            match inner.connection.engine_mut().continue_portal(max_rows) {
                Ok(()) => Some(1),
                Err(error) => inner.refuse(error),
            }
        })
    }
}

/// Asks the server to send what the operations of the open group have yielded so far. conn_poll does that by itself when
/// nothing follows in the group: this is for those who go on.
///
/// conn: a connection that is up.
/// Returns 1; 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_flush_request(conn: *mut Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let room = inner.connection.check_room();
            match room.and_then(|()| inner.connection.engine_mut().flush_request()) {
                Ok(()) => Some(1),
                Err(error) => inner.refuse(error),
            }
        })
    }
}

/// How much may be queued and not sent. With as much queued, conn_start_*, conn_sync and conn_flush_request are refused with
/// CONN_ERROR_WOULD_BLOCK; so they are with more than 262,144 operations started and not done, each of which takes some
/// hundred bytes of memory. One operation may be as large as it likes: only what was queued before it counts.
///
/// conn: the connection. bytes: 16 MiB as at the beginning, and for 0. conn_reset keeps it.
/// Next: after a refusal, conn_poll or conn_wait until CONN_ROOM, which is said once, when half of it is free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_set_send_queue(conn: *mut Conn, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, (), |inner, _| {
            inner.connection.set_send_queue(bytes);
            Some(())
        });
    }
}

/// Whether a prepared statement is prepared again, and executed once more, when the server refuses its execution because it
/// has lost the statement (26000: a pooler, DISCARD in a function) or because its result has other columns than when it was
/// prepared (0A000: a migration). It is as if nothing had happened, but for the columns, which are those that it has now:
/// switch it off where cells are read by what CONN_ITEM_DESCRIBED said once.
///
/// That is done where a failure undoes nothing: outside of a transaction block, for an operation without CONN_MORE and
/// max_rows, started when nothing else was under way, and with nothing started behind it. Everywhere else the error is given.
/// Statements prepared by conn_start_prepare under a name are remembered, up to 1 MiB of their text.
///
/// conn: the connection. on: 1, as at the beginning, or 0. conn_reset keeps it. Switched on, it is so for what is prepared
///   from then on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_set_healing(conn: *mut Conn, on: c_int) {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, (), |inner, _| {
            inner.connection.set_healing(on != 0);
            Some(())
        });
    }
}

/// Whether every execution of a prepared statement asks for its columns. Else those that it had when it was prepared are taken
/// for granted, since a server that has prepared a statement refuses to execute it once it has others. Behind a pooler that
/// prepares by itself that is not enough: a server that prepares the statement only now says nothing of a change before that.
///
/// conn: the connection. on: 1 always; 0 never; -1, as at the beginning: where a pooler is in between, which is told by its
///   conn_backend_pid being the number of no process (0, or above 2^22, which is as far as Linux counts): one pooler's
///   connection in a thousand has such a number by chance. conn_reset keeps it. Columns are remembered of what is prepared while
///   it is off.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_set_describing(conn: *mut Conn, on: c_int) {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, (), |inner, _| {
            inner.connection.set_describing((on >= 0).then_some(on > 0));
            Some(())
        });
    }
}

const NAME: &str = "name is NULL: pass \"\" for the unnamed one";

/// # Safety
/// `conn` as for [`inside`]; `name` is NULL or a C string.
unsafe fn named(
    conn: *mut Conn,
    name: *const c_char,
    flags: u32,
    command: impl FnOnce(&[u8]) -> Command<'_>,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let name = inner.text(name, NAME)?;
            inner.start(command(name), flags)
        })
    }
}

impl Inner {
    /// Starts a command.
    #[inline(never)]
    pub(crate) fn start(&mut self, command: Command<'_>, flags: u32) -> Option<u64> {
        self.start_hot(command, flags)
    }

    /// The same, compiled for the kind of command that the caller makes: for the starters of queries.
    #[inline(always)]
    fn start_hot(&mut self, command: Command<'_>, flags: u32) -> Option<u64> {
        let end = self.end(flags)?;
        let started = self.connection.start(command, end);
        self.started(started)
    }

    #[inline(always)]
    fn end(&mut self, flags: u32) -> Option<End> {
        match flags {
            0 => Some(End::Sync),
            CONN_MORE => Some(End::More),
            _ => self.misuse("flags has unknown bits: pass 0 or CONN_MORE; CONN_WHOLE is of conn_start_prepared_many alone"),
        }
    }

    #[inline(always)]
    fn started(&mut self, started: Result<u64, Error>) -> Option<u64> {
        match started {
            Ok(operation) => Some(operation),
            Err(error) => self.refuse(error),
        }
    }
}
