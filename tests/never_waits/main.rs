//! No call but `wait` makes a system call that could wait, on the caller's thread: a child process does everything under a filter
//! that hands such calls to its parent. Helper threads may wait. Prints the longest processor time of one call in each phase.
#![cfg(target_os = "linux")] // seccomp and ptrace
#![allow(clippy::unwrap_used, clippy::panic)]

mod caller;
mod filter;
mod places;
mod program;
mod tracer;

use std::collections::BTreeSet;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use caller::Caller;
use places::Places;
use tracer::Seen;

/// What the child does, in this order.
pub(crate) const PHASES: &[&str] = &[
    "self-test",
    "open",
    "name, TCP, SCRAM",
    "queries",
    "pipeline of 20 MB each way",
    "result of 100 MB, whole",
    "result of 100 MB, in batches",
    "cancel",
    "SCRAM with 200,000 iterations",
    "wrong password",
    "requirepeer",
    "nobody listens",
    "a deadline and its cancel",
    "abandoning",
    "TLS, a certificate each way",
    "TLS: queries",
    "TLS: pipeline of 20 MB each way",
    "TLS: result of 100 MB, whole",
    "TLS: cancel",
    "TLS: a deadline and its cancel",
    "TLS again",
    "TLS without a question",
    "TLS with an encrypted key",
    "TLS with the system's roots",
    "a descriptor that is given",
    "bytes that the caller carries",
    "a request that the caller carries",
    "shutdown",
    "TLS: shutdown",
    "close in the middle of a result",
    "close",
    "TLS: close",
];

/// What parent and child both see.
#[derive(Default)]
pub(crate) struct Shared {
    phase: AtomicU32,
    calls: [AtomicU64; PHASES.len()],
    longest: [AtomicU64; PHASES.len()],
    unsupported: AtomicU32,
}

fn shared_memory() -> &'static Shared {
    // SAFETY: fresh zeroed memory, large and aligned enough, never given back; all zeroes is a value of Shared.
    unsafe {
        let memory = libc::mmap(
            ptr::null_mut(),
            size_of::<Shared>(),
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        assert_ne!(memory, libc::MAP_FAILED);
        &*memory.cast::<Shared>()
    }
}

/// Runs the program in a child under a filter; what was seen, or `None` where there are no filters.
fn run(places: &Places, shared: &'static Shared, every_call: bool) -> Option<Seen> {
    let child = tracer::child(|| {
        tracer::be_traced();
        if let Err(error) = filter::waiting_calls(every_call) {
            eprintln!("no filter: {error}");
            shared.unsupported.store(1, Relaxed);
            return true;
        }
        program::self_test();
        program::program(&Caller { shared }, places);
        true
    });
    let (status, seen) = tracer::follow(child, || shared.phase.load(Relaxed)).unwrap();
    if shared.unsupported.load(Relaxed) != 0 {
        return None;
    }
    assert!(
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        "the child failed in phase \"{}\": {status:#x}",
        PHASES[shared.phase.load(Relaxed) as usize]
    );
    Some(seen)
}

/// Trap 19, a "nonblocking" call that waits inside: every system call of the caller's thread is watched. Two runs, because counting
/// the calls that cannot wait takes time.
#[test]
fn no_call_waits() {
    let cluster = places::cluster();
    let (timed, counted) = (shared_memory(), shared_memory());
    let run = |shared, every_call| run(&Places::of(&cluster), shared, every_call);
    let (Some(seen), Some(all)) = (run(timed, false), run(counted, true)) else {
        testkit::say!("SKIPPED: this kernel has no seccomp filters");
        return;
    };
    testkit::say!(
        "phase                               |  calls | longest µs | system calls a call"
    );
    for (at, phase) in PHASES.iter().enumerate().skip(1) {
        let calls = timed.calls[at].load(Relaxed);
        let longest = timed.longest[at].load(Relaxed) as f64 / 1e3;
        let here = |(phase, call): &&(u32, usize)| *phase as usize == at && *call == filter::ANY;
        let system = all.caller.iter().filter(here).count() as f64;
        let each = system / counted.calls[at].load(Relaxed).max(1) as f64;
        testkit::say!("{phase:35} | {calls:6} | {longest:10.1} | {each:8.2}");
        assert!(calls > 0, "nothing was done in phase \"{phase}\"");
    }
    println!(
        "{} helper threads, which waited {} times",
        seen.threads, seen.helpers
    );
    for seen in [seen, all] {
        check(&seen);
    }
}

/// No call that could wait but those of the self-test.
fn check(seen: &Seen) {
    let waiting = seen.caller.iter().filter(|(_, call)| *call != filter::ANY);
    let (tested, found): (Vec<_>, Vec<_>) = waiting.partition(|(phase, _)| *phase == 0);
    let name = |(phase, call): &(u32, usize)| (PHASES[*phase as usize], filter::NAMES[*call]);
    let names: Vec<_> = tested.into_iter().map(|call| name(call).1).collect();
    assert_eq!(names, program::SELF_TEST, "the filter sees what it should");
    let found: BTreeSet<_> = found.into_iter().map(name).collect();
    assert!(found.is_empty(), "calls that could wait: {found:?}");
    assert!(seen.threads > 0, "names are resolved by a helper thread");
}
