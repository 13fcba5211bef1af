//! The traps that TLS sets for a poll loop.

use pgpoll::net::{Received, Sent};

use crate::peer::{TLS_1_2, TLS_1_3, receive_all, secured};

/// Trap 2, plaintext left inside TLS: what was decrypted, or has arrived and could be, is known as input until the last byte of it
/// was taken, and taking it needs nothing more from the transport.
#[test]
fn trap_2_plaintext_left_inside_tls_is_input() {
    for kind in [TLS_1_2, TLS_1_3] {
        let (mut net, mut peer) = secured(kind, usize::MAX);
        let data: Vec<u8> = (0..14_000).map(|i| (i % 251) as u8).collect();
        peer.say(&data[..9_000]);
        peer.say(&data[9_000..]);
        assert!(peer.carry(&mut net, usize::MAX) && peer.wire.is_empty());
        let mut got = Vec::new();
        while got.len() < data.len() {
            assert!(net.has_input(), "after {} bytes", got.len());
            let mut chunk = Vec::with_capacity(100);
            assert!(matches!(
                net.receive_behind(&mut chunk, 100),
                Received::Bytes(1..=100)
            ));
            got.extend(chunk);
            assert_eq!(net.has_more(), got.len() < data.len());
        }
        assert!(got == data);
        assert!(!net.has_input());
        assert_eq!(net.receive(&mut [0; 8]), Received::Wait);
    }
}

/// A part of a record is no input: whoever took it for some would spin until the rest comes.
#[test]
fn half_a_record_is_no_input() {
    for kind in [TLS_1_2, TLS_1_3] {
        let (mut net, mut peer) = secured(kind, usize::MAX);
        peer.say(&[7; 1000]);
        while peer.wire.len() > 1 {
            assert!(peer.carry(&mut net, 100.min(peer.wire.len() - 1)));
            assert_eq!(receive_all(&mut net, 4096), b"");
            assert!(!net.has_input() && !net.has_more());
        }
        peer.carry(&mut net, 1);
        assert_eq!(receive_all(&mut net, 4096), [7; 1000]);
    }
}

/// Trap 3, a TLS read that needs a write, or the reverse: while nothing more can be sent, what arrives is received; and what the peer
/// wants to be answered (new keys) is answered without holding up either direction.
#[test]
fn trap_3_reading_goes_on_while_writing_waits_and_the_reverse() {
    for kind in [TLS_1_2, TLS_1_3] {
        let (mut net, mut peer) = secured(kind, usize::MAX);
        let data = vec![5; 200_000];
        let mut sent = 0;
        while let Sent::Bytes(count) = net.send(&data[sent..]) {
            sent += count;
        }
        assert!(net.has_unsent());
        for round in 0..50 {
            if kind.version == TLS_1_3.version {
                peer.tls.refresh_traffic_keys().unwrap();
            }
            peer.say(&[round; 100]);
            peer.carry(&mut net, usize::MAX);
            assert_eq!(receive_all(&mut net, 4096), [round; 100]);
            assert_eq!(net.send(&data[sent..]), Sent::Wait);
        }
        let mut heard = Vec::new();
        while sent < data.len() || net.has_unsent() {
            heard.extend(peer.hear(&mut net));
            match net.send(&data[sent..]) {
                Sent::Bytes(count) => sent += count,
                Sent::Wait => {}
                Sent::Failed(error) => panic!("{error:?}"),
            }
        }
        heard.extend(peer.hear(&mut net));
        assert!(heard == data);
    }
}
