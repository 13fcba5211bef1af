//! All that a program does with connections, in phases, and the calls that the filter has to see.

use std::ptr;

use pgpoll::conn::Connection;

use crate::caller::Caller;
use crate::filter;
use crate::places::Places;

/// Each kind of call that the filter should see, done in a way that does not wait.
pub(crate) fn self_test() {
    let mut word = 1_u32;
    // SAFETY: descriptors that do not exist, times that are over, a value that differs.
    unsafe {
        libc::poll(ptr::null_mut(), 0, 0);
        libc::nanosleep(
            &libc::timespec {
                tv_sec: 0,
                tv_nsec: 1,
            },
            ptr::null_mut(),
        );
        libc::syscall(
            libc::SYS_futex,
            &raw mut word,
            128,
            0,
            ptr::null::<libc::timespec>(),
        );
        libc::recv(-1, (&raw mut word).cast(), 4, 0);
        libc::send(-1, (&raw const word).cast(), 4, 0);
        libc::close(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0));
        // And those that it should not.
        libc::recv(-1, (&raw mut word).cast(), 4, libc::MSG_DONTWAIT);
        libc::close(libc::socket(
            libc::AF_UNIX,
            libc::SOCK_STREAM | libc::SOCK_NONBLOCK,
            0,
        ));
        libc::syscall(
            libc::SYS_futex,
            &raw mut word,
            129,
            1,
            ptr::null::<libc::timespec>(),
        );
    }
}

/// What [`self_test`] must have been seen doing.
pub(crate) const SELF_TEST: &[&str] = &[
    "poll",
    "sleep",
    "futex wait",
    "recvfrom without MSG_DONTWAIT",
    "sendto without MSG_DONTWAIT",
    "socket without SOCK_NONBLOCK",
];

/// All that a program does with connections, never waiting.
pub(crate) fn program(caller: &Caller, places: &Places) {
    caller.phase("open");
    let mut conn = caller.call(|| Connection::open(&places.by_name));
    let mut other = caller.call(|| Connection::open(&places.slow_scram));
    let mut wrong = caller.call(|| Connection::open(&places.wrong));
    let mut peer = caller.call(|| Connection::open(&places.peer));
    let mut nobody = caller.call(|| Connection::open(&places.nobody));
    // glibc reads a setting of the kernel's when it gives memory back for the first time.
    drop((0..100).map(|_| vec![1_u8; 60_000]).collect::<Vec<_>>());
    filter::files().unwrap();

    caller.phase("name, TCP, SCRAM");
    assert!(caller.connect(&mut conn), "{:?}", conn.error());

    caller.phase("queries");
    caller.call(|| conn.start_prepare("echo", "select $1::text", &[]).unwrap());
    caller.drive(&mut conn, 1);
    for _ in 0..100 {
        let value: [Option<&[u8]>; 1] = [Some(b"value")];
        caller.call(|| conn.start_prepared("echo", &value, 0).unwrap());
        caller.call(|| conn.start_query("select 1; select 2").unwrap());
        assert_eq!(caller.drive(&mut conn, 2), 7);
    }

    caller.phase("pipeline of 20 MB each way");
    let large = vec![b'x'; 20_000];
    let value: [Option<&[u8]>; 1] = [Some(&large)];
    for _ in 0..1000 {
        caller.call(|| conn.start_prepared("echo", &value, 0).unwrap());
    }
    assert_eq!(caller.drive(&mut conn, 1000), 20_000_000);

    let sql = "select repeat('x', 1000) from generate_series(1, 100000)";
    caller.phase("result of 100 MB, whole");
    caller.call(|| conn.start_query(sql).unwrap());
    assert_eq!(caller.drive(&mut conn, 1), 100_000_000);
    caller.phase("result of 100 MB, in batches");
    conn.set_batch(1000, 100_000);
    caller.call(|| conn.start_query(sql).unwrap());
    assert_eq!(caller.drive(&mut conn, 1), 100_000_000);

    caller.phase("cancel");
    caller.call(|| conn.start_query("select pg_sleep(600)").unwrap());
    for _ in 0..100 {
        caller.poll(&mut conn);
    }
    caller.cancel(&mut conn);

    caller.phase("SCRAM with 200,000 iterations");
    assert!(caller.connect(&mut other), "{:?}", other.error());
    caller.phase("wrong password");
    assert!(!caller.connect(&mut wrong));
    caller.phase("requirepeer");
    assert!(caller.connect(&mut peer), "{:?}", peer.error());
    caller.phase("nobody listens");
    assert!(!caller.connect(&mut nobody));

    caller.phase("close in the middle of a result");
    caller.call(|| other.start_query(sql).unwrap());
    while !caller.poll(&mut other).has_result() && other.engine().queued() == 0 {}
    caller.call(|| drop(other));
    caller.phase("close");
    caller.call(|| drop(conn));
    caller.call(|| drop(peer));
}
