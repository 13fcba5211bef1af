//! A hundred thousand operations in one pipeline, with values and rows of a megabyte among them and groups that fail: nothing
//! hangs, all of it is right and in order, and memory is bounded. One test alone in its process, because it measures what the
//! process holds at most. `PGPOLL_PIPELINE=…` is how many there are.
#![allow(clippy::unwrap_used, clippy::panic)]

#[cfg(target_os = "linux")]
#[path = "../endurance/epoll.rs"]
#[allow(dead_code)] // what only the other program needs
mod epoll;
mod loops;
#[path = "../memory/mod.rs"]
mod memory;
mod peer;
mod work;

use testkit::alloc::{peak, reset_peak};
use testkit::shared;

use work::Work;

#[global_allocator]
static COUNTING: testkit::Counting = testkit::Counting;

/// The send queue, once more while it grows, one operation, and what has come and is not taken.
const MOST: u64 = 48 << 20;

#[test]
fn a_hundred_thousand_operations_in_one_pipeline() {
    let count = std::env::var("PGPOLL_PIPELINE").map_or(100_000, |count| count.parse().unwrap());
    let run = |how: &str, count: usize, run: &dyn Fn(&mut Work)| {
        let begun = std::time::Instant::now();
        let before = reset_peak();
        let mut work = Work::new(count);
        run(&mut work);
        let (held, time) = (peak() - before, begun.elapsed());
        println!("{how}: {work:?}, {held} bytes held at most, {time:?}");
        assert!(held < MOST, "{how}: {held} bytes were held");
        work.check_end();
    };
    run("level-triggered", count, &|work| {
        loops::level(&shared().conninfo(), work);
    });
    #[cfg(target_os = "linux")]
    run("edge-triggered, TCP", count / 5, &|work| {
        loops::edge(&shared().conninfo_tcp(), work);
    });
    run(
        "in memory, a peer that takes and says little",
        count / 5,
        &loops::in_memory,
    );
}
