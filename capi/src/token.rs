//! Bearer tokens for servers that want OAuth (manual, "OAuth Authorization/Authentication"; RFC 7628): each connection has its own.

use std::ffi::{c_char, c_int};
use std::ptr;

use pgpoll::conn::Asked;
use pgpoll::link::TokenAsk;

use crate::border::inside;
use crate::facts::{FIRST_TOKEN_SLOT, kept};
use crate::open::Conn;
use crate::text;

/// Of a token, in bytes; the server's own bound for a message with one is lower (PG_MAX_AUTH_TOKEN_LENGTH).
const MOST: usize = 1024 * 1024;

/// Gives the bearer token with which the connection lets itself in where the server wants one (OAUTHBEARER). The option oauth_issuer
/// says whose tokens they are; oauth_client_id has to be set, too. An issuer: the token is shown only to servers that name a discovery
/// document of that issuer, over a second connection. A discovery document: it is shown at once to the server that wants one, and
/// over a transport of yours (conn_open_fd, conn_open_stream), which is one connection only, there is no other way.
///
/// Before the first conn_poll it is at hand when the server asks; while there is CONN_WANT_TOKEN it is what the connection waits for;
/// when the connection is up, or over, it is for the next conn_reset.
///
/// conn: the connection. token: the token, of which a copy is kept, over resets too, and wiped when it goes; NULL forgets the one before,
///   and answers no CONN_WANT_TOKEN.
/// Returns 1; 0 when it is refused: it has characters that bearer tokens have not (RFC 6750, 2.1), or is longer than 1 MiB.
/// Next: conn_poll. A token that the server does not take ends in CONN_FAILED; give another, and conn_reset.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_give_token(conn: *mut Conn, token: *const c_char) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let token = text::bytes(token);
            if token.is_some_and(|token| token.len() > MOST) {
                return inner.misuse(
                    "that is no bearer token: it is longer than 1 MiB, and PostgreSQL takes 64 KiB",
                );
            }
            if token.is_some_and(|token| !is_bearer_token(token)) {
                return inner.misuse(
                    "that is no bearer token: it is letters, digits and -._~+/, and = at its end (RFC 6750)",
                );
            }
            inner.connection.keep_token(token);
            Some(1)
        })
    }
}

/// Whether the connection asks for a token that was not given: by CONN_WANT_TOKEN, when a server wants one. None waits for the answer
/// then, so that it may take its time, but for connect_timeout; over a transport of yours (conn_open_fd, conn_open_stream) the server
/// does wait. Without, such a server does not let it in.
///
/// conn: the connection. on: 1: it asks; 0: it does not, as at the beginning, but a CONN_WANT_TOKEN that is there stays. conn_reset
///   keeps it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_set_ask_token(conn: *mut Conn, on: c_int) {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, (), |inner, _| {
            inner.connection.set_asked_for_token(match on {
                0 => Asked::Never,
                _ => Asked::AtLeisure,
            });
            Some(())
        });
    }
}

/// Says that there will be no token. Without CONN_WANT_TOKEN nothing happens.
///
/// conn: the connection. why: becomes its error; NULL is "no token was given".
/// Next: conn_poll, which says CONN_FAILED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_refuse_token(conn: *mut Conn, why: *const c_char) {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, (), |inner, _| {
            let why = text::bytes(why).unwrap_or(b"no token was given");
            inner.connection.refuse_token(String::from_utf8_lossy(why));
            Some(())
        });
    }
}

/// Where the issuer of the token that is wanted describes itself: the URL of its discovery document (RFC 8414, OpenID Connect
/// Discovery).
///
/// conn: the connection.
/// Returns the URL; NULL without CONN_WANT_TOKEN, and when it is refused.
/// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_token_discovery(conn: *const Conn) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { wanted(conn, 0, |ask| Some(&ask.discovery)) }
}

/// The scopes that the token that is wanted has to be for, separated by spaces: of the option oauth_scope, or else as the server says.
///
/// conn: the connection.
/// Returns the scopes; NULL where they are not known, without CONN_WANT_TOKEN, and when it is refused.
/// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_token_scope(conn: *const Conn) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe { wanted(conn, 1, |ask| ask.scope.as_ref()) }
}

/// # Safety
/// As for [`inside`].
unsafe fn wanted(
    conn: *const Conn,
    number: usize,
    text: impl FnOnce(&TokenAsk) -> Option<&String>,
) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null(), |inner, _| {
            let text = text(inner.connection.wanted_token()?)?;
            kept(&mut inner.shown, FIRST_TOKEN_SLOT + number, text.as_bytes())
        })
    }
}

fn is_bearer_token(token: &[u8]) -> bool {
    let end = token.iter().rposition(|&byte| byte != b'=');
    let Some(end) = end else { return false };
    token[..=end]
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte))
}
