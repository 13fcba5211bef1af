//! The system calls: each wrapped once, with safe arguments and `errno` as the error. Knows no state; beside `gss_sys.rs` the only unsafe code below the faces.

use std::ffi::{CStr, c_char, c_int, c_short, c_void};
use std::io::Write;
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "sys/epoll.rs"]
pub(super) mod many;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "sys/kqueue.rs"]
pub(super) mod many;

/// The `errno` of a call that failed.
pub(super) type Errno = c_int;

/// Sending never raises SIGPIPE: by a flag, or (Apple) by an option that [`prepare`] sets.
#[cfg(not(target_vendor = "apple"))]
const SEND: c_int = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
#[cfg(target_vendor = "apple")]
const SEND: c_int = libc::MSG_DONTWAIT;

/// Stack of a helper thread, beside what the system takes of it. getaddrinfo and getpwuid_r touch 17 KB with glibc 2.36's own modules; others'
/// modules may take more, and what is not touched costs address space alone.
pub(super) const HELPER_STACK: usize = 256 * 1024;

/// The longest path that fits into a `sockaddr_un` with its NUL.
pub(super) const UNIX_PATH_MAX: usize = {
    // SAFETY: sockaddr_un is integers; all zeroes is a value of it.
    let empty: libc::sockaddr_un = unsafe { mem::zeroed() };
    empty.sun_path.len() - 1
};

fn errno() -> Errno {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn check(returned: c_int) -> Result<c_int, Errno> {
    if returned < 0 {
        Err(errno())
    } else {
        Ok(returned)
    }
}

// Moving bytes.

/// recv(2) that never waits. 0 is the end of file.
#[inline]
pub(super) fn recv(fd: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize, Errno> {
    recv_with(fd, into, libc::MSG_DONTWAIT)
}

/// The same into the room that a vector has behind its bytes, at most `most` of it.
#[inline]
pub(super) fn recv_behind(
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
pub(super) fn peek(fd: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize, Errno> {
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
pub(super) fn send(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads at most `bytes.len()` bytes of `bytes`, which is borrowed for the call.
    let n = unsafe { libc::send(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), SEND) };
    usize::try_from(n).map_err(|_| errno())
}

/// write(2).
pub(super) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads at most `bytes.len()` bytes of `bytes`, which is borrowed for the call.
    let n = unsafe { libc::write(fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len()) };
    usize::try_from(n).map_err(|_| errno())
}

/// The same to a pipe, leaving no SIGPIPE behind. No flag does that: the signal is blocked in this thread for the length of
/// the call, and taken when it was this call that raised it.
pub(super) fn write_quietly(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
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
pub(super) fn kind(fd: BorrowedFd<'_>) -> Result<libc::mode_t, Errno> {
    let mut facts = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: fstat fills in all of `facts`, unless it fails.
    unsafe {
        check(libc::fstat(fd.as_raw_fd(), facts.as_mut_ptr()))?;
        Ok(facts.assume_init().st_mode & libc::S_IFMT)
    }
}

/// Whether a descriptor was opened for writing.
pub(super) fn is_writable(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    // SAFETY: takes integers alone.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    Ok(flags & libc::O_ACCMODE != libc::O_RDONLY)
}

/// A descriptor of our own for the same file: close-on-exec.
pub(super) fn duplicate(fd: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: takes integers alone.
    let raw = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: the call above made `raw`, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

// Sockets.

/// A stream socket: nonblocking, close-on-exec, without SIGPIPE.
pub(super) fn socket(family: c_int) -> Result<OwnedFd, Errno> {
    #[cfg(not(target_vendor = "apple"))]
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    #[cfg(target_vendor = "apple")]
    let kind = libc::SOCK_STREAM;
    // SAFETY: takes integers alone.
    let raw = check(unsafe { libc::socket(family, kind, 0) })?;
    // SAFETY: the call above made `raw`, and nobody else has it.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    if cfg!(target_vendor = "apple") {
        prepare(&fd)?;
        set_nonblocking(&fd)?;
    }
    Ok(fd)
}

/// Makes a socket close-on-exec and, where that is an option of it, free of SIGPIPE.
pub(super) fn prepare(fd: &OwnedFd) -> Result<(), Errno> {
    close_on_exec(fd)?;
    #[cfg(target_vendor = "apple")]
    set_option(fd, libc::SOL_SOCKET, libc::SO_NOSIGPIPE, 1)?;
    Ok(())
}

fn close_on_exec(fd: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: takes integers alone; `fd` is open.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })?;
    Ok(())
}

fn set_nonblocking(fd: &OwnedFd) -> Result<(), Errno> {
    // SAFETY: takes integers alone; `fd` is open.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

/// setsockopt(2) of an integer.
pub(super) fn set_option(
    fd: &OwnedFd,
    level: c_int,
    name: c_int,
    value: c_int,
) -> Result<(), Errno> {
    // SAFETY: the option's value is a c_int on the stack, and its size is said.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            mem::size_of::<c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// getsockopt(2) of an integer of SOL_SOCKET.
pub(super) fn option(fd: BorrowedFd<'_>, name: c_int) -> Result<c_int, Errno> {
    let mut value: c_int = 0;
    let mut size = mem::size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to `value`, which has them.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            (&raw mut value).cast(),
            &raw mut size,
        )
    })?;
    Ok(value)
}

/// connect(2) to a TCP address.
pub(super) fn connect_tcp(fd: &OwnedFd, addr: &SocketAddr) -> Result<(), Errno> {
    match addr {
        SocketAddr::V4(v4) => {
            // SAFETY: sockaddr_in is integers; all zeroes is a value of it.
            let mut raw: libc::sockaddr_in = unsafe { mem::zeroed() };
            raw.sin_family = libc::AF_INET as libc::sa_family_t;
            raw.sin_port = v4.port().to_be();
            raw.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            connect(fd, &raw, mem::size_of_val(&raw))
        }
        SocketAddr::V6(v6) => {
            // SAFETY: sockaddr_in6 is integers; all zeroes is a value of it.
            let mut raw: libc::sockaddr_in6 = unsafe { mem::zeroed() };
            raw.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            raw.sin6_port = v6.port().to_be();
            raw.sin6_flowinfo = v6.flowinfo();
            raw.sin6_addr.s6_addr = v6.ip().octets();
            raw.sin6_scope_id = v6.scope_id();
            connect(fd, &raw, mem::size_of_val(&raw))
        }
    }
}

/// connect(2) to the path of a Unix socket; a leading `@` stands for the NUL of Linux's abstract namespace.
/// A path that is too long is ENAMETOOLONG, one with a NUL in it EINVAL.
pub(super) fn connect_unix(fd: &OwnedFd, path: &[u8]) -> Result<(), Errno> {
    if path.len() > UNIX_PATH_MAX {
        return Err(libc::ENAMETOOLONG);
    }
    if path.contains(&0) {
        return Err(libc::EINVAL);
    }
    // SAFETY: sockaddr_un is integers; all zeroes is a value of it.
    let mut raw: libc::sockaddr_un = unsafe { mem::zeroed() };
    raw.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in raw.sun_path.iter_mut().zip(path) {
        *to = *from as c_char;
    }
    let mut size = mem::size_of_val(&raw);
    if path.first() == Some(&b'@') {
        raw.sun_path[0] = 0;
        size = mem::offset_of!(libc::sockaddr_un, sun_path) + path.len();
    }
    connect(fd, &raw, size)
}

/// `size` is at most the size of `addr`, which is one of the kernel's address structures.
fn connect<A>(fd: &OwnedFd, addr: &A, size: usize) -> Result<(), Errno> {
    let size = size.min(mem::size_of::<A>()) as libc::socklen_t;
    // SAFETY: the kernel reads `size` bytes of `addr`, which has them.
    check(unsafe { libc::connect(fd.as_raw_fd(), ptr::from_ref(addr).cast(), size) })?;
    Ok(())
}

/// Whether the socket has a peer: ENOTCONN of getpeername(2) is "no", any other answer "yes".
pub(super) fn has_peer(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: sockaddr_storage is integers; all zeroes is a value of it.
    let mut peer: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut size = mem::size_of_val(&peer) as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to `peer`, which has them.
    let done = unsafe { libc::getpeername(fd.as_raw_fd(), (&raw mut peer).cast(), &raw mut size) };
    check(done) != Err(libc::ENOTCONN)
}

/// Whether it is a Unix socket.
pub(super) fn is_unix(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: sockaddr_storage is integers; all zeroes is a value of it.
    let mut own: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut size = mem::size_of_val(&own) as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to `own`, which has them.
    let done = unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut own).cast(), &raw mut size) };
    done == 0 && libc::c_int::from(own.ss_family) == libc::AF_UNIX
}

/// shutdown(2) of both directions; an error means that the connection is over already.
pub(super) fn shutdown(fd: BorrowedFd<'_>) {
    // SAFETY: takes integers alone; `fd` is open.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR) };
}

/// The user id at the other end of a Unix socket.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn peer_uid(fd: BorrowedFd<'_>) -> Result<libc::uid_t, Errno> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut size = mem::size_of_val(&peer) as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to `peer`, which has them.
    check(unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut size,
        )
    })?;
    Ok(peer.uid)
}

/// The user id at the other end of a Unix socket.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn peer_uid(fd: BorrowedFd<'_>) -> Result<libc::uid_t, Errno> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: both pointers are to integers on the stack.
    check(unsafe { libc::getpeereid(fd.as_raw_fd(), &raw mut uid, &raw mut gid) })?;
    Ok(uid)
}

// Names.

/// Why a name was not found: the code of getaddrinfo(3), and `errno` where the code is EAI_SYSTEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoName {
    pub(super) code: c_int,
    pub(super) errno: Errno,
}

impl NoName {
    /// What is said of a name that cannot even be asked for.
    pub(super) const UNKNOWN: NoName = NoName {
        code: libc::EAI_NONAME,
        errno: 0,
    };

    /// The words of gai_strerror(3).
    pub(super) fn text(self) -> String {
        // SAFETY: gai_strerror answers NULL or a string that is never freed.
        unsafe {
            let words = libc::gai_strerror(self.code);
            if words.is_null() {
                return String::from("Unknown error");
            }
            CStr::from_ptr(words).to_string_lossy().into_owned()
        }
    }
}

/// getaddrinfo(3) of a name for stream sockets, in the resolver's order. **Blocks** unless `numeric` (AI_NUMERICHOST), which looks at the
/// text alone.
pub(super) fn addresses(host: &CStr, port: u16, numeric: bool) -> Result<Vec<SocketAddr>, NoName> {
    // SAFETY: addrinfo is integers and pointers that may be NULL; all zeroes is a value of it.
    let mut hints: libc::addrinfo = unsafe { mem::zeroed() };
    hints.ai_family = libc::AF_UNSPEC;
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_flags = if numeric { libc::AI_NUMERICHOST } else { 0 };
    let mut list: *mut libc::addrinfo = ptr::null_mut();
    // SAFETY: `host` ends with NUL, the service may be NULL, and `list` is where the answer goes.
    let code =
        unsafe { libc::getaddrinfo(host.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    if code != 0 {
        let errno = if code == libc::EAI_SYSTEM { errno() } else { 0 };
        return Err(NoName { code, errno });
    }
    let mut found = Vec::new();
    let mut next = list;
    while !next.is_null() {
        // SAFETY: `next` is an entry of the list, which lives until freeaddrinfo; its address has the size and family that it says.
        unsafe {
            found.extend(socket_addr(
                (*next).ai_addr,
                (*next).ai_addrlen as usize,
                port,
            ));
            next = (*next).ai_next;
        }
    }
    // SAFETY: the list came from getaddrinfo and is not used again.
    unsafe { libc::freeaddrinfo(list) };
    Ok(found)
}

/// SAFETY: `addr` is NULL or points to `size` readable bytes that are a socket address.
unsafe fn socket_addr(addr: *const libc::sockaddr, size: usize, port: u16) -> Option<SocketAddr> {
    if addr.is_null() || size < mem::size_of::<libc::sockaddr>() {
        return None;
    }
    // SAFETY: not NULL and large enough; each cast is to the structure of the family, if all of it is there.
    unsafe {
        match c_int::from((*addr).sa_family) {
            libc::AF_INET if size >= mem::size_of::<libc::sockaddr_in>() => {
                let v4 = addr.cast::<libc::sockaddr_in>().read_unaligned();
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, port).into())
            }
            libc::AF_INET6 if size >= mem::size_of::<libc::sockaddr_in6>() => {
                let v6 = addr.cast::<libc::sockaddr_in6>().read_unaligned();
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// getpwuid_r(3): the name of a user, `None` if there is no such user. **Blocks** where users come from a directory service.
pub(super) fn user_name(uid: libc::uid_t) -> Result<Option<Vec<u8>>, Errno> {
    let mut room = vec![0u8; 1024];
    loop {
        let mut entry = MaybeUninit::<libc::passwd>::uninit();
        let mut found: *mut libc::passwd = ptr::null_mut();
        // SAFETY: the strings go into `room`, whose size is said; `found` is NULL or points to `entry`.
        let error = unsafe {
            libc::getpwuid_r(
                uid,
                entry.as_mut_ptr(),
                room.as_mut_ptr().cast(),
                room.len(),
                &raw mut found,
            )
        };
        if error == libc::ERANGE && room.len() < 1 << 20 {
            room.resize(room.len() * 4, 0);
            continue;
        }
        if error != 0 {
            return Err(error);
        }
        if found.is_null() {
            return Ok(None);
        }
        // SAFETY: `found` is not NULL, so `entry` is filled in and its name is a string in `room`.
        let name = unsafe { CStr::from_ptr((*found).pw_name) };
        return Ok(Some(name.to_bytes().to_vec()));
    }
}

/// The words of strerror(3), without a lock or a shared buffer.
pub(super) fn strerror(errno: Errno) -> String {
    let mut words = [0u8; 256];
    // SAFETY: at most `words.len()` bytes are written, with a NUL; the last byte stays 0 in any case.
    unsafe { libc::strerror_r(errno, words.as_mut_ptr().cast(), words.len() - 1) };
    match CStr::from_bytes_until_nul(&words) {
        Ok(text) if !text.is_empty() => text.to_string_lossy().into_owned(),
        _ => format!("Unknown error {errno}"),
    }
}

// Threads, forks, time.

type Work = Box<dyn FnOnce() + Send>;

/// Runs `work` on a detached thread with a stack of so many bytes and all signals blocked.
///
/// glibc blocks the signals before the thread's first instruction (2.32; looked up at run time, so that older ones still link). Elsewhere
/// the thread blocks them as its first act: the caller's mask is never touched, and a handler that runs before that act meets a
/// thread like any other, which holds nothing yet.
pub(super) fn spawn(stack: usize, work: Work) -> Result<(), Errno> {
    let work = Box::into_raw(Box::new(work));
    let mut attr = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
    // SAFETY: `attr` is initialised before it is used and destroyed once; `start` takes over `work` if the thread is made.
    let error = unsafe {
        let mut error = libc::pthread_attr_init(attr.as_mut_ptr());
        if error == 0 {
            libc::pthread_attr_setdetachstate(attr.as_mut_ptr(), libc::PTHREAD_CREATE_DETACHED);
            libc::pthread_attr_setstacksize(attr.as_mut_ptr(), stack + reserved_stack());
            block_signals_from_birth(attr.as_mut_ptr());
            error = libc::pthread_create(thread.as_mut_ptr(), attr.as_ptr(), start, work.cast());
            libc::pthread_attr_destroy(attr.as_mut_ptr());
        }
        error
    };
    if error != 0 {
        // SAFETY: no thread was made, so `work` is still ours, and it came from a box.
        drop(unsafe { Box::from_raw(work) });
        return Err(error);
    }
    Ok(())
}

extern "C" fn start(work: *mut c_void) -> *mut c_void {
    block_signals();
    // SAFETY: `spawn` made `work` from a box of this type and gave it away.
    let work = unsafe { Box::from_raw(work.cast::<Work>()) };
    if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(*work)) {
        mem::forget(panic); // dropping it may panic again, and here nothing may unwind
    }
    ptr::null_mut()
}

fn all_signals() -> libc::sigset_t {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset fills in all of it.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        all.assume_init()
    }
}

fn block_signals() {
    let all = all_signals();
    // SAFETY: reads `all`, writes nothing.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, ptr::null_mut()) };
}

/// SAFETY: `attr` is initialised.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
unsafe fn block_signals_from_birth(attr: *mut libc::pthread_attr_t) {
    use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
    type SetSigmask =
        unsafe extern "C" fn(*mut libc::pthread_attr_t, *const libc::sigset_t) -> c_int;
    // Looked up once: dlsym waits for a thread that is in dlopen, as resolvers are. Two first times do no harm.
    static ASKED: AtomicBool = AtomicBool::new(false);
    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(ptr::null_mut());
    if !ASKED.load(Ordering::Acquire) {
        // SAFETY: the name ends with NUL.
        let found =
            unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"pthread_attr_setsigmask_np".as_ptr()) };
        FOUND.store(found, Ordering::Relaxed);
        ASKED.store(true, Ordering::Release);
    }
    let all = all_signals();
    // SAFETY: the symbol is NULL or glibc's function of this type, which copies `all`.
    unsafe {
        if let Some(set) =
            mem::transmute::<*mut c_void, Option<SetSigmask>>(FOUND.load(Ordering::Relaxed))
        {
            set(attr, &raw const all);
        }
    }
}

/// SAFETY: none needed; like the above.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
unsafe fn block_signals_from_birth(_: *mut libc::pthread_attr_t) {}

/// What the system takes from a thread's stack for itself: with glibc the program's thread-locals too, which may be much.
fn reserved_stack() -> usize {
    // SAFETY: takes an integer alone.
    let least = unsafe { libc::sysconf(libc::_SC_THREAD_STACK_MIN) };
    usize::try_from(least)
        .unwrap_or(0)
        .next_multiple_of(64 * 1024) // pages, of whatever size
}

/// pthread_atfork(3): `child` runs in each forked child.
pub(super) fn at_fork(child: extern "C" fn()) -> Result<(), Errno> {
    // SAFETY: `child` is a function without arguments that lives as long as the program.
    match unsafe { libc::pthread_atfork(None, None, Some(child)) } {
        0 => Ok(()),
        error => Err(error),
    }
}

/// Waits for a descriptor (a negative one: for none) with poll(2); a negative timeout is no limit. What was seen there.
pub(super) fn poll(fd: c_int, read: bool, write: bool, milliseconds: c_int) -> c_short {
    let mut events = 0;
    if read {
        events |= libc::POLLIN;
    }
    if write {
        events |= libc::POLLOUT;
    }
    let mut watched = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one pollfd, which lives through the call. Whether it ended early or by a signal does not matter.
    unsafe { libc::poll(&raw mut watched, 1, milliseconds) };
    watched.revents
}

/// CLOCK_MONOTONIC in nanoseconds.
pub(super) fn monotonic() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes to `now` alone.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    (now.tv_sec as u64)
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec as u64)
}

/// Appends the local time: date, time of day and microseconds.
pub(super) fn local_time(into: &mut Vec<u8>) {
    let mut now = libc::timeval {
        tv_sec: 0,
        tv_usec: 0,
    };
    let mut text = [0_u8; 64];
    // SAFETY: each call writes only to what it is given, within its size; all zeroes are a valid tm.
    let len = unsafe {
        libc::gettimeofday(&raw mut now, ptr::null_mut());
        let mut broken_down: libc::tm = mem::zeroed();
        libc::localtime_r(&raw const now.tv_sec, &raw mut broken_down);
        let format = c"%Y-%m-%d %H:%M:%S".as_ptr();
        libc::strftime(
            text.as_mut_ptr().cast(),
            text.len(),
            format,
            &raw const broken_down,
        )
    };
    into.extend_from_slice(text.get(..len).unwrap_or_default());
    // Writing to a vector does not fail.
    let _ = write!(into, ".{:06}", now.tv_usec);
}

/// Runs `work` with SIGPIPE as it is in a program that has not touched it: it ends the process.
#[cfg(test)]
pub(super) fn with_default_sigpipe(work: impl FnOnce()) {
    // SAFETY: sets how a signal is dealt with, and sets it back.
    let before = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    work();
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGPIPE, before) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strerror_says_what_libc_says() {
        assert_eq!(strerror(libc::ECONNREFUSED), "Connection refused");
        assert_eq!(strerror(libc::EAGAIN), "Resource temporarily unavailable");
        assert!(strerror(99_999).starts_with("Unknown error"));
    }

    #[test]
    fn a_numeric_host_is_parsed_with_its_scope() {
        let found = addresses(c"127.0.0.1", 5432, true);
        assert_eq!(found, Ok(vec![SocketAddr::from(([127, 0, 0, 1], 5432))]));
        assert_eq!(addresses(c"localhost", 5432, true), Err(NoName::UNKNOWN));
        match addresses(c"fe80::1%1", 1, true).as_deref() {
            Ok([SocketAddr::V6(v6)]) => assert_eq!(v6.scope_id(), 1),
            other => assert!(other.is_err(), "{other:?}"),
        }
    }

    #[test]
    fn a_helper_thread_has_all_signals_blocked_and_the_caller_keeps_its_mask() {
        let mask = || {
            let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
            // SAFETY: writes the thread's mask, all of it.
            unsafe {
                libc::sigemptyset(mask.as_mut_ptr());
                libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr());
                mask.assume_init()
            }
        };
        // SAFETY: reads the set alone.
        let has = |mask: &libc::sigset_t, signal| unsafe { libc::sigismember(mask, signal) == 1 };
        let (tell, told) = std::sync::mpsc::channel();
        assert_eq!(
            spawn(
                HELPER_STACK,
                Box::new(move || assert!(tell.send(mask()).is_ok()))
            ),
            Ok(())
        );
        let theirs = told.recv();
        for signal in [
            libc::SIGINT,
            libc::SIGTERM,
            libc::SIGCHLD,
            libc::SIGALRM,
            libc::SIGPROF,
            libc::SIGPIPE,
        ] {
            assert!(
                theirs.as_ref().is_ok_and(|theirs| has(theirs, signal)),
                "{signal}"
            );
            assert!(!has(&mask(), signal), "{signal}");
        }
    }

    #[test]
    fn the_user_of_this_process_has_a_name_and_nobody_has_a_made_up_id() {
        assert_eq!(user_name(0), Ok(Some(b"root".to_vec())));
        assert_eq!(user_name(3_999_999_999), Ok(None));
    }
}
