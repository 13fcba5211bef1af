//! Taking what is finished: one struct of the caller's, filled; no allocation but for rows and errors.

use std::ffi::{c_char, c_int};
use std::mem::{self, offset_of};
use std::ptr;

use pgpoll::engine::{CopyWay, Done, Outcome, Reply, Taken, Verdict, number_returned};
use pgpoll::error::Error;
use pgpoll::rows::Batch;
use pgpoll::wire::{CommandComplete, TransactionStatus};

use crate::border::{Inner, inside};
use crate::error::{self, ConnError};
use crate::open::Conn;
use crate::result::{self, ConnResult, Content};

/// Rows: all of a result or a batch of it, in `result`, which is yours. A result without rows gives one empty batch.
pub const CONN_ITEM_ROWS: i32 = 1;
/// A command is complete; `tag` and `rows` say what it did. Not yet committed: that is known at CONN_ITEM_DONE.
pub const CONN_ITEM_COMPLETE: i32 = 2;
/// The query string was empty.
pub const CONN_ITEM_EMPTY_QUERY: i32 = 3;
/// max_rows is reached: conn_continue asks for more, conn_sync ends it.
pub const CONN_ITEM_SUSPENDED: i32 = 4;
/// The operation failed; `error`, which is yours, says why.
pub const CONN_ITEM_ERROR: i32 = 5;
/// The operation was not tried, because one before it in its group failed.
pub const CONN_ITEM_SKIPPED: i32 = 6;
/// A statement or portal was described: `result`, which is yours, has parameters and columns and no rows.
pub const CONN_ITEM_DESCRIBED: i32 = 7;
/// The last item of every operation: `outcome`, `transaction` and `verdict` are set.
pub const CONN_ITEM_DONE: i32 = 8;

/// A COPY has begun: `copy` says which way. conn_copy_put, conn_copy_end and conn_copy_get go on with it.
pub const CONN_ITEM_COPY: i32 = 9;
/// A function has returned: `result`, which is yours, has one row with one column, in binary; `value` is its number where it
/// is one of 4 or 8 bytes.
pub const CONN_ITEM_CALLED: i32 = 10;

/// COPY FROM STDIN: conn_copy_put takes the data.
pub const CONN_COPY_IN: i32 = 1;
/// COPY TO STDOUT: conn_copy_get gives the data.
pub const CONN_COPY_OUT: i32 = 2;
/// Streaming replication: both at once.
pub const CONN_COPY_BOTH: i32 = 3;

/// The operation did what was asked.
pub const CONN_OUTCOME_OK: i32 = 1;
/// It failed, and an error item came before, unless it had been abandoned; or it had been sent when the connection was lost
/// (CONN_VERDICT_LOST).
pub const CONN_OUTCOME_FAILED: i32 = 2;
/// It was not tried: one before it in its group failed, or nothing of it had been sent when the connection was lost, when
/// its deadline passed, or when it was abandoned.
pub const CONN_OUTCOME_SKIPPED: i32 = 3;
/// The server has done it, after its deadline had passed or after it had been abandoned: it has taken effect, and what it
/// gave was discarded.
pub const CONN_OUTCOME_DISCARDED: i32 = 4;

/// Not known: the connection has not been up yet.
pub const CONN_TRANSACTION_UNKNOWN: i32 = 0;
/// Outside of a transaction block.
pub const CONN_TRANSACTION_IDLE: i32 = 1;
/// In a transaction block.
pub const CONN_TRANSACTION_IN_BLOCK: i32 = 2;
/// In a transaction block that has failed: everything is refused until it ends.
pub const CONN_TRANSACTION_FAILED: i32 = 3;

/// The connection is good for anything.
pub const CONN_VERDICT_CLEAN: i32 = 1;
/// It is good, inside a transaction block or an open group.
pub const CONN_VERDICT_IN_TRANSACTION: i32 = 2;
/// It is over. Whether the operation took effect is not known, unless it was skipped.
pub const CONN_VERDICT_LOST: i32 = 3;

/// Room for a command tag.
pub const CONN_TAG_SIZE: usize = 64;

/// One finished thing. conn_get_result fills it; what does not apply to its kind is 0, NULL or "".
#[repr(C)]
#[derive(Debug)]
pub struct ConnItem {
    /// The operation that it belongs to: what the starter returned. 0 for what no operation asked for.
    pub operation: u64,
    /// CONN_ITEM_…
    pub kind: i32,
    /// CONN_OUTCOME_… of a CONN_ITEM_DONE.
    pub outcome: i32,
    /// CONN_TRANSACTION_… of a CONN_ITEM_DONE.
    pub transaction: i32,
    /// CONN_VERDICT_… of a CONN_ITEM_DONE: what the connection is good for now.
    pub verdict: i32,
    /// CONN_ITEM_ROWS: rows in the batch. CONN_ITEM_COMPLETE: rows that the command touched.
    pub rows: u64,
    /// CONN_ITEM_COPY: CONN_COPY_IN, CONN_COPY_OUT or CONN_COPY_BOTH.
    pub copy: i32,
    /// CONN_ITEM_COPY: CONN_TEXT (rows end with newlines) or CONN_BINARY.
    pub format: i32,
    /// CONN_ITEM_CALLED: what the function returned, where it is a number of 4 or 8 bytes.
    pub value: i64,
    /// CONN_ITEM_ROWS, CONN_ITEM_DESCRIBED, CONN_ITEM_CALLED: yours until conn_result_free.
    pub result: *mut ConnResult,
    /// CONN_ITEM_ERROR: yours until conn_error_free.
    pub error: *mut ConnError,
    /// CONN_ITEM_COMPLETE: the command tag, such as "INSERT 0 1".
    pub tag: [c_char; CONN_TAG_SIZE],
}

/// Takes the next finished item. The items of operations come in order, but for the error of one whose time is over
/// (conn_set_timeout_ms), which comes at once; each operation ends with exactly one
/// CONN_ITEM_DONE. Not taking them stops the reading, so memory stays bounded.
///
/// conn: the connection. item: is filled; its old content is not looked at and not freed.
/// Returns 1; 0 when nothing is finished now, and when it is refused, in which case item is left as it was.
/// item->result and item->error are yours, and outlive the connection.
/// Next: call it until it returns 0, then conn_poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_get_result(conn: *mut Conn, item: *mut ConnItem) -> c_int {
    // SAFETY: the caller's promise; `item` is NULL or points to room for one.
    unsafe {
        inside(conn, 0, |inner, _| {
            if item.is_null() {
                return inner.misuse("item is NULL: pass the address of a ConnItem");
            }
            Some(inner.take_into(item).into())
        })
    }
}

/// Takes several finished items at once: the same as so many calls of conn_get_result, for less.
///
/// conn: the connection. items: room for `most` of them; filled as conn_get_result fills one. most: how many at most.
/// Returns how many were filled; 0 when nothing is finished now, and when it is refused.
/// What they hold is yours, and outlives the connection.
/// Next: call it until it returns less than most, then conn_poll.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_get_results(
    conn: *mut Conn,
    items: *mut ConnItem,
    most: usize,
) -> usize {
    // SAFETY: the caller's promise; `items` is NULL or points to room for `most`.
    unsafe {
        inside(conn, 0, |inner, _| {
            if items.is_null() && most > 0 {
                return inner.misuse("items is NULL: pass the address of room for `most` items");
            }
            let mut count = 0;
            while count < most {
                count += inner.take_answers_into(items.add(count), most - count);
                if count == most || !inner.take_into(items.add(count)) {
                    break;
                }
                count += 1;
            }
            Some(count)
        })
    }
}

/// How the rows of operations that are started from now on are cut into items. Without it a whole result is one item.
///
/// conn: the connection. rows, bytes: a batch ends after so many rows or bytes, whichever comes first; 0 is no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_set_batch(conn: *mut Conn, rows: usize, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, (), |inner, _| {
            inner.connection.set_batch(rows, bytes);
            Some(())
        });
    }
}

impl Inner {
    /// Moves the next finished item into C's; false when there is none.
    ///
    /// # Safety
    /// `item` points to room for one.
    #[inline(always)]
    unsafe fn take_into(&mut self, item: *mut ConnItem) -> bool {
        let taken = self.connection.take_with(|operation, taken| {
            // SAFETY: the caller's promise.
            unsafe {
                clear(item, operation);
                let kind = match taken {
                    Taken::Rows(rows) => match rows.take() {
                        Some(batch) => fill_rows(item, batch),
                        None => CONN_ITEM_EMPTY_QUERY,
                    },
                    Taken::Complete(tag) => fill_tag(item, tag.as_bytes()),
                    Taken::Done(done) => fill_done(item, done),
                    Taken::Other(reply) => fill_other(item, mem::replace(reply, Reply::EmptyQuery)),
                };
                (&raw mut (*item).kind).write(kind);
            }
        });
        taken.is_some()
    }

    /// Moves the two or three items of each whole answer into C's; how many items.
    ///
    /// # Safety
    /// `items` points to room for `most`.
    #[inline(always)]
    unsafe fn take_answers_into(&mut self, items: *mut ConnItem, most: usize) -> usize {
        let mut count = 0;
        while most - count >= 3 {
            let taken = self.connection.take_answer(|operation, rows, tag, done| {
                // SAFETY: the caller's promise: three have room.
                unsafe { fill_answer(items.add(count), operation, rows, tag.as_bytes(), done) }
            });
            match taken {
                Some(filled) => count += filled,
                None => break,
            }
        }
        if most - count >= 3 {
            let connection = &mut self.connection;
            connection.take_left_answers(|operation, rows, tag, done| {
                // SAFETY: as above.
                count += unsafe { fill_answer(items.add(count), operation, rows, tag, done) };
                most - count >= 3
            });
        }
        count
    }
}

/// Fills the two or three items of a whole answer; how many.
///
/// # Safety
/// `item` points to room for three.
#[inline(always)]
unsafe fn fill_answer(
    item: *mut ConnItem,
    operation: u64,
    rows: Option<Batch>,
    tag: &[u8],
    done: Done,
) -> usize {
    // SAFETY: the caller's promise.
    unsafe {
        let mut next = 0;
        if let Some(batch) = rows {
            clear(item, operation);
            let kind = fill_rows(item, batch);
            (&raw mut (*item).kind).write(kind);
            next = 1;
        }
        let complete = item.add(next);
        clear(complete, operation);
        let kind = fill_tag(complete, tag);
        (&raw mut (*complete).kind).write(kind);
        let last = item.add(next + 1);
        clear(last, operation);
        let kind = fill_done(last, done);
        (&raw mut (*last).kind).write(kind);
        next + 2
    }
}

/// Writes what an item of no kind is. Of the tag, which is last, only the first byte is written: the rest need not be anything.
///
/// # Safety
/// `item` points to room for one.
#[inline(always)]
unsafe fn clear(item: *mut ConnItem, operation: u64) {
    // SAFETY: the caller's promise; all that is written may be all zeros.
    unsafe {
        ptr::write_bytes(item.cast::<u8>(), 0, offset_of!(ConnItem, tag) + 1);
        (&raw mut (*item).operation).write(operation);
    }
}

/// # Safety
/// `item` points to a [`ConnItem`]; so for those below.
#[inline(always)]
unsafe fn fill_rows(item: *mut ConnItem, batch: Batch) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        (&raw mut (*item).rows).write(batch.rows() as u64);
        hand_over(item, Content::Rows(batch), CONN_ITEM_ROWS)
    }
}

/// # Safety
/// As above.
#[inline(always)]
unsafe fn fill_tag(item: *mut ConnItem, tag: &[u8]) -> i32 {
    let rows = CommandComplete { tag }.rows().unwrap_or(0);
    // SAFETY: the caller's promise.
    unsafe {
        write_tag((&raw mut (*item).tag).cast(), tag);
        (&raw mut (*item).rows).write(rows);
    }
    CONN_ITEM_COMPLETE
}

/// # Safety
/// As above.
#[inline(always)]
unsafe fn fill_done(item: *mut ConnItem, done: Done) -> i32 {
    let (outcome, transaction, verdict) = numbers(done);
    // SAFETY: the caller's promise.
    unsafe {
        (&raw mut (*item).outcome).write(outcome);
        (&raw mut (*item).transaction).write(transaction);
        (&raw mut (*item).verdict).write(verdict);
    }
    CONN_ITEM_DONE
}

/// # Safety
/// As above.
#[inline(never)]
unsafe fn fill_other(item: *mut ConnItem, reply: Reply) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        match reply {
            Reply::Rows(batch) => fill_rows(item, batch),
            Reply::Complete(tag) => fill_tag(item, tag.as_bytes()),
            Reply::Done(done) => fill_done(item, done),
            Reply::EmptyQuery => CONN_ITEM_EMPTY_QUERY,
            Reply::Suspended => CONN_ITEM_SUSPENDED,
            Reply::Skipped => CONN_ITEM_SKIPPED,
            Reply::Copy(copying) => {
                (&raw mut (*item).copy).write(match copying.way {
                    CopyWay::In => CONN_COPY_IN,
                    CopyWay::Out => CONN_COPY_OUT,
                    CopyWay::Both => CONN_COPY_BOTH,
                });
                (&raw mut (*item).format).write(i32::from(copying.format));
                CONN_ITEM_COPY
            }
            Reply::Described {
                parameters,
                columns,
            } => {
                let content = Content::Described {
                    parameters,
                    columns,
                };
                hand_over(item, content, CONN_ITEM_DESCRIBED)
            }
            Reply::Error(error) => {
                (&raw mut (*item).error).write(give_error(*error));
                CONN_ITEM_ERROR
            }
            Reply::Called(batch) => {
                (&raw mut (*item).value).write(number_returned(&batch).unwrap_or(0));
                hand_over(item, Content::Rows(batch), CONN_ITEM_CALLED)
            }
        }
    }
}

/// # Safety
/// `item` points to a [`ConnItem`].
#[inline]
unsafe fn hand_over(item: *mut ConnItem, content: Content, kind: i32) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        match result::give(content) {
            Some(result) => {
                (&raw mut (*item).result).write(result);
                kind
            }
            None => {
                (&raw mut (*item).error).write(error::no_memory());
                CONN_ITEM_ERROR
            }
        }
    }
}

/// # Safety
/// `place` points to room for [`CONN_TAG_SIZE`] bytes.
#[inline]
unsafe fn write_tag(place: *mut u8, tag: &[u8]) {
    let length = tag.len().min(CONN_TAG_SIZE - 1);
    let tag = tag.as_ptr();
    // SAFETY: `length` bytes and a NUL fit.
    unsafe {
        match length {
            // What most of them are: two words, which may overlap, instead of a call.
            8..=16 => {
                ptr::copy_nonoverlapping(tag, place, 8);
                ptr::copy_nonoverlapping(tag.add(length - 8), place.add(length - 8), 8);
            }
            _ => ptr::copy_nonoverlapping(tag, place, length),
        }
        place.add(length).write(0);
    }
}

#[cold]
fn give_error(error: Error) -> *mut ConnError {
    error::give(error)
}

fn numbers(done: Done) -> (i32, i32, i32) {
    let outcome = match done.outcome {
        Outcome::Ok => CONN_OUTCOME_OK,
        Outcome::Failed => CONN_OUTCOME_FAILED,
        Outcome::Skipped => CONN_OUTCOME_SKIPPED,
        Outcome::Discarded => CONN_OUTCOME_DISCARDED,
    };
    let verdict = match done.verdict {
        Verdict::Clean => CONN_VERDICT_CLEAN,
        Verdict::InTransaction => CONN_VERDICT_IN_TRANSACTION,
        Verdict::Lost => CONN_VERDICT_LOST,
    };
    (outcome, transaction(done.transaction), verdict)
}

pub(crate) fn transaction(status: TransactionStatus) -> i32 {
    match status {
        TransactionStatus::Idle => CONN_TRANSACTION_IDLE,
        TransactionStatus::InTransaction => CONN_TRANSACTION_IN_BLOCK,
        TransactionStatus::Failed => CONN_TRANSACTION_FAILED,
    }
}
