//! GSSAPI as the client negotiates it, against scripted servers in memory: when it is tried, what comes after it, and what is said when
//! nothing works. The exchanges of tokens are played.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::sync::Arc;

use pgpoll::conninfo::SslMode;
use pgpoll::conninfo::plan::{GssEncMode, Plan};
use pgpoll::engine::{Engine, Phase, Random};
use pgpoll::link::{Answer, Ask, GssPeer, LinkError, LinkErrorKind};
use pgpoll::wire::{AuthenticationResponse, Frontend};
use testkit::script::{
    Player, Script, auth_cleartext, auth_gss, auth_gss_continue, auth_ok, error,
};
use testkit::sim::{Bench, Chunks, Pace, ROOM, Server, plan, tls};

const AT: &str = "connection to server at \"127.0.0.1\", port 5432 failed: ";

fn planned(gss: GssEncMode, ssl: SslMode) -> Plan {
    let mut plan = plan("host=db.example hostaddr=127.0.0.1 user=tester dbname=scripted");
    plan.gssencmode = gss;
    plan.sslmode = ssl;
    plan.tls = (ssl != SslMode::Disable).then(|| Arc::new(tls()));
    plan
}

fn failed(kind: LinkErrorKind, text: &str) -> Answer {
    Answer::Failed(LinkError {
        kind,
        errno: 0,
        text: text.to_owned(),
    })
}

/// A client that has met these servers, and to which GSSAPI answered this, whole or byte by byte.
fn meet(plan: &Plan, gss: &[Answer], scripts: &[Script], bytes: Chunks) -> Bench {
    let pace = Pace {
        inbound: bytes,
        outbound: bytes,
        ..Pace::default()
    };
    let servers: Vec<Server> = scripts.iter().cloned().map(Server::Plays).collect();
    let engine = Engine::new(plan.clone(), Random::new([7; 32]), ROOM);
    let mut bench = Bench::around(engine, servers, pace);
    bench.gss = VecDeque::from(gss.to_vec());
    bench.poll();
    assert_eq!(bench.dialled, scripts.len(), "{}", bench.place());
    assert_eq!(bench.gss.len(), 0, "{}", bench.place());
    bench
}

#[track_caller]
fn connects(plan: &Plan, gss: &[Answer], scripts: &[Script]) -> Bench {
    let cut = meet(plan, gss, scripts, Chunks::Of(1));
    let whole = meet(plan, gss, scripts, Chunks::All);
    for bench in [&cut, &whole] {
        assert!(bench.engine.facts().is_ready(), "{}", bench.place());
        assert!(bench.player().is_some_and(Player::is_over));
    }
    whole
}

#[track_caller]
fn fails(plan: &Plan, gss: &[Answer], scripts: &[Script]) -> String {
    let [whole, cut] = [Chunks::All, Chunks::Of(1)].map(|bytes| {
        let bench = meet(plan, gss, scripts, bytes);
        let error = bench.engine.error();
        let error = error.unwrap_or_else(|| panic!("{}", bench.place()));
        error.message().to_owned()
    });
    assert_eq!(whole, cut);
    whole.replace(AT, "")
}

fn peer() -> GssPeer {
    GssPeer::new(b"postgres", b"db.example", false)
}

fn token(token: &[u8], complete: bool) -> Answer {
    let token = token.to_vec();
    Answer::GssToken { token, complete }
}

fn says(token: &[u8]) -> Frontend<'_> {
    Frontend::AuthenticationResponse(AuthenticationResponse { body: token })
}

fn encrypting() -> Script {
    Script::new().gssenc_request().send("G")
}

fn turns_away(script: Script) -> Script {
    script
        .startup()
        .send(error("FATAL", "28000", "not like this"))
        .close()
}

#[test]
fn encryption_comes_first_and_nothing_else_is_asked_for() {
    let gss = [Answer::CredentialsFound, Answer::GssSecured];
    for mode in [GssEncMode::Prefer, GssEncMode::Require] {
        for ssl in [SslMode::Disable, SslMode::Prefer, SslMode::Require] {
            let bench = connects(
                &planned(mode, ssl),
                &gss,
                &[encrypting().and(&Script::trusting())],
            );
            let facts = bench.engine.facts();
            assert!(facts.gss_encrypted() && facts.gss_used() && facts.tls().is_none());
            let asked = [Ask::FindCredentials, Ask::SecureWithGss { peer: peer() }];
            assert_eq!(bench.asked_gss, asked);
        }
    }
}

#[test]
fn without_credentials_or_library_it_is_not_tried() {
    let none = "no credential cache";
    for gss in [
        failed(LinkErrorKind::Gss, none),
        failed(LinkErrorKind::GssMissing, "no library"),
    ] {
        let plan = planned(GssEncMode::Prefer, SslMode::Disable);
        let bench = connects(&plan, std::slice::from_ref(&gss), &[Script::trusting()]);
        assert!(!bench.engine.facts().gss_used());
    }
    let plan = planned(GssEncMode::Require, SslMode::Prefer);
    assert_eq!(
        fails(&plan, &[failed(LinkErrorKind::Gss, none)], &[]),
        "GSSAPI encryption required but no credential cache"
    );
    assert_eq!(
        fails(
            &plan,
            &[failed(LinkErrorKind::GssMissing, "libgssapi: no such file")],
            &[]
        ),
        "gssencmode value \"require\" invalid when there is no GSSAPI support: libgssapi: no such file"
    );
}

#[test]
fn a_server_that_does_not_do_it_is_asked_for_the_next_on_the_same_transport() {
    let gss = [Answer::CredentialsFound];
    let refuses = || Script::new().gssenc_request().send("N");
    let plan = planned(GssEncMode::Prefer, SslMode::Disable);
    connects(&plan, &gss, &[refuses().and(&Script::trusting())]);
    let plan = planned(GssEncMode::Prefer, SslMode::Allow);
    connects(&plan, &gss, &[refuses().and(&Script::trusting())]);
    let tls_too = refuses().and(&Script::encrypted()).and(&Script::trusting());
    for ssl in [SslMode::Prefer, SslMode::Require] {
        let bench = connects(
            &planned(GssEncMode::Prefer, ssl),
            &gss,
            std::slice::from_ref(&tls_too),
        );
        assert!(bench.engine.facts().tls().is_some());
    }
    let neither = refuses().ssl_request().send("N").and(&Script::trusting());
    connects(
        &planned(GssEncMode::Prefer, SslMode::Prefer),
        &gss,
        &[neither],
    );
    let plan = planned(GssEncMode::Require, SslMode::Prefer);
    assert_eq!(
        fails(&plan, &gss, &[refuses()]),
        "server doesn't support GSSAPI encryption, but it was required"
    );
}

#[test]
fn direct_tls_needs_a_transport_that_nothing_was_said_on() {
    let mut plan = planned(GssEncMode::Prefer, SslMode::Require);
    let mut direct = tls();
    direct.direct = true;
    plan.tls = Some(Arc::new(direct));
    let refuses = Script::new().gssenc_request().send("N");
    let facts = pgpoll::link::TlsFacts {
        alpn: Some(b"postgresql".to_vec()),
        ..Default::default()
    };
    let shakes = Script::new().handshake(Ok(facts)).and(&Script::trusting());
    connects(&plan, &[Answer::CredentialsFound], &[refuses, shakes]);
}

#[test]
fn what_fails_is_tried_otherwise_on_a_fresh_transport() {
    let plan = planned(GssEncMode::Prefer, SslMode::Disable);
    let broken = [
        Answer::CredentialsFound,
        failed(LinkErrorKind::Gss, "no ticket"),
    ];
    connects(&plan, &broken, &[encrypting(), Script::trusting()]);
    let secured = [Answer::CredentialsFound, Answer::GssSecured];
    connects(
        &plan,
        &secured,
        &[turns_away(encrypting()), Script::trusting()],
    );
    // A server of before version 12 knows no such request: what it says is nobody's word.
    let old = Script::new()
        .gssenc_request()
        .send(error("FATAL", "0A000", "lies"));
    connects(
        &plan,
        &[Answer::CredentialsFound],
        &[old.clone(), Script::trusting()],
    );
    let plan = planned(GssEncMode::Require, SslMode::Disable);
    assert_eq!(fails(&plan, &broken, &[encrypting()]), "no ticket");
    assert_eq!(
        fails(&plan, &[Answer::CredentialsFound], &[old]),
        "server sent an error response during GSS encryption exchange"
    );
    assert_eq!(
        fails(&plan, &secured, &[turns_away(encrypting())]),
        "FATAL:  not like this"
    );
    // All three in turn, and each is told.
    let plan = planned(GssEncMode::Prefer, SslMode::Prefer);
    let text = fails(
        &plan,
        &secured,
        &[
            turns_away(encrypting()),
            turns_away(Script::encrypted()),
            turns_away(Script::new()),
        ],
    );
    assert_eq!(text, ["FATAL:  not like this"; 3].join("\n"));
}

/// Trap 26 for GSSAPI: what comes with the answer came in clear.
#[test]
fn bytes_behind_the_answer_are_refused() {
    let plan = planned(GssEncMode::Prefer, SslMode::Disable);
    let script = Script::new().gssenc_request().send("Gx");
    let bench = meet(&plan, &[Answer::CredentialsFound], &[script], Chunks::All);
    let text = bench.engine.error().unwrap().message().replace(AT, "");
    assert_eq!(
        text,
        "received unencrypted data after GSSAPI encryption response"
    );
    let script = Script::new().gssenc_request().send("S");
    assert_eq!(
        fails(&plan, &[Answer::CredentialsFound], &[script]),
        "received invalid response to GSSAPI negotiation: S"
    );
}

#[test]
fn a_unix_socket_is_not_encrypted() {
    let mut plan = plan("host=/tmp user=tester");
    plan.gssencmode = GssEncMode::Prefer;
    let bench = connects(&plan, &[], &[Script::trusting()]);
    assert_eq!(bench.asked_gss, []);
    plan.gssencmode = GssEncMode::Require;
    let text = fails(&plan, &[], &[]);
    let expected = "GSSAPI encryption required but it is not supported over a local socket";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn authentication_is_an_exchange_of_tokens() {
    let mut plan = planned(GssEncMode::Disable, SslMode::Disable);
    plan.gssdelegation = true;
    plan.krbsrvname = b"other".to_vec();
    let script = Script::new()
        .startup()
        .send(auth_gss())
        .expect(&says(b"one"))
        .send(auth_gss_continue(b"two"))
        .expect(&says(b"three"))
        .send(auth_gss_continue(b"four"))
        .send(auth_ok())
        .settled();
    let gss = [
        token(b"one", false),
        token(b"three", false),
        token(b"", true),
    ];
    let bench = connects(&plan, &gss, &[script]);
    let facts = bench.engine.facts();
    assert!(facts.gss_used() && !facts.gss_encrypted());
    let peer = GssPeer::new(b"other", b"db.example", true);
    let asked = [&b""[..], b"two", b"four"].map(|token| Ask::GssToken {
        peer: peer.clone(),
        token: token.to_vec(),
    });
    assert_eq!(bench.asked_gss, asked);
}

#[test]
fn an_exchange_is_begun_once_and_gone_through_to_its_end() {
    let plan = planned(GssEncMode::Disable, SslMode::Disable);
    let begun = || {
        Script::new()
            .startup()
            .send(auth_gss())
            .expect(&says(b"one"))
    };
    let open = [token(b"one", false)];
    for (more, text) in [
        (auth_gss(), "duplicate GSS authentication request"),
        (
            auth_ok(),
            "server authenticated the client without completing the GSSAPI exchange",
        ),
        (
            auth_cleartext(),
            "server asked for a password in the middle of the GSSAPI exchange",
        ),
    ] {
        assert_eq!(fails(&plan, &open, &[begun().send(more)]), text);
    }
    let script = Script::new().startup().send(auth_gss_continue(b"two"));
    assert_eq!(
        fails(&plan, &[], &[script]),
        "fe_sendauth: invalid authentication request from server: AUTH_REQ_GSS_CONT without AUTH_REQ_GSS"
    );
    let script = Script::new().startup().send(auth_gss());
    assert_eq!(
        fails(
            &plan,
            &[failed(
                LinkErrorKind::Gss,
                "GSSAPI continuation error: x: y"
            )],
            std::slice::from_ref(&script)
        ),
        "GSSAPI continuation error: x: y"
    );
    assert_eq!(
        fails(
            &plan,
            &[failed(LinkErrorKind::GssMissing, "no library")],
            &[script]
        ),
        "GSSAPI authentication not supported: no library"
    );
    // Encrypted by it, nothing is left to be said.
    let plan = planned(GssEncMode::Require, SslMode::Disable);
    let gss = [Answer::CredentialsFound, Answer::GssSecured];
    let script = encrypting().startup().send(auth_gss());
    assert_eq!(
        fails(&plan, &gss, &[script]),
        "duplicate GSS authentication request"
    );
}

#[test]
fn what_is_waited_for_is_named() {
    let plan = planned(GssEncMode::Require, SslMode::Disable);
    let engine = Engine::new(plan, Random::new([7; 32]), ROOM);
    let mut bench = Bench::around(engine, [Server::Plays(Script::new())], Pace::default());
    bench.gss = VecDeque::from([Answer::CredentialsFound]);
    bench.poll();
    assert_eq!(bench.engine.facts().phase(), Phase::NegotiatingGss);
    assert!(
        bench
            .engine
            .inspect(0)
            .contains("negotiating GSSAPI encryption")
    );
}
