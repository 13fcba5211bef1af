//! A socket below, and a loop that is only told of what is new: nothing is left behind in either direction.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use pgpoll::link::Answer;
use pgpoll::net::{Net, Received, Sent};

use crate::peer::{Kind, Peer, TLS_1_3, adopted, begin};

/// Moves what can be moved between the server and its end of the socket.
fn serve(peer: &mut Peer, socket: &mut UnixStream, heard: &mut Vec<u8>) -> bool {
    let mut moved = false;
    while !peer.wire.is_empty() {
        match socket.write(&peer.wire) {
            Ok(count) => drop(peer.wire.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
        moved = true;
    }
    let mut room = [0; 70_000];
    while let Ok(count) = socket.read(&mut room) {
        let mut bytes = &room[..count];
        while !bytes.is_empty() {
            peer.tls.read_tls(&mut bytes).unwrap();
            peer.tls.process_new_packets().unwrap();
            let _ = peer.tls.reader().read_to_end(heard);
        }
        peer.flush();
        moved |= count > 0;
    }
    moved
}

/// Receives and sends until both wait: what an edge-triggered loop does at each event.
fn drain(net: &mut Net, got: &mut Vec<u8>, mut unsent: &[u8]) -> usize {
    loop {
        let mut chunk = Vec::with_capacity(10_000);
        let received = net.receive_behind(&mut chunk, 10_000);
        got.extend(chunk);
        let sent = match net.send(unsent) {
            Sent::Bytes(count) => count,
            Sent::Wait => 0,
            Sent::Failed(error) => panic!("{error:?}"),
        };
        unsent = &unsent[sent..];
        match received {
            Received::Bytes(_) => {}
            Received::Wait if sent > 0 => {}
            Received::Wait => return unsent.len(),
            Received::Failed(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn both_directions_are_full_and_get_on() {
    for record in [1000, 8192, 16384] {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.set_nonblocking(true).unwrap();
        let kind = Kind { record, ..TLS_1_3 };
        let (mut net, mut peer) = (adopted(ours), Peer::new(kind));
        begin(&mut net, kind);
        let mut heard = Vec::new();
        loop {
            match net.answer() {
                Some((2, Answer::Secured(_))) => break,
                None => drop(serve(&mut peer, &mut theirs, &mut heard)),
                other => panic!("{other:?}"),
            }
        }
        net.send_unsent(); // the last flight, which else goes with what is sent first
        serve(&mut peer, &mut theirs, &mut heard);
        assert!(!peer.tls.is_handshaking());
        let data: Vec<u8> = (0..3_000_000).map(|i| (i % 251) as u8).collect();
        for part in data.chunks(40_000) {
            peer.say(part);
        }
        let (mut got, mut left) = (Vec::new(), data.len());
        loop {
            let before = (got.len(), left);
            left = drain(&mut net, &mut got, &data[data.len() - left..]);
            let moved = serve(&mut peer, &mut theirs, &mut heard);
            if !moved && before == (got.len(), left) {
                break;
            }
        }
        assert!(
            got == data && heard == data,
            "{record}: {} {} {left}",
            got.len(),
            heard.len()
        );
    }
}
