//! C's FILE, and what a broken pipe behind it does. Knows bytes.

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

use libc::{FILE, sigset_t};

unsafe extern "C" {
    #[cfg_attr(target_vendor = "apple", link_name = "__stdinp")]
    static stdin: *mut FILE;
    #[cfg_attr(target_vendor = "apple", link_name = "__stdoutp")]
    static stdout: *mut FILE;
    #[cfg_attr(target_vendor = "apple", link_name = "__stderrp")]
    static stderr: *mut FILE;
}

/// A stream of the caller's, or one of the process's three. What cannot be written is lost, as fprintf loses it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stream(*mut FILE);

impl Stream {
    /// # Safety
    /// `file` is open as long as the stream is used.
    pub(crate) unsafe fn new(file: *mut FILE) -> Self {
        Self(file)
    }

    pub(crate) fn stdin() -> Self {
        // SAFETY: libc sets it before the program begins.
        Self(unsafe { stdin })
    }

    pub(crate) fn stdout() -> Self {
        // SAFETY: as above.
        Self(unsafe { stdout })
    }

    pub(crate) fn stderr() -> Self {
        // SAFETY: as above.
        Self(unsafe { stderr })
    }

    pub(crate) fn as_ptr(self) -> *mut FILE {
        self.0
    }

    pub(crate) fn put(self, bytes: &[u8]) {
        // SAFETY: the file is open; `bytes` are what they are.
        unsafe { libc::fwrite(bytes.as_ptr().cast(), 1, bytes.len(), self.0) };
    }

    pub(crate) fn number(self, number: usize) {
        self.put(number.to_string().as_bytes());
    }

    /// A byte again and again.
    pub(crate) fn fill(self, byte: u8, count: usize) {
        for _ in 0..count {
            self.put(&[byte]);
        }
    }

    /// Filled up with blanks behind.
    pub(crate) fn left(self, bytes: &[u8], width: usize) {
        self.put(bytes);
        self.fill(b' ', width.saturating_sub(bytes.len()));
    }

    /// Filled up with blanks before.
    pub(crate) fn right(self, bytes: &[u8], width: usize) {
        self.fill(b' ', width.saturating_sub(bytes.len()));
        self.put(bytes);
    }

    pub(crate) fn flush(self) {
        // SAFETY: the file is open.
        unsafe { libc::fflush(self.0) };
    }

    fn descriptor(self) -> c_int {
        // SAFETY: the file is open.
        unsafe { libc::fileno(self.0) }
    }

    pub(crate) fn is_terminal(self) -> bool {
        // SAFETY: any number will do.
        unsafe { libc::isatty(self.descriptor()) == 1 }
    }

    /// Lines and columns of the terminal; 24 and 80 where it does not say.
    pub(crate) fn screen(self) -> (usize, usize) {
        // SAFETY: all zeroes are a valid size, which the call fills.
        let (said, size) = unsafe {
            let mut size: libc::winsize = std::mem::zeroed();
            let said = libc::ioctl(self.descriptor(), libc::TIOCGWINSZ, &raw mut size);
            (said, size)
        };
        match (size.ws_row, size.ws_col) {
            (rows @ 1.., columns @ 1..) if said != -1 => (rows.into(), columns.into()),
            _ => (24, 80),
        }
    }
}

/// A program that reads what is written, with SIGPIPE held back while it does: when this is dropped, the program is waited for.
#[derive(Debug)]
pub(crate) struct Pipe {
    stream: Stream,
    held: Option<Held>,
}

/// The signals that were blocked before, and whether a SIGPIPE of somebody else's was waiting then.
#[derive(Debug)]
struct Held {
    before: sigset_t,
    pending: bool,
}

impl Pipe {
    /// Starts a shell command.
    ///
    /// # Safety
    /// `command` is a string.
    pub(crate) unsafe fn to(command: *const c_char) -> Option<Self> {
        // SAFETY: the caller's promise. All that is buffered is written first: the program writes to the same places.
        let file = unsafe {
            libc::fflush(std::ptr::null_mut());
            libc::popen(command, c"w".as_ptr())
        };
        if file.is_null() {
            return None;
        }
        let held = hold_sigpipe();
        Some(Self {
            stream: Stream(file),
            held,
        })
    }

    pub(crate) fn stream(&self) -> Stream {
        self.stream
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // SAFETY: popen's stream, closed once.
        unsafe { libc::pclose(self.stream.0) };
        if let Some(held) = &self.held {
            release_sigpipe(held);
        }
    }
}

fn sigpipe() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call makes the set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        set.assume_init()
    }
}

fn is_pending() -> bool {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call makes the set.
    unsafe {
        libc::sigpending(set.as_mut_ptr()) == 0
            && libc::sigismember(set.as_ptr(), libc::SIGPIPE) == 1
    }
}

fn hold_sigpipe() -> Option<Held> {
    let mut before = MaybeUninit::uninit();
    // SAFETY: the call fills the set.
    let before = unsafe {
        if libc::pthread_sigmask(libc::SIG_BLOCK, &sigpipe(), before.as_mut_ptr()) != 0 {
            return None;
        }
        before.assume_init()
    };
    // SAFETY: a set that the system made.
    let was_blocked = unsafe { libc::sigismember(&raw const before, libc::SIGPIPE) == 1 };
    let pending = was_blocked && is_pending();
    Some(Held { before, pending })
}

/// A SIGPIPE that came since is ours: it is swallowed.
fn release_sigpipe(held: &Held) {
    // SAFETY: sets that the system made; the signal waits, so that sigwait does not.
    unsafe {
        if !held.pending && is_pending() {
            let mut signal = 0;
            libc::sigwait(&sigpipe(), &raw mut signal);
        }
        let nothing = std::ptr::null_mut();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const held.before, nothing);
    }
}
