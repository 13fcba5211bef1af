//! What a process is and has, as the kernel tells: descriptors, threads, memory, signals. Linux's /proc.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Runs `child` in a forked process and waits for it; the status that it ended with, 0 if `child` returned true.
///
/// # Panics
/// If there can be no other process.
pub fn in_child(child: impl FnOnce() -> bool) -> i32 {
    // SAFETY: the child has this thread alone. It works on what is its own and leaves without running anybody's destructors.
    unsafe {
        let pid = libc::fork();
        assert!(pid >= 0, "{}", std::io::Error::last_os_error());
        if pid == 0 {
            let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            libc::_exit(i32::from(!matches!(well, Ok(true))));
        }
        let mut status = 0;
        while libc::waitpid(pid, &raw mut status, 0) != pid {}
        status
    }
}

/// The open descriptors and what they are: `3` is `socket:[4711]`.
#[must_use]
pub fn descriptors() -> BTreeMap<i32, String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let entries = entries.filter_map(|entry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        let what = fs::read_link(entry.path()).ok()?;
        // The folder that is being read is no one's.
        let what = what.display().to_string();
        (!what.starts_with("/proc/")).then_some((number, what))
    });
    entries.collect()
}

/// Whether a descriptor is closed by exec(3).
#[must_use]
pub fn is_close_on_exec(descriptor: i32) -> bool {
    // SAFETY: the call takes numbers alone.
    unsafe { libc::fcntl(descriptor, libc::F_GETFD) & libc::FD_CLOEXEC != 0 }
}

/// How many threads there are.
#[must_use]
pub fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// The signals that the calling thread blocks, as the kernel writes them.
#[must_use]
pub fn blocked_signals() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("SigBlk"));
    line.unwrap_or_default().to_owned()
}

/// Resident memory in bytes.
#[must_use]
pub fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.unwrap().parse::<usize>().unwrap() * 1024
}

/// Waits until `met` holds, at most ten seconds; whether it does.
pub fn eventually(mut met: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !met() {
        if begun.elapsed() > Duration::from_secs(10) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}
