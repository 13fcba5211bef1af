//! What can be wrong before the connection is up.

use testkit::script::{
    Script, auth_cleartext, auth_ok, auth_sasl, backend_key, complete, error, framed, negotiate,
    notice, notification, parameter, ready, with_length,
};

use super::refusal;

/// The refusal of a server that answers the startup packet with these bytes, and of one that closes then.
fn said(bytes: &[u8]) -> String {
    let name = String::from_utf8_lossy(bytes).into_owned();
    let script = Script::new().startup().send(bytes);
    let text = refusal(&name, script.clone());
    assert_eq!(refusal(&name, script.close()), text);
    text
}

/// The same after AuthenticationOk.
fn said_when_let_in(bytes: &[u8]) -> String {
    said(&[&auth_ok()[..], bytes].concat())
}

const CLOSED: &str = "server closed the connection unexpectedly\n\
    \tThis probably means the server terminated abnormally\n\
    \tbefore or while processing the request.";

#[test]
fn a_server_that_closes_at_once() {
    for script in [Script::new().close(), Script::new().startup().close()] {
        assert_eq!(refusal("closes", script), CLOSED);
    }
    let cut = Script::new().startup().send(&auth_ok()[..6]).close();
    assert_eq!(refusal("closes in the middle of a message", cut), CLOSED);
    let reset = Script::new().startup().reset();
    assert_eq!(refusal("resets", reset), CLOSED);
}

#[test]
fn a_server_that_speaks_another_protocol() {
    let expected = "expected authentication request from server, but received ";
    for (bytes, tag) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "H"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "S"),
        (b"220 mail.example ESMTP\r\n", "2"),
        (b"\x15\x03\x01\x00\x02\x02\x16", "0x15"),
    ] {
        assert_eq!(said(bytes), format!("{expected}{tag}"));
    }
}

/// A postmaster that cannot fork says so as servers before 7.4 did: a text.
#[test]
fn an_error_of_protocol_2() {
    assert_eq!(
        said(b"Ecould not fork new process for connection: Out of memory\n\0"),
        "could not fork new process for connection: Out of memory"
    );
}

#[test]
fn wrong_lengths_before_authentication() {
    let body = [0; 4];
    for length in [0, 3, 7, 2001, 0x7fff_ffff, 0x8000_0000, u32::MAX] {
        assert_eq!(
            said(&with_length(b'R', length, &body)),
            "received invalid authentication request"
        );
        assert_eq!(
            said(&with_length(b'v', length, &body)),
            "received invalid protocol negotiation message"
        );
    }
}

#[test]
fn messages_at_the_wrong_time_before_authentication() {
    for message in [
        ready(b'I'),
        parameter("a", "b"),
        notice("n"),
        complete("SELECT 1"),
    ] {
        let tag = char::from(message[0]);
        assert_eq!(
            said(&message),
            format!("expected authentication request from server, but received {tag}")
        );
    }
}

#[test]
fn damaged_messages_of_the_startup() {
    for (bytes, text) in [
        (
            framed(b'R', &[0, 0, 0, 0, 9]),
            "malformed Authentication message: end: 1 bytes too many",
        ),
        (
            framed(b'R', &[0, 0, 0, 5, 1]),
            "malformed Authentication message: salt: ends early",
        ),
        (
            framed(b'R', b"\0\0\0\x0aSCRAM-SHA-256"),
            "malformed Authentication message: mechanism: no terminating NUL",
        ),
        (
            framed(b'R', &[0, 0, 0, 99]),
            "authentication method 99 not supported",
        ),
        (
            framed(b'R', &[0, 0, 0, 7]),
            "GSSAPI authentication not supported: there is no library",
        ),
        (
            framed(b'E', b"SFATAL\0Mno end"),
            "malformed ErrorResponse message: field: no terminating NUL",
        ),
    ] {
        assert_eq!(said(&bytes), text);
    }
}

#[test]
fn damaged_messages_after_authentication() {
    let lost = "lost synchronization with server: got message type ";
    for (bytes, text) in [
        (
            with_length(b'S', 0x7fff_ffff, b"a\0b\0"),
            format!("{lost}\"S\", length 2147483647"),
        ),
        (
            with_length(b'Z', 0xffff_fffe, b"I"),
            format!("{lost}\"Z\", length -2"),
        ),
        (with_length(b'K', 3, b""), format!("{lost}\"K\", length 3")),
        (
            framed(b'S', b"TimeZone\0UTC"),
            String::from("malformed ParameterStatus message: value: no terminating NUL"),
        ),
        (
            framed(b'K', &[0, 0, 0, 1, 2, 3]),
            String::from("malformed BackendKeyData message: secret key: invalid length 2"),
        ),
        (
            framed(b'Z', b"X"),
            String::from("malformed ReadyForQuery message: transaction status: invalid value 88"),
        ),
        (
            framed(b'Z', b""),
            String::from("malformed ReadyForQuery message: transaction status: ends early"),
        ),
        (
            framed(b'?', b"what"),
            String::from("the server sent an unexpected message of type \"?\" in the start-up"),
        ),
        (
            complete("SELECT 1"),
            String::from("the server sent an unexpected message of type \"C\" in the start-up"),
        ),
        (
            auth_cleartext(),
            String::from("the server sent an unexpected message of type \"R\" in the start-up"),
        ),
    ] {
        assert_eq!(said_when_let_in(&bytes), text);
    }
}

#[test]
fn negotiations_that_make_no_sense() {
    let invalid = "received invalid protocol negotiation message: server ";
    for (bytes, text) in [
        (
            negotiate(pgpoll::wire::protocol::version(3, 9), &[]),
            "requested downgrade to a higher-numbered version",
        ),
        (
            negotiate(pgpoll::wire::protocol::version(2, 0), &[]),
            "requested downgrade to pre-3.0 protocol version",
        ),
        (
            negotiate(pgpoll::wire::protocol::V3_0, &[]),
            "negotiated but asks for no changes",
        ),
    ] {
        assert_eq!(said(&bytes), format!("{invalid}{text}"));
    }
    let once = negotiate(pgpoll::wire::protocol::V3_0, &[]);
    let twice = once.repeat(2);
    let script = Script::new().startup().send(twice);
    let mut session = testkit::sim::Session::new("negotiates twice", script, Vec::new());
    session.conninfo.push_str(" max_protocol_version=3.2");
    let error = super::seen(&session).error.unwrap();
    let duplicate = "received duplicate protocol negotiation message";
    assert!(error.message().ends_with(duplicate), "{error}");
    // What has been agreed upon stands once the client is let in.
    assert_eq!(
        said_when_let_in(&once),
        "the server sent an unexpected message of type \"v\" in the start-up"
    );
    assert_eq!(
        said(&framed(b'v', &[0, 3, 0, 0, 0xff, 0xff, 0xff, 0xff])),
        "malformed NegotiateProtocolVersion message: option count: invalid value -1"
    );
    assert_eq!(
        said(&framed(b'v', &[0, 3, 0, 0, 0x7f, 0xff, 0xff, 0xff])),
        "malformed NegotiateProtocolVersion message: option: no terminating NUL"
    );
}

/// The words of the server that refuses are kept, all of its fields too.
#[test]
fn a_refusal_in_the_servers_words() {
    for late in [false, true] {
        let fatal = error("FATAL", "53300", "sorry, too many clients already");
        let bytes = if late {
            [auth_ok(), fatal].concat()
        } else {
            fatal
        };
        assert_eq!(said(&bytes), "FATAL:  sorry, too many clients already");
    }
}

#[test]
fn methods_that_the_client_does_not_have() {
    assert_eq!(
        said(&auth_sasl(&["SCRAM-SHA-1", "PLAIN"])),
        "none of the server's SASL authentication mechanisms are supported"
    );
    assert_eq!(
        said(&framed(b'R', &[0, 0, 0, 2])),
        "Kerberos 5 authentication not supported"
    );
}

/// A key of another length than the protocol's version allows would make every cancel request fail later.
#[test]
fn a_session_without_a_key_is_a_session() {
    let script = Script::new().startup().send(auth_ok()).send(ready(b'I'));
    let seen = super::seen(&testkit::sim::Session::new("no key", script, Vec::new()));
    assert!(seen.finished, "{}", seen.place);
    let script = Script::new()
        .startup()
        .send(auth_ok())
        .send(backend_key(1, b"four"));
    let script = script.send(ready(b'I'));
    let seen = super::seen(&testkit::sim::Session::new("a key", script, Vec::new()));
    assert!(seen.finished, "{}", seen.place);
}

/// What a server says that the client then leaves is not taken for the next one's.
#[test]
fn notifications_of_a_server_that_was_left() {
    let standby = Script::new()
        .startup()
        .send(auth_ok())
        .send(notification(7, "channel", "from the standby"))
        .settled_as("18.6", "on");
    let mut session = testkit::sim::Session::new("left", standby, Vec::new());
    session.conninfo = session.conninfo.replace("127.0.0.1", "127.0.0.1,127.0.0.2");
    session.conninfo.push_str(" target_session_attrs=primary");
    let primary = Script::trusting();
    session.servers.push(testkit::sim::Server::Plays(primary));
    for pace in super::paces() {
        let mut bench = session.bench(pace);
        bench.poll();
        assert!(bench.engine.facts().is_ready(), "{}", bench.place());
        assert!(bench.engine.notification().is_none());
    }
}
