//! What a program reads off a connection's TLS, and what it says to OpenSSL, which is not here: rustls does TLS.

use std::ffi::{CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Mutex;

use pgpoll::conn::{Connection, TLS_ATTRIBUTES, TLS_LIBRARY};

use crate::arguments::text;
use crate::conn::{BAD, PGconn};
use crate::guard::{guard, look};
use crate::signal::say;

/// An array of texts for C, ended by NULL.
struct List<const N: usize>([*const c_char; N]);

// SAFETY: pointers to constants.
unsafe impl<const N: usize> Sync for List<N> {}

static ATTRIBUTES: List<7> = List([
    TLS_ATTRIBUTES[0].as_ptr(),
    TLS_ATTRIBUTES[1].as_ptr(),
    TLS_ATTRIBUTES[2].as_ptr(),
    TLS_ATTRIBUTES[3].as_ptr(),
    TLS_ATTRIBUTES[4].as_ptr(),
    TLS_ATTRIBUTES[5].as_ptr(),
    ptr::null(),
]);

static NONE: List<1> = List([ptr::null()]);

/// The attributes that were told last, kept for C.
pub(crate) type Told = [Option<CString>; TLS_ATTRIBUTES.len()];

impl PGconn {
    /// The connection, as long as it is up, or getting there, and encrypted with TLS.
    fn encrypted(&self) -> Option<&Connection> {
        Some(&self.link).filter(|link| self.status() != BAD && link.facts().tls().is_some())
    }

    fn tls_attribute(&mut self, name: &[u8]) -> Option<*const c_char> {
        let number = TLS_ATTRIBUTES
            .iter()
            .position(|known| known.to_bytes() == name)?;
        let value = self.encrypted()?.tls_attribute(name)?;
        let value = CString::new(value).ok()?;
        let slot = self.tls_told.get_mut(number)?;
        if slot.as_ref() != Some(&value) {
            *slot = Some(value);
        }
        slot.as_ref().map(|value| value.as_ptr())
    }
}

/// 1 when what goes over the wire is encrypted with TLS.
///
/// # Safety
/// `conn` is NULL or a connection; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsslInUse(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { look(conn, 0, |conn| c_int::from(conn.encrypted().is_some())) }
}

/// What is known of the connection's TLS; NULL for a name that is not one of [`PQsslAttributeNames`], and for a connection that
/// is not encrypted. Without a connection only `library` has a value. It belongs to the connection, until it is reset.
///
/// # Safety
/// As above; `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsslAttribute(conn: *mut PGconn, name: *const c_char) -> *const c_char {
    let value = guard(|| {
        // SAFETY: the caller's promise.
        let (conn, name) = unsafe { (conn.as_mut(), text(name)?) };
        match conn {
            None => Some(TLS_LIBRARY.as_ptr()).filter(|_| name == b"library"),
            Some(conn) => conn.tls_attribute(name),
        }
    });
    value.flatten().unwrap_or(ptr::null())
}

/// The names that [`PQsslAttribute`] knows, ended by NULL; none for a connection that is not encrypted.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsslAttributeNames(conn: *mut PGconn) -> *const *const c_char {
    let all = ATTRIBUTES.0.as_ptr();
    // SAFETY: the caller's promise.
    unsafe {
        look(conn, all, |conn| match conn.encrypted() {
            Some(_) => all,
            None => NONE.0.as_ptr(),
        })
    }
}

/// OpenSSL's structure: NULL, since rustls does TLS, as in a libpq that was built with another library. [`PQsslAttribute`] has
/// what most programs want of it.
///
/// # Safety
/// As above; `name` is NULL or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsslStruct(_conn: *mut PGconn, _name: *const c_char) -> *mut c_void {
    ptr::null_mut()
}

/// As [`PQsslStruct`].
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQgetssl(_conn: *mut PGconn) -> *mut c_void {
    ptr::null_mut()
}

/// Says whether the program has set OpenSSL up: no matter.
#[unsafe(no_mangle)]
pub extern "C" fn PQinitSSL(_do_init: c_int) {}

/// As [`PQinitSSL`].
#[unsafe(no_mangle)]
pub extern "C" fn PQinitOpenSSL(_do_ssl: c_int, _do_crypto: c_int) {}

/// `PQsslKeyPassHook_OpenSSL_type`.
pub type KeyPassHook =
    Option<unsafe extern "C-unwind" fn(*mut c_char, c_int, *mut PGconn) -> c_int>;

static KEY_PASS_HOOK: Mutex<KeyPassHook> = Mutex::new(None);

/// Sets who is asked for the password of a client's key. It is kept for [`PQgetSSLKeyPassHook_OpenSSL`] and never called: an
/// encrypted key's password is the option `sslpassword`.
///
/// # Safety
/// None is needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQsetSSLKeyPassHook_OpenSSL(hook: KeyPassHook) {
    guard(|| {
        if let Ok(mut kept) = KEY_PASS_HOOK.lock() {
            *kept = hook;
        }
    });
}

/// What [`PQsetSSLKeyPassHook_OpenSSL`] was given last, or NULL.
#[unsafe(no_mangle)]
pub extern "C" fn PQgetSSLKeyPassHook_OpenSSL() -> KeyPassHook {
    guard(|| KEY_PASS_HOOK.lock().ok().and_then(|kept| *kept)).flatten()
}

/// Puts the option `sslpassword` into `buffer`, cut to its size; returns its length.
///
/// # Safety
/// As above; `buffer` has `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQdefaultSSLKeyPassHook_OpenSSL(
    buffer: *mut c_char,
    size: c_int,
    conn: *mut PGconn,
) -> c_int {
    let room = usize::try_from(size).unwrap_or(0).saturating_sub(1);
    let copy = |password: &[u8]| {
        if password.len() > room {
            eprintln!("WARNING: sslpassword truncated");
        }
        // SAFETY: the caller's promise.
        unsafe { say(buffer, size, &[password]) };
        password.len().min(room) as c_int
    };
    // SAFETY: the caller's promise.
    match unsafe { conn.as_ref() } {
        None => copy(b""),
        Some(conn) => {
            guard(|| copy(conn.link.options().get("sslpassword").unwrap_or_default())).unwrap_or(0)
        }
    }
}
