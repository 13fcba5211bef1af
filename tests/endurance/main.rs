//! Many connections in one epoll loop, through a proxy that breaks them on purpose, for a while: every operation is accounted for,
//! every answer is right, nothing stalls, nothing leaks. One test alone in its process, because it counts what the process has.
//!
//! `PGPOLL_ENDURANCE=connections,seconds` chooses another size than that of `make test`; `PGPOLL_SEED` repeats a run's choices.
#![cfg(target_os = "linux")] // epoll, /proc
#![allow(clippy::unwrap_used, clippy::panic)]

mod count;
mod epoll;
mod slot;
mod watch;
mod work;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use testkit::proxy::{Faults, Proxy};
use testkit::{Cluster, ClusterOptions, ServerTls, alloc, process};

use count::Count;
use epoll::Epoll;
use slot::{Place, Slot};
use watch::Watch;

#[global_allocator]
static COUNTING: testkit::Counting = testkit::Counting;

/// What may be left of thousands of connections.
const MOST_LEFT: i64 = 1024 * 1024;

/// What `make test` has time for.
const SHORT: (usize, u64) = (200, 10);

/// How long the run is, and which.
struct Plan {
    connections: usize,
    time: Duration,
    seed: u64,
}

impl Plan {
    fn chosen() -> Plan {
        let size = std::env::var("PGPOLL_ENDURANCE").ok();
        let size = size.and_then(|size| {
            let (connections, seconds) = size.split_once(',')?;
            Some((connections.parse().ok()?, seconds.parse().ok()?))
        });
        let (connections, seconds) = size.unwrap_or(SHORT);
        let seed = std::env::var("PGPOLL_SEED").ok();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Plan {
            connections,
            time: Duration::from_secs(seconds),
            seed: seed.map_or(now.as_nanos() as u64, |seed| seed.parse().unwrap()),
        }
    }
}

/// Each connection has a descriptor of its own and two in the proxy.
fn allow_descriptors() {
    // SAFETY: all zeroes is a value of rlimit; the calls read and write it alone.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit), 0);
    }
}

fn cluster(connections: usize) -> Cluster {
    // Backends whose client is lost in a black hole live on for a while.
    let most = (connections * 3 + 50).to_string();
    Cluster::start(
        ClusterOptions::new()
            .tls(ServerTls::default())
            .setting("max_connections", &most)
            .setting("shared_buffers", "16MB"),
    )
}

#[test]
fn every_operation_is_accounted_for_and_nothing_leaks() {
    let plan = Plan::chosen();
    allow_descriptors();
    let cluster = cluster(plan.connections);
    let seed = plan.seed;
    let memory = alloc::process().held;
    let faulty = Proxy::seeded(&cluster, seed);
    let sound = Proxy::start(&cluster, |_| Faults::none());
    let root = testkit::certificates().path("root+server_ca.crt");
    let tls = format!("host=localhost hostaddr=127.0.0.1 sslmode=verify-full sslrootcert={root}");
    let plain = "host=127.0.0.1 sslmode=disable";
    let places = [
        Place::new(&faulty, plain, true),
        Place::new(&faulty, &tls, true),
        Place::new(&faulty, "host=localhost sslmode=disable", true),
        Place::new(&faulty, "host=127.0.0.1 sslmode=prefer", true),
        Place::new(&faulty, &tls, true),
        Place::new(&faulty, plain, true),
        Place::new(&sound, plain, false),
        Place::new(&sound, &tls, false),
    ];
    testkit::say!(
        "endurance: {} connections, {:?}, PGPOLL_SEED={seed}",
        plan.connections,
        plan.time
    );
    let descriptors = process::descriptors().len();
    let threads = process::threads();

    let mut count = Count::default();
    let mut watch = Watch::new(plan.time);
    let mut epoll = Epoll::new();
    let mut slots: Vec<Slot> = (0..plan.connections)
        .map(|number| Slot::new(number, seed, &places[number % places.len()]))
        .collect();
    let begun = Instant::now();
    // A slow machine gets more time: what is needed grows until every connection has had its largest results.
    let enough = 20 * plan.connections as u64;
    while begun.elapsed() < plan.time || (count.started < enough && begun.elapsed() < 6 * plan.time)
    {
        let due = slots.iter_mut().map(|slot| slot.due()).min().unwrap();
        for number in epoll.wait(due) {
            slots[number].ready = true;
        }
        let turn = Instant::now();
        for slot in &mut slots {
            slot.turn(&mut epoll, &mut count);
        }
        watch.look();
        count.longest_turn = count.longest_turn.max(turn.elapsed());
    }
    for slot in &mut slots {
        slot.leave(&mut count);
    }
    drop((slots, epoll));

    testkit::say!("{count}");
    testkit::say!("the proxy: {:?}", faulty.counts());
    testkit::say!("{watch}");
    count.check(faulty.counts(), plan.connections);
    watch.check();
    drop((faulty, sound));
    let back = process::eventually(|| {
        // The epoll descriptor is gone, and so are the proxies' threads.
        process::descriptors().len() <= descriptors && process::threads() <= threads
    });
    let left = process::descriptors();
    let held = alloc::process().held - memory;
    testkit::say!("{held} bytes are left, of pools and what TLS keeps for the next connection");
    assert!(held < MOST_LEFT, "{held} bytes are left");
    assert!(back, "{} threads, {left:?}", process::threads());
}
