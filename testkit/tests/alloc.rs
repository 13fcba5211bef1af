//! The counting allocator counts what happens, where it happens.
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Mutex;

use testkit::{Counting, alloc};

#[global_allocator]
static COUNTING: Counting = Counting;

/// The counters of the process are shared by the tests that run side by side.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn a_thread_counts_its_own_allocations_only() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let before = alloc::thread();
    let block = black_box(vec![1u8; 1000]);
    std::thread::scope(|scope| {
        scope.spawn(|| drop(black_box(vec![1u8; 1 << 20])));
    });
    let made = alloc::thread() - before;
    assert!(made.bytes >= 1000 && made.bytes < 1 << 19, "{made:?}");
    let held = made.held;
    drop(block);
    assert_eq!((alloc::thread() - before).held, held - 1000);
}

#[test]
fn growing_counts_and_nothing_else_does() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let before = alloc::thread();
    let mut block: Vec<u8> = black_box(Vec::with_capacity(16));
    block.extend_from_slice(&[0; 16]);
    block.reserve_exact(84);
    block.shrink_to(50);
    let made = alloc::thread() - before;
    assert_eq!((made.allocations, made.frees), (3, 2));
    assert_eq!((made.bytes, made.held), (100, 50));
    let quiet = alloc::thread();
    block.clear();
    assert_eq!(alloc::thread(), quiet);
}

#[test]
fn the_peak_is_what_was_held_at_once() {
    let _alone = ONE_AT_A_TIME.lock().unwrap();
    let floor = alloc::reset_peak();
    drop(black_box(vec![1u8; 8 << 20]));
    drop(black_box(vec![1u8; 8 << 20]));
    let peak = alloc::peak() - floor;
    // The threads of the test harness come and go: 64 KB are theirs.
    let expected = (8 << 20) - (64 << 10)..(8 << 20) + (64 << 10);
    assert!(expected.contains(&peak), "{peak}");
}
