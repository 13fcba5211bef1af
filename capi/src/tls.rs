//! What is known of a connection's encryption: getters.

use std::ffi::{c_char, c_int};
use std::ptr;

use pgpoll::conn::TLS_ATTRIBUTES;

use crate::border::inside;
use crate::facts::{FIRST_TLS_SLOT, kept};
use crate::open::Conn;
use crate::text;

/// Whether what goes over the wire is encrypted.
///
/// conn: the connection.
/// Returns 1 from the end of the handshake of TLS or GSSAPI on, also after the connection is over; else 0, also when it is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_is_encrypted(conn: *const Conn) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            Some(c_int::from(inner.connection.is_encrypted()))
        })
    }
}

/// What is known of the connection's TLS, under the names that libpq's PQsslAttribute has: library ("rustls"), protocol
/// ("TLSv1.2" or "TLSv1.3"), cipher (by OpenSSL's name), key_bits (of the cipher), alpn (the protocol selected, or ""),
/// compression (always "off").
///
/// conn: the connection. name: one of these.
/// Returns the value; NULL for another name, while the connection is not encrypted, and when it is refused.
/// Borrowed until the next conn_poll, conn_wait, conn_reset or conn_close.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_tls_attribute(
    conn: *const Conn,
    name: *const c_char,
) -> *const c_char {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, ptr::null(), |inner, _| {
            let Some(name) = text::bytes(name) else {
                return inner.misuse("name is NULL: pass \"protocol\", \"cipher\", …");
            };
            let value = inner.connection.tls_attribute(name)?;
            let number = TLS_ATTRIBUTES
                .iter()
                .position(|known| known.to_bytes() == name)?;
            kept(&mut inner.shown, FIRST_TLS_SLOT + number, &value)
        })
    }
}
