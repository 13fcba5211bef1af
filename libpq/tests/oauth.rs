//! Bearer tokens from the program's hook, through the exported functions: at once, when the program has one, or never.
#![allow(clippy::unwrap_used)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pq::auth_data::PQsetAuthDataHook;
use pq::conn::{PGconn, PQconnectPoll, PQconnectStart, PQconnectdb, PQfinish};
use pq::facts::{PQsocket, PQstatus};
use pq::notice::PQerrorMessage;
use testkit::script::{
    ISSUERS_DOCUMENT, Script, Scripted, auth_ok, bearer_challenge, bearer_dummy, bearer_shown,
};

const TOKEN: &CStr = c"token of the test";

const FAILED: c_int = 0;
const READING: c_int = 1;
const OK: c_int = 3;

/// `PGoauthBearerRequest`.
#[repr(C)]
struct Request {
    discovery: *const c_char,
    scope: *const c_char,
    go_on: Option<unsafe extern "C-unwind" fn(*mut PGconn, *mut Request, *mut c_int) -> c_int>,
    clean_up: Option<unsafe extern "C-unwind" fn(*mut PGconn, *mut Request)>,
    token: *mut c_char,
    user: *mut c_void,
}

/// What a request's `user` points to: the token is there when the pipe can be read.
struct Flow {
    pipe: PipeReader,
    calls: usize,
}

/// Flows that are not cleaned up yet.
static FLOWS: AtomicUsize = AtomicUsize::new(0);
/// What the program wants to be waited for; -1: nothing.
static SOCKET: AtomicI32 = AtomicI32::new(-1);
/// The other end of the last flow's pipe.
static PIPE: Mutex<Option<PipeWriter>> = Mutex::new(None);

/// The hook is of the whole process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: nothing is asked of the caller.
    unsafe { PQsetAuthDataHook(Some(hook)) };
    one
}

/// Does what the scope says.
unsafe extern "C-unwind" fn hook(what: c_int, _: *mut PGconn, data: *mut c_void) -> c_int {
    assert_eq!(what, 1, "a bearer token");
    // SAFETY: that is what comes with it; the texts live as long as the request.
    let (request, discovery, scope) = unsafe {
        let request = &mut *data.cast::<Request>();
        let texts = (CStr::from_ptr(request.discovery), request.scope);
        (request, texts.0, CStr::from_ptr(texts.1))
    };
    assert_eq!(discovery.to_bytes(), ISSUERS_DOCUMENT.as_bytes());
    let (reader, writer) = io::pipe().unwrap();
    let flow = Flow {
        pipe: reader,
        calls: 0,
    };
    request.user = Box::into_raw(Box::new(flow)).cast();
    request.clean_up = Some(clean_up);
    FLOWS.fetch_add(1, Ordering::Relaxed);
    *PIPE.lock().unwrap() = Some(writer);
    match scope.to_bytes() {
        b"now" => request.token = TOKEN.as_ptr().cast_mut(),
        b"later" | b"soon" | b"late failure" => request.go_on = Some(go_on),
        b"nothing" => {}
        b"failure" => return -1,
        _ => return 0,
    }
    1
}

unsafe extern "C-unwind" fn go_on(
    _: *mut PGconn,
    request: *mut Request,
    socket: *mut c_int,
) -> c_int {
    // SAFETY: the hook has made the flow, and nobody else uses it.
    unsafe {
        let flow = &mut *(*request).user.cast::<Flow>();
        flow.calls += 1;
        *socket = flow.pipe.as_raw_fd();
        let scope = CStr::from_ptr((*request).scope);
        if !can_be_read(*socket, 0) {
            SOCKET.store(*socket, Ordering::Relaxed);
            if scope != c"later" {
                token_arrives();
            }
            return READING;
        }
        if scope == c"late failure" {
            return FAILED;
        }
        assert!(flow.calls > 1, "it had to wait");
        (*request).token = TOKEN.as_ptr().cast_mut();
    }
    OK
}

unsafe extern "C-unwind" fn clean_up(_: *mut PGconn, request: *mut Request) {
    // SAFETY: as above; it is cleaned up once.
    drop(unsafe { Box::from_raw((*request).user.cast::<Flow>()) });
    SOCKET.store(-1, Ordering::Relaxed);
    FLOWS.fetch_sub(1, Ordering::Relaxed);
}

fn token_arrives() {
    let pipe = PIPE.lock().unwrap();
    pipe.as_ref().unwrap().write_all(b"!").unwrap();
}

fn can_be_read(socket: c_int, timeout: c_int) -> bool {
    let mut waited = libc::pollfd {
        fd: socket,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one pollfd.
    (unsafe { libc::poll(&raw mut waited, 1, timeout) }) > 0
}

/// It tells who issues tokens.
fn asked() -> Script {
    bearer_shown("").send(bearer_challenge())
}

fn lets_in() -> Script {
    bearer_shown("Bearer token of the test")
        .send(auth_ok())
        .settled()
}

fn conninfo(server: &Scripted, scope: &str) -> CString {
    let options = format!("oauth_issuer=https://i oauth_client_id=c oauth_scope='{scope}'");
    CString::new(format!("{} {options}", server.conninfo())).unwrap()
}

fn error(conn: *const PGconn) -> String {
    // SAFETY: the connection is open, and its error ends with a NUL.
    let text = unsafe { CStr::from_ptr(PQerrorMessage(conn)) };
    text.to_str().unwrap().to_owned()
}

/// Connects as `PQconnectdb` does; gives the error.
fn connect(scripts: &[Script], scope: &str) -> String {
    let server = Scripted::unix(scripts);
    // SAFETY: the string lives through the call.
    let conn = unsafe { PQconnectdb(conninfo(&server, scope).as_ptr()) };
    let error = error(conn);
    // SAFETY: it is open, and not used any more.
    unsafe {
        assert_eq!(PQstatus(conn) == 0, error.is_empty(), "{error}");
        PQfinish(conn);
    }
    assert_eq!(FLOWS.load(Ordering::Relaxed), 0, "it is cleaned up");
    if error.is_empty() {
        assert!(server.finish().iter().all(|played| played.is_over));
    }
    error
}

#[test]
fn a_token_that_is_given_at_once() {
    let _one = alone();
    assert_eq!(connect(&[asked(), lets_in()], "now"), "");
}

#[test]
fn a_token_that_is_waited_for() {
    let _one = alone();
    assert_eq!(
        connect(&[asked().expect(&bearer_dummy()), lets_in()], "soon"),
        ""
    );
}

#[test]
fn no_token() {
    let _one = alone();
    for (scope, text) in [
        (
            "nothing",
            "user-defined OAuth flow provided neither a token nor an async callback",
        ),
        ("failure", "user-defined OAuth flow failed"),
        ("late failure", "user-defined OAuth flow failed"),
        (
            "not mine",
            "no OAuth flows are available (try installing the libpq-oauth package)",
        ),
    ] {
        let said = connect(&[asked()], scope);
        assert!(said.ends_with(&format!(" failed: {text}\n")), "{said}");
    }
    // SAFETY: nothing is asked of the caller.
    unsafe { PQsetAuthDataHook(None) };
    let said = connect(&[asked()], "now");
    assert!(said.contains("no OAuth flows are available"), "{said}");
}

/// The program's socket takes the place of the connection's while the program waits.
#[test]
fn a_token_that_takes_its_time() {
    let _one = alone();
    let first = asked().expect(&bearer_dummy());
    let server = Scripted::unix(&[first, lets_in()]);
    // SAFETY: the string lives through the call; the connection is open until it is finished.
    unsafe {
        let conn = PQconnectStart(conninfo(&server, "later").as_ptr());
        let (mut waited, mut wants) = (0, 2);
        while wants != OK {
            assert_ne!(wants, FAILED, "{}", error(conn));
            let socket = PQsocket(conn);
            let theirs = SOCKET.load(Ordering::Relaxed);
            if theirs >= 0 {
                assert_eq!((wants, socket), (READING, theirs));
                // One call comes too early.
                waited += 1;
                if waited == 2 {
                    token_arrives();
                }
            } else if wants == READING {
                assert!(can_be_read(socket, 60_000));
            }
            wants = PQconnectPoll(conn);
        }
        assert_eq!((PQstatus(conn), waited), (0, 2));
        assert_eq!(FLOWS.load(Ordering::Relaxed), 0, "it is cleaned up");
        PQfinish(conn);
    }
    assert!(server.finish().iter().all(|played| played.is_over));
}
