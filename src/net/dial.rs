//! Opens a socket and begins to connect it. Knows addresses and socket options; does not wait.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::conninfo::TcpOptions;
use crate::link::{Addr, LinkError, LinkErrorKind};
use crate::net::sys::{self, Errno};

#[cfg(target_vendor = "apple")]
const KEEPALIVE_IDLE: (i32, &str) = (libc::TCP_KEEPALIVE, "TCP_KEEPALIVE");
#[cfg(not(target_vendor = "apple"))]
const KEEPALIVE_IDLE: (i32, &str) = (libc::TCP_KEEPIDLE, "TCP_KEEPIDLE");

/// Begins to connect: a nonblocking socket, and whether it is connected already; [`connected`] tells when it is.
pub(super) fn begin(addr: &Addr, tcp: &TcpOptions) -> Result<(OwnedFd, bool), LinkError> {
    let family = match addr {
        Addr::Tcp(addr) if addr.is_ipv4() => libc::AF_INET,
        Addr::Tcp(_) => libc::AF_INET6,
        Addr::Unix(path) if path.len() > sys::UNIX_PATH_MAX => return Err(too_long(path)),
        Addr::Unix(_) => libc::AF_UNIX,
        Addr::Given => return Err(used_up()),
    };
    let socket = sys::socket(family).map_err(|errno| unmade("could not create socket", errno))?;
    let begun = match addr {
        Addr::Tcp(addr) => {
            set_options(&socket, tcp)?;
            sys::connect_tcp(&socket, addr)
        }
        Addr::Unix(path) => sys::connect_unix(&socket, path),
        Addr::Given => Err(libc::ENOTCONN),
    };
    match begun {
        // An interrupted connect goes on in the kernel. EAGAIN does not: a Unix socket's backlog is full.
        Ok(()) => Ok((socket, true)),
        Err(libc::EINPROGRESS | libc::EINTR) => Ok((socket, false)),
        Err(errno) => Err(refused(errno)),
    }
}

/// Whether a socket that [`begin`] gave is connected; `false` while it is under way.
/// Neither poll(2) nor a second connect(2): the one could wait, the other is answered differently by every system.
pub(super) fn connected(socket: BorrowedFd<'_>) -> Result<bool, LinkError> {
    match sys::option(socket, libc::SO_ERROR) {
        Ok(0) => Ok(sys::has_peer(socket)),
        Ok(errno) => Err(refused(errno)),
        Err(errno) => Err(unmade("could not get socket error status", errno)),
    }
}

fn set_options(socket: &OwnedFd, tcp: &TcpOptions) -> Result<(), LinkError> {
    sys::set_option(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)
        .map_err(|errno| unmade("could not set socket to TCP no delay mode", errno))?;
    let set = |level, (option, name): (i32, &str), value| {
        sys::set_option(socket, level, option, value)
            .map_err(|errno| unmade(&format!("setsockopt({name}) failed"), errno))
    };
    // 0 is the system's default, which the kernel would refuse as a value.
    let value = |option: Option<u32>| {
        option
            .filter(|v| *v > 0)
            .map(|v| i32::try_from(v).unwrap_or(i32::MAX))
    };
    if tcp.keepalives {
        set(libc::SOL_SOCKET, (libc::SO_KEEPALIVE, "SO_KEEPALIVE"), 1)?;
        if let Some(seconds) = value(tcp.keepalives_idle) {
            set(libc::IPPROTO_TCP, KEEPALIVE_IDLE, seconds)?;
        }
        if let Some(seconds) = value(tcp.keepalives_interval) {
            set(
                libc::IPPROTO_TCP,
                (libc::TCP_KEEPINTVL, "TCP_KEEPINTVL"),
                seconds,
            )?;
        }
        if let Some(count) = value(tcp.keepalives_count) {
            set(libc::IPPROTO_TCP, (libc::TCP_KEEPCNT, "TCP_KEEPCNT"), count)?;
        }
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(ms) = value(tcp.user_timeout_ms) {
        set(
            libc::IPPROTO_TCP,
            (libc::TCP_USER_TIMEOUT, "TCP_USER_TIMEOUT"),
            ms,
        )?;
    }
    Ok(())
}

/// The user id at the other end of a Unix socket.
pub(super) fn peer_uid(socket: &OwnedFd) -> Result<u32, String> {
    sys::peer_uid(socket.as_fd())
        .map_err(|errno| format!("could not get peer credentials: {}", sys::strerror(errno)))
}

/// The name of a user. **Blocks** where users come from a directory service.
pub(super) fn user_name(uid: u32) -> Result<Vec<u8>, String> {
    match sys::user_name(uid) {
        Ok(Some(name)) => Ok(name),
        Ok(None) => Err(format!("local user with ID {uid} does not exist")),
        Err(errno) => Err(format!(
            "could not look up local user ID {uid}: {}",
            sys::strerror(errno)
        )),
    }
}

/// A transport of the caller's serves once.
fn used_up() -> LinkError {
    LinkError {
        kind: LinkErrorKind::Socket,
        errno: 0,
        text: String::from("there is no second transport: the one that was given is used up"),
    }
}

fn refused(errno: Errno) -> LinkError {
    LinkError {
        kind: LinkErrorKind::Dial,
        errno,
        text: sys::strerror(errno),
    }
}

fn unmade(what: &str, errno: Errno) -> LinkError {
    let text = format!("{what}: {}", sys::strerror(errno));
    LinkError {
        kind: LinkErrorKind::Socket,
        errno,
        text,
    }
}

fn too_long(path: &[u8]) -> LinkError {
    let path = String::from_utf8_lossy(path);
    let text = format!(
        "Unix-domain socket path \"{path}\" is too long (maximum {} bytes)",
        sys::UNIX_PATH_MAX
    );
    LinkError {
        kind: LinkErrorKind::Socket,
        errno: libc::ENAMETOOLONG,
        text,
    }
}
