//! Bearer tokens where not everything is as ever: over a transport of the caller's, of which there is one only, and in a group.

use std::ffi::CStr;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::os::fd::IntoRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;

use pgpoll_capi::*;
use testkit::script::{
    ISSUERS_DOCUMENT, Scripted, auth_ok, bearer_challenge, bearer_dummy, bearer_shown,
};

use crate::session::{Session, c};

const ISSUER: &str = "https://i";

/// A socket to the server, and what is said of it.
fn transport(server: &Scripted, issuer: &str) -> (UnixStream, String) {
    let conninfo = server.conninfo();
    let (host, rest) = conninfo.split_once(' ').unwrap();
    let folder = host.strip_prefix("host=").unwrap();
    let socket = UnixStream::connect(format!("{folder}/.s.PGSQL.5432")).unwrap();
    let rest = rest.replace("port=5432 ", "");
    (
        socket,
        format!("{rest} oauth_client_id=c oauth_issuer={issuer}"),
    )
}

fn over_a_descriptor(server: &Scripted, issuer: &str) -> Session {
    let (socket, conninfo) = transport(server, issuer);
    // SAFETY: the descriptor is given away; a C string.
    Session(unsafe { conn_open_fd(socket.into_raw_fd(), c(&conninfo).as_ptr()) })
}

fn ask(session: &Session) {
    // SAFETY: an open connection.
    unsafe { conn_set_ask_token(session.0, 1) };
}

fn give(session: &Session, token: &CStr) {
    // SAFETY: an open connection and a C string.
    assert_eq!(unsafe { conn_give_token(session.0, token.as_ptr()) }, 1);
}

fn wait(session: &Session) -> u32 {
    // SAFETY: an open connection.
    unsafe { conn_wait(session.0, 10_000) }
}

/// There will be no other connection on which a token that took its time could be shown.
#[test]
fn over_a_transport_of_ones_own_the_server_waits_for_the_token() {
    let lets_in = bearer_shown("Bearer t").send(auth_ok()).settled();
    let server = Scripted::unix(&[lets_in]);
    let session = over_a_descriptor(&server, ISSUERS_DOCUMENT);
    ask(&session);
    assert_eq!(wait(&session) & CONN_WANT_TOKEN, CONN_WANT_TOKEN);
    give(&session, c"t");
    session.wait_until_idle();
}

#[test]
fn over_a_transport_of_ones_own_the_issuers_document_has_to_be_known() {
    for given in [false, true] {
        let server = Scripted::unix(&[bearer_shown("").send(bearer_challenge())]);
        let session = over_a_descriptor(&server, ISSUER);
        ask(&session);
        if given {
            give(&session, c"t");
        }
        let bits = wait(&session);
        let over = bits & (CONN_FAILED | CONN_WANT_TOKEN) == CONN_FAILED;
        assert!(over, "nobody is asked in vain: {bits}");
        let (_, message) = session.error().unwrap();
        let document = format!("set oauth_issuer to {ISSUERS_DOCUMENT}");
        assert!(message.contains(&document), "{message}");
    }
}

#[test]
fn what_is_over_wants_no_token() {
    let server = Scripted::unix(&[bearer_shown("")]);
    let (socket, conninfo) = transport(&server, ISSUERS_DOCUMENT);
    socket.set_nonblocking(true).unwrap();
    // SAFETY: a C string.
    let session = Session(unsafe { conn_open_stream(c(&conninfo).as_ptr()) });
    ask(&session);
    carry_until_wanted(&session, socket);
    // SAFETY: the connection is open.
    unsafe {
        conn_reset(session.0);
        assert!(conn_token_discovery(session.0).is_null());
        assert_eq!(conn_poll(session.0), CONN_FAILED);
    }
    // It is kept, and nothing comes of it.
    give(&session, c"t");
    // SAFETY: the connection is open.
    assert_eq!(unsafe { conn_poll(session.0) }, CONN_FAILED);
    assert!(session.error().unwrap().1.contains("cannot be reset"));
}

fn carry_until_wanted(session: &Session, mut socket: UnixStream) {
    use std::io::{Read, Write};
    let mut room = [0_u8; 300];
    // SAFETY: an open connection, and room of the size that is said.
    unsafe {
        loop {
            let bits = conn_poll(session.0);
            assert_eq!(bits & CONN_FAILED, 0, "{:?}", session.error());
            if bits & CONN_WANT_TOKEN != 0 {
                return;
            }
            let count = conn_take_output(session.0, room.as_mut_ptr().cast(), room.len());
            socket.write_all(&room[..count]).unwrap();
            match socket.read(&mut room) {
                Ok(0) => conn_feed_eof(session.0),
                Ok(count) => assert_eq!(conn_feed(session.0, room.as_ptr().cast(), count), count),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
    }
}

/// A program that waits for all of its connections is to be told that one of them waits for it.
#[test]
fn in_a_group_who_wants_a_token_waits_for_its_owner() {
    let asked = bearer_shown("").send(bearer_challenge());
    let lets_in = bearer_shown("Bearer t").send(auth_ok()).settled();
    let server = Scripted::unix(&[asked.expect(&bearer_dummy()), lets_in]);
    let options = format!(
        "{} oauth_client_id=c oauth_issuer={ISSUER}",
        server.conninfo()
    );
    let session = Session::begin(&options);
    ask(&session);
    // SAFETY: open handles, and structs that are filled.
    unsafe {
        let group = conn_group_open();
        assert_eq!(conn_group_add(group, session.0, ptr::null_mut()), 1);
        assert_ne!(
            conn_group_wait(group, CONN_WAIT_ALL, 10_000) & CONN_IDLE,
            0,
            "nothing goes on by itself"
        );
        let mut state = MaybeUninit::<ConnGroupState>::uninit();
        assert_eq!(conn_group_state(group, state.as_mut_ptr()), 1);
        let state = state.assume_init();
        assert_eq!((state.running, state.waiting, state.over), (0, 1, 0));
        let mut ready = MaybeUninit::<ConnReady>::uninit();
        assert_eq!(conn_group_get_ready(group, ready.as_mut_ptr()), 1);
        assert_eq!(ready.assume_init().bits, CONN_WANT_TOKEN);
        give(&session, c"t");
        assert_ne!(conn_group_wait(group, CONN_WAIT_ALL, 10_000) & CONN_IDLE, 0);
        assert_eq!(conn_group_get_ready(group, ready.as_mut_ptr()), 1);
        assert_eq!(ready.assume_init().bits, CONN_IDLE);
        conn_group_close(group);
    }
}

/// From threads that know nothing of each other, while another one connects: whoever is second is refused.
#[test]
fn tokens_are_given_from_several_threads_one_at_a_time() {
    let server = Scripted::unix(&[bearer_shown("Bearer t").send(auth_ok()).settled()]);
    let session = over_a_descriptor(&server, ISSUERS_DOCUMENT);
    ask(&session);
    give(&session, c"t");
    let conn = session.0.expose_provenance();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(move || {
                let conn = ptr::with_exposed_provenance_mut::<Conn>(conn);
                for _ in 0..1000 {
                    // SAFETY: the connection is open, and a second caller is refused.
                    unsafe {
                        conn_give_token(conn, c"t".as_ptr());
                        conn_refuse_token(conn, ptr::null());
                        conn_set_ask_token(conn, 1);
                        conn_token_discovery(conn);
                    }
                }
            });
        }
        let bits = loop {
            // SAFETY: the same.
            let bits = unsafe { conn_wait(session.0, 10) };
            if bits & (CONN_IDLE | CONN_FAILED) != 0 {
                break bits;
            }
        };
        assert_eq!(bits & CONN_FAILED, 0, "{bits}");
    });
}
