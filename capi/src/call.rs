//! Starting the call of a function by its object ID.

use std::ffi::{c_char, c_int};

use pgpoll::engine::Command;
use pgpoll::wire::Parameters;

use crate::border::{Inner, inside};
use crate::open::Conn;
use crate::text;

/// Starts the call of a function by its object ID. PostgreSQL keeps this for large objects (conn_start_lo_…): for other
/// functions a query is as good.
///
/// conn: a connection that is up, outside of a group (CONN_MORE). function: the function's OID in pg_proc. n: how many arguments.
/// values: n values in binary (numbers in network byte order), NULL for SQL NULL. May be NULL when n is 0.
/// lengths: n lengths in bytes. May be NULL when n is 0. Nothing that is passed is needed after the call.
/// Returns the operation's id (1 or more); 0 when it is refused, and conn_error(conn) says why.
/// Next: conn_poll, conn_get_result: a CONN_ITEM_CALLED has what it returned.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn conn_start_call(
    conn: *mut Conn,
    function: u32,
    n: c_int,
    values: *const *const c_char,
    lengths: *const c_int,
) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        inside(conn, 0, |inner, _| {
            let arguments = inner.call_arguments(n, values, lengths)?;
            let command = Command::Call {
                function,
                arguments: &arguments,
            };
            inner.start(command, 0)
        })
    }
}

/// Arguments in the caller's arrays. Made by [`Inner::call_arguments`] alone, which checks them.
struct Arguments<'a> {
    values: &'a [*const c_char],
    lengths: &'a [c_int],
}

impl Inner {
    /// # Safety
    /// The arrays are NULL or have `n` elements; values are as long as `lengths` says; all of it lives for `'a`.
    unsafe fn call_arguments<'a>(
        &mut self,
        n: c_int,
        values: *const *const c_char,
        lengths: *const c_int,
    ) -> Option<Arguments<'a>> {
        let count = self.count(n)?;
        if count > 0 && (values.is_null() || lengths.is_null()) {
            return self
                .misuse("values or lengths is NULL while n is not 0: pass n values and n lengths");
        }
        // SAFETY: the caller's promise.
        let arguments = unsafe {
            Arguments {
                values: text::array(values, count),
                lengths: text::array(lengths, count),
            }
        };
        let mut pairs = arguments.values.iter().zip(arguments.lengths);
        match pairs.any(|(value, &length)| !value.is_null() && length < 0) {
            true => self.misuse("the length of a value is negative"),
            false => Some(arguments),
        }
    }
}

impl Parameters for Arguments<'_> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn value(&self, index: usize) -> Option<&[u8]> {
        let (&value, &length) = (self.values.get(index)?, self.lengths.get(index)?);
        if value.is_null() {
            return None;
        }
        // SAFETY: a value of `length` bytes, which is not negative.
        Some(unsafe { std::slice::from_raw_parts(value.cast(), length as usize) })
    }
}
