//! Data on its way to the server: how it is cut into messages, and what that costs.

use pgpoll::engine::{CopyWay, Trace};
use pgpoll::wire::frame::{Header, frontend_header};
use testkit::alloc::thread;
use testkit::script::{complete, ready};

use crate::memory::Dice;
use crate::{copying, messages, says};

/// Small pieces share a message, large ones are cut; what has left is not touched any more.
#[test]
fn pieces_are_put_together_and_cut() {
    const MOST: usize = 64 * 1024;
    let mut engine = copying(CopyWay::In);
    for _ in 0..3 {
        engine.copy_put(b"12345").unwrap();
    }
    engine.copy_put(b"").unwrap();
    assert_eq!(messages(&engine), [('d', 15)]);
    // Nothing of it has left: it grows. A byte of it has: it does not.
    engine.copy_put(b"6").unwrap();
    assert_eq!(messages(&engine), [('d', 16)]);
    engine.sent(1);
    engine.copy_put(b"7").unwrap();
    engine.sent(20);
    assert_eq!(messages(&engine), [('d', 1)]);
    engine.sent(6);
    engine.copy_put(&[b'x'; 2 * MOST + 1]).unwrap();
    engine.copy_put(b"8").unwrap();
    assert_eq!(messages(&engine), [('d', MOST), ('d', MOST), ('d', 2)]);
    engine.copy_put(&[b'x'; MOST]).unwrap();
    assert_eq!(messages(&engine)[2..], [('d', 2), ('d', MOST)]);
    // What TLS has encrypted has left.
    let length = engine.output().len();
    engine.sent(length);
    engine.copy_put(b"9").unwrap();
    engine.committed(1);
    engine.copy_put(b"9").unwrap();
    assert_eq!(messages(&engine), [('d', 1), ('d', 1)]);
    engine.copy_end(None).unwrap();
    assert_eq!(messages(&engine), [('d', 1), ('d', 1), ('c', 0)]);
}

/// In both directions a piece is a message, also an empty one, whatever its size.
#[test]
fn in_both_directions_a_piece_is_a_message() {
    let mut engine = copying(CopyWay::Both);
    engine.copy_put(b"123").unwrap();
    engine.copy_put(b"").unwrap();
    engine.copy_put(&[0; 200_000]).unwrap();
    assert_eq!(messages(&engine), [('d', 3), ('d', 0), ('d', 200_000)]);
}

#[test]
fn a_trace_shows_each_piece() {
    let mut engine = copying(CopyWay::In);
    engine.copy_put(b"untraced").unwrap();
    engine.set_trace(Some(Trace::new(0, |_| {})));
    engine.copy_put(b"12").unwrap();
    engine.copy_put(b"345").unwrap();
    engine.copy_end(None).unwrap();
    assert_eq!(messages(&engine), [('d', 8), ('d', 2), ('d', 3), ('c', 0)]);
}

/// However the pieces are cut and whatever leaves in between, the data arrives as it was put.
#[test]
fn the_data_arrives_as_it_was_put() {
    for seed in 0..50 {
        let mut dice = Dice(seed);
        let mut engine = copying(CopyWay::In);
        let (mut put, mut arrived) = (Vec::new(), Vec::new());
        for _ in 0..300 {
            let size = [3, 50, 5000, 100_000][dice.below(4)];
            let piece: Vec<u8> = (0..dice.below(size)).map(|_| dice.next() as u8).collect();
            engine.copy_put(&piece).unwrap();
            put.extend_from_slice(&piece);
            let leaves = dice
                .below(engine.output().len() * 2)
                .min(engine.output().len());
            arrived.extend_from_slice(&engine.output()[..leaves]);
            engine.sent(leaves);
            if dice.once_in(5) {
                let encrypted = dice.below(engine.output().len());
                engine.committed(encrypted);
                // It comes again as it was.
                arrived.extend_from_slice(&engine.output()[..encrypted]);
                engine.copy_put(b"!").unwrap();
                put.push(b'!');
                engine.sent(encrypted);
            }
        }
        arrived.extend_from_slice(engine.output());
        let mut data = Vec::new();
        let mut rest = &arrived[..];
        while let Some(head) = frontend_header(rest).unwrap() {
            assert_eq!(head.tag, b'd');
            assert!(head.len <= 64 * 1024);
            data.extend_from_slice(&rest[Header::SIZE..Header::SIZE + head.len]);
            rest = &rest[Header::SIZE + head.len..];
        }
        assert!(rest.is_empty() && data == put, "seed {seed}");
    }
}

/// A gigabyte of rows passes through the memory of one queue, and none is asked for on the way; at its end all is given back.
#[test]
fn putting_allocates_nothing() {
    let mut engine = copying(CopyWay::In);
    let row = [b'x'; 45];
    let round = |engine: &mut pgpoll::engine::Engine| {
        for _ in 0..3000 {
            engine.copy_put(&row).unwrap();
        }
        let length = engine.output().len();
        engine.sent(length / 3);
        engine.sent(length - length / 3);
        engine.advance(4, usize::MAX);
    };
    round(&mut engine);
    let before = thread();
    for _ in 0..50 {
        round(&mut engine);
    }
    assert_eq!((thread() - before).allocations, 0);
    engine.copy_end(None).unwrap();
    let length = engine.output().len();
    engine.sent(length);
    says(&mut engine, &[complete("COPY 1"), ready(b'I')].concat());
    assert_eq!(crate::memory::take_all(&mut engine).len(), 2);
    engine.release();
    assert!(
        before.held - thread().held > 100_000,
        "the queue was given back"
    );
}
