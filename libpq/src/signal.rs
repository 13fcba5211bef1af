//! PGcancel: cancelling from a signal handler. What runs there makes only system calls: no allocation, lock, guard or panic.

use std::ffi::{c_char, c_int, c_void};
use std::fmt;
use std::mem;
use std::net::SocketAddr;

use libc::{sockaddr_in, sockaddr_in6, sockaddr_storage, sockaddr_un, socklen_t};
use pgpoll::conn::Cancel;
use pgpoll::link::Addr;
use zeroize::{Zeroize, Zeroizing};

use crate::conn::PGconn;
use crate::guard::guard;

/// An address, a packet, and the options of the socket; opaque to C. Yet ruby-pg up to 1.5 looks into it, so that its first fields are
/// those of libpq up to 17.
#[repr(C)]
pub struct PGcancel {
    to: Remote,
    pid: c_int,
    /// The first four bytes of the key, which is all of it in protocol 3.0. Wiped in the end, as the packet is.
    key: c_int,
    /// Empty when the server sent no key. It carries the key: it is wiped in the end.
    packet: Zeroizing<Vec<u8>>,
    /// Level, name and value of each option to set.
    options: [(c_int, c_int, c_int); 5],
}

#[repr(C)]
struct Remote {
    addr: sockaddr_storage,
    len: socklen_t,
}

impl Drop for PGcancel {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Without the packet.
impl fmt::Debug for PGcancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PGcancel").finish_non_exhaustive()
    }
}

/// An option that is not set.
const UNSET: (c_int, c_int, c_int) = (0, 0, -1);

impl PGcancel {
    fn new(conn: &PGconn) -> Option<Self> {
        if !conn.link.facts().is_ready() {
            return None;
        }
        let mut cancel = Self {
            to: Remote {
                // SAFETY: all zeroes are a valid sockaddr_storage.
                addr: unsafe { mem::zeroed() },
                len: 0,
            },
            pid: 0,
            key: 0,
            packet: Zeroizing::default(),
            options: [UNSET; 5],
        };
        if let Ok(request) = Cancel::of(&conn.link) {
            cancel.packet = Zeroizing::new(request.packet().to_vec());
            // Length, code, process ID, key.
            let word = |at| cancel.packet.get(at..at + 4)?.try_into().ok();
            cancel.pid = word(8).map_or(0, c_int::from_be_bytes);
            cancel.key = word(12).map_or(0, c_int::from_be_bytes);
            cancel.set_addr(request.addr())?;
            if matches!(request.addr(), Addr::Tcp(_)) {
                cancel.set_options(conn);
            }
        }
        Some(cancel)
    }

    fn set_addr(&mut self, addr: &Addr) -> Option<()> {
        match addr {
            Addr::Given => return None,
            Addr::Tcp(SocketAddr::V4(from)) => {
                // SAFETY: all zeroes are a valid sockaddr_in. Some systems have a length in it, which only the kernel writes.
                let mut at: sockaddr_in = unsafe { mem::zeroed() };
                at.sin_family = libc::AF_INET as libc::sa_family_t;
                at.sin_port = from.port().to_be();
                at.sin_addr.s_addr = u32::from_ne_bytes(from.ip().octets());
                self.store(at);
            }
            Addr::Tcp(SocketAddr::V6(from)) => {
                // SAFETY: all zeroes are a valid sockaddr_in6.
                let mut at: sockaddr_in6 = unsafe { mem::zeroed() };
                at.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                at.sin6_port = from.port().to_be();
                at.sin6_flowinfo = from.flowinfo();
                at.sin6_addr.s6_addr = from.ip().octets();
                at.sin6_scope_id = from.scope_id();
                self.store(at);
            }
            Addr::Unix(path) => {
                // SAFETY: all zeroes are a valid sockaddr_un.
                let mut at: sockaddr_un = unsafe { mem::zeroed() };
                at.sun_family = libc::AF_UNIX as libc::sa_family_t;
                if path.len() >= at.sun_path.len() {
                    return None;
                }
                for (to, from) in at.sun_path.iter_mut().zip(path) {
                    *to = *from as c_char;
                }
                self.store(at);
                // `@name` is in the abstract namespace: a NUL first, and none behind.
                if path.first() == Some(&b'@') {
                    self.to.len =
                        (mem::offset_of!(sockaddr_un, sun_path) + path.len()) as socklen_t;
                    at.sun_path[0] = 0;
                    let len = self.to.len;
                    self.store(at);
                    self.to.len = len;
                }
            }
        }
        Some(())
    }

    fn store<T>(&mut self, addr: T) {
        const { assert!(size_of::<T>() <= size_of::<sockaddr_storage>()) };
        // SAFETY: a socket address, no larger than the storage and no stricter aligned.
        unsafe { (&raw mut self.to.addr).cast::<T>().write(addr) };
        self.to.len = size_of::<T>() as socklen_t;
    }

    fn set_options(&mut self, conn: &PGconn) {
        let number = |keyword| {
            let value = conn.link.options().get(keyword)?;
            std::str::from_utf8(value).ok()?.trim().parse().ok()
        };
        #[cfg(target_os = "linux")]
        let tcp = libc::IPPROTO_TCP;
        #[cfg(target_os = "linux")]
        if let Some(value) = number("tcp_user_timeout") {
            self.options[4] = (tcp, libc::TCP_USER_TIMEOUT, value);
        }
        if number("keepalives") == Some(0) {
            return;
        }
        self.options[0] = (libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1);
        #[cfg(target_os = "linux")]
        for (index, keyword, name) in [
            (1, "keepalives_idle", libc::TCP_KEEPIDLE),
            (2, "keepalives_interval", libc::TCP_KEEPINTVL),
            (3, "keepalives_count", libc::TCP_KEEPCNT),
        ] {
            if let Some(value) = number(keyword) {
                self.options[index] = (tcp, name, value);
            }
        }
    }

    /// Sends the request and waits until the server has it; on an error, which call failed.
    ///
    /// Safe in a signal handler: system calls only.
    fn send(&self, socket: c_int) -> Result<(), &'static [u8]> {
        for &(level, name, value) in &self.options {
            let size = size_of::<c_int>() as socklen_t;
            let at: *const c_void = (&raw const value).cast();
            // SAFETY: an int that lives through the call.
            if value >= 0 && unsafe { libc::setsockopt(socket, level, name, at, size) } < 0 {
                return Err(b"setsockopt");
            }
        }
        // SAFETY: the address and its length were set together.
        let connect =
            || unsafe { libc::connect(socket, (&raw const self.to.addr).cast(), self.to.len) };
        again(|| connect() as isize).map_err(|()| &b"connect"[..])?;
        let (at, len) = (self.packet.as_ptr().cast(), self.packet.len());
        // SAFETY: the packet lives as long as the request.
        let sent = again(|| unsafe { libc::send(socket, at, len, libc::MSG_NOSIGNAL) });
        if sent != Ok(len) {
            return Err(b"send");
        }
        // The server closes the connection when it has dealt with the request; what else happens does not matter.
        let mut byte = 0_u8;
        let to: *mut c_void = (&raw mut byte).cast();
        // SAFETY: one byte.
        let _ = again(|| unsafe { libc::recv(socket, to, 1, 0) });
        Ok(())
    }
}

/// Repeats a system call that a signal interrupts.
fn again(call: impl Fn() -> isize) -> Result<usize, ()> {
    loop {
        let result = call();
        if result >= 0 {
            return Ok(result as usize);
        }
        if errno() != libc::EINTR {
            return Err(());
        }
    }
}

fn errno() -> c_int {
    // SAFETY: the thread's own errno.
    unsafe { *place_of_errno() }
}

fn place_of_errno() -> *mut c_int {
    #[cfg(target_os = "macos")]
    // SAFETY: no arguments.
    return unsafe { libc::__error() };
    #[cfg(not(target_os = "macos"))]
    // SAFETY: no arguments.
    return unsafe { libc::__errno_location() };
}

/// Puts `parts` into C's buffer, cut to its size.
///
/// # Safety
/// `buffer` is NULL or has `size` bytes.
pub(crate) unsafe fn say(buffer: *mut c_char, size: c_int, parts: &[&[u8]]) {
    let Ok(size) = usize::try_from(size) else {
        return;
    };
    if buffer.is_null() || size == 0 {
        return;
    }
    let bytes = parts.iter().flat_map(|part| part.iter()).take(size - 1);
    let mut at = buffer;
    for &byte in bytes {
        // SAFETY: at most `size - 1` bytes are written before the NUL.
        unsafe {
            at.write(byte as c_char);
            at = at.add(1);
        }
    }
    // SAFETY: within `size`.
    unsafe { at.write(0) };
}

/// The decimal digits of a number, at the end of `buffer`.
fn digits(mut number: u32, buffer: &mut [u8; 10]) -> &[u8] {
    let mut begin = buffer.len();
    for (index, digit) in buffer.iter_mut().enumerate().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        begin = index;
        if number == 0 {
            break;
        }
    }
    buffer.split_at(begin).1
}

/// What [`PQcancel`] needs of a connection, so that it can be called at any time. NULL without a connection. Free it with
/// [`PQfreeCancel`].
///
/// # Safety
/// `conn` is NULL or a connection.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQgetCancel(conn: *mut PGconn) -> *mut PGcancel {
    // SAFETY: the caller's promise.
    let cancel = guard(|| PGcancel::new(unsafe { conn.as_ref() }?)).flatten();
    cancel.map_or(std::ptr::null_mut(), |cancel| {
        Box::into_raw(Box::new(cancel))
    })
}

/// Asks the server to stop what the connection is doing, and waits until the server has the request. 1 when it has; else the
/// reason is in `buffer`. Safe in a signal handler; the request is not encrypted.
///
/// # Safety
/// `cancel` is NULL or from [`PQgetCancel`]; `buffer` has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQcancel(
    cancel: *mut PGcancel,
    buffer: *mut c_char,
    size: c_int,
) -> c_int {
    let kept = errno();
    // SAFETY: the caller's promise.
    let cancelled = unsafe { cancel_now(cancel.as_ref(), buffer, size) };
    // SAFETY: the thread's own errno.
    unsafe { *place_of_errno() = kept };
    cancelled
}

/// A stream socket, close-on-exec where that can be said in one call: it lives for the length of one.
#[cfg(target_os = "linux")]
const STREAM: c_int = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const STREAM: c_int = libc::SOCK_STREAM;

/// # Safety
/// `buffer` is NULL or has `size` bytes.
unsafe fn cancel_now(cancel: Option<&PGcancel>, buffer: *mut c_char, size: c_int) -> c_int {
    let why: &[u8] = match cancel {
        None => b"no cancel object supplied",
        Some(cancel) if cancel.packet.is_empty() => b"no cancellation key received",
        Some(cancel) => {
            let family = c_int::from(cancel.to.addr.ss_family);
            // SAFETY: no pointers.
            let socket = unsafe { libc::socket(family, STREAM, 0) };
            let said = if socket < 0 {
                Err(&b"socket"[..])
            } else {
                cancel.send(socket)
            };
            let error = errno();
            if socket >= 0 {
                // SAFETY: the descriptor is ours.
                unsafe { libc::close(socket) };
            }
            let Err(call) = said else { return 1 };
            let mut number = [0; 10];
            let error = digits(error.unsigned_abs(), &mut number);
            let parts: [&[u8]; 5] = [b"PQcancel() -- ", call, b"() failed: error ", error, b"\n"];
            // SAFETY: the caller's promise.
            unsafe { say(buffer, size, &parts) };
            return 0;
        }
    };
    // SAFETY: the caller's promise.
    unsafe { say(buffer, size, &[b"PQcancel() -- ", why]) };
    0
}

/// Frees what [`PQgetCancel`] gave. NULL is fine.
///
/// # Safety
/// `cancel` is NULL or was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQfreeCancel(cancel: *mut PGcancel) {
    if !cancel.is_null() {
        // SAFETY: the caller's promise; they come from boxes.
        guard(|| drop(unsafe { Box::from_raw(cancel) }));
    }
}

/// Asks the server to stop what the connection is doing, and waits until the server has the request. 1 when it has; else the
/// connection's error message says why.
///
/// # Safety
/// `conn` is NULL or a connection that nobody else uses now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQrequestCancel(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    let Some(conn) = (unsafe { conn.as_mut() }) else {
        return 0;
    };
    guard(|| {
        let Some(cancel) = PGcancel::new(conn) else {
            conn.clear_error();
            conn.message
                .line("PQrequestCancel() -- connection is not open");
            return 0;
        };
        let mut text = [0_u8; 256];
        // SAFETY: the buffer's own size.
        let done = unsafe { cancel_now(Some(&cancel), text.as_mut_ptr().cast(), 256) };
        if done == 0 {
            conn.clear_error();
            conn.message.push(&text);
        }
        done
    })
    .unwrap_or(0)
}
