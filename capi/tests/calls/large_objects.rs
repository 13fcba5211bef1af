//! Function calls and large objects through C: what is checked, what items have, how often a read allocates.

use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;
use std::ptr;

use pgpoll_capi::*;
use testkit::alloc;

use crate::session::Session;

/// What an operation returned: its number, its bytes if any, and how many blocks were allocated on the way.
fn called(session: &Session, operation: u64) -> (i64, Option<Vec<u8>>, u64) {
    assert_ne!(operation, 0, "{:?}", session.error());
    let before = alloc::thread();
    let mut item = MaybeUninit::<ConnItem>::uninit();
    let (mut value, mut found) = (-1, (ptr::null_mut(), 0));
    loop {
        // SAFETY: an open connection and room for an item, which is filled when the call returns 1.
        unsafe {
            conn_wait(session.0, 10_000);
            while conn_get_result(session.0, item.as_mut_ptr()) == 1 {
                let item = item.as_ptr();
                assert_ne!((*item).kind, CONN_ITEM_ERROR);
                if (*item).operation == operation && (*item).kind == CONN_ITEM_CALLED {
                    value = (*item).value;
                    found.0 = (*item).result;
                } else {
                    conn_result_free((*item).result);
                }
                found.1 = (*item).kind;
                if (*item).operation != operation || found.1 != CONN_ITEM_DONE {
                    continue;
                }
                let allocations = (alloc::thread() - before).allocations;
                let result = found.0;
                assert_eq!(
                    (conn_result_rows(result), conn_result_columns(result)),
                    (1, 1)
                );
                assert_eq!(conn_result_format(result, 0), CONN_BINARY);
                let cell = conn_result_value(result, 0, 0);
                let length = conn_result_length(result, 0, 0);
                assert_eq!(conn_result_is_null(result, 0, 0) == 1, cell.is_null());
                let bytes = (!cell.is_null())
                    .then(|| std::slice::from_raw_parts(cell.cast::<u8>(), length).to_vec());
                conn_result_free(result);
                return (value, bytes, allocations);
            }
        }
    }
}

#[test]
fn a_function_is_called_with_binary_arguments() {
    let session = Session::open();
    let (a, b) = (20_i32.to_be_bytes(), 22_i32.to_be_bytes());
    let mut values: [*const c_char; 2] = [a.as_ptr().cast(), b.as_ptr().cast()];
    let lengths: [c_int; 2] = [4, 4];
    // SAFETY: arrays of two, or NULL where that is refused.
    unsafe {
        let start = |n, values, lengths| conn_start_call(session.0, 177, n, values, lengths);
        let call = start(2, values.as_ptr(), lengths.as_ptr());
        assert_eq!(called(&session, call).0, 42);
        values[1] = ptr::null();
        let call = start(2, values.as_ptr(), lengths.as_ptr());
        assert_eq!(called(&session, call).1, None, "NULL");
        assert_eq!(start(-1, ptr::null(), ptr::null()), 0);
        assert_eq!(start(2, ptr::null(), lengths.as_ptr()), 0);
        assert_eq!(start(2, values.as_ptr(), ptr::null()), 0);
        assert_eq!(session.error().unwrap().0, CONN_ERROR_MISUSE);
        assert_eq!(start(1, values.as_ptr(), [-1].as_ptr()), 0);
        assert!(session.error().unwrap().1.contains("negative"));
    }
}

#[test]
fn a_read_allocates_its_result_and_nothing_else() {
    let session = Session::open();
    session.query("begin");
    // SAFETY: an open connection; the bytes are there.
    unsafe {
        let conn = session.0;
        let oid = called(&session, conn_start_lo_create(conn, 0)).0 as u32;
        let open = conn_start_lo_open(conn, oid, CONN_LO_READ | CONN_LO_WRITE);
        let fd = called(&session, open).0 as c_int;
        let data = [b'x'; 500];
        let write = conn_start_lo_write(conn, fd, data.as_ptr().cast(), data.len());
        assert_eq!(called(&session, write).0, 500);
        for round in 0..5 {
            let seek = conn_start_lo_seek(conn, fd, 0, 0);
            assert_eq!(called(&session, seek).0, 0);
            let (value, bytes, allocations) = called(&session, conn_start_lo_read(conn, fd, 500));
            assert_eq!((value, bytes.as_deref()), (0, Some(&data[..])));
            // The bytes, with the handle before them.
            assert!(round == 0 || allocations == 1, "{allocations}");
        }
        assert_eq!(called(&session, conn_start_lo_tell(conn, fd)).0, 500);
        assert_eq!(called(&session, conn_start_lo_truncate(conn, fd, 3)).0, 0);
        assert_eq!(called(&session, conn_start_lo_close(conn, fd)).0, 0);
        assert_eq!(called(&session, conn_start_lo_unlink(conn, oid)).0, 1);
    }
    session.query("rollback");
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let session = Session::open();
    let conn = session.0;
    // SAFETY: an open connection; NULL and what is no descriptor are refused.
    unsafe {
        let refused = |operation: u64, word: &str| {
            assert_eq!(operation, 0);
            let (kind, message) = session.error().unwrap();
            assert_eq!(kind, CONN_ERROR_MISUSE);
            assert!(message.contains(word), "{message}");
        };
        refused(conn_start_lo_write(conn, 0, ptr::null(), 1), "data is NULL");
        let endless = usize::MAX;
        refused(
            conn_start_lo_write(conn, 0, c"x".as_ptr(), endless),
            "no number",
        );
        refused(conn_start_lo_read(conn, 0, endless), "in pieces");
        refused(conn_start_lo_seek(conn, 0, 0, 3), "whence");
        refused(conn_start_lo_truncate(conn, 0, -1), "negative");
        refused(conn_start_lo_export(conn, 1, 1_000_000), "file descriptor");
        assert_eq!(conn_start_lo_import(conn, -1, 0), 0);
        assert_eq!(conn_error_errno(conn_error(conn)), 9, "EBADF");
        assert_eq!(conn_start_lo_create(ptr::null_mut(), 0), 0);
    }
    assert_eq!(session.query("select 1 as a")[0], "a: 1");
}
