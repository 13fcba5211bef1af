//! Prepared statements and portals, rows one by one, versions of the protocol.

use std::ffi::CStr;
use std::ptr;

use pgpoll_capi::*;

use crate::session::{Session, c};
use crate::{INT4, OK, OPEN, in_database, more, sync};

/// Starts what has a name and flags.
fn start(
    session: &Session,
    starter: unsafe extern "C" fn(*mut Conn, *const std::ffi::c_char, u32) -> u64,
    name: &CStr,
    flags: u32,
) -> u64 {
    // SAFETY: an open connection and a C string.
    let operation = unsafe { starter(session.0, name.as_ptr(), flags) };
    assert_ne!(operation, 0, "{:?}", session.error());
    operation
}

pub(crate) fn prepared(session: &Session) {
    let name = c("select_one");
    let sql = c("SELECT $1, '42', $1::numeric, interval '1 sec'");
    let types = [INT4];
    // SAFETY: an open connection, C strings, an array of one.
    let prepare = unsafe {
        let (name, sql) = (name.as_ptr(), sql.as_ptr());
        conn_start_prepare(session.0, name, sql, 1, types.as_ptr(), CONN_MORE)
    };
    let end = sync(session);
    let described = session.finish(prepare);
    assert_eq!(described.len(), 2);
    assert_eq!(
        described[0].words(),
        "(23) -> ?column?,?column?,numeric,interval"
    );
    // SAFETY: the result is alive.
    let type_of = |column| unsafe { conn_result_type(described[0].result, column) };
    assert_eq!([0, 1, 2, 3].map(type_of), [INT4, 25, 1700, 1186]);
    assert_eq!(session.finish_in_words(end), [OK]);
    let close = start(session, conn_start_close_statement, &name, CONN_MORE);
    let end = sync(session);
    assert_eq!(session.finish_in_words(close), [OPEN]);
    assert_eq!(session.finish_in_words(end), [OK]);
    // It is gone, and to close it again is no error.
    let describe = start(session, conn_start_describe_statement, &name, 0);
    assert_eq!(
        session.finish_in_words(describe),
        [
            "26000 prepared statement \"select_one\" does not exist",
            "done 2 1 1"
        ]
    );
    let close = start(session, conn_start_close_statement, &name, 0);
    assert_eq!(session.finish_in_words(close), [OK]);
    // The same of a portal.
    let name = c("cursor_one");
    session.query("BEGIN");
    session.query("DECLARE cursor_one CURSOR FOR SELECT 1");
    let describe = start(session, conn_start_describe_portal, &name, CONN_MORE);
    let end = sync(session);
    let described = session.finish(describe);
    assert_eq!(described[0].words(), "() -> ?column?");
    // SAFETY: the result is alive.
    assert_eq!(unsafe { conn_result_type(described[0].result, 0) }, INT4);
    assert_eq!(session.finish_in_words(end), ["done 1 2 2"]);
    let close = start(session, conn_start_close_portal, &name, CONN_MORE);
    let end = sync(session);
    assert_eq!(session.finish_in_words(close), ["done 1 2 2"]);
    assert_eq!(session.finish_in_words(end), ["done 1 2 2"]);
    let describe = start(session, conn_start_describe_portal, &name, 0);
    assert_eq!(
        session.finish_in_words(describe),
        ["34000 portal \"cursor_one\" does not exist", "done 2 3 2"]
    );
    let close = start(session, conn_start_close_portal, &name, 0);
    assert_eq!(session.finish_in_words(close), ["done 1 3 2"]);
}

/// How rows are cut is an operation's own: the limits at its start.
pub(crate) fn single_row(session: &Session) {
    let batch = |rows| {
        // SAFETY: an open connection.
        unsafe { conn_set_batch(session.0, rows, 0) };
    };
    let series: Vec<_> = [(1, "44"), (1, "45"), (0, "46")]
        .into_iter()
        .map(|(rows, last)| {
            batch(rows);
            let sql = "SELECT generate_series(42, $1)";
            session.start_params(sql, &[Some(last)], 0, 0, CONN_MORE)
        })
        .collect();
    let end = sync(session);
    let one = |row: i32| format!("generate_series: {row}");
    for (operation, last) in series.iter().zip([44, 45]) {
        let mut expected: Vec<_> = (42..=last).map(one).collect();
        // The last one, which is not full, may be empty.
        expected.push("generate_series: ".into());
        expected.push(format!("SELECT {0} {0}", last - 41));
        expected.push(OPEN.into());
        assert_eq!(session.finish_in_words(*operation), expected);
    }
    assert_eq!(
        session.finish_in_words(series[2]),
        [
            "generate_series: 42 / 43 / 44 / 45 / 46",
            "SELECT 5 5",
            OPEN
        ]
    );
    assert_eq!(session.finish_in_words(end), [OK]);
    // In a group that stays open: one by one, whole, and three by three.
    for (rows, sql, expected) in [
        (
            1,
            "SELECT generate_series(0, 0)",
            &[
                "generate_series: 0",
                "generate_series: ",
                "SELECT 1 1",
                OPEN,
            ][..],
        ),
        (0, "SELECT 1", &["?column?: 1", "SELECT 1 1", OPEN]),
        (
            3,
            "SELECT generate_series(1, 5)",
            &[
                "generate_series: 1 / 2 / 3",
                "generate_series: 4 / 5",
                "SELECT 5 5",
                OPEN,
            ],
        ),
    ] {
        batch(rows);
        let operation = more(session, sql);
        assert_eq!(session.finish_in_words(operation), expected);
    }
}

pub(crate) fn protocol_version(session: &Session) {
    // SAFETY: an open connection.
    let latest = match unsafe { conn_server_version(session.0) } {
        180_000.. => 30002,
        _ => 30000,
    };
    for (version, expected) in [
        ("3.0", Some(30000)),
        // From 3.0 it went straight to 3.2.
        ("3.1", None),
        ("3.2", Some(latest)),
        ("latest", Some(latest)),
    ] {
        let conninfo = format!(
            "{} max_protocol_version={version}",
            in_database("protocol_version")
        );
        let session = Session::begin(&conninfo);
        let Some(expected) = expected else {
            // SAFETY: an open connection.
            let bits = unsafe { conn_wait(session.0, 10_000) };
            assert_eq!(bits & CONN_FAILED, CONN_FAILED);
            assert!(session.error().unwrap().1.contains("max_protocol_version"));
            continue;
        };
        session.wait_until_idle();
        // SAFETY: an open connection.
        assert_eq!(unsafe { conn_protocol_version(session.0) }, expected);
    }
    // SAFETY: NULL is allowed.
    assert_eq!(unsafe { conn_protocol_version(ptr::null()) }, 0);
}
