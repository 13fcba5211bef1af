//! What is known of a connection's GSSAPI: getters.

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::border::inside;
use crate::open::Conn;

/// Whether what goes over the wire is encrypted with GSSAPI (gssencmode).
///
/// conn: the connection.
/// Returns 1 from the end of the GSSAPI handshake on, also after the connection is over; else 0, also when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_is_gss_encrypted(conn: *const Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            Some(c_int::from(inner.connection.facts().gss_encrypted()))
        })
    }
}

/// Whether GSSAPI has told the server who we are, by authentication or by encryption.
///
/// conn: the connection.
/// Returns 1 from then on, also after the connection is over; else 0, also when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_is_gss_authenticated(conn: *const Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            Some(c_int::from(inner.connection.facts().gss_used()))
        })
    }
}

/// The security context of GSSAPI, a gss_ctx_id_t of the system's library (libgssapi_krb5.so.2): to ask that library about it.
///
/// conn: the connection.
/// Returns the context; NULL without one, and when it is refused.
/// Borrowed until the connection is over, or the next conn_reset or conn_close; nobody may change or delete it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_gss_context(conn: *const Conn) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null_mut(), |inner, _| {
            Some(inner.connection.gss_context())
        })
    }
}
