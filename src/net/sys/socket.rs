//! Sockets: made, set up, connected, asked.

use std::ffi::{c_char, c_int};
use std::mem;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{Errno, check};

/// The longest path that fits into a `sockaddr_un` with its NUL.
pub(in crate::net) const UNIX_PATH_MAX: usize = {
    // SAFETY: sockaddr_un is integers; all zeroes is a value of it.
    let empty: libc::sockaddr_un = unsafe { mem::zeroed() };
    empty.sun_path.len() - 1
};

/// A stream socket: nonblocking, close-on-exec, without SIGPIPE.
pub(in crate::net) fn socket(family: c_int) -> Result<OwnedFd, Errno> {
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
pub(in crate::net) fn prepare(fd: &OwnedFd) -> Result<(), Errno> {
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
pub(in crate::net) fn set_option(
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
pub(in crate::net) fn option(fd: BorrowedFd<'_>, name: c_int) -> Result<c_int, Errno> {
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
pub(in crate::net) fn connect_tcp(fd: &OwnedFd, addr: &SocketAddr) -> Result<(), Errno> {
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
pub(in crate::net) fn connect_unix(fd: &OwnedFd, path: &[u8]) -> Result<(), Errno> {
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
pub(in crate::net) fn has_peer(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: sockaddr_storage is integers; all zeroes is a value of it.
    let mut peer: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut size = mem::size_of_val(&peer) as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to `peer`, which has them.
    let done = unsafe { libc::getpeername(fd.as_raw_fd(), (&raw mut peer).cast(), &raw mut size) };
    check(done) != Err(libc::ENOTCONN)
}

/// Whether it is a Unix socket.
pub(in crate::net) fn is_unix(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: sockaddr_storage is integers; all zeroes is a value of it.
    let mut own: libc::sockaddr_storage = unsafe { mem::zeroed() };
    let mut size = mem::size_of_val(&own) as libc::socklen_t;
    // SAFETY: the kernel writes at most `size` bytes to `own`, which has them.
    let done = unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut own).cast(), &raw mut size) };
    done == 0 && libc::c_int::from(own.ss_family) == libc::AF_UNIX
}

/// shutdown(2) of both directions; an error means that the connection is over already.
pub(in crate::net) fn shutdown(fd: BorrowedFd<'_>) {
    // SAFETY: takes integers alone; `fd` is open.
    unsafe { libc::shutdown(fd.as_raw_fd(), libc::SHUT_RDWR) };
}

/// The user id at the other end of a Unix socket.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(in crate::net) fn peer_uid(fd: BorrowedFd<'_>) -> Result<libc::uid_t, Errno> {
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
pub(in crate::net) fn peer_uid(fd: BorrowedFd<'_>) -> Result<libc::uid_t, Errno> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: both pointers are to integers on the stack.
    check(unsafe { libc::getpeereid(fd.as_raw_fd(), &raw mut uid, &raw mut gid) })?;
    Ok(uid)
}
