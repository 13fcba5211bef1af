//! PGresult: a shared, immutable view of what the engine yielded, in libpq's terms. Knows no connection.

use std::ffi::{c_char, c_int};
use std::sync::Arc;

use pgpoll::error::ServerError;
use pgpoll::rows::{Batch, Column, Columns};

use crate::guard::guard;
use crate::notice::Hooks;
use crate::text::EMPTY;

/// `ExecStatusType` of libpq-fe.h.
pub(crate) const EMPTY_QUERY: c_int = 0;
pub(crate) const COMMAND_OK: c_int = 1;
pub(crate) const TUPLES_OK: c_int = 2;
pub(crate) const NONFATAL_ERROR: c_int = 6;
pub(crate) const FATAL_ERROR: c_int = 7;
pub(crate) const SINGLE_TUPLE: c_int = 9;
pub(crate) const PIPELINE_SYNC: c_int = 10;
pub(crate) const PIPELINE_ABORTED: c_int = 11;
pub(crate) const TUPLES_CHUNK: c_int = 12;

/// Bytes of a command tag with its NUL; longer ones are cut.
const TAG: usize = 64;

/// A result, opaque to C.
#[derive(Debug)]
pub struct PGresult {
    pub(crate) status: c_int,
    pub(crate) hooks: Hooks,
    pub(crate) columns: Option<Arc<Columns>>,
    pub(crate) rows: Option<Batch>,
    pub(crate) parameters: Box<[u32]>,
    tag: [u8; TAG],
    /// The error message with its NUL; empty when there is none.
    message: Box<[u8]>,
    pub(crate) fields: Option<ServerError>,
}

impl PGresult {
    pub(crate) fn new(status: c_int, hooks: Hooks) -> Self {
        Self {
            status,
            hooks,
            columns: None,
            rows: None,
            parameters: Box::default(),
            tag: [0; TAG],
            message: Box::default(),
            fields: None,
        }
    }

    /// Rows with their columns.
    pub(crate) fn tuples(status: c_int, hooks: Hooks, rows: Batch) -> Self {
        Self {
            columns: Some(rows.columns().clone()),
            rows: Some(rows),
            ..Self::new(status, hooks)
        }
    }

    /// An error or notice of the server, and the text made of it.
    pub(crate) fn report(status: c_int, hooks: Hooks, body: &[u8], message: &[u8]) -> Self {
        Self {
            fields: ServerError::new(body).ok(),
            ..Self::error(status, hooks, message)
        }
    }

    /// An error of which there is only a text.
    pub(crate) fn error(status: c_int, hooks: Hooks, message: &[u8]) -> Self {
        let mut text = Vec::new();
        if text.try_reserve_exact(message.len() + 1).is_ok() {
            text.extend_from_slice(message);
        } else {
            text.extend_from_slice(b"out of memory\n");
        }
        text.push(0);
        Self {
            message: text.into(),
            ..Self::new(status, hooks)
        }
    }

    pub(crate) fn set_tag(&mut self, tag: &[u8]) {
        let len = tag.len().min(TAG - 1);
        self.tag = [0; TAG];
        self.tag[..len].copy_from_slice(&tag[..len]);
    }

    /// The command tag up to its NUL.
    pub(crate) fn tag(&self) -> &[u8] {
        &self.tag
    }

    pub(crate) fn message(&self) -> *const c_char {
        if self.message.is_empty() {
            return EMPTY;
        }
        self.message.as_ptr().cast()
    }

    pub(crate) fn row_count(&self) -> usize {
        self.rows.as_ref().map_or(0, Batch::rows)
    }

    pub(crate) fn column_count(&self) -> usize {
        self.columns.as_ref().map_or(0, |columns| columns.len())
    }

    pub(crate) fn column(&self, index: usize) -> Option<&Column> {
        self.columns.as_ref()?.get(index)
    }

    /// 0 text, 1 binary.
    pub(crate) fn format(&self, column: usize) -> i16 {
        match &self.rows {
            Some(rows) => rows.format(column),
            None => self.column(column).map_or(0, |column| column.format),
        }
    }
}

/// Frees a result. NULL is fine.
///
/// # Safety
/// `result` is NULL or a result that was not freed yet; nothing that it lent is used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQclear(result: *mut PGresult) {
    if !result.is_null() {
        // SAFETY: the caller's promise; results come from boxes.
        guard(|| drop(unsafe { Box::from_raw(result) }));
    }
}
