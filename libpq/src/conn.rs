//! PGconn: a pgpoll connection, and libpq's own state beside it. Opening, polling and closing it.

use std::ffi::{c_char, c_int};
use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::time::Duration;

use libc::FILE;
use pgpoll::conn::{Connection, Readiness};
use pgpoll::conninfo::{Options, is_connection_string};
use pgpoll::engine::{Phase, Room, Texts};
use pgpoll::error::{Error, ServerError};
use pgpoll::link::Addr;
use pgpoll::net::clock;

use crate::arguments::{pairs, text};
use crate::auth_data::{self, Asked, Flow};
use crate::events;
use crate::guard::{Step, drive, edit, enter, guard, silence};
use crate::locale::surroundings;
use crate::notice::{Hooks, own};
use crate::place::Place;
use crate::report;
use crate::result::{NONFATAL_ERROR, Origin, Owned};
use crate::state::Consumer;
use crate::text::Text;
use crate::tls::Told;
use crate::trace;

/// `ConnStatusType`.
pub(crate) const OK: c_int = 0;
pub(crate) const BAD: c_int = 1;
const MADE: c_int = 3;
const AUTHENTICATING: c_int = 15;

pub(crate) const POLLING_FAILED: c_int = 0;
pub(crate) const POLLING_READING: c_int = 1;
const POLLING_WRITING: c_int = 2;
pub(crate) const POLLING_OK: c_int = 3;

/// `PGPing`.
const PING_OK: c_int = 0;
const PING_REJECT: c_int = 1;
const PING_NO_RESPONSE: c_int = 2;
const PING_NO_ATTEMPT: c_int = 3;

/// libpq parses up to one result and no further, as far as a program can tell; what has been received is kept without limit.
const ROOM: Room = Room {
    items: 1,
    ahead: 64,
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
    /// It got as far as to try a host.
    options_valid: bool,
    /// The generation of the socket that was found to be connected, and nothing else.
    made: u64,
    /// The descriptor of a connection that a server has refused, open as long as nothing else is polled.
    left: Option<RawFd>,
    /// What a server said when it ended an idle session: given as a notice.
    pub(crate) goodbye: Option<ServerError>,
    pub(crate) nonblocking: bool,
    /// A result was waited for, and nothing has been received since.
    pub(crate) waited: bool,
    /// A function of large objects has been called before.
    pub(crate) knows_large_objects: bool,
    /// What results get from it.
    pub(crate) origin: Origin,
    pub(crate) verbosity: c_int,
    pub(crate) context: c_int,
    pub(crate) trace_file: *mut FILE,
    pub(crate) tls_told: Told,
    pub(crate) place: Place,
    pub(crate) flow: Flow,
    /// What was last said about texts, as far as the functions without a connection know it.
    pub(crate) texts: Texts,
}

impl PGconn {
    fn open(options: Result<Options, pgpoll::conninfo::Error>) -> Box<Self> {
        let mut message = Text::new();
        let mut refuse = |error: &pgpoll::conninfo::Error| {
            message.push(error.as_bytes());
            message.push(b"\n");
        };
        let link = match options {
            Ok(options) => Connection::open_with(options, ROOM, &surroundings()),
            Err(error) => {
                refuse(&error);
                Connection::failed(Error::misuse(error.to_string()))
            }
        };
        for warning in link.warnings() {
            // Nobody is there to be told that standard error is closed.
            let _ = writeln!(io::stderr(), "{warning}");
        }
        if let Some(error) = link.refused() {
            refuse(error);
        }
        let refused = message.len() > 0;
        let options_valid = !refused || link.refused().is_some_and(|error| error.is_late());
        let mut conn = Box::new(Self {
            link,
            consumer: Consumer::new(),
            message,
            reported: 0,
            loss_told: refused,
            options_valid,
            made: 0,
            left: None,
            goodbye: None,
            nonblocking: false,
            waited: false,
            knows_large_objects: false,
            origin: Origin {
                hooks: Hooks::DEFAULT,
                ..Origin::NONE
            },
            verbosity: report::DEFAULT,
            context: report::CONTEXT_OF_ERRORS,
            trace_file: std::ptr::null_mut(),
            tls_told: Told::default(),
            place: Place::default(),
            flow: Flow::default(),
            texts: Texts::default(),
        });
        conn.begin();
        conn
    }

    /// Begins to connect, up to a socket to wait for: programs wait until it is writable before they poll. Nothing is sent
    /// yet.
    fn begin(&mut self) {
        self.link.engine_mut().behave_like_libpq();
        // A helper would have a descriptor, and programs ask once for the one that they watch.
        self.link.look_for_credentials_at_once();
        self.link.set_asked_for_token(pgpoll::conn::Asked::AtOnce);
        loop {
            self.link.advance();
            self.link.pass_on();
            if self.link.error().is_some() {
                return self.tell_failure();
            }
            // A local socket is connected at once; whether another one is, the first poll finds out.
            let at_once = self.link.socket().is_none() || self.is_local();
            let answered = at_once && self.link.converse();
            if self.link.socket().is_some() {
                if answered && self.link.facts().phase() == Phase::Dialling {
                    self.made = self.link.socket_generation();
                }
                return;
            }
            if !answered {
                return;
            }
        }
    }

    /// Whether there was a server at the other end.
    fn is_linked(&self) -> bool {
        !matches!(
            self.link.facts().phase(),
            Phase::Start | Phase::Resolving | Phase::Credentials | Phase::Dialling
        ) || self.made == self.link.socket_generation()
    }

    /// The descriptor to wait for, or to forget after connecting has failed.
    pub(crate) fn socket(&self) -> c_int {
        match self.flow.socket {
            // It goes with the connection, once that has been up.
            -1 if self.loss_told && self.left.is_none() => -1,
            -1 => self.link.socket().or(self.left).unwrap_or(-1),
            socket => socket,
        }
    }

    /// Whether a local socket is dialled, which is connected at once.
    fn is_local(&self) -> bool {
        matches!(self.link.facts().addr(), Some(Addr::Unix(_)))
    }

    /// Looks whether the socket that is dialled is connected, and does no more: true when it is, and that was not known.
    fn find_made(&mut self) -> bool {
        let dialled = self.link.socket_generation();
        if self.link.facts().phase() != Phase::Dialling
            || self.made == dialled
            || !self.link.converse()
            || self.link.socket().is_none()
            || self.link.socket_generation() != dialled
        {
            return false;
        }
        self.made = dialled;
        true
    }

    /// Closes the connection and begins to connect anew.
    fn begin_again(&mut self) {
        self.nonblocking = false;
        if self.options_valid {
            self.link.close();
            self.link.reset();
        }
        // As libpq does.
        self.link.engine_mut().drop_mail();
        self.consumer = Consumer::new();
        self.place = Place::default();
        self.left = None;
        // What is forgotten here was not said by a server.
        self.texts = self.link.facts().texts();
        self.clear_error();
        if self.options_valid {
            self.loss_told = false;
            self.begin();
        }
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
            Phase::Dialling if self.made == self.link.socket_generation() => MADE,
            Phase::Start | Phase::Resolving | Phase::Credentials | Phase::Dialling => 2,
            Phase::NegotiatingGss | Phase::SecuringGss => 11,
            Phase::Negotiating | Phase::Securing => 7,
            Phase::Authenticating if self.link.wanted_token().is_some() => AUTHENTICATING,
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

    /// What came of connecting (`PGPing`).
    fn ping(&self) -> c_int {
        let facts = self.link.facts();
        if self.status() != BAD || facts.challenged() {
            return PING_OK;
        }
        if !self.options_valid {
            return PING_NO_ATTEMPT;
        }
        let said = self.link.error().and_then(Error::server_error);
        match said.and_then(ServerError::sqlstate) {
            None => PING_NO_RESPONSE,
            Some(b"57P03") => PING_REJECT,
            Some(_) => PING_OK,
        }
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
        let socket = self.link.socket().filter(|_| self.is_linked());
        let ready = self.link.poll();
        if self.link.error().is_some() {
            // Closed only with the connection: the program still has to remove it from what it watches.
            self.left = socket;
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

    /// The same for a program that waits itself: as in libpq, a turn ends when the socket is connected.
    fn step(&mut self) -> c_int {
        if self.find_made() {
            return POLLING_WRITING;
        }
        self.poll_connect()
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

    #[inline]
    pub(crate) fn has_notice(&self) -> bool {
        self.goodbye.is_some() || self.link.engine().has_mail().0
    }

    /// The next notice, as a result for the receiver.
    pub(crate) fn next_notice(&mut self) -> Option<Owned> {
        let notice = self.link.take_notice().or_else(|| self.goodbye.take())?;
        // A server says with each what it is about; the engine has nothing but words.
        if notice.field(b'C').is_none() {
            let words = notice.field(b'M').unwrap_or_default();
            return Some(own(self.origin.hooks, words));
        }
        Some(self.report(NONFATAL_ERROR, notice))
    }
}

/// Makes a connection for C; NULL without memory.
fn make(options: impl FnOnce() -> Result<Options, pgpoll::conninfo::Error>) -> *mut PGconn {
    silence();
    match guard(|| PGconn::open(options())) {
        Some(conn) => Box::into_raw(conn),
        None => std::ptr::null_mut(),
    }
}

/// The options of a database, or of a connection string, and what else was given.
fn login(
    database: &[u8],
    given: &[(&str, Option<&[u8]>)],
) -> Result<Options, pgpoll::conninfo::Error> {
    let mut options = if is_connection_string(database) {
        Options::parse(database)?
    } else {
        Options::default()
    };
    let database = (
        "dbname",
        Some(database).filter(|name| !is_connection_string(name)),
    );
    for (keyword, value) in given.iter().chain([&database]) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            options.set(keyword, value)?;
        }
    }
    Ok(options)
}

/// One turn of connecting, with what the program is asked in it (`PostgresPollingStatusType`).
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now.
unsafe fn turn(conn: *mut PGconn) -> c_int {
    loop {
        // SAFETY: the caller's promise.
        let (said, asked) = unsafe {
            let said = enter(conn, POLLING_FAILED, PGconn::step);
            (said, auth_data::ask(conn))
        };
        match asked {
            Asked::Nothing => return said,
            Asked::Answered => {}
            Asked::Waiting(direction) => return direction,
        }
    }
}

/// Closes and begins anew.
///
/// # Safety
/// As above.
unsafe fn start_again(conn: *mut PGconn) {
    if !conn.is_null() {
        // SAFETY: the caller's promise.
        unsafe {
            auth_data::clean_up(conn);
            edit(conn, (), PGconn::begin_again);
        }
    }
}

/// Waits for a connection to be made or not, says which, and frees it.
///
/// # Safety
/// `conn` is NULL or a connection that was just made.
unsafe fn ping(conn: *mut PGconn) -> c_int {
    if conn.is_null() {
        return PING_NO_ATTEMPT;
    }
    // SAFETY: the caller's promise.
    unsafe {
        drive(conn, (), PGconn::connect_step);
        let said = guard(|| (*conn).ping()).unwrap_or(PING_NO_ATTEMPT);
        finish(conn);
        said
    }
}

/// Closes and frees.
///
/// # Safety
/// `conn` is a connection that nobody uses any more.
unsafe fn finish(conn: *mut PGconn) {
    // SAFETY: the caller's promise; connections come from boxes.
    unsafe {
        auth_data::clean_up(conn);
        guard(|| (*conn).link.close());
        trace::write(conn);
        events::tell_destroy(conn);
        guard(|| drop(Box::from_raw(conn)));
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

/// The same from what programs of old gave one by one; a NULL or an empty text is not given. `database` may be a connection
/// string, which the others then overrule.
///
/// # Safety
/// Each argument is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQsetdbLogin(
    host: *const c_char,
    port: *const c_char,
    options: *const c_char,
    _tty: *const c_char,
    database: *const c_char,
    user: *const c_char,
    password: *const c_char,
) -> *mut PGconn {
    // SAFETY: the caller's promise; the connection was just made.
    unsafe {
        let given = [
            ("host", text(host)),
            ("port", text(port)),
            ("options", text(options)),
            ("user", text(user)),
            ("password", text(password)),
        ];
        let conn = make(|| login(text(database).unwrap_or_default(), &given));
        drive(conn, (), PGconn::connect_step);
        conn
    }
}

/// Asks whether there is a server, as [`PQconnectdb`] connects (`PGPing`): 0 there is one, 1 it lets nobody in now, 2 none
/// answered, 3 the connection string makes no sense. No user, password or database need be right.
///
/// # Safety
/// `conninfo` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQping(conninfo: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { ping(make(|| Options::parse(text(conninfo).unwrap_or_default()))) }
}

/// The same from arrays, as in [`PQconnectdbParams`].
///
/// # Safety
/// The arrays are NULL or as said there.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQpingParams(
    keywords: *const *const c_char,
    values: *const *const c_char,
    expand_dbname: c_int,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { ping(make(|| pairs(keywords, values, expand_dbname != 0))) }
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
    unsafe { turn(conn) }
}

/// Closes the connection, connects anew with the same options, and waits until that is done.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQreset(conn: *mut PGconn) {
    // SAFETY: the caller's promise.
    unsafe {
        start_again(conn);
        drive(conn, (), PGconn::connect_step);
        if enter(conn, BAD, |conn| conn.status()) == OK {
            events::tell_reset(conn);
        }
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
        start_again(conn);
        enter(conn, 0, |conn| c_int::from(conn.status() != BAD))
    }
}

/// Goes on as [`PQconnectPoll`] does.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQresetPoll(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        let said = turn(conn);
        if said == POLLING_OK {
            events::tell_reset(conn);
        }
        said
    }
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
    // SAFETY: the caller's promise.
    unsafe { finish(conn) };
}
