//! Bearer tokens: given before, asked for, refused, forgotten; each connection's own.

use std::ffi::CString;
use std::ptr;

use pgpoll_capi::*;
use testkit::script::{
    ISSUERS_DOCUMENT, Script, Scripted, auth_ok, bearer_challenge, bearer_dummy, bearer_shown,
    error,
};

use crate::session::{Session, c, text};

/// It tells who issues tokens.
fn asked() -> Script {
    bearer_shown("").send(bearer_challenge())
}

/// The same, and does not wait for one.
fn asked_and_gone() -> Script {
    asked().expect(&bearer_dummy())
}

fn lets_in(token: &str) -> Script {
    let credentials = format!("Bearer {token}");
    bearer_shown(&credentials).send(auth_ok()).settled()
}

fn begin(server: &Scripted, options: &str) -> Session {
    let options = format!("{} oauth_client_id=c {options}", server.conninfo());
    Session::begin(&options)
}

fn give(session: &Session, token: &str) -> i32 {
    // SAFETY: an open connection and a C string.
    unsafe { conn_give_token(session.0, c(token).as_ptr()) }
}

fn ask(session: &Session) {
    // SAFETY: an open connection.
    unsafe { conn_set_ask_token(session.0, 1) };
}

/// Polls until one of the bits is there.
fn wait(session: &Session, bits: u32) -> u32 {
    loop {
        // SAFETY: the connection is open.
        let said = unsafe { conn_wait(session.0, 10_000) };
        assert_ne!(
            said & !(CONN_WANT_READ | CONN_WANT_WRITE),
            0,
            "ten seconds are over"
        );
        if said & (bits | CONN_FAILED) != 0 {
            return said;
        }
    }
}

/// The URL and the scopes of what is wanted.
fn wanted(session: &Session) -> (Option<String>, Option<String>) {
    // SAFETY: the connection is open.
    unsafe {
        let discovery = conn_token_discovery(session.0);
        (text(discovery), text(conn_token_scope(session.0)))
    }
}

#[test]
fn a_token_at_hand_is_shown_to_whom_the_issuer_trusts_and_again_after_a_reset() {
    let scripts = [asked(), lets_in("a.b~c=="), asked(), lets_in("a.b~c==")];
    let server = Scripted::unix(&scripts);
    let session = begin(&server, "oauth_issuer=https://i");
    assert_eq!(give(&session, "a.b~c=="), 1);
    session.wait_until_idle();
    // SAFETY: the connection is open.
    unsafe { conn_reset(session.0) };
    session.wait_until_idle();
    assert_eq!(wanted(&session), (None, None));
}

#[test]
fn a_token_is_asked_for_when_no_server_waits_for_it() {
    let server = Scripted::unix(&[asked_and_gone(), lets_in("late")]);
    let session = begin(
        &server,
        "oauth_issuer=https://i oauth_scope='a b' connect_timeout=60",
    );
    ask(&session);
    assert_ne!(wait(&session, CONN_WANT_TOKEN) & CONN_WANT_TOKEN, 0);
    let scope = Some("a b".to_owned());
    assert_eq!(wanted(&session), (Some(ISSUERS_DOCUMENT.to_owned()), scope));
    // SAFETY: the connection is open.
    unsafe {
        assert_ne!(
            conn_poll(session.0) & CONN_WANT_TOKEN,
            0,
            "it is asked until it is answered"
        );
        assert!(conn_deadline_ms(session.0) > 0, "connect_timeout counts");
    }
    assert_eq!(give(&session, "late"), 1);
    assert_eq!(wait(&session, CONN_IDLE) & CONN_WANT_TOKEN, 0);
    assert_eq!(session.error(), None);
    assert_eq!(wanted(&session), (None, None));
    drop(session);
    assert!(server.finish().iter().all(|played| played.is_over));
}

/// Trap 34, OAuth by a hook of the whole process: here it is the connection that is given a token.
#[test]
fn two_connections_have_their_own_tokens() {
    let servers = ["one", "two"].map(|token| Scripted::unix(&[asked(), lets_in(token)]));
    let sessions = [0, 1].map(|at: usize| begin(&servers[at], "oauth_issuer=https://i"));
    assert_eq!(give(&sessions[1], "two"), 1);
    assert_eq!(give(&sessions[0], "one"), 1);
    for session in &sessions {
        session.wait_until_idle();
    }
}

#[test]
fn without_a_token_and_without_asking_it_says_what_to_do() {
    let server = Scripted::unix(&[asked()]);
    let session = begin(&server, "oauth_issuer=https://i");
    assert_eq!(give(&session, "forgotten"), 1);
    // SAFETY: the connection is open.
    assert_eq!(unsafe { conn_give_token(session.0, ptr::null()) }, 1);
    wait(&session, CONN_FAILED);
    let (kind, message) = session.error().unwrap();
    assert_eq!(kind, CONN_ERROR_TRANSPORT);
    assert!(
        message.contains("the server wants an OAuth bearer token, and none was given"),
        "{message}"
    );
}

#[test]
fn a_refusal_is_the_connections_error() {
    for (why, expected) in [
        (Some("the user has gone home"), "the user has gone home"),
        (None, "no token was given"),
    ] {
        let server = Scripted::unix(&[asked_and_gone()]);
        let session = begin(&server, "oauth_issuer=https://i");
        ask(&session);
        wait(&session, CONN_WANT_TOKEN);
        let why = why.map(|why| CString::new(why).unwrap());
        let why = why.as_ref().map_or(ptr::null(), |why| why.as_ptr());
        // SAFETY: an open connection, and a C string or NULL.
        unsafe { conn_refuse_token(session.0, why) };
        wait(&session, CONN_FAILED);
        let (_, message) = session.error().unwrap();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_token_that_the_server_refuses_is_refused_in_its_words_and_another_may_follow() {
    let fatal = error("FATAL", "28000", "OAuth bearer authentication failed");
    let refused = bearer_shown("Bearer old").send(bearer_challenge());
    let refused = refused.expect(&bearer_dummy()).send(fatal);
    let server = Scripted::unix(&[refused, lets_in("new")]);
    let session = begin(&server, &format!("oauth_issuer={ISSUERS_DOCUMENT}"));
    assert_eq!(give(&session, "old"), 1);
    wait(&session, CONN_FAILED);
    let (kind, message) = session.error().unwrap();
    assert_eq!(kind, CONN_ERROR_SERVER);
    assert!(
        message.contains("OAuth bearer authentication failed"),
        "{message}"
    );
    assert_eq!(give(&session, "new"), 1);
    // SAFETY: the connection is open.
    unsafe { conn_reset(session.0) };
    session.wait_until_idle();
}

#[test]
fn a_reset_drops_the_question() {
    let server = Scripted::unix(&[asked_and_gone(), asked_and_gone(), lets_in("t")]);
    let session = begin(&server, "oauth_issuer=https://i");
    ask(&session);
    wait(&session, CONN_WANT_TOKEN);
    // SAFETY: the connection is open.
    unsafe { conn_reset(session.0) };
    assert_eq!(wanted(&session), (None, None));
    wait(&session, CONN_WANT_TOKEN);
    assert_eq!(give(&session, "t"), 1);
    session.wait_until_idle();
}

#[test]
fn what_is_no_token_is_refused_and_nothing_is_asked_of_null() {
    let server = Scripted::unix(&[]);
    let session = begin(&server, "oauth_issuer=https://i");
    for token in ["", "=", "a b", "a=b", "a\x01auth=Bearer b", "ä"] {
        assert_eq!(give(&session, token), 0, "{token}");
        let (kind, message) = session.error().unwrap();
        assert_eq!(kind, CONN_ERROR_MISUSE);
        assert!(message.contains("RFC 6750"), "{message}");
    }
    assert_eq!(give(&session, &"a".repeat(1 << 20)), 1);
    assert_eq!(give(&session, &"a".repeat((1 << 20) + 1)), 0);
    // Nothing is wanted: nothing happens.
    // SAFETY: the connection is open, or NULL.
    unsafe {
        conn_refuse_token(session.0, ptr::null());
        assert_eq!(conn_give_token(ptr::null_mut(), ptr::null()), 0);
        conn_set_ask_token(ptr::null_mut(), 1);
        conn_refuse_token(ptr::null_mut(), ptr::null());
        assert!(conn_token_discovery(ptr::null()).is_null());
        assert!(conn_token_scope(ptr::null()).is_null());
    }
}
