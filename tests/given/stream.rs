//! The whole library without a socket: every size of piece, with TLS and without.

use pgpoll::conn::{Cancel, Connection, Readiness};
use pgpoll::engine::Outcome;

use crate::carrier::Carrier;
use crate::{conninfo, server};

#[test]
fn queries_work_whatever_the_pieces_are() {
    for tls in [false, true] {
        for piece in [1, 7, 1000, usize::MAX] {
            let mut carrier = Carrier::up(tls, piece);
            assert_eq!(carrier.connection.is_encrypted(), tls);
            for rows in [1, 500] {
                let sql = format!("select repeat('x', 10) from generate_series(1, {rows})");
                carrier.connection.start_query(sql).unwrap();
                assert_eq!(carrier.finish(), (rows, rows * 10, Outcome::Ok));
            }
            carrier.connection.start_query("select 1 / 0").unwrap();
            assert_eq!(carrier.finish().2, Outcome::Failed);
        }
    }
}

#[test]
fn large_results_and_parameters_pass_through_small_buffers() {
    for tls in [false, true] {
        let mut carrier = Carrier::up(tls, usize::MAX);
        let sql = "select repeat('x', 1000) from generate_series(1, 20000)";
        carrier.connection.start_query(sql).unwrap();
        assert_eq!(carrier.finish(), (20_000, 20_000_000, Outcome::Ok));
        let value = vec![b'x'; 8 << 20];
        let params: [Option<&[u8]>; 1] = [Some(&value)];
        let sql = "select $1::text";
        carrier
            .connection
            .start_query_params(sql, &[25], &params, 0)
            .unwrap();
        assert_eq!(carrier.finish(), (1, value.len(), Outcome::Ok));
    }
}

/// The server is blocked writing to us while we write to it: neither waits for the other.
#[test]
fn both_directions_may_be_full() {
    for tls in [false, true] {
        let mut carrier = Carrier::up(tls, usize::MAX);
        let value = vec![b'x'; 200_000];
        let params: [Option<&[u8]>; 1] = [Some(&value)];
        for _ in 0..50 {
            let sql = "select repeat($1::text, 2)";
            carrier
                .connection
                .start_query_params(sql, &[25], &params, 0)
                .unwrap();
        }
        for _ in 0..50 {
            assert_eq!(carrier.finish(), (1, 400_000, Outcome::Ok));
        }
    }
}

/// What is not taken stops the feeding, and nothing is lost.
#[test]
fn feeding_is_bounded_by_taking() {
    for tls in [false, true] {
        let mut carrier = Carrier::up(tls, usize::MAX);
        carrier.connection.set_batch(100, 0);
        let sql = "select repeat('x', 1000) from generate_series(1, 20000)";
        carrier.connection.start_query(sql).unwrap();
        let before = carrier.fed;
        carrier.fill();
        assert!(carrier.fed - before < 4 << 20, "{}", carrier.fed - before);
        assert!(carrier.connection.poll().has_result());
        assert_eq!(carrier.finish(), (20_000, 20_000_000, Outcome::Ok));
    }
}

#[test]
fn a_stream_has_no_descriptor_and_waits_for_nobody() {
    let mut connection = Connection::open_stream(conninfo(false));
    assert!(connection.is_stream());
    let ready = connection.wait(None);
    assert!(ready.wants_read() && ready.wants_write() && !ready.has(Readiness::SOCKET_CHANGED));
    assert_eq!(connection.socket(), None);
    assert!(
        connection.inspect().contains("given transport"),
        "{}",
        connection.inspect()
    );
    assert!(!connection.output().is_empty());
    assert_eq!(connection.output()[4..8], [0, 3, 0, 0], "a startup packet");
}

#[test]
fn a_request_to_cancel_is_handed_out_as_bytes() {
    use std::io::{Read, Write};
    let mut carrier = Carrier::up(false, usize::MAX);
    carrier
        .connection
        .start_query("select pg_sleep(60)")
        .unwrap();
    while !carrier.connection.output().is_empty() || carrier.connection.poll().wants_write() {
        carrier.until(Readiness::WANT_READ);
        assert!(carrier.carry_out());
    }
    // A request that overtakes its statement would find nothing to cancel.
    server().until_busy(carrier.connection.facts().backend_pid());
    let packet = Cancel::of(&carrier.connection).unwrap().packet().to_vec();
    let mut canceller = std::net::TcpStream::connect(("127.0.0.1", server().port())).unwrap();
    canceller.write_all(&packet).unwrap();
    assert_eq!(
        canceller.read(&mut [0]).unwrap(),
        0,
        "the server has dealt with it"
    );
    assert_eq!(carrier.finish().2, Outcome::Failed);
    carrier.connection.start_query("select 1").unwrap();
    assert_eq!(carrier.finish(), (1, 1, Outcome::Ok));
}

#[test]
fn what_cannot_be_is_said() {
    let said = |connection: Connection| connection.error().unwrap().message().to_owned();
    let mut connection = Connection::open_stream("host=a,b");
    assert!(connection.poll().is_failed());
    let one = "a transport that is given leads to one server: name one host only, with one port";
    assert_eq!(said(connection), one);
    let mut connection = Connection::open_stream("nonsense");
    assert!(connection.poll().is_failed());
    assert_eq!(connection.feed(b"x"), 0);
    let mut carrier = Carrier::up(true, usize::MAX);
    carrier.connection.reset();
    assert!(carrier.connection.poll().is_failed());
    let reset = "a connection over a given transport cannot be reset: open another one, over a new transport";
    assert_eq!(said(carrier.connection), reset);
}

/// The last words can still be carried: Terminate, and with TLS that nothing follows.
#[test]
fn a_connection_that_is_closed_has_last_words() {
    let mut carrier = Carrier::up(false, usize::MAX);
    carrier.connection.close();
    assert_eq!(carrier.connection.output(), b"X\0\0\0\x04");
    assert_eq!(carrier.connection.feed(b"late"), 0);
    let mut carrier = Carrier::up(true, usize::MAX);
    carrier.connection.close();
    assert!(carrier.connection.output().len() > 5 + 5);
}
