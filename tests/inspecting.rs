//! What `inspect` says at every phase of connecting: where the connection is, with whom, what it waits for, since when, and
//! until when. In memory, on a clock that stands still.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use pgpoll::conninfo::SslMode;
use pgpoll::engine::{Engine, Random};
use pgpoll::link::TlsFacts;
use serde_json::Value;
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

/// The one line of JSON, read strictly.
fn read(line: &str) -> Value {
    assert_eq!(line.lines().count(), 1);
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
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
        let shown = read(&line);
        let place = format!("{}: {line}", view.phase);
        assert_eq!(shown["phase"], view.phase, "{place}");
        assert_eq!(shown["awaiting"], view.awaiting, "{place}");
        let server = view.server.then_some("127.0.0.1:5432");
        assert_eq!(shown["server"].as_str(), server, "{place}");
        let tls = view.tls.then_some("TLSv1.3");
        assert_eq!(shown["tls"].as_str(), tls, "{place}");
        let at = shown["at"].as_str().unwrap();
        assert!(
            at.starts_with("src/engine/") && at.contains(".rs:"),
            "{place}"
        );
        let since = if computes { 0.0 } else { 1500.0 };
        assert_eq!(shown["awaiting_ms"], since, "{place}");
        assert_eq!(shown["deadline_in_ms"], 28500.0, "{place}");
        assert_eq!(bench.engine.deadline(), Some(begun + 30_000_000_000));
        assert!(
            !line.contains("secret") && !line.contains("KEY!"),
            "{place}"
        );
        // The last changes, oldest first, with their ages: the phase it is in, and what it waits for.
        let recent = shown["recent"].as_array().unwrap();
        let ages: Vec<f64> = recent
            .iter()
            .map(|entry| entry["ms_ago"].as_f64().unwrap())
            .collect();
        assert!(
            ages.is_sorted_by(|a, b| a >= b) && *ages.last().unwrap() <= 1500.0,
            "{place}"
        );
        let last = |name: &str, of: &str| {
            let mut entries = recent.iter().filter(|entry| entry["event"] == name);
            entries.next_back().map(|entry| entry[of].clone())
        };
        assert_eq!(last("phase", "phase").unwrap(), view.phase, "{place}");
        assert_eq!(last("waits", "for").unwrap(), view.awaiting, "{place}");
        assert_eq!(last("waits", "at").unwrap(), at, "{place}");

        // At the deadline there is nothing to wait for any more, and the reason is told.
        bench.now = begun + 30_000_000_000;
        settle(&mut bench);
        let shown = read(&bench.engine.inspect(bench.now));
        assert_eq!(shown["phase"], "over", "{shown}");
        let error = shown["error"].as_str().unwrap();
        assert!(error.contains("timeout expired"), "{error}");
        for gone in ["awaiting", "awaiting_ms", "deadline_in_ms"] {
            assert!(shown.get(gone).is_none(), "{shown}");
        }
    }
}
