//! A connection for the tests, with the pointers wrapped. Knows the calls, not what they should do.

use std::ffi::{CStr, CString, c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;

use pgpoll_capi::*;
use testkit::shared;

/// A text of the library, for comparing.
pub(crate) fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: a C string that the caller has just been given.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_string_lossy().into_owned())
}

pub(crate) fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

/// A connection that is closed at the end.
pub(crate) struct Session(pub(crate) *mut Conn);

impl Session {
    /// Begins to connect.
    pub(crate) fn begin(conninfo: &str) -> Session {
        // SAFETY: a C string.
        let conn = unsafe { conn_open(c(conninfo).as_ptr()) };
        assert!(!conn.is_null());
        Session(conn)
    }

    /// A connection to the shared server that is up.
    pub(crate) fn open() -> Session {
        let session = Session::begin(&shared().conninfo());
        session.wait_until_idle();
        session
    }

    pub(crate) fn wait_until_idle(&self) {
        loop {
            // SAFETY: the connection is open.
            let bits = unsafe { conn_wait(self.0, 10_000) };
            assert_eq!(bits & CONN_FAILED, 0, "{:?}", self.error());
            assert_ne!(bits & (CONN_IDLE | CONN_RESULT), 0, "ten seconds are over");
            if bits & CONN_IDLE != 0 {
                return;
            }
        }
    }

    /// What `conn_error` says: kind and message.
    pub(crate) fn error(&self) -> Option<(i32, String)> {
        said(self.0)
    }

    pub(crate) fn start(&self, sql: &str) -> u64 {
        // SAFETY: an open connection and a C string.
        let operation = unsafe { conn_start_query(self.0, c(sql).as_ptr()) };
        assert_ne!(operation, 0, "{:?}", self.error());
        operation
    }

    /// A statement with text parameters, all on: results in `format`, more rows than `max_rows` later.
    pub(crate) fn start_params(
        &self,
        sql: &str,
        values: &[Option<&str>],
        format: c_int,
        max_rows: c_int,
        flags: u32,
    ) -> u64 {
        let values: Vec<_> = values.iter().map(|value| value.map(c)).collect();
        let pointers: Vec<_> = values
            .iter()
            .map(|value| value.as_ref().map_or(ptr::null(), |value| value.as_ptr()))
            .collect();
        // SAFETY: an open connection, C strings, and arrays as long as `n`.
        let operation = unsafe {
            conn_start_query_params(
                self.0,
                c(sql).as_ptr(),
                pointers.len() as c_int,
                ptr::null(),
                pointers.as_ptr(),
                ptr::null(),
                ptr::null(),
                format,
                max_rows,
                flags,
            )
        };
        assert_ne!(operation, 0, "{:?}", self.error());
        operation
    }

    /// The next item, waited for.
    pub(crate) fn next(&self) -> Taken {
        loop {
            if let Some(taken) = self.try_next() {
                return taken;
            }
            // SAFETY: the connection is open.
            let bits = unsafe { conn_wait(self.0, 10_000) };
            assert_ne!(
                bits & (CONN_RESULT | CONN_NOTICE | CONN_NOTIFY | CONN_ROOM),
                0,
                "{bits}"
            );
        }
    }

    /// The next item, if there is one.
    pub(crate) fn try_next(&self) -> Option<Taken> {
        let mut item = MaybeUninit::<ConnItem>::uninit();
        // SAFETY: an open connection and room for an item, which is filled when the call returns 1.
        unsafe {
            match conn_get_result(self.0, item.as_mut_ptr()) {
                0 => None,
                _ => Some(Taken::new(item.as_ptr())),
            }
        }
    }

    /// All items of an operation.
    pub(crate) fn finish(&self, operation: u64) -> Vec<Taken> {
        let mut all = Vec::new();
        loop {
            let taken = self.next();
            assert_eq!(taken.operation, operation);
            let last = taken.kind == CONN_ITEM_DONE;
            all.push(taken);
            if last {
                return all;
            }
        }
    }

    /// The same in words.
    pub(crate) fn finish_in_words(&self, operation: u64) -> Vec<String> {
        self.finish(operation).iter().map(Taken::words).collect()
    }

    pub(crate) fn query(&self, sql: &str) -> Vec<String> {
        let operation = self.start(sql);
        self.finish_in_words(operation)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the last use.
        unsafe { conn_close(self.0) };
    }
}

/// What `conn_error` says of a connection, or of NULL.
pub(crate) fn said(conn: *const Conn) -> Option<(i32, String)> {
    // SAFETY: NULL or an open connection.
    unsafe {
        let error = conn_error(conn);
        (!error.is_null()).then(|| {
            let message = text(conn_error_message(error)).unwrap();
            (conn_error_kind(error), message)
        })
    }
}

/// An item with what it owns.
pub(crate) struct Taken {
    pub(crate) operation: u64,
    pub(crate) kind: i32,
    pub(crate) outcome: i32,
    pub(crate) transaction: i32,
    pub(crate) verdict: i32,
    pub(crate) rows: u64,
    pub(crate) result: *mut ConnResult,
    pub(crate) error: *mut ConnError,
    pub(crate) tag: String,
}

impl Taken {
    /// Reads the fields one by one: behind the tag's NUL there may be anything.
    pub(crate) unsafe fn new(item: *const ConnItem) -> Taken {
        // SAFETY: filled by `conn_get_result`.
        unsafe {
            Taken {
                operation: (*item).operation,
                kind: (*item).kind,
                outcome: (*item).outcome,
                transaction: (*item).transaction,
                verdict: (*item).verdict,
                rows: (*item).rows,
                result: (*item).result,
                error: (*item).error,
                tag: text((&raw const (*item).tag).cast()).unwrap(),
            }
        }
    }

    /// A cell as text.
    pub(crate) fn cell(&self, row: usize, column: usize) -> Option<String> {
        // SAFETY: the result is alive.
        text(unsafe { conn_result_value(self.result, row, column) })
    }

    /// In short: columns and cells, a tag, an error, a done.
    pub(crate) fn words(&self) -> String {
        // SAFETY: the result and the error are alive.
        unsafe {
            match self.kind {
                CONN_ITEM_ROWS => {
                    assert_eq!(self.rows as usize, conn_result_rows(self.result));
                    let columns = conn_result_columns(self.result);
                    let row = |row| {
                        let cells = (0..columns).map(|column| self.cell(row, column));
                        cells
                            .map(|cell| cell.unwrap_or("NULL".into()))
                            .collect::<Vec<_>>()
                            .join(",")
                    };
                    let rows: Vec<_> = (0..self.rows as usize).map(row).collect();
                    format!("{}: {}", names(self.result), rows.join(" / "))
                }
                CONN_ITEM_COMPLETE => format!("{} {}", self.tag, self.rows),
                CONN_ITEM_EMPTY_QUERY => "(empty)".into(),
                CONN_ITEM_SUSPENDED => "(suspended)".into(),
                CONN_ITEM_ERROR => {
                    let state = text(conn_error_sqlstate(self.error)).unwrap_or_default();
                    format!("{state} {}", text(conn_error_message(self.error)).unwrap())
                }
                CONN_ITEM_SKIPPED => "(skipped)".into(),
                CONN_ITEM_DESCRIBED => {
                    let mut count = 0;
                    let types = conn_result_parameters(self.result, &mut count);
                    let types: Vec<_> = (0..count).map(|at| (*types.add(at)).to_string()).collect();
                    format!("({}) -> {}", types.join(","), names(self.result))
                }
                CONN_ITEM_DONE => {
                    format!(
                        "done {} {} {}",
                        self.outcome, self.transaction, self.verdict
                    )
                }
                kind => panic!("there is no kind {kind}"),
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // SAFETY: they are this item's, and NULL is fine.
        unsafe {
            conn_result_free(self.result);
            conn_error_free(self.error);
        }
    }
}

fn names(result: *const ConnResult) -> String {
    // SAFETY: the result is alive.
    let name = |column| text(unsafe { conn_result_name(result, column) }).unwrap();
    // SAFETY: as above.
    let columns = unsafe { conn_result_columns(result) };
    (0..columns).map(name).collect::<Vec<_>>().join(",")
}
