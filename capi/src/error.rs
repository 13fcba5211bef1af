//! Errors as C keeps them: `ConnError`, whose it is, and `conn_error`. What it tells is in `fields`.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::{LazyLock, OnceLock};

use pgpoll::error::{Error, Family, ServerError};

use crate::border::{self, allocate, guard, handle};
use crate::open::Conn;
use crate::text;

/// The server said no: conn_error_sqlstate and the other fields are its words.
pub const CONN_ERROR_SERVER: i32 = 1;
/// The connection could not be made, broke, or carried what the protocol does not allow.
pub const CONN_ERROR_TRANSPORT: i32 = 2;
/// The caller asked for what cannot be done; the message says what to do instead.
pub const CONN_ERROR_MISUSE: i32 = 3;
/// Nobody's fault: so much is queued that nothing more can be started now. Poll until CONN_ROOM, and try again.
pub const CONN_ERROR_WOULD_BLOCK: i32 = 4;

/// An error or a notice, with everything that is known of it. Never changes; may be read from several threads.
#[derive(Debug)]
pub struct ConnError {
    pub(crate) kind: i32,
    pub(crate) error: Error,
    /// The message with its NUL, where the server's own field is not it.
    message: Option<Cow<'static, CStr>>,
    /// The whole text, once somebody has asked.
    pub(crate) text: OnceLock<CString>,
}

impl ConnError {
    pub(crate) fn new(error: Error) -> Self {
        // The engine's message is made readable, and names the server while connecting; the field is byte-exact.
        let is_field = error.server_error().is_some_and(|server| {
            String::from_utf8_lossy(server.message()) == error.message()
                && server.field_with_nul(b'M').is_some()
        });
        let message = (!is_field).then(|| Cow::Owned(text::owned(error.message().as_bytes())));
        Self {
            kind: family(&error),
            error,
            message,
            text: OnceLock::new(),
        }
    }

    pub(crate) fn server(&self) -> Option<&ServerError> {
        self.error.server_error()
    }

    pub(crate) fn field(&self, code: u8) -> *const c_char {
        text::borrowed(self.server().and_then(|server| server.field_with_nul(code)))
    }

    pub(crate) fn message(&self) -> *const c_char {
        match &self.message {
            Some(message) => message.as_ptr(),
            None => self.field(b'M'),
        }
    }

    /// As psql shows it, which does not know the query's text either when it shows the position as a number.
    pub(crate) fn whole_text(&self) -> CString {
        let message = match &self.message {
            Some(message) => Cow::Borrowed(message.to_bytes()),
            None => Cow::Borrowed(self.server().map_or(&b""[..], ServerError::message)),
        };
        let Some(server) = self.server() else {
            return text::owned(&message);
        };
        let mut whole = Vec::new();
        if self.message.is_none()
            && let Some(severity) = server.field(b'S')
        {
            whole.extend_from_slice(severity);
            whole.extend_from_slice(b":  ");
        }
        whole.extend_from_slice(&message);
        if let Some(position) = server.field(b'P').or_else(|| server.field(b'p')) {
            whole.extend_from_slice(b" at character ");
            whole.extend_from_slice(position);
        }
        for (label, code) in [
            ("DETAIL", b'D'),
            ("HINT", b'H'),
            ("QUERY", b'q'),
            ("CONTEXT", b'W'),
        ] {
            if let Some(field) = server.field(code) {
                whole.extend_from_slice(format!("\n{label}:  ").as_bytes());
                whole.extend_from_slice(field);
            }
        }
        text::owned(&whole)
    }
}

/// What is said when there is no memory left to say it with.
static NO_MEMORY: LazyLock<ConnError> = LazyLock::new(|| ConnError {
    kind: CONN_ERROR_TRANSPORT,
    error: Error::transport("out of memory: the result is lost"),
    message: Some(Cow::Borrowed(c"out of memory: the result is lost")),
    text: OnceLock::new(),
});

/// Makes [`no_memory`] before it is needed.
pub(crate) fn prepare_for_no_memory() {
    LazyLock::force(&NO_MEMORY);
}

/// The error for what could not be handed over; freeing it does nothing.
#[cold]
pub(crate) fn no_memory() -> *mut ConnError {
    (&raw const *NO_MEMORY).cast_mut()
}

/// An error for C to keep.
#[cold]
pub(crate) fn give(error: Error) -> *mut ConnError {
    allocate(ConnError::new(error)).unwrap_or_else(|_| no_memory())
}

thread_local! {
    /// The last call of this thread that was refused and has no connection, or found none to enter.
    static OUTSIDE: RefCell<Option<Box<ConnError>>> = const { RefCell::new(None) };
}

/// Keeps why this thread's call could not enter a connection, for `conn_error(NULL)`.
#[cold]
pub(crate) fn refuse_outside(message: &'static str) {
    refuse_without(|| Error::misuse(message));
}

/// Keeps why this thread's call was refused that has no connection, for `conn_error(NULL)`.
#[cold]
pub(crate) fn refuse_without(why: impl FnOnce() -> Error) {
    guard((), || {
        let error = Box::new(ConnError::new(why()));
        // A thread that is ending has no such place any more; then nobody asks.
        let _ = OUTSIDE.try_with(|outside| outside.replace(Some(error)));
    });
}

fn outside() -> *const ConnError {
    let last = OUTSIDE.try_with(|outside| outside.borrow().as_deref().map(ptr::from_ref));
    last.ok().flatten().unwrap_or(ptr::null())
}

/// What went wrong: the last call since the last conn_poll that was refused; else why the connection is over.
///
/// conn: the connection; NULL asks for this thread's last refused call that had no connection (conn_result_export_arrow, those of a
///   group), a NULL one, or one that another call was inside.
/// Returns the error, NULL when there is none. The error of an operation is not here: it is an item of conn_get_result.
/// Borrowed until the next call with this connection (NULL: until this thread's next refused call); do not free it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error(conn: *const Conn) -> *const ConnError {
    guard(ptr::null(), || {
        // SAFETY: the caller's promise.
        let Some(mut entered) = (unsafe { handle(conn) }).and_then(|handle| handle.enter()) else {
            return outside();
        };
        let inner = entered.inner();
        if let Some(refused) = &inner.refused {
            return &raw const **refused;
        }
        if inner.over.is_none() {
            let over = inner.connection.error().cloned();
            inner.over = over.map(|error| Box::new(ConnError::new(error)));
        }
        inner.over.as_deref().map_or(ptr::null(), ptr::from_ref)
    })
}

/// Frees an error or a notice that is yours: from conn_get_result or conn_get_notice.
///
/// error: the error, or NULL. What conn_error returned is not yours.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_error_free(error: *mut ConnError) {
    if error != no_memory() {
        // SAFETY: the caller's promise.
        unsafe { border::free(error) };
    }
}

fn family(error: &Error) -> i32 {
    match error.family() {
        Family::Server => CONN_ERROR_SERVER,
        Family::Transport => CONN_ERROR_TRANSPORT,
        Family::Misuse if error.is_would_block() => CONN_ERROR_WOULD_BLOCK,
        Family::Misuse => CONN_ERROR_MISUSE,
    }
}
