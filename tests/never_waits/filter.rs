//! A seccomp filter that hands every system call that could wait to the tracer. Knows calls and their flags, not who makes them.

use libc::{
    BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_RET, BPF_W,
    SECCOMP_RET_ALLOW, SECCOMP_RET_TRACE, c_long, sock_filter, sock_fprog,
};

/// What the tracer is told: an index into this list.
pub(crate) const NAMES: &[&str] = &[
    "a self-test", // 0 would be no message
    "poll",
    "select",
    "epoll_wait",
    "sleep",
    "futex wait",
    "accept",
    "wait for a child",
    "wait for a signal",
    "recvfrom without MSG_DONTWAIT",
    "sendto without MSG_DONTWAIT",
    "recvmsg without MSG_DONTWAIT",
    "sendmsg without MSG_DONTWAIT",
    "socket without SOCK_NONBLOCK",
    "fcntl that makes a descriptor blocking",
    "read",
    "write",
    "lock of a file",
    "any other",
];

/// The index of what does not wait, where that is counted.
pub(crate) const ANY: usize = NAMES.len() - 1;

/// What the measuring itself does, and yielding.
const UNCOUNTED: &[c_long] = &[libc::SYS_clock_gettime, libc::SYS_sched_yield];

/// Calls that wait whatever their arguments are.
const WAITING: &[(c_long, u32)] = &[
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_poll, 1),
    (libc::SYS_ppoll, 1),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_select, 2),
    (libc::SYS_pselect6, 2),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_epoll_wait, 3),
    (libc::SYS_epoll_pwait, 3),
    (libc::SYS_epoll_pwait2, 3),
    (libc::SYS_nanosleep, 4),
    (libc::SYS_clock_nanosleep, 4),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_accept, 6),
    (libc::SYS_accept4, 6),
    (libc::SYS_wait4, 7),
    (libc::SYS_waitid, 7),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_pause, 8),
    (libc::SYS_rt_sigsuspend, 8),
    (libc::SYS_rt_sigtimedwait, 8),
    (libc::SYS_flock, 17),
];

/// Calls that do not wait if an argument (from 0) has one of these bits.
const UNLESS: &[(c_long, u32, i32, u32)] = &[
    (libc::SYS_recvfrom, 3, libc::MSG_DONTWAIT, 9),
    (libc::SYS_sendto, 3, libc::MSG_DONTWAIT, 10),
    (libc::SYS_recvmsg, 2, libc::MSG_DONTWAIT, 11),
    (libc::SYS_sendmsg, 2, libc::MSG_DONTWAIT, 12),
    (libc::SYS_socket, 1, libc::SOCK_NONBLOCK, 13),
];

/// Reading and writing: files are read before the connection is begun, and nothing after that.
const FILES: &[(c_long, u32)] = &[
    (libc::SYS_read, 15),
    (libc::SYS_readv, 15),
    (libc::SYS_write, 16),
    (libc::SYS_writev, 16),
];

/// Puts this thread, and those it makes, under the filter; with `every_call`, calls that do not wait are told, too.
pub(crate) fn waiting_calls(every_call: bool) -> std::io::Result<()> {
    let otherwise = || {
        if every_call {
            trace(ANY as u32)
        } else {
            allow()
        }
    };
    let mut program = vec![load_number()];
    for &call in UNCOUNTED {
        program.extend([unless_equal(call as u32, 1), allow()]);
    }
    for &(call, what) in WAITING {
        program.extend([unless_equal(call as u32, 1), trace(what)]);
    }
    for &(call, argument, bit, what) in UNLESS {
        program.extend([
            unless_equal(call as u32, 4),
            load_argument(argument),
            jump(BPF_JSET, bit as u32, 0, 1),
            otherwise(),
            trace(what),
        ]);
    }
    // FUTEX_WAIT, FUTEX_LOCK_PI, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_LOCK_PI2
    let waits = [0, 6, 9, 11, 13];
    program.extend([
        unless_equal(libc::SYS_futex as u32, 4 + waits.len() as u8),
        load_argument(1),
        statement(BPF_ALU | BPF_AND | BPF_K, 0x7F),
    ]);
    for (at, wait) in waits.into_iter().enumerate() {
        program.push(jump(BPF_JEQ, wait, (waits.len() - at) as u8, 0));
    }
    program.extend([otherwise(), trace(5)]);
    program.extend([
        unless_equal(libc::SYS_fcntl as u32, 6),
        load_argument(1),
        jump(BPF_JEQ, libc::F_SETFL as u32, 0, 2),
        load_argument(2),
        jump(BPF_JSET, libc::O_NONBLOCK as u32, 0, 1),
        otherwise(),
        trace(14),
    ]);
    program.push(otherwise());
    install(&mut program)
}

/// The same for reading and writing by calls that do not say whether they wait.
pub(crate) fn files() -> std::io::Result<()> {
    let mut program = vec![load_number()];
    for &(call, what) in FILES {
        program.extend([unless_equal(call as u32, 1), trace(what)]);
    }
    program.push(allow());
    install(&mut program)
}

fn install(program: &mut [sock_filter]) -> std::io::Result<()> {
    let program = sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: the program outlives the call, which copies it.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
            || libc::prctl(
                libc::PR_SET_SECCOMP,
                libc::SECCOMP_MODE_FILTER,
                &raw const program,
            ) != 0
    };
    if failed {
        return Err(std::io::Error::last_os_error());
    }
    Ok(())
}

fn statement(code: u32, k: u32) -> sock_filter {
    jump_code(code, k, 0, 0)
}

fn jump(test: u32, k: u32, yes: u8, no: u8) -> sock_filter {
    jump_code(BPF_JMP | test | BPF_K, k, yes, no)
}

fn jump_code(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

fn unless_equal(number: u32, skip: u8) -> sock_filter {
    jump(BPF_JEQ, number, 0, skip)
}

/// `seccomp_data.nr`.
fn load_number() -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, 0)
}

/// The lower half of `seccomp_data.args[number]`, on a little-endian machine.
fn load_argument(number: u32) -> sock_filter {
    statement(BPF_LD | BPF_W | BPF_ABS, 16 + 8 * number)
}

fn allow() -> sock_filter {
    statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
}

fn trace(what: u32) -> sock_filter {
    statement(BPF_RET | BPF_K, SECCOMP_RET_TRACE | what)
}
