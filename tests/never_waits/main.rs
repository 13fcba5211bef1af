//! No call but `wait` makes a system call that could wait, on the caller's thread: a child process does everything under a filter
//! that hands such calls to its parent. Helper threads may wait. Prints the longest processor time of one call in each phase.
#![cfg(target_os = "linux")] // seccomp and ptrace
#![allow(clippy::unwrap_used, clippy::panic)]

mod filter;
mod tracer;

use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use pgpoll::conn::{Cancel, CancelPoll, Connection, Readiness};
use pgpoll::engine::{Outcome, Reply};
use testkit::{Cluster, ClusterOptions, PASSWORD};

/// What the child does, in this order.
const PHASES: &[&str] = &[
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
    "close in the middle of a result",
    "close",
];

/// What parent and child both see.
#[derive(Default)]
struct Shared {
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

/// The processor time of this thread in nanoseconds.
fn processor_time() -> u64 {
    // SAFETY: the call writes the one value.
    unsafe {
        let mut now: libc::timespec = std::mem::zeroed();
        libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    }
}

/// The child's side: measures each call, and never waits itself.
struct Caller {
    shared: &'static Shared,
}

impl Caller {
    fn phase(&self, name: &str) {
        let at = PHASES.iter().position(|phase| *phase == name).unwrap();
        self.shared.phase.store(at as u32, Relaxed);
    }

    fn call<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = processor_time();
        let result = work();
        let took = processor_time() - begun;
        let phase = self.shared.phase.load(Relaxed) as usize;
        self.shared.calls[phase].fetch_add(1, Relaxed);
        self.shared.longest[phase].fetch_max(took, Relaxed);
        result
    }

    /// Polls until the connection is up (true) or has failed.
    fn connect(&self, conn: &mut Connection) -> bool {
        loop {
            let ready = self.poll(conn);
            if ready.is_idle() || ready.is_failed() {
                return ready.is_idle();
            }
        }
    }

    fn poll(&self, conn: &mut Connection) -> Readiness {
        let ready = self.call(|| conn.poll());
        // SAFETY: no arguments; the server needs the processor too.
        unsafe { libc::sched_yield() };
        ready
    }

    /// Polls and takes until so many operations have ended well; the bytes of the first column of all rows.
    fn drive(&self, conn: &mut Connection, mut operations: usize) -> usize {
        let mut bytes = 0;
        while operations > 0 {
            while let Some(item) = self.call(|| conn.take()) {
                match item.reply {
                    Reply::Rows(batch) => {
                        for row in 0..batch.rows() {
                            bytes += batch.value(row, 0).map_or(0, <[u8]>::len);
                        }
                        self.call(|| drop(batch));
                    }
                    Reply::Done(done) => {
                        assert_eq!(done.outcome, Outcome::Ok);
                        operations -= 1;
                    }
                    Reply::Error(error) => panic!("{error}"),
                    _ => {}
                }
            }
            assert!(!self.poll(conn).is_failed(), "{:?}", conn.error());
        }
        bytes
    }
}

impl Caller {
    /// Cancels what runs, until it is seen to have failed.
    fn cancel(&self, conn: &mut Connection) {
        let mut done = false;
        while !done {
            let mut cancel = self.call(|| Cancel::of(conn).unwrap());
            while !matches!(
                self.call(|| cancel.poll()),
                CancelPoll::Done | CancelPoll::Failed
            ) {
                // SAFETY: no arguments.
                unsafe { libc::sched_yield() };
            }
            assert!(cancel.error().is_none(), "{:?}", cancel.error());
            // One that comes before the statement begins stops nothing: then another is sent.
            for _ in 0..10_000 {
                self.poll(conn);
                while let Some(item) = self.call(|| conn.take()) {
                    done |= matches!(item.reply, Reply::Done(_));
                }
                if done {
                    break;
                }
            }
        }
    }
}

/// Each kind of call that the filter should see, done in a way that does not wait.
fn self_test() {
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
const SELF_TEST: &[&str] = &[
    "poll",
    "sleep",
    "futex wait",
    "recvfrom without MSG_DONTWAIT",
    "sendto without MSG_DONTWAIT",
    "socket without SOCK_NONBLOCK",
];

/// All that a program does with connections, never waiting.
fn program(caller: &Caller, places: &Places) {
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

/// Where the child connects to.
struct Places {
    by_name: String,
    slow_scram: String,
    wrong: String,
    peer: String,
    nobody: String,
}

impl Places {
    fn of(cluster: &Cluster) -> Self {
        let port = cluster.port();
        let quoted = PASSWORD.replace('\'', r"\'");
        let role = |role: &str, password: &str| {
            format!("host=localhost port={port} user={role} dbname=postgres password='{password}'")
        };
        Self {
            by_name: role("fast", &quoted),
            slow_scram: role("slow", &quoted),
            wrong: role("fast", "wrong"),
            peer: format!("{} requirepeer={}", cluster.conninfo(), owner(cluster)),
            nobody: String::from("host=localhost port=1 user=nobody"),
        }
    }
}

/// The account that the server runs as.
fn owner(cluster: &Cluster) -> String {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata(cluster.data_dir()).unwrap().uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let user = users
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
    user.unwrap().split(':').next().unwrap().to_owned()
}

fn cluster() -> Cluster {
    let password = PASSWORD.replace('\'', "''");
    let options = ClusterOptions::new()
        .method("fast", "scram-sha-256")
        .method("slow", "scram-sha-256")
        .method("all", "trust")
        .setup(&format!("create role fast login password '{password}'"));
    // Iterations can be set since 16.
    let iterations = if testkit::Server::any().major >= 16 {
        "set scram_iterations = 200000; "
    } else {
        ""
    };
    let slow = format!("{iterations}create role slow login password '{password}'");
    Cluster::start(options.setup(&slow))
}

/// Trap 19, a "nonblocking" call that waits inside: every system call of the caller's thread is watched.
#[test]
fn no_call_waits() {
    let cluster = cluster();
    let places = Places::of(&cluster);
    let shared = shared_memory();
    let child = tracer::child(|| {
        tracer::be_traced();
        if let Err(error) = filter::waiting_calls() {
            eprintln!("no filter: {error}");
            shared.unsupported.store(1, Relaxed);
            return true;
        }
        self_test();
        program(&Caller { shared }, &places);
        true
    });
    let (status, seen) = tracer::follow(child, || shared.phase.load(Relaxed)).unwrap();
    if shared.unsupported.load(Relaxed) != 0 {
        eprintln!("SKIPPED: this kernel has no seccomp filters");
        return;
    }
    assert!(
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        "the child failed in phase \"{}\": {status:#x}",
        PHASES[shared.phase.load(Relaxed) as usize]
    );
    for (at, phase) in PHASES.iter().enumerate().skip(1) {
        let calls = shared.calls[at].load(Relaxed);
        let longest = shared.longest[at].load(Relaxed) as f64 / 1e6;
        println!("{phase:35} {calls:8} calls, the longest {longest:8.3} ms of processor time");
    }
    println!(
        "{} helper threads, which waited {} times",
        seen.threads, seen.helpers
    );
    let (tested, found): (Vec<_>, Vec<_>) = seen.caller.iter().partition(|(phase, _)| *phase == 0);
    let names: Vec<_> = tested
        .iter()
        .map(|(_, call)| filter::NAMES[*call])
        .collect();
    assert_eq!(names, SELF_TEST, "the filter sees what it should");
    let found: Vec<_> = found
        .iter()
        .map(|(phase, call)| (PHASES[*phase as usize], filter::NAMES[*call]))
        .collect();
    assert!(found.is_empty(), "calls that could wait: {found:?}");
    assert!(seen.threads > 0, "names are resolved by a helper thread");
}
