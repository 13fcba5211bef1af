//! Data that comes from the server: where it lies, in what order, and in how much memory.

use pgpoll::engine::{CopyWay, Engine, Outcome, Reply, Room};
use testkit::alloc::thread;
use testkit::script::{
    complete, copy_data, copy_done, copy_out, notice, notification, parameter, ready,
};

use crate::memory::{feed, sent, take_all, up};
use crate::{copying, says, start};

/// All that lies there, message by message.
fn take(engine: &mut Engine, most: usize) -> Vec<Vec<u8>> {
    engine.copy_get(most).map(<[u8]>::to_vec).collect()
}

fn awaits(engine: &Engine) -> String {
    let line = engine.inspect(9);
    let awaiting = line.split("\"awaiting\":\"").nth(1).unwrap();
    awaiting.split('"').next().unwrap().to_owned()
}

#[test]
fn messages_are_kept_apart_and_given_where_they_lie() {
    let mut engine = copying(CopyWay::Out);
    assert!(engine.need().read && !engine.has_copy_data());
    let bytes = [copy_data(b"1\n"), copy_data(b""), copy_data(b"2\n")].concat();
    says(&mut engine, &bytes);
    // Nothing more is received before it is taken.
    assert!(engine.has_copy_data() && !engine.need().read);
    {
        let mut messages = engine.copy_get(2);
        let (first, second) = (messages.next().unwrap(), messages.next().unwrap());
        assert_eq!((first, second), (&b"1\n"[..], &b""[..]));
        let between = second.as_ptr().addr() - first.as_ptr().addr();
        assert_eq!(between, first.len() + 5, "they lie as they came");
        assert!(messages.next().is_none());
    }
    assert!(engine.has_copy_data());
    assert_eq!(take(&mut engine, 0).len(), 0);
    assert_eq!(take(&mut engine, 2), [b"2\n"]);
    // The next look at the socket is due.
    assert!(!engine.has_copy_data() && engine.has_news(5));
    assert!(engine.advance(5, usize::MAX).read);
    assert_eq!(take(&mut engine, 2).len(), 0);
    says(&mut engine, &copy_data(b"3\n")[..6]);
    assert!(
        !engine.has_copy_data() && engine.need().read,
        "half a message is none"
    );
    says(&mut engine, &copy_data(b"3\n")[6..]);
    assert_eq!(take(&mut engine, 2), [b"3\n"]);
    says(
        &mut engine,
        &[copy_done(), complete("COPY 3"), ready(b'I')].concat(),
    );
    assert_eq!(take_all(&mut engine).len(), 2);
}

/// The items around the data, and the mail in the middle of it, come in their order.
#[test]
fn what_comes_between_is_seen_in_its_turn() {
    let mut engine = up(crate::memory::VAST);
    start(&mut engine);
    let interlude = [
        notice("by the way"),
        notification(7, "channel", ""),
        parameter("TimeZone", "Asia/Tokyo"),
    ]
    .concat();
    let bytes = [
        copy_out(1),
        copy_data(b"1\n"),
        interlude,
        copy_data(b"2\n"),
        copy_done(),
        complete("COPY 2"),
        ready(b'I'),
    ];
    says(&mut engine, &bytes.concat());
    // Data waits for the item that tells of it to be taken: so it is known which COPY it is of.
    assert!(take(&mut engine, 9).is_empty());
    assert!(matches!(take_all(&mut engine)[..], [Reply::Copy(_)]));
    assert_eq!(take(&mut engine, 9), [b"1\n"]);
    assert!(engine.notice().is_none(), "it stands behind the data");
    engine.advance(5, usize::MAX);
    assert!(engine.notice().is_some() && engine.notification().is_some());
    assert_eq!(
        engine.facts().parameter(b"TimeZone"),
        Some(&b"Asia/Tokyo"[..])
    );
    assert_eq!(take(&mut engine, 9), [b"2\n"]);
    engine.advance(6, usize::MAX);
    let replies = take_all(&mut engine);
    assert!(matches!(replies[..], [Reply::Complete(_), Reply::Done(_)]));
}

/// Notifications that nobody takes hold back what follows them, and are said to.
#[test]
fn a_full_inbox() {
    let mut engine = up(Room {
        inbox: 1,
        ..crate::memory::VAST
    });
    start(&mut engine);
    let bytes = [
        copy_out(1),
        copy_data(b"1\n"),
        notification(7, "channel", "payload"),
        copy_data(b"2\n"),
    ];
    says(&mut engine, &bytes.concat());
    take_all(&mut engine);
    assert_eq!(take(&mut engine, 9), [b"1\n"]);
    engine.advance(5, usize::MAX);
    assert!(!engine.need().read);
    assert_eq!(awaits(&engine), "notifications to be taken");
    assert!(engine.notification().is_some());
    engine.advance(6, usize::MAX);
    assert_eq!(take(&mut engine, 9), [b"2\n"]);
}

/// A loss is seen behind the last whole message.
#[test]
fn what_came_before_a_loss_can_be_taken() {
    let mut engine = copying(CopyWay::Out);
    says(
        &mut engine,
        &[copy_data(b"1\n"), copy_data(b"2\n")].concat(),
    );
    engine.lost(testkit::sim::closed());
    engine.advance(5, usize::MAX);
    assert!(engine.error().is_none());
    assert_eq!(take(&mut engine, 1), [b"1\n"]);
    engine.advance(6, usize::MAX);
    assert!(engine.error().is_none());
    assert_eq!(take(&mut engine, 1), [b"2\n"]);
    engine.advance(7, usize::MAX);
    assert!(engine.error().is_some());
    assert!(take(&mut engine, 1).is_empty());
    let replies = take_all(&mut engine);
    assert!(
        matches!(&replies[..], [Reply::Error(_), Reply::Done(done)] if done.outcome == Outcome::Failed)
    );
}

#[test]
fn it_is_said_what_a_copy_waits_for() {
    let mut engine = copying(CopyWay::In);
    assert_eq!(awaits(&engine), "data of the COPY to be put");
    engine.copy_put(b"1\n").unwrap();
    assert_eq!(awaits(&engine), "data of the COPY to be sent");
    sent(&mut engine);
    engine.copy_end(None).unwrap();
    assert_eq!(awaits(&engine), "a reply from the server");
    let mut engine = copying(CopyWay::Out);
    assert_eq!(awaits(&engine), "data of the COPY from the server");
    says(&mut engine, &copy_data(b"1\n"));
    assert_eq!(awaits(&engine), "data of the COPY to be taken");
    let mut engine = copying(CopyWay::Both);
    assert_eq!(
        awaits(&engine),
        "data of the COPY from the server, or to be put"
    );
    engine.copy_end(None).unwrap();
    assert_eq!(awaits(&engine), "data of the COPY from the server");
    assert!(engine.inspect(9).contains("\"kind\":\"COPY\""));
}

/// Much data in little memory, none of it asked for on the way; behind a message that is larger than all of it, too.
#[test]
fn much_data_in_one_chunk() {
    let mut engine = copying(CopyWay::Out);
    let row = copy_data(&[b'x'; 995]);
    // As a server sends it: what a read brings ends in the middle of a row.
    let stream = row.repeat(1000);
    let pass = |engine: &mut Engine, megabytes: usize| {
        let mut messages = 0;
        for _ in 0..megabytes {
            let mut rest = &stream[..];
            while !rest.is_empty() {
                let count = engine.feed(rest);
                rest = &rest[count..];
                engine.advance(4, usize::MAX);
                messages += engine.copy_get(usize::MAX).count();
                engine.advance(4, usize::MAX);
                engine.release();
            }
        }
        messages
    };
    let before = thread();
    assert_eq!(pass(&mut engine, 5), 5000);
    let warm = thread();
    assert_eq!(pass(&mut engine, 200), 200_000);
    assert_eq!((thread() - warm).allocations, 0);
    assert!(
        (thread() - before).held <= 80 * 1024,
        "{:?}",
        thread() - before
    );
    // One that is larger grows the chunk, for as long as it lies there.
    let huge = copy_data(&vec![b'y'; 3 << 20]);
    let held = thread().held;
    feed(&mut engine, &huge);
    assert_eq!(engine.copy_get(9).next().unwrap().len(), 3 << 20);
    engine.advance(5, usize::MAX);
    engine.release();
    assert!(thread().held - held < 32 * 1024, "{}", thread().held - held);
    drop(huge);
    assert_eq!(pass(&mut engine, 1), 1000);
    says(
        &mut engine,
        &[copy_done(), complete("COPY 1"), ready(b'I')].concat(),
    );
    engine.release();
    assert!(
        thread().held <= before.held + 1024,
        "an idle connection has no chunk"
    );
}
