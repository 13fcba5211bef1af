//! How a session ends: in words, once, and never by a hang.

use pgpoll::link::LinkErrorKind;
use pgpoll::net::{Alive, Net, Received, Sent};

use crate::peer::{
    Kind, Peer, TLS_1_2, TLS_1_3, begin, connected, receive_all, secured, shake_hands,
};

/// Why nothing more is received; it stays so.
fn end(net: &mut Net) -> (LinkErrorKind, String) {
    let mut ends = (0..3).map(|_| match net.receive(&mut [0; 100]) {
        Received::Failed(error) => (error.kind, error.text),
        other => panic!("{other:?}"),
    });
    let first = ends.next().unwrap();
    assert!(ends.all(|end| end == first));
    first
}

#[test]
fn a_peer_that_says_goodbye_is_told_from_one_that_is_cut_off() {
    for kind in [TLS_1_2, TLS_1_3] {
        let (mut net, mut peer) = secured(kind, usize::MAX);
        peer.say(b"last words");
        peer.tls.send_close_notify();
        peer.flush();
        peer.carry(&mut net, usize::MAX);
        let mut room = [0; 100];
        assert_eq!(net.receive(&mut room), Received::Bytes(10));
        let goodbye = "SSL connection has been closed unexpectedly";
        assert_eq!(end(&mut net), (LinkErrorKind::Closed, goodbye.into()));
        assert_eq!(net.is_alive(), Alive::Closed);

        let (mut net, _) = secured(kind, usize::MAX);
        net.feed_eof();
        let cut = "SSL SYSCALL error: EOF detected";
        assert_eq!(end(&mut net), (LinkErrorKind::Closed, cut.into()));
    }
}

/// Bytes that were changed on the way are an error, after what came before them; the peer is told.
#[test]
fn a_damaged_record_ends_it_after_what_came_before() {
    for kind in [TLS_1_2, TLS_1_3] {
        let (mut net, mut peer) = secured(kind, usize::MAX);
        peer.say(b"good");
        let good = peer.wire.len();
        peer.say(b"bad");
        peer.wire[good + 9] ^= 1;
        peer.carry(&mut net, usize::MAX);
        let mut room = [0; 100];
        assert_eq!(net.receive(&mut room), Received::Bytes(4));
        assert!(net.has_input(), "the end is still to be told");
        let (kind, text) = end(&mut net);
        assert_eq!(kind, LinkErrorKind::Tls);
        assert!(text.starts_with("SSL error: "), "{text}");
        assert!(matches!(net.send(b"x"), Sent::Failed(_)));
        assert!(!net.output().is_empty(), "an alert");
    }
}

/// The handshake, cut at every byte.
#[test]
fn a_handshake_that_is_cut_off_at_any_byte_is_one_error() {
    for kind in [TLS_1_2, TLS_1_3] {
        for cut in (0..).step_by(3) {
            let (mut net, mut peer) = (connected(), Peer::new(kind));
            begin(&mut net, kind);
            let mut left = cut;
            let error = loop {
                match net.answer() {
                    Some((2, pgpoll::link::Answer::Failed(error))) => break Some(error),
                    Some((2, _)) => break None,
                    _ => {}
                }
                peer.hear(&mut net);
                let before = peer.wire.len();
                let _ = peer.carry(&mut net, left);
                left -= before - peer.wire.len();
                if left == 0 {
                    net.feed_eof();
                }
            };
            let Some(error) = error else {
                assert!(cut > 500, "{cut}");
                break;
            };
            assert_eq!(error.kind, LinkErrorKind::Tls);
            assert_eq!(error.text, "SSL SYSCALL error: EOF detected", "{cut}");
            assert!(net.answer().is_none());
        }
    }
}

#[test]
fn an_answer_that_is_no_tls_is_an_error() {
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        &[0; 64],
        &[22, 3, 1, 255, 255],
    ] {
        let mut net = connected();
        begin(&mut net, TLS_1_3);
        assert!(net.answer().is_none());
        net.feed(garbage);
        net.feed_eof();
        match net.answer() {
            Some((2, pgpoll::link::Answer::Failed(error))) => {
                assert_eq!(error.kind, LinkErrorKind::Tls);
                assert!(error.text.starts_with("SSL "), "{error:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// A server that sends records without end and no data in them does not keep us busy for ever.
#[test]
fn records_without_data_are_not_endured() {
    let (mut net, mut peer) = secured(TLS_1_3, usize::MAX);
    let mut error = None;
    for _ in 0..100_000 {
        peer.tls.refresh_traffic_keys().unwrap();
        peer.flush();
        peer.carry(&mut net, usize::MAX);
        match net.receive(&mut [0; 8]) {
            Received::Wait => {}
            Received::Failed(failed) => {
                error = Some(failed);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(error.unwrap().kind, LinkErrorKind::Tls);
}

#[test]
fn hanging_up_says_goodbye() {
    for kind in [TLS_1_2, TLS_1_3] {
        let (mut net, mut peer) = secured(kind, usize::MAX);
        peer.say(b"unheard");
        peer.carry(&mut net, usize::MAX);
        net.hangup();
        let mut output = net.output();
        while !output.is_empty() {
            peer.tls.read_tls(&mut output).unwrap();
        }
        let state = peer.tls.process_new_packets().unwrap();
        assert!(state.peer_has_closed());
    }
}

/// What comes in the same piece as the end of the handshake is input.
#[test]
fn bytes_behind_the_handshake_are_input() {
    let kind = Kind {
        record: 100,
        ..TLS_1_2
    };
    let (mut net, mut peer) = (connected(), Peer::new(kind));
    begin(&mut net, kind);
    while peer.tls.is_handshaking() {
        assert!(net.answer().is_none());
        peer.hear(&mut net);
        if !peer.tls.is_handshaking() {
            peer.say(&[9; 1000]);
        }
        peer.carry(&mut net, usize::MAX);
    }
    shake_hands(&mut net, &mut peer, usize::MAX).unwrap();
    assert!(net.has_input());
    assert_eq!(receive_all(&mut net, 300), [9; 1000]);
}
