//! Follows a child process and counts the system calls that its filter hands over, thread by thread. Knows ptrace(2).

use std::io;
use std::ptr;

use libc::{c_int, pid_t};

/// What the child's first thread did, and what its other threads did.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// (the phase, the index of the call), of the first thread.
    pub(crate) caller: Vec<(u32, usize)>,
    /// How many of the others', which may wait.
    pub(crate) helpers: usize,
    /// How many other threads there were.
    pub(crate) threads: usize,
}

/// Runs `work` in a child process, with nothing of ours but the calling thread. `work` begins with [`be_traced`].
pub(crate) fn child(work: impl FnOnce() -> bool) -> pid_t {
    // SAFETY: glibc allows allocation in the child; it ends without running anybody's destructors.
    match unsafe { libc::fork() } {
        0 => {
            let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // SAFETY: as above.
            unsafe { libc::_exit(i32::from(!matches!(well, Ok(true)))) }
        }
        pid => pid,
    }
}

/// Stops until the parent follows.
pub(crate) fn be_traced() {
    // SAFETY: plain system calls.
    unsafe {
        libc::setpgid(0, 0);
        let nothing = ptr::null_mut::<libc::c_void>();
        assert_eq!(libc::ptrace(libc::PTRACE_TRACEME, 0, nothing, nothing), 0);
        libc::raise(libc::SIGSTOP);
    }
}

/// Follows the child to its end; its exit status. `phase` is asked at each call that was handed over.
pub(crate) fn follow(child: pid_t, phase: impl Fn() -> u32) -> io::Result<(c_int, Seen)> {
    let mut seen = Seen::default();
    let mut followed = false;
    loop {
        // The child first, since it has no group of its own yet; then all of its threads.
        let (thread, status) = wait(if followed { -child } else { child })?;
        if !libc::WIFSTOPPED(status) {
            if thread == child {
                return Ok((status, seen));
            }
            continue;
        }
        let mut signal = libc::WSTOPSIG(status);
        match status >> 16 {
            libc::PTRACE_EVENT_SECCOMP => {
                let call = message(thread)?;
                if thread == child {
                    seen.caller.push((phase(), call));
                } else {
                    seen.helpers += 1;
                }
                signal = 0;
            }
            libc::PTRACE_EVENT_CLONE => {
                seen.threads += 1;
                signal = 0;
            }
            _ if signal == libc::SIGSTOP || signal == libc::SIGTRAP => {
                if !followed {
                    let options = libc::PTRACE_O_TRACESECCOMP
                        | libc::PTRACE_O_TRACECLONE
                        | libc::PTRACE_O_EXITKILL;
                    ask(libc::PTRACE_SETOPTIONS, thread, options as usize)?;
                    followed = true;
                }
                signal = 0;
            }
            _ => {}
        }
        ask(libc::PTRACE_CONT, thread, signal as usize)?;
    }
}

fn wait(whom: pid_t) -> io::Result<(pid_t, c_int)> {
    let mut status = 0;
    loop {
        // SAFETY: the call writes the one number.
        let thread = unsafe { libc::waitpid(whom, &raw mut status, libc::__WALL) };
        if thread > 0 {
            return Ok((thread, status));
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINTR) {
            return Err(error);
        }
    }
}

fn ask(request: libc::c_uint, thread: pid_t, data: usize) -> io::Result<()> {
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: these requests take a number as their data.
    if unsafe { libc::ptrace(request, thread, nothing, data) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// What the filter said.
fn message(thread: pid_t) -> io::Result<usize> {
    let mut message: libc::c_ulong = 0;
    let nothing = ptr::null_mut::<libc::c_void>();
    // SAFETY: the call writes the one number.
    let failed =
        unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, thread, nothing, &raw mut message) != 0 };
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(message as usize)
}
