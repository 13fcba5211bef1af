//! What `inspect` says at every phase of connecting: where the connection is, with whom, what it waits for, since when, and
//! until when. In memory, on a clock that stands still.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use pgpoll::conninfo::SslMode;
use pgpoll::engine::{Engine, Random};
use pgpoll::link::TlsFacts;
use testkit::script::{
    Scram, Script, auth_cleartext, auth_ok, auth_sasl, backend_key, parameter, ready,
};
use testkit::sim::{Bench, Pace, ROOM, Server, plan, tls};

/// What is seen where the server stands still.
struct View {
    phase: &'static str,
    awaiting: &'static str,
    server: bool,
    tls: bool,
    options: &'static str,
    stands: Stands,
}

enum Stands {
    InTheResolver,
    BeforeDialled,
    AfterSaying(Script),
}

fn views() -> Vec<View> {
    let view = |phase, awaiting, script| View {
        phase,
        awaiting,
        server: true,
        tls: false,
        options: "",
        stands: Stands::AfterSaying(script),
    };
    let message = "a message from the server";
    let shaken = Script::new()
        .ssl_request()
        .send("S")
        .handshake(Ok(TlsFacts {
            version: "TLSv1.3",
            ..TlsFacts::default()
        }));
    let started = Script::new().startup();
    let scram = || Scram::new("secret").iterations("10000000");
    vec![
        View {
            server: false,
            stands: Stands::InTheResolver,
            ..view("resolving", "the addresses of the host", Script::new())
        },
        View {
            stands: Stands::BeforeDialled,
            ..view("dialling", "the socket to be connected", Script::new())
        },
        View {
            options: "sslmode=prefer",
            ..view(
                "negotiating encryption",
                "the server's answer to SSLRequest",
                Script::new().ssl_request(),
            )
        },
        View {
            options: "sslmode=prefer",
            ..view(
                "securing",
                "the TLS handshake",
                Script::new().ssl_request().send("S"),
            )
        },
        View {
            options: "sslmode=prefer",
            tls: true,
            ..view("startup", message, shaken)
        },
        view("startup", message, started.clone()),
        view(
            "authenticating",
            message,
            started.clone().send(auth_cleartext()).expect_tag(b'p'),
        ),
        view(
            "authenticating",
            message,
            started.clone().send(auth_sasl(&["SCRAM-SHA-256"])),
        ),
        view(
            "authenticating",
            "the SCRAM key to be derived",
            started.clone().scram(scram()),
        ),
        view("settling", message, started.clone().send(auth_ok())),
        View {
            options: "target_session_attrs=read-write",
            ..view(
                "checking target",
                message,
                started
                    .send(auth_ok())
                    .send(parameter("server_version", "13.20"))
                    .send(backend_key(4711, b"KEY!"))
                    .send(ready(b'I')),
            )
        },
    ]
}

fn bench(view: &View) -> Bench {
    let mut conninfo =
        String::from("user=tester dbname=scripted password=secret connect_timeout=30 ");
    conninfo += match view.stands {
        Stands::InTheResolver => "host=db.example",
        _ => "host=127.0.0.1",
    };
    let encrypted = view.options.contains("sslmode");
    if !encrypted {
        conninfo = format!("{conninfo} {}", view.options);
    }
    let mut plan = plan(&conninfo);
    if encrypted {
        plan.sslmode = SslMode::Prefer;
        plan.tls = Some(Arc::new(tls()));
    }
    let server = match &view.stands {
        Stands::AfterSaying(script) => Server::Plays(script.clone()),
        _ => Server::IsSilent,
    };
    let pace = Pace {
        resolves: !matches!(view.stands, Stands::InTheResolver),
        ..Pace::default()
    };
    Bench::around(
        Engine::new(plan, Random::new([7; 32]), ROOM),
        [server],
        pace,
    )
}

/// Turns until nothing changes, or the engine computes.
fn settle(bench: &mut Bench) {
    for _ in 0..10 {
        if !bench.turn().1 {
            return;
        }
    }
}

/// A member of the one line of JSON, as it stands there.
fn member<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{name}\":"))?;
    let end = match rest.strip_prefix('"') {
        Some(text) => text.find('"')? + 2,
        None => rest.find([',', '}'])?,
    };
    rest.get(..end)
}

#[test]
fn every_phase_of_connecting_says_what_it_waits_for() {
    for view in views() {
        let mut bench = bench(&view);
        assert!(
            bench
                .engine
                .inspect(bench.now)
                .contains("\"phase\":\"start\"")
        );
        let begun = bench.now;
        settle(&mut bench);
        let computes = view.awaiting.contains("derived");
        bench.now += 1_500_000_000;
        if computes {
            // It is asked again at once: it has just begun to wait for its next turn.
            settle(&mut bench);
        }
        let line = bench.engine.inspect(bench.now);
        let quoted = |text: &str| format!("\"{text}\"");
        let place = format!("{}: {line}", view.phase);
        assert_eq!(
            member(&line, "phase"),
            Some(&quoted(view.phase)[..]),
            "{place}"
        );
        assert_eq!(
            member(&line, "awaiting"),
            Some(&quoted(view.awaiting)[..]),
            "{place}"
        );
        let server = view.server.then_some("\"127.0.0.1:5432\"");
        assert_eq!(member(&line, "server"), server, "{place}");
        let tls = view.tls.then_some("\"TLSv1.3\"");
        assert_eq!(member(&line, "tls"), tls, "{place}");
        let at = member(&line, "at").unwrap();
        assert!(
            at.starts_with("\"src/engine/") && at.contains(".rs:"),
            "{place}"
        );
        let since = if computes { "0.000" } else { "1500.000" };
        assert_eq!(member(&line, "awaiting_ms"), Some(since), "{place}");
        assert_eq!(
            member(&line, "deadline_in_ms"),
            Some("28500.000"),
            "{place}"
        );
        assert_eq!(bench.engine.deadline(), Some(begun + 30_000_000_000));
        assert!(
            !line.contains("secret") && !line.contains("KEY!"),
            "{place}"
        );
        assert_eq!(line.lines().count(), 1);

        // At the deadline there is nothing to wait for any more, and the reason is told.
        bench.now = begun + 30_000_000_000;
        settle(&mut bench);
        let line = bench.engine.inspect(bench.now);
        assert_eq!(member(&line, "phase"), Some("\"over\""), "{line}");
        assert!(line.contains("timeout expired"), "{line}");
        for gone in ["awaiting", "awaiting_ms", "deadline_in_ms"] {
            assert_eq!(member(&line, gone), None, "{line}");
        }
    }
}
