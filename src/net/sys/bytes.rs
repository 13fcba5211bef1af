//! Moving bytes, by sockets, pipes and files.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{Errno, check, errno};

/// Sending never raises SIGPIPE: by a flag, or (Apple) by an option that [`prepare`] sets.
#[cfg(not(target_vendor = "apple"))]
const SEND: c_int = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
#[cfg(target_vendor = "apple")]
const SEND: c_int = libc::MSG_DONTWAIT;

/// recv(2) that never waits. 0 is the end of file.
#[inline]
pub(in crate::net) fn recv(fd: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize, Errno> {
    recv_with(fd, into, libc::MSG_DONTWAIT)
}

/// The same into the room that a vector has behind its bytes, at most `most` of it.
#[inline]
pub(in crate::net) fn recv_behind(
    fd: BorrowedFd<'_>,
    into: &mut Vec<u8>,
    most: usize,
) -> Result<usize, Errno> {
    let spare = into.spare_capacity_mut();
    let most = most.min(spare.len());
    let start = spare.as_mut_ptr().cast();
    // SAFETY: the kernel writes at most `most` bytes to the spare capacity, which is borrowed for the call.
    let n = unsafe { libc::recv(fd.as_raw_fd(), start, most, libc::MSG_DONTWAIT) };
    let n = usize::try_from(n).map_err(|_| errno())?;
    // SAFETY: the kernel has written so many bytes behind the vector's own.
    unsafe { into.set_len(into.len() + n.min(most)) };
    Ok(n)
}

/// The same, leaving the bytes where they are.
pub(in crate::net) fn peek(fd: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize, Errno> {
    recv_with(fd, into, libc::MSG_DONTWAIT | libc::MSG_PEEK)
}

#[inline]
fn recv_with(fd: BorrowedFd<'_>, into: &mut [u8], flags: c_int) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most `into.len()` bytes to `into`, which is borrowed for the call.
    let n = unsafe { libc::recv(fd.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), flags) };
    usize::try_from(n).map_err(|_| errno())
}

/// send(2) that neither waits nor raises SIGPIPE.
#[inline]
pub(in crate::net) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads at most `bytes.len()` bytes of `bytes`, which is borrowed for the call.
    let n = unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), SEND) };
    usize::try_from(n).map_err(|_| errno())
}

/// write(2).
pub(in crate::net) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads at most `bytes.len()` bytes of `bytes`, which is borrowed for the call.
    let n = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(n).map_err(|_| errno())
}

/// The same to a pipe, leaving no SIGPIPE behind. No flag does that: the signal is blocked in this thread for the length of
/// the call, and taken when it was this call that raised it.
pub(in crate::net) fn write_quietly(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    let mut pipe = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset fills in all of `pipe`, pthread_sigmask all of `before`; `taken` is an integer on the stack.
    unsafe {
        libc::sigemptyset(pipe.as_mut_ptr());
        libc::sigaddset(pipe.as_mut_ptr(), libc::SIGPIPE);
        match libc::pthread_sigmask(libc::SIG_BLOCK, pipe.as_ptr(), before.as_mut_ptr()) {
            0 => {}
            error => return Err(error),
        }
        let somebodys = is_pending(libc::SIGPIPE);
        let written = write(fd, bytes);
        if written == Err(libc::EPIPE) && !somebodys && is_pending(libc::SIGPIPE) {
            let mut taken = 0;
            libc::sigwait(pipe.as_ptr(), &raw mut taken);
        }
        libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut());
        written
    }
}

fn is_pending(signal: c_int) -> bool {
    let mut pending = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigpending fills in all of `pending`, unless it fails.
    unsafe {
        libc::sigpending(pending.as_mut_ptr()) == 0
            && libc::sigismember(pending.as_ptr(), signal) == 1
    }
}

/// What kind of file it is (`S_IFMT`).
pub(in crate::net) fn kind(fd: BorrowedFd<'_>) -> Result<libc::mode_t, Errno> {
    let mut facts = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills in all of `facts`, unless it fails.
    unsafe {
        check(libc::fstat(fd.as_raw_fd(), facts.as_mut_ptr()))?;
        Ok(facts.assume_init().st_mode & libc::S_IFMT)
    }
}

/// Whether a descriptor was opened for writing.
pub(in crate::net) fn is_writable(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    // SAFETY: takes integers alone.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    Ok(flags & libc::O_ACCMODE != libc::O_RDONLY)
}

/// A descriptor of our own for the same file: close-on-exec.
pub(in crate::net) fn duplicate(fd: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: takes integers alone.
    let raw = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: the call above made `raw`, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Runs `work` with SIGPIPE as it is in a program that has not touched it: it ends the process.
#[cfg(test)]
pub(in crate::net) fn with_default_sigpipe(work: impl FnOnce()) {
    // SAFETY: sets how a signal is dealt with, and sets it back.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    work();
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGPIPE, before) };
}
