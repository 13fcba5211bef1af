//! Who owns the heap blocks that a piece of code leaves behind. Knows the stack at the moment of the allocation.

use std::alloc::{GlobalAlloc, Layout};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fmt::Write;

use testkit::Counting;

/// The counting allocator, which also records the stacks of a thread's allocations when it is told to.
pub(crate) struct Recording;

struct Owned {
    block: usize,
    size: usize,
    stack: Backtrace,
}

thread_local! {
    static ON: Cell<bool> = const { Cell::new(false) };
    static BLOCKS: RefCell<Vec<Owned>> = const { RefCell::new(Vec::new()) };
}

/// The blocks that `work`'s result holds, largest first, each with the innermost functions of ours that made it.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> String {
    BLOCKS.take();
    ON.set(true);
    let result = work();
    ON.set(false);
    let mut blocks = BLOCKS.take();
    blocks.sort_by_key(|owned| std::cmp::Reverse(owned.size));
    let mut text = String::from("  bytes  made in\n");
    for owned in &blocks {
        let _ = writeln!(
            text,
            "{:7}  {}",
            owned.size,
            place(&owned.stack.to_string())
        );
    }
    drop(result);
    text
}

fn place(stack: &str) -> String {
    let frames = stack.lines().filter_map(|line| {
        let (_, name) = line.trim_start().split_once(": ")?;
        let ours = name.starts_with("pgpoll::")
            || name.starts_with("<pgpoll::")
            || name.starts_with("allocations::");
        (ours && !name.contains("owners::")).then_some(name)
    });
    let frames: Vec<_> = frames.take(3).collect();
    frames.join(" < ")
}

fn note(block: *mut u8, size: usize) {
    if ON.try_with(Cell::get) == Ok(true) {
        ON.set(false); // what follows allocates too
        let stack = Backtrace::force_capture();
        let block = block.addr();
        BLOCKS.with_borrow_mut(|blocks| blocks.push(Owned { block, size, stack }));
        ON.set(true);
    }
}

fn forget(block: *mut u8) {
    if ON.try_with(Cell::get) == Ok(true) {
        ON.set(false);
        BLOCKS.with_borrow_mut(|blocks| blocks.retain(|owned| owned.block != block.addr()));
        ON.set(true);
    }
}

// SAFETY: every call is passed on unchanged; what is recorded does not touch the blocks.
unsafe impl GlobalAlloc for Recording {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the ones that the other allocator asks for.
        let block = unsafe { Counting.alloc(layout) };
        note(block, layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        let block = unsafe { Counting.alloc_zeroed(layout) };
        note(block, layout.size());
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        forget(block);
        // SAFETY: as above.
        unsafe { Counting.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        forget(block);
        // SAFETY: as above.
        let moved = unsafe { Counting.realloc(block, layout, size) };
        note(moved, size);
        moved
    }
}
