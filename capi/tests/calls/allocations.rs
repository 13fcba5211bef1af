//! How often a query allocates once the connection is warm.

use std::ptr;

use pgpoll_capi::*;
use testkit::alloc;

use crate::session::Session;

/// One execution, every item taken and freed; how many blocks were allocated on the way.
unsafe fn execute(session: &Session, rows: &std::ffi::CStr) -> u64 {
    let before = alloc::thread();
    let (values, none) = ([rows.as_ptr()], ptr::null());
    let mut item = std::mem::MaybeUninit::<ConnItem>::uninit();
    // SAFETY: an open connection, C strings, an array of one; results are freed once.
    unsafe {
        conn_start_prepared(
            session.0,
            c"s".as_ptr(),
            1,
            values.as_ptr(),
            none,
            none,
            0,
            0,
            0,
        );
        loop {
            conn_wait(session.0, 10_000);
            while conn_get_result(session.0, item.as_mut_ptr()) == 1 {
                let item = item.as_ptr();
                conn_result_free((*item).result);
                assert_ne!((*item).kind, CONN_ITEM_ERROR);
                if (*item).kind == CONN_ITEM_DONE {
                    return (alloc::thread() - before).allocations;
                }
            }
        }
    }
}

/// Trap 27, a boxed future, channel or Arc for each operation: through C nothing is added.
#[test]
fn a_query_allocates_nothing_but_its_result() {
    let session = Session::open();
    let sql = c"select n, n from generate_series(1, $1::int) n";
    // SAFETY: an open connection and C strings.
    unsafe {
        let prepared =
            conn_start_prepare(session.0, c"s".as_ptr(), sql.as_ptr(), 0, ptr::null(), 0);
        session.finish(prepared);
        for _ in 0..5 {
            execute(&session, c"1");
            execute(&session, c"20");
        }
        // A small result comes from a pool; a larger one is the handle, the rows and their index in one piece.
        assert_eq!(execute(&session, c"1"), 0);
        assert_eq!(execute(&session, c"20"), 1);
        assert_eq!(execute(&session, c"0"), 0);
    }
}
