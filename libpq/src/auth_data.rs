//! The hook by which a program gives what only it can know while authenticating: OAuth tokens. Knows no message: the engine asks.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use crate::arguments::text;
use crate::conn::{PGconn, POLLING_FAILED, POLLING_OK};
use crate::guard::guard;

/// `PQauthDataHook_type`: more than 0 when it has dealt with the matter, 0 when it is not its, less when it failed.
pub type AuthDataHook = unsafe extern "C-unwind" fn(c_int, *mut PGconn, *mut c_void) -> c_int;

/// `PGAuthData`: a token is wanted.
const BEARER_TOKEN: c_int = 1;

static HOOK: Mutex<AuthDataHook> = Mutex::new(PQdefaultAuthDataHook);

/// `PGoauthBearerRequest`.
#[repr(C)]
#[derive(Debug)]
struct Request {
    discovery: *const c_char,
    scope: *const c_char,
    go_on: Option<unsafe extern "C-unwind" fn(*mut PGconn, *mut Request, *mut c_int) -> c_int>,
    clean_up: Option<unsafe extern "C-unwind" fn(*mut PGconn, *mut Request)>,
    token: *mut c_char,
    user: *mut c_void,
}

/// The program's way to a token, while it is gone.
#[derive(Debug)]
pub(crate) struct Flow {
    /// From a box; NULL when nothing is under way.
    request: *mut Request,
    texts: (CString, Option<CString>),
    /// What to wait for meanwhile; -1: the connection's own socket.
    pub(crate) socket: c_int,
}

impl Default for Flow {
    fn default() -> Self {
        Self {
            request: ptr::null_mut(),
            texts: Default::default(),
            socket: -1,
        }
    }
}

/// What came of asking the program.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    /// There was nothing to ask.
    Nothing,
    /// The connection can go on.
    Answered,
    /// The program waits for its own socket (`PostgresPollingStatusType`).
    Waiting(c_int),
}

/// Asks the program for the token that a server wants, if one does, with nothing of ours on the stack.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now.
pub(crate) unsafe fn ask(conn: *mut PGconn) -> Asked {
    // SAFETY: the caller's promise; no reference lives while the program is called.
    unsafe {
        let wanted = conn.as_ref().and_then(|conn| conn.link.wanted_token());
        match wanted.map(|wanted| wanted.again) {
            None => Asked::Nothing,
            Some(false) => {
                begin(conn);
                Asked::Answered
            }
            Some(true) => go_on(conn),
        }
    }
}

/// Calls the hook.
///
/// # Safety
/// As for [`ask`], with a token wanted.
unsafe fn begin(conn: *mut PGconn) {
    // SAFETY: the caller's promise; the request lives until it is cleaned up.
    unsafe {
        clean_up(conn);
        let Some(request) = guard(|| (*conn).new_request()) else {
            return refuse(conn, "out of memory");
        };
        let said = hook()(BEARER_TOKEN, conn, request.cast());
        if said > 0 && (*request).token.is_null() {
            guard(|| (*conn).link.put_token_off());
            return;
        }
        if said > 0 {
            give(conn);
        } else if said < 0 {
            refuse(conn, "user-defined OAuth flow failed");
        } else {
            refuse(
                conn,
                "no OAuth flows are available (try installing the libpq-oauth package)",
            );
        }
        clean_up(conn);
    }
}

/// Lets the program go on.
///
/// # Safety
/// As above.
unsafe fn go_on(conn: *mut PGconn) -> Asked {
    // SAFETY: as above.
    unsafe {
        let request = (*conn).flow.request;
        let Some(callback) = request.as_ref().and_then(|request| request.go_on) else {
            refuse(
                conn,
                "user-defined OAuth flow provided neither a token nor an async callback",
            );
            return Asked::Answered;
        };
        let said = callback(conn, request, &raw mut (*conn).flow.socket);
        match said {
            POLLING_FAILED => refuse(conn, "user-defined OAuth flow failed"),
            POLLING_OK if (*request).token.is_null() => {
                refuse(conn, "user-defined OAuth flow did not provide a token");
            }
            POLLING_OK => {
                give(conn);
                clean_up(conn);
            }
            _ if (*conn).flow.socket < 0 => refuse(
                conn,
                "user-defined OAuth flow did not provide a socket for polling",
            ),
            direction => return Asked::Waiting(direction),
        }
        Asked::Answered
    }
}

/// Gives the token of the request to the connection.
///
/// # Safety
/// As above, with a request that has a token.
unsafe fn give(conn: *mut PGconn) {
    // SAFETY: the caller's promise; the token is a string.
    guard(|| unsafe {
        let token = text((*(*conn).flow.request).token).unwrap_or_default();
        (*conn).link.give_token(token);
    });
}

/// # Safety
/// As above.
unsafe fn refuse(conn: *mut PGconn, why: &str) {
    // SAFETY: the caller's promise.
    guard(|| unsafe { (*conn).link.refuse_token(why) });
}

/// Ends what is under way, and lets the program free what it has made for it.
///
/// # Safety
/// `conn` is a connection that nobody else uses now.
pub(crate) unsafe fn clean_up(conn: *mut PGconn) {
    // SAFETY: the caller's promise; requests come from boxes, and each is taken once.
    unsafe {
        let request = std::mem::replace(&mut (*conn).flow.request, ptr::null_mut());
        (*conn).flow.socket = -1;
        if request.is_null() {
            return;
        }
        if let Some(callback) = (*request).clean_up {
            callback(conn, request);
        }
        guard(|| drop(Box::from_raw(request)));
    }
}

impl PGconn {
    /// A request for the token that is wanted.
    fn new_request(&mut self) -> *mut Request {
        let text = |text: &str| CString::new(text).unwrap_or_default();
        if let Some(wanted) = self.link.wanted_token() {
            self.flow.texts = (text(&wanted.discovery), wanted.scope.as_deref().map(text));
        }
        let (discovery, scope) = &self.flow.texts;
        self.flow.request = Box::into_raw(Box::new(Request {
            discovery: discovery.as_ptr(),
            scope: scope.as_ref().map_or(ptr::null(), |scope| scope.as_ptr()),
            go_on: None,
            clean_up: None,
            token: ptr::null_mut(),
            user: ptr::null_mut(),
        }));
        self.flow.request
    }
}

/// The hook that is set.
fn hook() -> AuthDataHook {
    *HOOK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the hook of the whole process; NULL sets [`PQdefaultAuthDataHook`].
///
/// # Safety
/// None is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetAuthDataHook(hook: Option<AuthDataHook>) {
    guard(|| {
        let mut kept = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = hook.unwrap_or(PQdefaultAuthDataHook);
    });
}

/// The hook that is set; never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn PQgetAuthDataHook() -> Option<AuthDataHook> {
    guard(hook)
}

/// The hook of who has set none: knows nothing.
///
/// # Safety
/// None is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn PQdefaultAuthDataHook(
    _what: c_int,
    _conn: *mut PGconn,
    _data: *mut c_void,
) -> c_int {
    0
}
