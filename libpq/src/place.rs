//! Whom a connection is with: the host in use, the database, the user, and the password it was given. Changes nothing.

use std::ffi::{CStr, CString, c_char};
use std::net::IpAddr;
use std::ptr;
use std::sync::{Mutex, OnceLock};

use pgpoll::conn::Connection;
use pgpoll::link::Addr;
use zeroize::Zeroizing;

use crate::conn::PGconn;
use crate::guard::guard;
use crate::text::EMPTY;

/// The texts about hosts that were lent to C: they live until the connection is reset or freed.
#[derive(Default)]
pub(crate) struct Place {
    hosts: OnceLock<Box<[Named]>>,
    /// Each address that was asked for while it was in use.
    addresses: Mutex<Vec<(IpAddr, Box<CStr>)>>,
}

/// What is written of one host.
struct Named {
    host: CString,
    port: CString,
    /// From the password file.
    password: Option<Zeroizing<Vec<u8>>>,
}

/// Without the passwords.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

impl Place {
    /// The host in use; `None` when there is none, because the options made no sense.
    fn named(&self, link: &Connection) -> Option<&Named> {
        let all = self.hosts.get_or_init(|| {
            let places = link.places();
            let named = places.map(|place| Named {
                host: CString::new(place.host).unwrap_or_default(),
                port: CString::new(place.port).unwrap_or_default(),
                password: place
                    .password
                    .map(|password| Zeroizing::new([password, b"\0"].concat())),
            });
            named.collect()
        });
        all.get(link.facts().host())
    }

    /// The numeric address in use, kept for C.
    fn address(&self, link: &Connection) -> Option<*const c_char> {
        let Some(Addr::Tcp(addr)) = link.facts().addr() else {
            return None;
        };
        let mut kept = self.addresses.lock().ok()?;
        let ip = addr.ip();
        if !kept.iter().any(|(known, _)| *known == ip) {
            kept.push((ip, CString::new(ip.to_string()).ok()?.into_boxed_c_str()));
        }
        let found = kept.iter().find(|(known, _)| *known == ip);
        found.map(|(_, text)| text.as_ptr())
    }
}

/// A text of a connection, or `default`; NULL without a connection.
///
/// # Safety
/// `conn` is NULL or a connection.
unsafe fn say(
    conn: *const PGconn,
    default: *mut c_char,
    find: impl FnOnce(&PGconn) -> Option<*const c_char>,
) -> *mut c_char {
    // SAFETY: the caller's promise.
    match unsafe { conn.as_ref() } {
        None => ptr::null_mut(),
        Some(conn) => {
            let found = guard(|| find(conn)).flatten();
            found.map_or(default, <*const c_char>::cast_mut)
        }
    }
}

/// An option's value, which lies in the connection.
fn option(conn: &PGconn, keyword: &str) -> Option<*const c_char> {
    conn.link.options().get_c(keyword).map(CStr::as_ptr)
}

/// The database; NULL when the options made no sense. It belongs to the connection, until that is reset or freed; so for all
/// functions here.
///
/// # Safety
/// `conn` is NULL or a connection; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQdb(conn: *const PGconn) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { say(conn, ptr::null_mut(), |conn| option(conn, "dbname")) }
}

/// The user; NULL when the options made no sense.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQuser(conn: *const PGconn) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { say(conn, ptr::null_mut(), |conn| option(conn, "user")) }
}

/// The command-line options for the server; NULL when the connection's options made no sense.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQoptions(conn: *const PGconn) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { say(conn, ptr::null_mut(), |conn| option(conn, "options")) }
}

/// The password: the one that was given, or found in the password file for the host in use; empty when there is none.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQpass(conn: *const PGconn) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        say(conn, EMPTY, |conn| {
            let host = conn.place.named(&conn.link);
            match host.and_then(|host| host.password.as_ref()) {
                Some(password) => Some(password.as_ptr().cast()),
                None => option(conn, "password"),
            }
        })
    }
}

/// The host in use as it was written, else its numeric address as it was written, else the folder of the local socket.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQhost(conn: *const PGconn) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe {
        say(conn, EMPTY, |conn| {
            Some(conn.place.named(&conn.link)?.host.as_ptr())
        })
    }
}

/// The numeric address in use; empty for a local socket, and while there is none.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQhostaddr(conn: *const PGconn) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { say(conn, EMPTY, |conn| conn.place.address(&conn.link)) }
}

/// The port in use.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQport(conn: *const PGconn) -> *mut c_char {
    const DEFAULT: *mut c_char = c"5432".as_ptr().cast_mut();
    // SAFETY: the caller's promise.
    unsafe {
        say(conn, DEFAULT, |conn| {
            Some(conn.place.named(&conn.link)?.port.as_ptr())
        })
    }
}

/// Always empty: servers have no debug terminal any more.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQtty(conn: *const PGconn) -> *mut c_char {
    // SAFETY: the caller's promise.
    unsafe { say(conn, EMPTY, |_| None) }
}
