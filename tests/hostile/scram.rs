//! SCRAM with a server that does not play by the rules.

use testkit::script::{
    Scram, Script, Trick, auth_cleartext, auth_md5, auth_ok, auth_sasl, auth_sasl_continue,
    auth_sasl_final, error, ready,
};
use testkit::sim::{Bench, Pace, Server};

use super::refusal;

fn offered() -> Script {
    Script::new().startup().send(auth_sasl(&["SCRAM-SHA-256"]))
}

fn honest() -> Scram {
    Scram::new("secret")
}

#[test]
fn a_wrong_server_signature() {
    let script = Script::new()
        .startup()
        .scram(honest().trick(Trick::WrongSignature))
        .send(auth_ok())
        .settled();
    assert_eq!(refusal("signature", script), "incorrect server signature");
}

#[test]
fn a_nonce_that_is_not_ours() {
    let script = offered().challenge(honest().trick(Trick::OtherNonce));
    assert_eq!(
        refusal("nonce", script),
        "invalid SCRAM response (nonce mismatch)"
    );
}

/// A server that lets the client in before it has proved itself may be anybody.
#[test]
fn an_exchange_cut_short() {
    let text = "server authenticated the client without completing the SCRAM exchange";
    let early = offered().expect_tag(b'p').send(auth_ok()).settled();
    assert_eq!(refusal("after the first message", early), text);
    let late = offered().challenge(honest()).expect_tag(b'p');
    assert_eq!(
        refusal("after the proof", late.send(auth_ok()).settled()),
        text
    );
}

#[test]
fn an_exchange_out_of_order() {
    let asked_twice = offered()
        .expect_tag(b'p')
        .send(auth_sasl(&["SCRAM-SHA-256"]));
    assert_eq!(
        refusal("twice", asked_twice),
        "duplicate SASL authentication request"
    );
    for bytes in [auth_sasl_continue(b"r=x"), auth_sasl_final(b"v=x")] {
        let text = refusal("not begun", Script::new().startup().send(bytes));
        assert!(
            text.starts_with("fe_sendauth: invalid authentication request from server"),
            "{text}"
        );
    }
    let early = offered().expect_tag(b'p').send(auth_sasl_final(b"v=AAAA"));
    assert_eq!(
        refusal("final first", early),
        "invalid SCRAM exchange state"
    );
    let twice = offered()
        .challenge(honest())
        .expect_tag(b'p')
        .send(auth_sasl_continue(b"r=x,s=AA==,i=1"));
    assert_eq!(
        refusal("continued twice", twice),
        "invalid SCRAM exchange state"
    );
}

/// Another method in the middle of an exchange would make the client show its password to a server that has not proved itself.
#[test]
fn another_method_in_the_middle() {
    for bytes in [auth_cleartext(), auth_md5([0; 4])] {
        for begun in [
            offered().expect_tag(b'p'),
            offered().challenge(honest()).expect_tag(b'p'),
        ] {
            // Whatever else the client sent would be taken for the next message: it must send nothing.
            let script = begun.send(&bytes[..]).expect_tag(b'X');
            assert_eq!(
                refusal("another method", script),
                "server asked for a password in the middle of the SCRAM exchange"
            );
        }
    }
}

#[test]
fn malformed_messages() {
    for (data, text) in [
        (&b""[..], "malformed SCRAM message (empty message)"),
        (b"x=1", "malformed SCRAM message (attribute \"r\" expected)"),
        (
            b"e=other-error",
            "malformed SCRAM message (attribute \"r\" expected)",
        ),
        (b"r=abc\0", "malformed SCRAM message (length mismatch)"),
    ] {
        let script = offered().expect_tag(b'p').send(auth_sasl_continue(data));
        assert_eq!(refusal("continue", script), text);
    }
    let refused = offered()
        .challenge(honest())
        .expect_tag(b'p')
        .send(auth_sasl_final(b"e=invalid-proof"));
    assert_eq!(
        refusal("final", refused),
        "error received from server in SCRAM exchange: invalid-proof"
    );
}

#[test]
fn the_servers_refusal_in_the_middle() {
    let script = offered().challenge(honest()).expect_tag(b'p').send(error(
        "FATAL",
        "28P01",
        "password authentication failed",
    ));
    assert_eq!(
        refusal("refused", script),
        "FATAL:  password authentication failed"
    );
}

#[test]
fn iteration_counts() {
    let above = "server requested a SCRAM iteration count above the limit of 16777216: \
        lower scram_iterations on the server and set the password again";
    let invalid = "malformed SCRAM message (invalid iteration count)";
    for (count, text) in [
        ("0", invalid),
        ("-1", invalid),
        ("", invalid),
        ("1x", invalid),
        ("16777217", above),
        ("4294967297", above),
        ("99999999999999999999", above),
    ] {
        let script = offered().challenge(honest().iterations(count));
        assert_eq!(refusal(count, script), text, "i={count}");
    }
}

fn thread_cpu() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to `time` alone.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// 10^7 iterations are seconds of work: each call does a slice of it, says that it wants to be called again, and the
/// deadline holds between two of them.
#[test]
fn ten_million_iterations_in_slices() {
    let script = offered().challenge(honest().iterations("10000000"));
    let mut bench = Bench::with(
        "host=127.0.0.1 user=tester password=secret connect_timeout=10",
        [Server::Plays(script)],
        Pace::default(),
    );
    let (mut slices, mut longest) = (0, 0);
    while slices < 100 {
        let before = thread_cpu();
        let (need, progress) = bench.turn();
        longest = longest.max(thread_cpu() - before);
        assert!(progress, "{}", bench.place());
        slices += usize::from(need.runnable);
        bench.now += 1_000_000;
    }
    assert_eq!(bench.engine.awaiting().what, "the SCRAM key to be derived");
    println!(
        "10^7 SCRAM iterations: the longest of 100 calls took {} µs of CPU",
        longest / 1000
    );
    // The slice is a fixed number of iterations: a bound for an unoptimised build on a slow machine.
    assert!(longest < 500_000_000, "{longest} ns");
    bench.now = bench.engine.deadline().unwrap();
    bench.poll();
    let error = bench.engine.error().unwrap();
    assert!(
        error.message().ends_with("failed: timeout expired"),
        "{error}"
    );
}

/// The server goes away while the key is derived: that ends it, too.
#[test]
fn a_loss_while_the_key_is_derived() {
    let script = offered().challenge(honest().iterations("10000000"));
    let mut bench = Bench::new("host=127.0.0.1 user=tester password=secret", &script);
    while !bench.turn().0.runnable {}
    bench.engine.lost(testkit::sim::closed());
    let mut calls = 0;
    while bench.engine.error().is_none() {
        bench.turn();
        calls += 1;
        assert!(calls < 10, "{}", bench.place());
    }
    let error = bench.engine.error().unwrap();
    assert!(
        error
            .message()
            .contains("server closed the connection unexpectedly")
    );
}

/// The rest of the startup must not be believed before AuthenticationOk.
#[test]
fn ready_before_authentication_is_done() {
    let script = offered().expect_tag(b'p').send(ready(b'I'));
    assert_eq!(
        refusal("ready", script),
        "expected authentication request from server, but received Z"
    );
}
