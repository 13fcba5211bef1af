//! Streams that end: at every byte of a session, one clear error and no hang.

use pgpoll::conn::Readiness;
use pgpoll::engine::Outcome;

use crate::carrier::Carrier;

/// Runs a session until the transport ends after `end_after` bytes of the server's; how many it had sent.
fn session(tls: bool, end_after: usize) -> usize {
    let mut carrier = Carrier::new(tls, usize::MAX);
    carrier.end_after = end_after;
    let ready = carrier.until(Readiness::IDLE | Readiness::FAILED);
    if ready.is_idle() {
        carrier
            .connection
            .start_query("select generate_series(1, 3)")
            .unwrap();
        let (rows, _, outcome) = carrier.finish();
        if outcome == Outcome::Ok {
            assert_eq!(rows, 3);
            return carrier.fed;
        }
    }
    carrier.until(Readiness::FAILED);
    assert!(carrier.connection.take().is_none());
    let error = carrier.connection.error().unwrap().message().to_owned();
    let texts = [
        "server closed the connection unexpectedly",
        "SSL SYSCALL error: EOF detected",
    ];
    assert!(
        texts.iter().any(|text| error.contains(text)),
        "{end_after}: {error}"
    );
    assert_eq!(
        error.matches("connection to server").count(),
        usize::from(!ready.is_idle())
    );
    assert_eq!(
        carrier.connection.poll().bits(),
        Readiness::FAILED,
        "and it stays so"
    );
    carrier.fed
}

#[test]
fn a_stream_that_ends_at_any_byte_is_one_clear_error() {
    for tls in [false, true] {
        let whole = session(tls, usize::MAX);
        // Lengths differ a little from session to session: parameters, signatures.
        let mut cut = 0;
        while cut < whole.saturating_sub(20) {
            assert_eq!(session(tls, cut), cut);
            cut += if tls { 37 } else { 5 };
        }
    }
}
