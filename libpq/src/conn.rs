//! PGconn: a pgpoll connection, and libpq's own state beside it. Opening, polling and closing it.

use std::ffi::{c_char, c_int};
use std::time::Duration;

use libc::FILE;
use pgpoll::conn::{Connection, Readiness};
use pgpoll::conninfo::Options;
use pgpoll::engine::{Phase, Room};
use pgpoll::error::{Error, ServerError};
use pgpoll::net::clock;

use crate::arguments::{pairs, text};
use crate::guard::{Step, drive, enter, guard};
use crate::notice::Hooks;
use crate::report;
use crate::result::{NONFATAL_ERROR, PGresult};
use crate::state::Consumer;
use crate::text::Text;
use crate::tls::Told;
use crate::trace;

/// `ConnStatusType`.
pub(crate) const OK: c_int = 0;
pub(crate) const BAD: c_int = 1;

const POLLING_FAILED: c_int = 0;
const POLLING_READING: c_int = 1;
const POLLING_WRITING: c_int = 2;
const POLLING_OK: c_int = 3;

/// libpq parses up to one result and no further; what has been received is kept without limit.
const ROOM: Room = Room {
    items: 1,
    bytes: usize::MAX,
    inbox: usize::MAX,
};

/// A connection, opaque to C.
#[derive(Debug)]
pub struct PGconn {
    pub(crate) link: Connection,
    pub(crate) consumer: Consumer,
    /// The error buffer.
    pub(crate) message: Text,
    /// How much of it results have told already.
    pub(crate) reported: usize,
    /// The loss of the connection stands in the error buffer.
    pub(crate) loss_told: bool,
    /// What a server said when it ended an idle session: given as a notice.
    pub(crate) goodbye: Option<ServerError>,
    pub(crate) nonblocking: bool,
    pub(crate) hooks: Hooks,
    pub(crate) verbosity: c_int,
    pub(crate) context: c_int,
    pub(crate) trace_file: *mut FILE,
    pub(crate) tls_told: Told,
}

impl PGconn {
    fn open(options: Result<Options, pgpoll::conninfo::Error>) -> Box<Self> {
        let link = match options {
            Ok(options) => Connection::open_with(options, ROOM),
            Err(error) => Connection::failed(Error::misuse(error.to_string())),
        };
        let mut conn = Box::new(Self {
            link,
            consumer: Consumer::new(),
            message: Text::new(),
            reported: 0,
            loss_told: false,
            goodbye: None,
            nonblocking: false,
            hooks: Hooks::DEFAULT,
            verbosity: report::DEFAULT,
            context: report::CONTEXT_OF_ERRORS,
            trace_file: std::ptr::null_mut(),
            tls_told: Told::default(),
        });
        conn.begin();
        conn
    }

    /// Begins to connect, up to a socket to wait for: programs wait until it is writable before they poll. Nothing is sent
    /// yet.
    fn begin(&mut self) {
        self.link.engine_mut().behave_like_libpq();
        loop {
            self.link.advance();
            let answered = self.link.converse();
            if self.link.error().is_some() {
                return self.tell_failure();
            }
            if self.link.socket().is_some() || !answered {
                return;
            }
        }
    }

    /// Closes the connection and begins to connect anew.
    fn begin_again(&mut self) {
        self.link.close();
        self.link.reset();
        // As libpq does.
        self.link.engine_mut().drop_mail();
        self.consumer = Consumer::new();
        self.loss_told = false;
        self.clear_error();
        self.begin();
    }

    pub(crate) fn clear_error(&mut self) {
        self.message.clear();
        self.reported = 0;
    }

    /// `ConnStatusType`.
    pub(crate) fn status(&self) -> c_int {
        let engine = self.link.engine();
        if engine.error().is_some() {
            return BAD;
        }
        match engine.facts().phase() {
            Phase::Ready if self.loss_told => BAD,
            Phase::Ready => OK,
            Phase::Start | Phase::Resolving | Phase::Dialling => 2,
            Phase::Negotiating | Phase::Securing => 7,
            Phase::Startup | Phase::Authenticating => 4,
            Phase::Settling => 5,
            Phase::CheckingTarget => 12,
            Phase::Over => BAD,
        }
    }

    /// How long a wait may last at most.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let deadline = self.link.deadline_ns()?;
        let left = deadline.saturating_sub(clock::now_ns());
        Some(Duration::from_nanos(left))
    }

    /// One turn of connecting (`PostgresPollingStatusType`).
    fn poll_connect(&mut self) -> c_int {
        if self.link.error().is_some() {
            self.tell_failure();
            return POLLING_FAILED;
        }
        if self.link.facts().is_ready() {
            return POLLING_OK;
        }
        let ready = self.link.poll();
        if self.link.error().is_some() {
            self.tell_failure();
            POLLING_FAILED
        } else if self.link.facts().is_ready() {
            POLLING_OK
        } else if ready.has(Readiness::WANT_WRITE | Readiness::RUNNABLE) {
            // A computation that gave way goes on as soon as the socket takes output: at once.
            POLLING_WRITING
        } else {
            POLLING_READING
        }
    }

    fn connect_step(&mut self) -> Step<()> {
        match self.poll_connect() {
            POLLING_READING => Step::Wait {
                read: true,
                write: false,
            },
            POLLING_WRITING => Step::Wait {
                read: true,
                write: true,
            },
            _ => Step::Done(()),
        }
    }

    fn tell_failure(&mut self) {
        if let Some(error) = self.link.error()
            && !self.loss_told
        {
            self.loss_told = true;
            self.message.line(error.message());
        }
    }

    /// The next notice, as a result for the receiver.
    pub(crate) fn next_notice(&mut self) -> Option<Box<PGresult>> {
        let notice = self.link.take_notice().or_else(|| self.goodbye.take())?;
        let text = self.render(&notice, false);
        let result = PGresult::report(NONFATAL_ERROR, self.hooks, notice.as_bytes(), &text);
        Some(Box::new(result))
    }
}

/// Makes a connection for C; NULL without memory.
fn make(options: impl FnOnce() -> Result<Options, pgpoll::conninfo::Error>) -> *mut PGconn {
    match guard(|| PGconn::open(options())) {
        Some(conn) => Box::into_raw(conn),
        None => std::ptr::null_mut(),
    }
}

/// Connects as a connection string or URI says, and waits until that is done; [`PQstatus`](crate::facts::PQstatus) tells
/// whether it worked. Free it with [`PQfinish`].
///
/// # Safety
/// `conninfo` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQconnectdb(conninfo: *const c_char) -> *mut PGconn {
    // SAFETY: the caller's promise; the connection was just made.
    unsafe {
        let conn = make(|| Options::parse(text(conninfo).unwrap_or_default()));
        drive(conn, (), PGconn::connect_step);
        conn
    }
}

/// The same from arrays of keywords and values, which end with a NULL keyword.
///
/// # Safety
/// The arrays are NULL or as said, of NULLs and strings.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQconnectdbParams(
    keywords: *const *const c_char,
    values: *const *const c_char,
    expand_dbname: c_int,
) -> *mut PGconn {
    // SAFETY: the caller's promise; the connection was just made.
    unsafe {
        let conn = make(|| pairs(keywords, values, expand_dbname != 0));
        drive(conn, (), PGconn::connect_step);
        conn
    }
}

/// Begins to connect; go on with [`PQconnectPoll`].
///
/// # Safety
/// `conninfo` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQconnectStart(conninfo: *const c_char) -> *mut PGconn {
    // SAFETY: the caller's promise.
    make(|| Options::parse(unsafe { text(conninfo) }.unwrap_or_default()))
}

/// The same from arrays, as in [`PQconnectdbParams`].
///
/// # Safety
/// The arrays are NULL or as said there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQconnectStartParams(
    keywords: *const *const c_char,
    values: *const *const c_char,
    expand_dbname: c_int,
) -> *mut PGconn {
    // SAFETY: the caller's promise.
    make(|| unsafe { pairs(keywords, values, expand_dbname != 0) })
}

/// Goes on connecting; says what the socket must be ready for before the next call (`PostgresPollingStatusType`).
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQconnectPoll(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { enter(conn, POLLING_FAILED, PGconn::poll_connect) }
}

/// Closes the connection, connects anew with the same options, and waits until that is done.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQreset(conn: *mut PGconn) {
    // SAFETY: the caller's promise.
    unsafe {
        enter(conn, (), PGconn::begin_again);
        drive(conn, (), PGconn::connect_step);
    }
}

/// Closes the connection and begins to connect anew; go on with [`PQresetPoll`]. 1 when it has begun.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQresetStart(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        enter(conn, 0, |conn| {
            conn.begin_again();
            c_int::from(conn.status() != BAD)
        })
    }
}

/// Goes on as [`PQconnectPoll`] does.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQresetPoll(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { enter(conn, POLLING_FAILED, PGconn::poll_connect) }
}

/// Closes a connection and frees it. NULL is fine.
///
/// # Safety
/// As above; what it lent is not used any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQfinish(conn: *mut PGconn) {
    if conn.is_null() {
        return;
    }
    // SAFETY: the caller's promise; connections come from boxes.
    unsafe {
        guard(|| (*conn).link.close());
        trace::write(conn);
        guard(|| drop(Box::from_raw(conn)));
    }
}
