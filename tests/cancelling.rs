//! Requests to cancel, against scripted servers in memory: what goes over the wire, and what is said when nobody hears it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pgpoll::conninfo::{Secret, TcpOptions, Tls};
use pgpoll::engine::{CancelPlan, Engine};
use pgpoll::link::{Addr, LinkError, LinkErrorKind, TlsFacts};
use pgpoll::wire::CancelRequest;
use testkit::script::{Script, auth_ok};
use testkit::sim::{Bench, Chunks, Pace, Server, tls};

const AT: &str = "connection to server at \"db.example\" (127.0.0.1), port 5432 failed: ";

const CLOSED: &str = "server closed the connection unexpectedly\n\
    \tThis probably means the server terminated abnormally\n\
    \tbefore or while processing the request.";

fn plan(key: &[u8], tls: Option<Arc<Tls>>) -> CancelPlan {
    let mut packet = Vec::new();
    let request = CancelRequest {
        process_id: 4711,
        secret_key: key,
    };
    request.encode(&mut packet).unwrap();
    CancelPlan {
        packet: Secret::new(packet),
        addr: Addr::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5432)),
        tcp: TcpOptions::default(),
        requirepeer: None,
        tls,
        gss: None,
        host: b"db.example".to_vec(),
        hostaddr: None,
        timeout: Duration::from_secs(5),
    }
}

fn run(plan: &CancelPlan, script: &Script, chunks: Chunks) -> Bench {
    let pace = Pace {
        inbound: chunks,
        outbound: chunks,
        ..Pace::default()
    };
    let servers = [Server::Plays(script.clone())];
    let mut bench = Bench::around(Engine::cancel(plan.clone()), servers, pace);
    bench.poll();
    bench
}

/// Whole and byte by byte.
fn arrives(plan: &CancelPlan, script: &Script) {
    for chunks in [Chunks::All, Chunks::Of(1)] {
        let bench = run(plan, script, chunks);
        assert!(bench.engine.is_done(), "{}", bench.place());
        assert_eq!(bench.engine.deadline(), None);
        assert!(!bench.engine.need().read && !bench.engine.need().answer);
    }
}

/// Why it does not arrive, by itself or at the deadline; whole and byte by byte.
fn fails(plan: &CancelPlan, script: &Script) -> String {
    let [whole, split] = [Chunks::All, Chunks::Of(1)].map(|chunks| {
        let mut bench = run(plan, script, chunks);
        assert!(!bench.engine.is_done(), "{}", bench.place());
        if let Some(deadline) = bench.engine.deadline() {
            assert_eq!(deadline, bench.now + 5_000_000_000);
            bench.now = deadline - 1;
            bench.poll();
            assert!(bench.engine.error().is_none());
            bench.now = deadline;
            bench.poll();
        }
        assert_eq!(bench.dialled, 1);
        let error = bench.engine.error();
        error
            .unwrap_or_else(|| panic!("{}", bench.place()))
            .to_string()
    });
    assert_eq!(whole, split);
    let text = whole.strip_prefix(AT);
    text.unwrap_or_else(|| panic!("{whole}")).to_owned()
}

#[test]
fn a_request_is_sent_and_its_end_is_waited_for() {
    // Four bytes in protocol 3.0, up to 256 in 3.2.
    for key in [&b"KEY!"[..], &[7; 32], &[0xff; 256]] {
        let script = Script::new().cancel_request(4711, key).close();
        arrives(&plan(key, None), &script);
        let script = Script::encrypted().cancel_request(4711, key).close();
        arrives(&plan(key, Some(Arc::new(tls()))), &script);
    }
}

#[test]
fn it_is_encrypted_as_the_connection_was() {
    let script = Script::encrypted().cancel_request(4711, b"KEY!").close();
    let bench = run(&plan(b"KEY!", Some(Arc::new(tls()))), &script, Chunks::All);
    let (how, host) = bench.secured.as_ref().unwrap();
    assert_eq!((how, &host[..]), (&Arc::new(tls()), &b"db.example"[..]));
    let mut direct = tls();
    direct.direct = true;
    let script = Script::new()
        .handshake(Ok(TlsFacts {
            alpn: Some(b"postgresql".to_vec()),
            ..TlsFacts::default()
        }))
        .cancel_request(4711, b"KEY!")
        .close();
    arrives(&plan(b"KEY!", Some(Arc::new(direct))), &script);
}

/// Trap 26: the key never goes out in clear when the connection is encrypted.
#[test]
fn it_is_not_sent_in_clear_where_the_connection_was_encrypted() {
    let text = "SSL error: certificate verify failed";
    let refused = LinkError {
        kind: LinkErrorKind::Tls,
        errno: 0,
        text: text.to_owned(),
    };
    let asked = Script::new().ssl_request();
    for (script, said) in [
        (
            asked.clone().send("N"),
            "server does not support SSL, but SSL was required",
        ),
        (
            asked.clone().send("E"),
            "server sent an error response during SSL exchange",
        ),
        (asked.clone().send("S").handshake(Err(refused)), text),
        (asked.clone().close(), CLOSED),
        (asked.clone(), "timeout expired"),
        (asked.send("S"), "timeout expired"),
    ] {
        for chunks in [Chunks::All, Chunks::Of(1)] {
            let bench = run(&plan(b"KEY!", Some(Arc::new(tls()))), &script, chunks);
            assert_eq!(bench.sent, 8, "only the SSLRequest");
        }
        assert_eq!(fails(&plan(b"KEY!", Some(Arc::new(tls()))), &script), said);
    }
}

#[test]
fn nobody_hears_it() {
    let sent = Script::new().cancel_request(4711, b"KEY!");
    let plan = plan(b"KEY!", None);
    for (script, said) in [
        (Script::new().reset(), CLOSED),
        (sent.clone().reset(), CLOSED),
        (sent.clone(), "timeout expired"),
        (sent.clone().send("x"), "unexpected response from server"),
        (
            sent.send(auth_ok()).close(),
            "unexpected response from server",
        ),
    ] {
        assert_eq!(fails(&plan, &script), said);
    }
    for (server, said) in [
        (
            Server::Refuses,
            "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
        ),
        (Server::IsSilent, "timeout expired"),
    ] {
        let mut bench = Bench::around(Engine::cancel(plan.clone()), [server], Pace::default());
        bench.poll();
        bench.now += 5_000_000_000;
        bench.poll();
        assert_eq!(
            bench.engine.error().unwrap().message(),
            format!("{AT}{said}")
        );
    }
}

/// An end that comes before all of it was sent is no answer.
#[test]
fn a_server_that_closes_too_early() {
    let bench = run(&plan(b"KEY!", None), &Script::new().close(), Chunks::Of(1));
    let error = bench.engine.error().unwrap();
    assert_eq!(error.message(), format!("{AT}{CLOSED}"));
}

#[test]
fn the_key_is_not_shown() {
    let plan = plan(b"SECRETKEY", None);
    let engine = Engine::cancel(plan.clone());
    for text in [
        format!("{plan:?}"),
        format!("{engine:?}"),
        engine.inspect(0),
    ] {
        assert!(
            !text.contains("SECRETKEY") && !text.contains("83, 69"),
            "{text}"
        );
    }
}
