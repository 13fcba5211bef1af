//! A global allocator that counts, for tests to install. Counts per thread and for the process, changes nothing.
//!
//! ```
//! #[global_allocator]
//! static COUNTING: testkit::Counting = testkit::Counting;
//!
//! let before = testkit::alloc::thread();
//! let text = String::from("one allocation");
//! let made = testkit::alloc::thread() - before;
//! assert_eq!((made.allocations, made.bytes), (1, text.capacity() as u64));
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Sub;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The allocator: `#[global_allocator] static COUNTING: Counting = Counting;`
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

/// How often and how much was allocated. Subtract an earlier reading to see what a piece of code did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Blocks allocated; a block that grows counts once more, because it may move.
    pub allocations: u64,
    /// Blocks freed.
    pub frees: u64,
    /// Bytes allocated, growth included, frees not subtracted.
    pub bytes: u64,
    /// Bytes allocated and not freed yet. Negative in a difference, or in a thread, that freed what others allocated.
    pub held: i64,
}

impl Sub for Count {
    type Output = Count;

    fn sub(self, before: Count) -> Count {
        Count {
            allocations: self.allocations - before.allocations,
            frees: self.frees - before.frees,
            bytes: self.bytes - before.bytes,
            held: self.held - before.held,
        }
    }
}

/// What this thread has done since it began. All zero where [`Counting`] is not installed.
#[must_use]
pub fn thread() -> Count {
    THREAD.try_with(Cell::get).unwrap_or_default()
}

/// What the process has done since it began.
#[must_use]
pub fn process() -> Count {
    let allocated = BYTES.load(Relaxed);
    Count {
        allocations: ALLOCATIONS.load(Relaxed),
        frees: FREES.load(Relaxed),
        bytes: allocated,
        held: allocated.wrapping_sub(FREED.load(Relaxed)).cast_signed(),
    }
}

/// The most bytes that the process has held at one moment since [`reset_peak`].
#[must_use]
pub fn peak() -> u64 {
    PEAK.load(Relaxed)
}

/// Begins a new measurement of [`peak`] at what is held now; returns that.
pub fn reset_peak() -> u64 {
    let held = process().held.max(0).cast_unsigned();
    PEAK.store(held, Relaxed);
    held
}

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static FREES: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);

thread_local! {
    // Const and without a destructor: reading it neither allocates nor registers anything.
    static THREAD: Cell<Count> = const {
        Cell::new(Count { allocations: 0, frees: 0, bytes: 0, held: 0 })
    };
}

fn allocated(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Relaxed);
    grown(bytes);
    update(|count| count.allocations += 1);
}

fn grown(bytes: usize) {
    let total = BYTES.fetch_add(bytes as u64, Relaxed) + bytes as u64;
    PEAK.fetch_max(total.saturating_sub(FREED.load(Relaxed)), Relaxed);
    update(|count| {
        count.bytes += bytes as u64;
        count.held += bytes as i64;
    });
}

fn shrunk(bytes: usize) {
    FREED.fetch_add(bytes as u64, Relaxed);
    update(|count| count.held -= bytes as i64);
}

fn update(change: impl FnOnce(&mut Count)) {
    // A thread that is ending has no counters any more; the process' counters have seen it already.
    let _ = THREAD.try_with(|cell| {
        let mut count = cell.get();
        change(&mut count);
        cell.set(count);
    });
}

// SAFETY: every call is passed on to the system's allocator unchanged; the counters neither allocate nor panic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the ones that `System` asks for.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            allocated(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            allocated(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        FREES.fetch_add(1, Relaxed);
        update(|count| count.frees += 1);
        shrunk(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let moved = unsafe { System.realloc(block, layout, size) };
        if moved.is_null() {
            return moved;
        }
        ALLOCATIONS.fetch_add(1, Relaxed);
        FREES.fetch_add(1, Relaxed);
        update(|count| {
            count.allocations += 1;
            count.frees += 1;
        });
        if size >= layout.size() {
            grown(size - layout.size());
        } else {
            shrunk(layout.size() - size);
        }
        moved
    }
}
