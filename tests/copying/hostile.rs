//! Servers that break the rules of COPY: a clear error each, and the end of the connection.

use pgpoll::engine::{CopyWay, Reply};
use pgpoll::error::Family;
use testkit::script::{
    columns, complete, copy_both, copy_data, copy_done, copy_in, copy_out, framed, oid, ready, row,
    with_length,
};

use crate::memory::{VAST, take_all, up};
use crate::{copying, says, start};

/// Why the connection is over; the operation says the same, once.
#[track_caller]
fn broken_by(way: CopyWay, bytes: &[u8]) -> String {
    let mut engine = copying(way);
    says(&mut engine, bytes);
    while engine.copy_get(9).next().is_some() {}
    engine.advance(5, usize::MAX);
    let replies = take_all(&mut engine);
    let place = engine.inspect(5);
    let over = engine.error().unwrap_or_else(|| panic!("{place}"));
    let errors: Vec<_> = replies
        .iter()
        .filter_map(|reply| match reply {
            Reply::Error(error) => Some(error.message()),
            _ => None,
        })
        .collect();
    assert_eq!(errors, [over.message()]);
    assert_eq!(over.family(), Family::Transport);
    assert!(matches!(replies.last(), Some(Reply::Done(_))));
    over.message().to_owned()
}

fn unexpected(tag: char, place: &str) -> String {
    format!("the server sent an unexpected message of type \"{tag}\" in {place}")
}

#[test]
fn messages_out_of_turn() {
    let to_the_server = "COPY FROM STDIN";
    for (bytes, tag) in [
        (copy_in(2), 'G'),
        (copy_out(2), 'H'),
        (copy_both(), 'W'),
        (copy_data(b"1\n"), 'd'),
        (copy_done(), 'c'),
        (columns(&[("a", oid::TEXT)]), 'T'),
        (row(&[None]), 'D'),
        (ready(b'I'), 'Z'),
        // Before the client has ended it, the server cannot be through.
        (complete("COPY 1"), 'C'),
    ] {
        assert_eq!(
            broken_by(CopyWay::In, &bytes),
            unexpected(tag, to_the_server)
        );
    }
    let from_the_server = "COPY TO STDOUT";
    for (bytes, tag) in [
        (copy_in(2), 'G'),
        (copy_out(2), 'H'),
        (columns(&[("a", oid::TEXT)]), 'T'),
        (row(&[None]), 'D'),
        (complete("COPY 1"), 'C'),
        (ready(b'I'), 'Z'),
    ] {
        let behind_data = [copy_data(b"1\n"), bytes].concat();
        assert_eq!(
            broken_by(CopyWay::Out, &behind_data),
            unexpected(tag, from_the_server)
        );
        // A walsender ends its command without a CopyDone.
        if tag != 'C' {
            assert_eq!(
                broken_by(CopyWay::Both, &behind_data),
                unexpected(tag, "a COPY in both directions")
            );
        }
    }
    for (way, bytes) in [
        (CopyWay::Out, [copy_done(), copy_done()].concat()),
        (CopyWay::Both, [copy_done(), copy_done()].concat()),
    ] {
        assert_eq!(
            broken_by(way, &bytes),
            unexpected('c', "the reply to a query")
        );
    }
    // Data behind its end.
    let bytes = [copy_done(), copy_data(b"1\n")].concat();
    assert_eq!(
        broken_by(CopyWay::Out, &bytes),
        unexpected('d', "the reply to a query")
    );
}

#[test]
fn messages_that_lie() {
    for (body, why) in [
        (&b"\x02\0\0"[..], "format: invalid value 2"),
        (b"\0\0\x02\0\0", "column format: ends early"),
        (b"\0\xff\xff", "column format: ends early"),
        (b"\0\0\x01\0\0\0", "end: 1 bytes too many"),
        (b"\0", "column count: ends early"),
        (b"", "format: ends early"),
    ] {
        for (tag, way) in [(b'G', "In"), (b'H', "Out"), (b'W', "Both")] {
            let mut engine = up(VAST);
            start(&mut engine);
            says(&mut engine, &framed(tag, body));
            let over = engine.error().unwrap();
            assert_eq!(over.family(), Family::Transport);
            assert_eq!(
                over.message(),
                format!("malformed Copy{way}Response message: {why}")
            );
        }
    }
    let lost = "lost synchronization with server: got message type \"d\", length ";
    for length in [3, 0x4000_0000, u32::MAX] {
        let text = broken_by(CopyWay::Out, &with_length(b'd', length, b"1"));
        assert_eq!(text, format!("{lost}{}", length as i32));
    }
    assert!(broken_by(CopyWay::Out, &framed(b'c', b"x")).starts_with("malformed"));
}

/// The rows of a result that has no end do not get lost without a word.
#[test]
fn a_copy_in_the_middle_of_a_result() {
    for (begins, tag) in [(copy_in(1), 'G'), (copy_out(1), 'H'), (copy_both(), 'W')] {
        let mut engine = up(VAST);
        start(&mut engine);
        let rows = [columns(&[("a", oid::TEXT)]), row(&[Some("1")])].concat();
        says(&mut engine, &[rows, begins].concat());
        assert_eq!(
            engine.error().unwrap().message(),
            unexpected(tag, "the rows of a result")
        );
    }
}

/// What is no COPY for one operation is not for the next one either.
#[test]
fn data_while_nothing_is_copied() {
    let mut engine = up(VAST);
    says(&mut engine, &copy_data(b"1\n"));
    assert!(engine.copy_get(9).next().is_none() && !engine.has_copy_data());
    assert_eq!(
        engine.error().unwrap().message(),
        "message type 0x64 arrived from server while idle"
    );
}
