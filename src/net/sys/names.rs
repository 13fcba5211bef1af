//! Names: of hosts and of users.

use std::ffi::{CStr, c_int};
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ptr;

use super::{Errno, errno};

/// Why a name was not found: the code of getaddrinfo(3), and `errno` where the code is EAI_SYSTEM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::net) struct NoName {
    pub(in crate::net) code: c_int,
    pub(in crate::net) errno: Errno,
}

impl NoName {
    /// What is said of a name that cannot even be asked for.
    pub(in crate::net) const UNKNOWN: NoName = NoName {
        code: libc::EAI_NONAME,
        errno: 0,
    };

    /// The words of gai_strerror(3).
    pub(in crate::net) fn text(self) -> String {
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
pub(in crate::net) fn addresses(
    host: &CStr,
    port: u16,
    numeric: bool,
) -> Result<Vec<SocketAddr>, NoName> {
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
pub(in crate::net) fn user_name(uid: libc::uid_t) -> Result<Option<Vec<u8>>, Errno> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_user_of_this_process_has_a_name_and_nobody_has_a_made_up_id() {
        assert_eq!(user_name(0), Ok(Some(b"root".to_vec())));
        assert_eq!(user_name(3_999_999_999), Ok(None));
    }
}
