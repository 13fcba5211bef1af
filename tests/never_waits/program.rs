//! All that a program does with connections, in phases, and the calls that the filter has to see.

use std::ptr;
use std::time::Duration;

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
    let open = |conninfo: &String| caller.call(|| Connection::open(conninfo));
    let mut conn = open(&places.by_name);
    let mut other = open(&places.slow_scram);
    let mut wrong = open(&places.wrong);
    let mut peer = open(&places.peer);
    let mut nobody = open(&places.nobody);
    let mut tls = open(&places.tls);
    let mut again = open(&places.tls);
    let mut direct = places.direct.as_ref().map(open);
    let mut system = open(&places.system);
    let mut encrypted_key = open(&places.encrypted_key);
    let [fd, carrier, canceller] = [0, 1, 2].map(|at| places.given[at].try_clone().unwrap());
    let mut given = caller.call(|| Connection::open_fd(fd, &places.tls));
    let mut stream = caller.call(|| Connection::open_stream(&places.tls));
    // glibc reads a setting of the kernel's when it gives memory back for the first time.
    drop((0..100).map(|_| vec![1_u8; 60_000]).collect::<Vec<_>>());
    filter::files().unwrap();

    caller.phase("name, TCP, SCRAM");
    assert!(caller.connect(&mut conn), "{:?}", conn.error());
    use_in_every_way(caller, &mut conn, "");
    caller.phase("result of 100 MB, in batches");
    conn.set_batch(1000, 100_000);
    caller.call(|| conn.start_query(LARGE).unwrap());
    assert_eq!(caller.drive(&mut conn, 1), 100_000_000);

    caller.phase("SCRAM with 200,000 iterations");
    assert!(caller.connect(&mut other), "{:?}", other.error());
    caller.phase("wrong password");
    assert!(!caller.connect(&mut wrong));
    caller.phase("requirepeer");
    assert!(caller.connect(&mut peer), "{:?}", peer.error());
    caller.phase("nobody listens");
    assert!(!caller.connect(&mut nobody));
    caller.phase("abandoning");
    let operation = caller.call(|| conn.start_query("select pg_sleep(600)").unwrap());
    caller.poll(&mut conn);
    assert!(caller.call(|| conn.abandon(operation)));
    caller.until_done(&mut conn);

    caller.phase("TLS, a certificate each way");
    assert!(caller.connect(&mut tls), "{:?}", tls.error());
    assert!(tls.is_encrypted());
    use_in_every_way(caller, &mut tls, "TLS: ");
    caller.phase("TLS again");
    assert!(caller.connect(&mut again), "{:?}", again.error());
    caller.phase("TLS without a question");
    if let Some(direct) = &mut direct {
        assert!(caller.connect(direct), "{:?}", direct.error());
    }
    caller.phase("TLS with an encrypted key");
    assert!(
        caller.connect(&mut encrypted_key),
        "{:?}",
        encrypted_key.error()
    );
    caller.phase("TLS with the system's roots");
    assert!(!caller.connect(&mut system));

    caller.phase("a descriptor that is given");
    assert!(caller.connect(&mut given), "{:?}", given.error());
    caller.call(|| given.start_query(LARGE).unwrap());
    assert_eq!(caller.drive(&mut given, 1), 100_000_000);
    caller.phase("bytes that the caller carries");
    caller.carry(&mut stream, &carrier, |ready| ready.is_idle());
    caller.call(|| stream.start_query(LARGE).unwrap());
    caller.carry(&mut stream, &carrier, |ready| ready.has_result());
    caller.phase("a request that the caller carries");
    caller.carry_cancel(&stream, &canceller);

    for (conn, phase) in [(&mut peer, "shutdown"), (&mut again, "TLS: shutdown")] {
        caller.phase(phase);
        caller.call(|| conn.start_shutdown(None).unwrap());
        caller.until_done(conn);
    }
    caller.phase("close in the middle of a result");
    caller.call(|| other.start_query(LARGE).unwrap());
    while !caller.poll(&mut other).has_result() && other.engine().queued() == 0 {}
    caller.call(|| drop(other));
    caller.phase("close");
    caller.call(|| drop(conn));
    caller.call(|| drop(peer));
    caller.phase("TLS: close");
    caller.call(|| drop(tls));
    caller.call(|| drop(again));
}

/// Rows of 100 MB.
const LARGE: &str = "select repeat('x', 1000) from generate_series(1, 100000)";

/// Queries, much in both directions, a request to cancel, a deadline.
fn use_in_every_way(caller: &Caller, conn: &mut Connection, tls: &str) {
    let phase = |name: &str| caller.phase(&format!("{tls}{name}"));
    phase("queries");
    caller.call(|| conn.start_prepare("echo", "select $1::text", &[]).unwrap());
    caller.drive(conn, 1);
    for _ in 0..100 {
        let value: [Option<&[u8]>; 1] = [Some(b"value")];
        caller.call(|| conn.start_prepared("echo", &value, 0).unwrap());
        caller.call(|| conn.start_query("select 1; select 2").unwrap());
        assert_eq!(caller.drive(conn, 2), 7);
    }

    phase("pipeline of 20 MB each way");
    conn.set_send_queue(32 * 1024 * 1024);
    let large = vec![b'x'; 20_000];
    let value: [Option<&[u8]>; 1] = [Some(&large)];
    for _ in 0..1000 {
        caller.call(|| conn.start_prepared("echo", &value, 0).unwrap());
    }
    assert_eq!(caller.drive(conn, 1000), 20_000_000);

    phase("result of 100 MB, whole");
    caller.call(|| conn.start_query(LARGE).unwrap());
    assert_eq!(caller.drive(conn, 1), 100_000_000);

    phase("cancel");
    caller.call(|| conn.start_query("select pg_sleep(600)").unwrap());
    for _ in 0..100 {
        caller.poll(conn);
    }
    caller.cancel(conn);

    phase("a deadline and its cancel");
    conn.set_timeout(Some(Duration::from_millis(100)));
    caller.call(|| conn.start_query("select pg_sleep(600)").unwrap());
    caller.until_done(conn);
    assert!(!caller.poll(conn).is_failed(), "{:?}", conn.error());
    conn.set_timeout(None);
}
