//! conn_inspect and conn_status at every phase of connecting, over sockets whose other end stands still.

use std::thread::sleep;
use std::time::{Duration, Instant};

use pgpoll_capi::*;
use testkit::crowd::Crowd;
use testkit::script::{Script, Scripted, auth_cleartext, auth_ok, backend_key, parameter, ready};

use crate::session::{Session, text};

/// The line, after the connection was polled until it is in this phase.
fn line_at(session: &Session, status: i32) -> String {
    let begun = Instant::now();
    // SAFETY: an open connection.
    while unsafe { conn_status(session.0) } != status {
        // SAFETY: the same.
        let bits = unsafe { conn_poll(session.0) };
        assert_eq!(bits & CONN_FAILED, 0, "{:?}", session.error());
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "never in the phase {status}"
        );
        sleep(Duration::from_millis(1));
    }
    sleep(Duration::from_millis(20));
    // SAFETY: the same; the string is ours.
    unsafe {
        conn_poll(session.0);
        let line = conn_inspect(session.0);
        let shown = text(line).unwrap();
        conn_free_string(line);
        shown
    }
}

/// A number in the line.
fn number(line: &str, name: &str) -> f64 {
    let (_, rest) = line
        .split_once(&format!("\"{name}\":"))
        .unwrap_or_else(|| panic!("no {name}: {line}"));
    let end = rest.find([',', '}']).unwrap();
    rest[..end].parse().unwrap()
}

#[test]
fn every_phase_of_connecting_is_told() {
    let crowd = Crowd::new();
    let started = || Script::new().startup();
    let old = || {
        started()
            .send(auth_ok())
            .send(parameter("server_version", "13.20"))
            .send(backend_key(4711, b"KEY!"))
            .send(ready(b'I'))
    };
    let message = "a message from the server";
    let mut phases = 0;
    for (status, phase, awaiting, script, options) in [
        (
            CONN_STATUS_DIALLING,
            "dialling",
            "the socket to be connected",
            None,
            "",
        ),
        (
            CONN_STATUS_NEGOTIATING,
            "negotiating encryption",
            "the server's answer to SSLRequest",
            Some(Script::new().ssl_request()),
            "sslmode=require",
        ),
        (
            CONN_STATUS_SECURING,
            "securing",
            "the TLS handshake",
            Some(Script::new().ssl_request().send("S").halt()),
            "sslmode=require",
        ),
        (CONN_STATUS_STARTUP, "startup", message, Some(started()), ""),
        (
            CONN_STATUS_AUTHENTICATING,
            "authenticating",
            message,
            Some(started().send(auth_cleartext())),
            "",
        ),
        (
            CONN_STATUS_SETTLING,
            "settling",
            message,
            Some(started().send(auth_ok())),
            "",
        ),
        (
            CONN_STATUS_CHECKING_TARGET,
            "checking target",
            message,
            Some(old()),
            "target_session_attrs=read-write",
        ),
        (
            CONN_STATUS_READY,
            "ready",
            "an operation to be started",
            Some(Script::trusting()),
            "",
        ),
    ] {
        let server = script.map(|script| Scripted::tcp(&[script.halt()]));
        let conninfo = match &server {
            Some(server) => server.conninfo(),
            None => format!(
                "host=127.0.0.1 port={} user=tester sslmode=disable",
                crowd.port()
            ),
        };
        let session = Session::begin(&format!("{conninfo} connect_timeout=30 {options}"));
        let line = line_at(&session, status);
        assert!(
            line.starts_with(&format!("{{\"phase\":\"{phase}\",")),
            "{line}"
        );
        assert!(
            line.contains(&format!("\"awaiting\":\"{awaiting}\"")),
            "{line}"
        );
        assert!(line.contains("\"server\":\"127.0.0.1:"), "{line}");
        assert!(!line.contains("secret"), "{line}");
        let waited = number(&line, "awaiting_ms");
        assert!((10.0..20_000.0).contains(&waited), "{line}");
        // SAFETY: an open connection.
        let left = unsafe { conn_deadline_ms(session.0) };
        if status == CONN_STATUS_READY {
            assert!(left == -1 && !line.contains("deadline"), "{line}");
        } else {
            let told = number(&line, "deadline_in_ms");
            assert!((5_000.0..30_000.0).contains(&told), "{line}");
            assert!((5_000..=30_000).contains(&left), "{left}");
        }
        phases += 1;
    }
    println!("conn_inspect: {phases} phases of connecting");
}
