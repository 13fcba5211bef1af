//! What TLS holds while a connection is idle, and what it asks for while one works.

use pgpoll::net::{Net, Received, Sent};
use testkit::alloc::thread;

use crate::peer::{TLS_1_2, TLS_1_3, connected, secured};

/// Bytes that it has on the heap.
fn freed(net: Net) -> i64 {
    let before = thread().held;
    drop(net);
    before - thread().held
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    for kind in [TLS_1_2, TLS_1_3] {
        drop(secured(kind, usize::MAX)); // what is made once is made
        let plain = freed(connected());
        let (mut net, mut peer) = secured(kind, usize::MAX);
        for _ in 0..3 {
            assert_eq!(net.send(&[1; 100]), Sent::Bytes(100));
            peer.hear(&mut net);
            peer.say(&[2; 20_000]);
            while peer.carry(&mut net, usize::MAX) {
                while net.receive(&mut [0; 30_000]) != Received::Wait {}
            }
        }
        let held = freed(net) - plain;
        println!("{:?}: {held} bytes", kind.version);
        assert!(held < 16 * 1024, "{held}");
    }
}

/// rustls takes a buffer for each record in either direction, and gives it back at once; there is nothing else.
#[test]
fn a_round_trip_asks_for_a_buffer_per_record() {
    for kind in [TLS_1_2, TLS_1_3] {
        let (mut net, mut peer) = secured(kind, usize::MAX);
        let mut room = Vec::with_capacity(4096);
        let mut asked = 0;
        for _ in 0..10 {
            let before = thread();
            assert_eq!(net.send(&[1; 100]), Sent::Bytes(100));
            let sending = thread() - before;
            peer.hear(&mut net);
            peer.say(&[2; 1000]);
            peer.carry(&mut net, usize::MAX);
            room.clear();
            let before = thread();
            assert_eq!(net.receive_behind(&mut room, 4096), Received::Bytes(1000));
            let receiving = thread() - before;
            assert_eq!(sending.held, 0);
            asked = sending.allocations + receiving.allocations;
        }
        println!("{:?}: {asked} allocations", kind.version);
        assert!(asked <= 2, "{asked}");
    }
}
