//! What a program reads off a connection's GSSAPI.

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::conn::PGconn;
use crate::guard::look;

/// The context of GSSAPI (`gss_ctx_id_t`), be it of encryption or of authentication; NULL without one. It belongs to the connection.
///
/// # Safety
/// `conn` is NULL or a connection; so for all functions here.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQgetgssctx(conn: *mut PGconn) -> *mut c_void {
    // SAFETY: the caller's promise.
    unsafe { look(conn, ptr::null_mut(), |conn| conn.link.gss_context()) }
}

/// 1 when what goes over the wire is encrypted with GSSAPI.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQgssEncInUse(conn: *mut PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        look(conn, 0, |conn| {
            let open = !conn.link.gss_context().is_null();
            c_int::from(open && conn.link.facts().gss_encrypted())
        })
    }
}

/// 1 when GSSAPI has told the server who we are.
///
/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PQconnectionUsedGSSAPI(conn: *const PGconn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { look(conn, 0, |conn| c_int::from(conn.link.facts().gss_used())) }
}
