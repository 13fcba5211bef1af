//! Traps 22 and 23: no SIGPIPE from a peer that resets the connection at any point, masks untouched, descriptors close-on-exec.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pgpoll::conn::Readiness;
use pgpoll::error::Family;
use testkit::process;

use crate::standstill::{LONG, Peer, Stand, Where, every};

static PIPES: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: libc::c_int) {
    PIPES.fetch_add(1, Ordering::Relaxed);
}

/// The peer goes away and resets the connection while the client has something to send.
#[test]
fn trap_23_no_sigpipe_from_a_peer_that_resets_the_connection() {
    // SAFETY: the handler counts, and nothing else. Rust ignores the signal, C programs do not.
    unsafe { libc::signal(libc::SIGPIPE, count as *const () as libc::sighandler_t) };
    let mask = process::blocked_signals();
    for point in every().iter().filter(|point| point.place == Where::Server) {
        let peer = Peer::to_be_left(point);
        let Stand { mut conn, peer, .. } = Stand::over(peer, point, "");
        drop(peer);
        // A child that another test has forked may hold the peer's socket for a moment.
        let begun = Instant::now();
        loop {
            let _ = conn.start_query("select 'into a broken pipe'");
            let news = Readiness::RESULT | Readiness::FAILED;
            let failed = conn.wait_for(news, Some(Duration::from_millis(20)));
            while conn.take().is_some() {}
            if failed.is_failed() {
                break;
            }
            let (name, place) = (point.name, conn.inspect());
            assert!(begun.elapsed() < LONG, "{name}: {place}");
        }
        let error = conn.error().unwrap();
        assert_eq!(error.family(), Family::Transport, "{}", point.name);
        drop(conn);
        assert_eq!(PIPES.load(Ordering::Relaxed), 0, "{}", point.name);
    }
    assert_eq!(process::blocked_signals(), mask);
    // SAFETY: as Rust's runtime has set it.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

#[test]
fn descriptors_are_close_on_exec_and_masks_untouched_at_every_point() {
    let before = process::descriptors();
    let mask = process::blocked_signals();
    for point in every() {
        let stand = Stand::at(point, "");
        let ours = stand.conn.socket().unwrap();
        let all = process::descriptors();
        assert!(all.contains_key(&ours), "{}", point.name);
        for (&descriptor, what) in all
            .iter()
            .filter(|(number, _)| !before.contains_key(number))
        {
            let closes = process::is_close_on_exec(descriptor);
            assert!(closes, "{}: {descriptor} is {what}", point.name);
        }
        assert_eq!(process::blocked_signals(), mask, "{}", point.name);
    }
}
