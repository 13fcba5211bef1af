//! Large and small results and parameters over TLS, cut anywhere: in records of one byte and of 16 KB, piece by piece, in level- and
//! edge-triggered loops. Traps 2, 3 and 4.

use std::time::Duration;

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::Reply;
use testkit::proxy::{Fault, Faults, Proxy};
use testkit::{Cluster, ClusterOptions, ServerTls};

use crate::loops::Loop;
use crate::relay::{Records, Relay};
use crate::servers::{conninfo, newest};

/// Lengths of values whose rows end just before, at and behind the boundaries that matter.
const LENGTHS: [usize; 16] = [
    1, 8_150, 8_191, 8_192, 8_193, 16_300, 16_383, 16_384, 16_385, 32_768, 65_500, 65_535, 65_536,
    65_537, 200_000, 1_000_000,
];

const ROOTS: &str = "sslmode=verify-ca sslrootcert={root+server_ca.crt}";

/// Results of each length, one after another and in one pipeline; parameters of each length.
fn talk(conninfo: &str, mode: u32, lengths: &[usize]) {
    let mut connection = Connection::open(conninfo);
    let mut turns = Loop::new(mode);
    turns.run(&mut connection, Readiness::IDLE, |_| {});
    assert!(connection.error().is_none(), "{:?}", connection.error());
    assert!(connection.facts().tls().is_some());
    for length in lengths {
        connection
            .start_query(format!("select repeat('x', {length})"))
            .unwrap();
        assert_eq!(values(&mut turns, &mut connection), [*length]);
    }
    for length in lengths {
        connection
            .start_query(format!("select repeat('x', {length})"))
            .unwrap();
    }
    assert_eq!(values(&mut turns, &mut connection), lengths);
    for length in lengths {
        let value = vec![b'p'; *length];
        let params: &[Option<&[u8]>] = &[Some(&value)];
        connection
            .start_query_params("select $1::text", &[], &params, 0)
            .unwrap();
        assert_eq!(values(&mut turns, &mut connection), [*length]);
    }
    connection.close();
}

fn up_to(most: usize) -> Vec<usize> {
    let lengths = LENGTHS.into_iter();
    lengths.filter(|length| *length <= most).collect()
}

/// Both kinds of loops; single bytes take long enough in one.
fn modes(size: usize) -> impl Iterator<Item = u32> {
    [libc::EPOLLET as u32, 0]
        .into_iter()
        .take(if size == 1 { 1 } else { 2 })
}

/// The lengths of all values up to the next idle state.
fn values(turns: &mut Loop, connection: &mut Connection) -> Vec<usize> {
    let mut lengths = Vec::new();
    turns.run(connection, Readiness::IDLE, |reply| match reply {
        Reply::Rows(batch) => lengths.extend((0..batch.rows()).map(|row| {
            let value = batch.value(row, 0).unwrap();
            assert!(value.iter().all(|byte| *byte == value[0]));
            value.len()
        })),
        Reply::Error(error) => panic!("{error}"),
        _ => {}
    });
    lengths
}

#[test]
fn trap_2_results_of_every_length_in_level_and_edge_triggered_loops() {
    let server = newest().with(&ServerTls::new("server-cn-only"));
    for version in ["TLSv1.2", "TLSv1.3"] {
        let versions = format!(
            "{ROOTS} ssl_min_protocol_version={version} ssl_max_protocol_version={version}"
        );
        for mode in [0, libc::EPOLLET as u32] {
            talk(&conninfo(&server, &versions), mode, &LENGTHS);
        }
    }
}

#[test]
fn trap_4_pieces_of_any_size() {
    let server = newest().with(&ServerTls::new("server-cn-only"));
    for (piece, most) in [
        (1, 8_200),
        (5, 16_400),
        (4_096, usize::MAX),
        (16_401, usize::MAX),
    ] {
        let lengths = up_to(most);
        let place: &Cluster = &server;
        let proxy = Proxy::start(place, move |_| {
            let pieces = || Fault::Pieces(piece, Duration::ZERO);
            Faults::none().to_client(0, pieces()).to_server(0, pieces())
        });
        for mode in modes(piece) {
            talk(
                &conninfo(&server, &format!("{ROOTS} port={}", proxy.port())),
                mode,
                &lengths,
            );
        }
    }
}

#[test]
fn records_of_one_byte_and_of_sixteen_kilobytes() {
    let cluster = Cluster::start(ClusterOptions::new());
    for (size, most) in [
        (1, 8_200),
        (33, 33_000),
        (4_096, usize::MAX),
        (16_384, usize::MAX),
    ] {
        let lengths = up_to(most);
        let relay = Relay::start(cluster.port(), Records::Of(size));
        for mode in modes(size) {
            let more = format!(
                "{ROOTS} host=localhost sslmode=verify-full user=postgres dbname=postgres port={}",
                relay.port()
            );
            talk(&conninfo(&cluster, &more), mode, &lengths);
        }
        // And what the relay sends comes to the client in pieces that fit no record.
        let proxy = Proxy::start(
            std::net::SocketAddr::from(([127, 0, 0, 1], relay.port())),
            |_| Faults::none().to_client(0, Fault::Pieces(7, Duration::ZERO)),
        );
        let lengths = up_to(most.min(20_000));
        let more = format!(
            "{ROOTS} user=postgres dbname=postgres port={}",
            proxy.port()
        );
        talk(&conninfo(&cluster, &more), libc::EPOLLET as u32, &lengths);
    }
}

/// The head of every record, and everything else, is cut once at each byte of a whole conversation.
#[test]
fn a_conversation_with_a_pause_at_every_byte() {
    let server = newest().with(&ServerTls::new("server-cn-only"));
    let place: &Cluster = &server;
    // A handshake and a small answer are below 6,000 bytes; a cut behind the end is no cut.
    let proxy = Proxy::start(place, |number| {
        Faults::none().to_client(number * 13, Fault::Pause(Duration::from_millis(2)))
    });
    let conninfo = conninfo(&server, &format!("{ROOTS} port={}", proxy.port()));
    for _ in 0..460 {
        let mut connection = Connection::open(&conninfo);
        let mut turns = Loop::new(libc::EPOLLET as u32);
        turns.run(&mut connection, Readiness::IDLE, |_| {});
        connection.start_query("select repeat('x', 100)").unwrap();
        assert_eq!(values(&mut turns, &mut connection), [100]);
    }
}

/// Both sides have much to say at once: neither waits for the other to listen first.
#[test]
fn trap_3_much_in_both_directions_at_once() {
    let server = newest().with(&ServerTls::new("server-cn-only"));
    for mode in [0, libc::EPOLLET as u32] {
        let mut connection = Connection::open(conninfo(&server, ROOTS));
        connection.set_send_queue(usize::MAX);
        let mut turns = Loop::new(mode);
        turns.run(&mut connection, Readiness::IDLE, |_| {});
        let value = vec![b'p'; 300_000];
        let params: &[Option<&[u8]>] = &[Some(&value)];
        for _ in 0..60 {
            connection
                .start_query_params("select $1::text || $1", &[], &params, 0)
                .unwrap();
        }
        assert_eq!(values(&mut turns, &mut connection), [600_000; 60]);
    }
}
