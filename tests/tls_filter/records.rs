//! Records of every size, cut anywhere.

use pgpoll::net::Sent;

use crate::peer::{Kind, TLS_1_2, TLS_1_3, receive_all, secured};

const SIZES: [usize; 6] = [1, 5, 33, 1000, 8192, 16384];

fn data(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

#[test]
fn a_handshake_may_come_in_pieces_of_any_size() {
    for kind in [TLS_1_2, TLS_1_3] {
        for piece in [1, 2, 3, 7, 100, 1000, 100_000] {
            let (mut net, mut peer) = secured(kind, piece);
            assert_eq!(net.send(b"hello"), Sent::Bytes(5));
            assert_eq!(peer.hear(&mut net), b"hello");
            peer.say(b"back");
            while peer.carry(&mut net, piece) {}
            assert_eq!(receive_all(&mut net, 100), b"back");
        }
    }
}

#[test]
fn nothing_is_lost_whatever_the_size_of_records_pieces_and_room() {
    let data = data(40_000);
    for record in SIZES {
        for kind in [TLS_1_2, TLS_1_3] {
            let (mut net, mut peer) = secured(Kind { record, ..kind }, 100_000);
            let len = if record < 10 { 2_000 } else { data.len() };
            for piece in [4096, 100_000] {
                for room in [1, 100, 16 * 1024 - 1, 65_536] {
                    peer.say(&data[..len]);
                    let mut got = Vec::new();
                    while peer.carry(&mut net, piece) {
                        got.extend(receive_all(&mut net, room));
                    }
                    assert!(got == data[..len], "{record} {piece} {room}");
                    assert!(!net.has_input());
                }
            }
        }
    }
}
