//! Encryption as the client negotiates it, against scripted servers in memory: which ways are tried, in which order, and
//! what is said when none works. The handshake itself is played.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;

use pgpoll::conninfo::plan::Plan;
use pgpoll::conninfo::tls::CertificateMode;
use pgpoll::conninfo::{ChannelBinding, SslMode, Target, Tls};
use pgpoll::engine::{Engine, Phase, Random};
use pgpoll::link::{LinkError, LinkErrorKind, TlsFacts};
use testkit::script::{Player, Scram, Script, auth_ok, auth_sasl, error, ready};
use testkit::sim::{Bench, Chunks, Pace, ROOM, Server, plan, tls};

const AT: &str = "connection to server at \"127.0.0.1\", port 5432 failed: ";

fn planned(mode: SslMode, tls: Tls) -> Plan {
    let mut plan = plan("host=127.0.0.1 user=tester dbname=scripted password=secret");
    plan.sslmode = mode;
    plan.tls = (mode != SslMode::Disable).then(|| Arc::new(tls));
    plan.channel_binding = ChannelBinding::Prefer;
    plan
}

fn client(plan: Plan, scripts: &[Script], pace: Pace) -> Bench {
    let servers: Vec<Server> = scripts.iter().cloned().map(Server::Plays).collect();
    let mut bench = Bench::around(Engine::new(plan, Random::new([7; 32]), ROOM), servers, pace);
    bench.poll();
    bench
}

/// Connects, whole and byte by byte, and has met every server.
fn connects(plan: &Plan, scripts: &[Script]) -> Bench {
    for inbound in [Chunks::Of(1), Chunks::All] {
        let pace = Pace {
            inbound,
            outbound: inbound,
            ..Pace::default()
        };
        let bench = client(plan.clone(), scripts, pace);
        assert!(bench.engine.facts().is_ready(), "{}", bench.place());
        assert_eq!(bench.dialled, scripts.len());
        assert!(bench.player().is_some_and(Player::is_over));
        if inbound == Chunks::All {
            return bench;
        }
    }
    unreachable!()
}

/// Does not connect, whole and byte by byte, after having met every server: what it says.
fn fails(plan: &Plan, scripts: &[Script]) -> String {
    let [whole, split] = [Chunks::All, Chunks::Of(1)].map(|inbound| {
        let pace = Pace {
            inbound,
            ..Pace::default()
        };
        let bench = client(plan.clone(), scripts, pace);
        assert_eq!(bench.dialled, scripts.len(), "{}", bench.place());
        let error = bench
            .engine
            .error()
            .unwrap_or_else(|| panic!("{}", bench.place()));
        error.message().to_owned()
    });
    assert_eq!(whole, split);
    whole
}

/// The same, from one server.
fn refusal(plan: &Plan, script: Script) -> String {
    let text = fails(plan, &[script]);
    text.strip_prefix(AT)
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}

fn failed(kind: LinkErrorKind, text: &str) -> LinkError {
    LinkError {
        kind,
        errno: 0,
        text: text.to_owned(),
    }
}

/// A server that does TLS and lets everybody in.
fn open_tls() -> Script {
    Script::encrypted().and(&Script::trusting())
}

/// A server that has no TLS and lets everybody in.
fn open_plain() -> Script {
    Script::new()
        .ssl_request()
        .send("N")
        .and(&Script::trusting())
}

/// A server that turns the client away once it has asked for a session.
fn turns_away(script: Script, words: &str) -> Script {
    script
        .startup()
        .send(error("FATAL", "28000", words))
        .close()
}

fn broken_handshake() -> Script {
    let text = "SSL error: certificate verify failed";
    Script::new()
        .ssl_request()
        .send("S")
        .handshake(Err(failed(LinkErrorKind::Tls, text)))
}

#[test]
fn each_mode_takes_what_it_may_have() {
    use SslMode::{Allow, Disable, Prefer, Require, VerifyCa, VerifyFull};
    for (mode, script, encrypted) in [
        (Disable, Script::trusting(), false),
        (Allow, Script::trusting(), false),
        (Prefer, open_tls(), true),
        (Prefer, open_plain(), false),
        (Require, open_tls(), true),
        (VerifyCa, open_tls(), true),
        (VerifyFull, open_tls(), true),
    ] {
        let bench = connects(&planned(mode, tls()), &[script]);
        assert_eq!(bench.engine.facts().tls().is_some(), encrypted, "{mode:?}");
    }
}

#[test]
fn the_handshake_knows_the_host_as_it_was_written() {
    let mut plan = planned(SslMode::Require, tls());
    plan.hosts[0].name = b"db.example".to_vec();
    let bench = connects(&plan, &[open_tls()]);
    let (how, host) = bench.secured.as_ref().unwrap();
    assert_eq!((&**how, &host[..]), (&tls(), &b"db.example"[..]));
    assert!(bench.engine.inspect(bench.now).contains("\"tls\":\""));
}

#[test]
fn allow_goes_on_to_tls_when_it_is_turned_away_without() {
    let plan = planned(SslMode::Allow, tls());
    let plain = turns_away(Script::new(), "no encryption");
    let bench = connects(&plan, &[plain.clone(), open_tls()]);
    assert!(bench.engine.facts().tls().is_some());
    assert_eq!(
        fails(
            &plan,
            &[
                plain.clone(),
                turns_away(Script::encrypted(), "SSL encryption")
            ]
        ),
        format!("{AT}FATAL:  no encryption\n{AT}FATAL:  SSL encryption")
    );
    assert_eq!(
        fails(&plan, &[plain, Script::new().ssl_request().send("N")]),
        format!("{AT}FATAL:  no encryption\n{AT}server does not support SSL, but SSL was required")
    );
}

#[test]
fn prefer_goes_on_without_tls_when_it_is_turned_away_with_it() {
    let plan = planned(SslMode::Prefer, tls());
    let turned = turns_away(Script::encrypted(), "SSL encryption");
    let bench = connects(&plan, &[turned.clone(), Script::trusting()]);
    assert!(bench.engine.facts().tls().is_none());
    connects(&plan, &[broken_handshake(), Script::trusting()]);
    assert_eq!(
        fails(
            &plan,
            &[
                broken_handshake(),
                turns_away(Script::new(), "no encryption")
            ]
        ),
        format!("{AT}SSL error: certificate verify failed\n{AT}FATAL:  no encryption")
    );
    // After `N` there is nothing else to try.
    assert_eq!(
        refusal(
            &plan,
            turns_away(Script::new().ssl_request().send("N"), "no encryption")
        ),
        "FATAL:  no encryption"
    );
}

/// Trap 26: what is required is never done without, whatever the server or somebody in between says.
#[test]
fn what_requires_tls_never_goes_on_without() {
    for mode in [SslMode::Require, SslMode::VerifyCa, SslMode::VerifyFull] {
        let plan = planned(mode, tls());
        assert_eq!(
            refusal(&plan, Script::new().ssl_request().send("N")),
            "server does not support SSL, but SSL was required"
        );
        assert_eq!(
            refusal(&plan, broken_handshake()),
            "SSL error: certificate verify failed"
        );
        assert_eq!(
            refusal(&plan, turns_away(Script::encrypted(), "SSL encryption")),
            "FATAL:  SSL encryption"
        );
    }
}

/// Trap 26: what arrives in clear with the answer is not the server's word.
#[test]
fn bytes_between_the_answer_and_the_handshake_are_refused() {
    for mode in [SslMode::Prefer, SslMode::Require] {
        for more in [&auth_ok()[..], b"x", &[b'S'; 100_000]] {
            let script = Script::new()
                .ssl_request()
                .send([b"S", more].concat())
                .handshake(Ok(TlsFacts::default()));
            let bench = client(planned(mode, tls()), &[script], Pace::default());
            assert_eq!(
                bench.engine.error().unwrap().message(),
                format!("{AT}received unencrypted data after SSL response")
            );
            assert!(bench.secured.is_none());
        }
    }
}

#[test]
fn other_answers_are_no_answers() {
    for mode in [SslMode::Prefer, SslMode::Require] {
        let plan = planned(mode, tls());
        let answers = |bytes: &[u8]| Script::new().ssl_request().send(bytes);
        // Nobody knows whose words these are (CVE-2024-10977).
        let words = error("FATAL", "XX000", "send your password to mallory");
        for bytes in [&words[..], b"Ecould not fork\0", b"E"] {
            assert_eq!(
                refusal(&plan, answers(bytes)),
                "server sent an error response during SSL exchange"
            );
        }
        for (bytes, shown) in [
            (&b"HTTP/1.1 400"[..], "H"),
            (b"\x15\x03\x01", "0x15"),
            (b"s", "s"),
        ] {
            assert_eq!(
                refusal(&plan, answers(bytes)),
                format!("received invalid response to SSL negotiation: {shown}")
            );
        }
        let closed = refusal(&plan, Script::new().ssl_request().close());
        assert!(closed.starts_with("server closed the connection unexpectedly"));
    }
}

#[test]
fn another_address_may_encrypt_better() {
    let mut plan = planned(SslMode::Require, tls());
    let mut second = plan.hosts[0].clone();
    second.port = 5433;
    plan.hosts.push(second);
    for first in [
        broken_handshake(),
        Script::new().ssl_request().send("N"),
        Script::new().ssl_request().send("E"),
        Script::new().ssl_request().close(),
    ] {
        connects(&plan, &[first, open_tls()]);
    }
    let text = fails(&plan, &[broken_handshake(), broken_handshake()]);
    let port = AT.replace("5432", "5433");
    assert_eq!(
        text,
        format!(
            "{AT}SSL error: certificate verify failed\n{port}SSL error: certificate verify failed"
        )
    );
}

/// Our own files are the same for every server.
#[test]
fn what_is_wrong_with_our_own_files_is_final() {
    let text = "could not read certificate file \"client.crt\": no start line";
    let mut problem = tls();
    problem.problem = Some(text.to_owned());
    let script = Script::new().ssl_request().send("S");
    let mut plan = planned(SslMode::Require, problem);
    plan.hosts.push(plan.hosts[0].clone());
    assert_eq!(refusal(&plan, script.clone()), text);
    plan.tls = Some(Arc::new(tls()));
    let told = failed(LinkErrorKind::TlsSetup, text);
    assert_eq!(refusal(&plan, script.clone().handshake(Err(told))), text);
    // Who does not need TLS does not need the files.
    let mut problem = tls();
    problem.problem = Some(text.to_owned());
    connects(
        &planned(SslMode::Prefer, problem.clone()),
        &[script, Script::trusting()],
    );
    connects(&planned(SslMode::Prefer, problem), &[open_plain()]);
}

#[test]
fn direct_tls_needs_the_protocol_to_be_selected() {
    let mut direct = tls();
    direct.direct = true;
    let plan = planned(SslMode::Require, direct);
    let shaken = |alpn: Option<&[u8]>| {
        Script::new().handshake(Ok(TlsFacts {
            alpn: alpn.map(<[u8]>::to_vec),
            ..TlsFacts::default()
        }))
    };
    connects(
        &plan,
        &[shaken(Some(b"postgresql")).and(&Script::trusting())],
    );
    assert_eq!(
        refusal(&plan, shaken(None)),
        "direct SSL connection was established without ALPN protocol negotiation extension"
    );
    assert_eq!(
        refusal(&plan, shaken(Some(b"h2"))),
        "SSL connection was established with unexpected ALPN protocol"
    );
}

#[test]
fn unix_sockets_are_never_encrypted() {
    for mode in [SslMode::Prefer, SslMode::Require, SslMode::VerifyFull] {
        let mut plan = planned(mode, tls());
        plan.hosts[0].target = Target::Unix(b"/tmp/.s.PGSQL.5432".to_vec());
        connects(&plan, &[Script::trusting()]);
    }
}

/// There is no second transport to try another method on.
#[test]
fn over_a_given_transport_there_is_one_attempt() {
    let given = |mode| {
        let mut plan = planned(mode, tls());
        plan.hosts[0].target = Target::Given;
        plan
    };
    connects(&given(SslMode::Prefer), &[open_tls()]);
    connects(&given(SslMode::Prefer), &[open_plain()]);
    let prefix = "connection to server over the given transport failed: ";
    assert_eq!(
        fails(&given(SslMode::Prefer), &[broken_handshake()]),
        format!("{prefix}SSL error: certificate verify failed")
    );
    assert_eq!(
        fails(
            &given(SslMode::Allow),
            &[turns_away(Script::new(), "no encryption")]
        ),
        format!("{prefix}FATAL:  no encryption")
    );
}

/// A starting server starts for encrypted connections, too.
#[test]
fn a_server_that_cannot_be_connected_to_now_is_not_asked_again() {
    let starting = Script::encrypted().startup().send(error(
        "FATAL",
        "57P03",
        "the database system is starting up",
    ));
    assert_eq!(
        refusal(&planned(SslMode::Prefer, tls()), starting),
        "FATAL:  the database system is starting up"
    );
}

/// What is refused after authentication has nothing to do with encryption.
#[test]
fn a_refusal_after_authentication_is_final() {
    let script = Script::encrypted().startup().send(auth_ok()).send(error(
        "FATAL",
        "3D000",
        "database \"scripted\" does not exist",
    ));
    assert_eq!(
        refusal(&planned(SslMode::Prefer, tls()), script),
        "FATAL:  database \"scripted\" does not exist"
    );
}

#[test]
fn the_methods_of_an_address_share_its_time() {
    let mut plan = planned(SslMode::Prefer, tls());
    plan.connect_timeout = Some(std::time::Duration::from_secs(10));
    let second = 1_000_000_000;
    let bench = &mut client(plan, &[broken_slowly(), Script::new()], Pace::default());
    let deadline = bench.engine.deadline().unwrap();
    assert_eq!(deadline, bench.now + 10 * second);
    assert_eq!(bench.engine.facts().phase(), Phase::Negotiating);
    bench.now += 9 * second;
    bench.inject(b"S");
    bench.poll();
    // The second method is tried in what is left.
    assert_eq!(bench.dialled, 2);
    assert_eq!(bench.engine.facts().phase(), Phase::Startup);
    assert_eq!(bench.engine.deadline(), Some(deadline));
    bench.now = deadline;
    bench.poll();
    assert_eq!(
        bench.engine.error().unwrap().message(),
        format!("{AT}SSL error: certificate verify failed\n{AT}timeout expired")
    );
}

/// It answers when the test has it answer.
fn broken_slowly() -> Script {
    let text = "SSL error: certificate verify failed";
    Script::new()
        .ssl_request()
        .handshake(Err(failed(LinkErrorKind::Tls, text)))
}

#[test]
fn a_certificate_that_is_required_must_have_been_asked_for_and_sent() {
    let mut required = tls();
    required.certificate_mode = CertificateMode::Require;
    let plan = planned(SslMode::Require, required);
    let script = |requested, sent| {
        Script::new()
            .ssl_request()
            .send("S")
            .handshake(Ok(TlsFacts {
                certificate_requested: requested,
                certificate_sent: sent,
                ..TlsFacts::default()
            }))
    };
    connects(&plan, &[script(true, true).and(&Script::trusting())]);
    let let_in = |script: Script| script.startup().send(auth_ok());
    assert_eq!(
        refusal(&plan, let_in(script(false, false))),
        "server did not request an SSL certificate"
    );
    assert_eq!(
        refusal(&plan, let_in(script(true, false))),
        "server accepted connection without a valid SSL certificate"
    );
    // A server that is known by its certificate may still say that it does not want us.
    assert_eq!(
        refusal(
            &plan,
            turns_away(
                script(false, false),
                "connection requires a valid client certificate"
            )
        ),
        "FATAL:  connection requires a valid client certificate"
    );
}

/// A handshake with a server whose certificate has this hash.
fn shaken(hash: &[u8]) -> Script {
    Script::new()
        .ssl_request()
        .send("S")
        .handshake(Ok(TlsFacts {
            end_point: Some(Ok(hash.to_vec())),
            ..TlsFacts::default()
        }))
        .startup()
}

#[test]
fn scram_is_bound_to_the_servers_certificate() {
    let script = shaken(b"hash")
        .scram(Scram::new("secret").bound(b"hash"))
        .send(auth_ok())
        .settled();
    let mut plan = planned(SslMode::Require, tls());
    connects(&plan, std::slice::from_ref(&script));
    plan.channel_binding = ChannelBinding::Require;
    connects(&plan, &[script]);
}

/// Somebody in between has another certificate, and hands on what both sides say.
#[test]
#[should_panic(expected = "the client is bound to another connection")]
fn scram_that_is_bound_shows_who_sits_in_between() {
    let script = shaken(b"mallory").scram(Scram::new("secret").bound(b"hash"));
    client(planned(SslMode::Require, tls()), &[script], Pace::default());
}

/// The client says that it could have bound the exchange, so that a server whose offer was taken away notices.
#[test]
fn an_offer_that_was_taken_away_shows() {
    let script = |scram: Scram| shaken(b"hash").scram(scram).send(auth_ok()).settled();
    let mut plan = planned(SslMode::Require, tls());
    connects(&plan, &[script(Scram::new("secret").bindable())]);
    plan.channel_binding = ChannelBinding::Disable;
    connects(&plan, &[script(Scram::new("secret"))]);
    plan.channel_binding = ChannelBinding::Prefer;
    let plain = Script::new().startup().scram(Scram::new("secret"));
    plan.sslmode = SslMode::Disable;
    connects(&plan, &[plain.send(auth_ok()).settled()]);
}

#[test]
fn a_binding_that_is_required_is_not_done_without() {
    let mut plan = planned(SslMode::Require, tls());
    plan.channel_binding = ChannelBinding::Require;
    for (script, text) in [
        (
            shaken(b"hash").send(auth_sasl(&["SCRAM-SHA-256"])),
            "channel binding is required, but server did not offer an authentication method that supports channel binding",
        ),
        (
            shaken(b"hash").send(auth_ok()),
            "channel binding required, but server authenticated client without channel binding",
        ),
        (
            shaken(b"hash").send(testkit::script::auth_cleartext()),
            "channel binding required but not supported by server's authentication request",
        ),
    ] {
        assert_eq!(refusal(&plan, script), text);
    }
    plan.sslmode = SslMode::Disable;
    assert_eq!(
        refusal(
            &plan,
            Script::new().startup().send(auth_sasl(&["SCRAM-SHA-256"]))
        ),
        "channel binding required, but SSL not in use"
    );
    plan.channel_binding = ChannelBinding::Prefer;
    assert_eq!(
        refusal(
            &plan,
            Script::new()
                .startup()
                .send(auth_sasl(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]))
        ),
        "server offered SCRAM-SHA-256-PLUS authentication over a non-SSL connection"
    );
}

#[test]
fn a_certificate_without_a_hash_cannot_be_bound_to() {
    let text = "could not find digest for NID UNDEF";
    let script = Script::new()
        .ssl_request()
        .send("S")
        .handshake(Ok(TlsFacts {
            end_point: Some(Err(text.to_owned())),
            ..TlsFacts::default()
        }))
        .startup()
        .send(auth_sasl(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]));
    assert_eq!(refusal(&planned(SslMode::Require, tls()), script), text);
}

/// No byte of a stranger is a message before it has been decided what the transport is.
#[test]
fn a_silent_or_talkative_stranger_is_left_at_the_deadline() {
    let mut plan = planned(SslMode::Prefer, tls());
    plan.connect_timeout = Some(std::time::Duration::from_secs(2));
    for script in [
        Script::new().ssl_request(),
        Script::new().ssl_request().send("S"),
        Script::encrypted(),
        Script::encrypted().startup(),
        Script::new().ssl_request().send("N").startup(),
        Script::new()
            .ssl_request()
            .send(["N".as_bytes(), &ready(b'I')].concat()),
    ] {
        let mut bench = client(plan.clone(), &[script], Pace::default());
        if let Some(deadline) = bench.engine.deadline() {
            bench.now = deadline;
            bench.poll();
        }
        assert!(bench.engine.error().is_some(), "{}", bench.place());
    }
}
