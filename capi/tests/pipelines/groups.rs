//! Groups of statements: one and several, without their sync, with errors in them.

use pgpoll_capi::*;

use crate::session::{Session, c};
use crate::{OK, OPEN, integers, more, sync};

const DROP: &str = "DROP TABLE IF EXISTS pq_pipeline_demo";
const CREATE: &str = "CREATE UNLOGGED TABLE pq_pipeline_demo(id serial primary key, itemno integer,\
                      int8filler int8);";
const INSERT: &str = "INSERT INTO pq_pipeline_demo(itemno) VALUES ($1)";

/// Simple queries have no place in a group; when it is over they have.
pub(crate) fn disallowed(session: &Session) {
    let open = more(session, "SELECT 0");
    // SAFETY: an open connection and a C string.
    unsafe { assert_eq!(conn_start_query(session.0, c("SELECT 1").as_ptr()), 0) };
    let (kind, message) = session.error().unwrap();
    assert_eq!(kind, CONN_ERROR_MISUSE);
    assert!(
        message.starts_with("a group of operations is open: end it with a sync"),
        "{message}"
    );
    let end = sync(session);
    assert_eq!(
        session.finish_in_words(open),
        ["?column?: 0", "SELECT 1 1", OPEN]
    );
    assert_eq!(session.finish_in_words(end), [OK]);
    assert_eq!(session.query("SELECT 1"), ["?column?: 1", "SELECT 1 1", OK]);
}

pub(crate) fn simple(session: &Session) {
    let one = integers(session, "SELECT $1", &["1"]);
    let end = sync(session);
    assert_eq!(
        session.finish_in_words(one),
        ["?column?: 1", "SELECT 1 1", OPEN]
    );
    assert_eq!(session.finish_in_words(end), [OK]);
    assert!(session.try_next().is_none());
}

/// Three groups are started before the first answer is read.
pub(crate) fn multi(session: &Session) {
    let groups: Vec<_> = (0..3)
        .map(|_| (integers(session, "SELECT $1", &["1"]), sync(session)))
        .collect();
    for (one, end) in groups {
        assert_eq!(
            session.finish_in_words(one),
            ["?column?: 1", "SELECT 1 1", OPEN]
        );
        assert_eq!(session.finish_in_words(end), [OK]);
    }
    assert!(session.try_next().is_none());
}

/// The answers come without the end of the group.
pub(crate) fn nosync(session: &Session) {
    let all: Vec<_> = (0..10)
        .map(|_| more(session, "SELECT repeat('xyzxz', 12)"))
        .collect();
    // SAFETY: an open connection.
    unsafe { assert_eq!(conn_flush_request(session.0), 1) };
    for operation in all {
        assert_eq!(
            session.finish_in_words(operation),
            [
                format!("repeat: {}", "xyzxz".repeat(12)),
                "SELECT 1 1".into(),
                OPEN.into()
            ]
        );
    }
}

/// What follows an error in its group is skipped, and says so; the next group is as if nothing had been.
pub(crate) fn abort(session: &Session) {
    session.query(DROP);
    session.query(CREATE);
    let first = integers(session, INSERT, &["1"]);
    let wrong = integers(session, "SELECT no_such_function($1)", &["1"]);
    let skipped = integers(session, INSERT, &["2"]);
    let end = sync(session);
    let next = integers(session, INSERT, &["3"]);
    let next_end = sync(session);
    assert_eq!(session.finish_in_words(first), ["INSERT 0 1 1", OPEN]);
    assert_eq!(
        session.finish_in_words(wrong),
        [
            "42883 function no_such_function(integer) does not exist",
            "done 2 1 2"
        ]
    );
    assert_eq!(
        session.finish_in_words(skipped),
        ["(skipped)", "done 3 1 2"]
    );
    assert_eq!(session.finish_in_words(end), [OK]);
    assert_eq!(session.finish_in_words(next), ["INSERT 0 1 1", OPEN]);
    assert_eq!(session.finish_in_words(next_end), [OK]);
    // Two statements in one.
    let two = more(session, "SELECT 1; SELECT 2");
    let end = sync(session);
    assert_eq!(
        session.finish_in_words(two)[0],
        "42601 cannot insert multiple commands into a prepared statement"
    );
    assert_eq!(session.finish_in_words(end), [OK]);
    // An error behind rows that were given already.
    // SAFETY: an open connection.
    unsafe { conn_set_batch(session.0, 1, 0) };
    let partway = more(session, "SELECT 1.0/g FROM generate_series(3, -1, -1) g");
    let end = sync(session);
    assert_eq!(
        session.finish_in_words(partway),
        [
            "?column?: 0.33333333333333333333",
            "?column?: 0.50000000000000000000",
            "?column?: 1.00000000000000000000",
            "22012 division by zero",
            "done 2 1 2"
        ]
    );
    assert_eq!(session.finish_in_words(end), [OK]);
    // One group, one transaction: of the first nothing is left.
    assert_eq!(
        session.query("SELECT itemno FROM pq_pipeline_demo")[0],
        "itemno: 3"
    );
}

/// Between the operations of a group that stays open: the answers are asked for by the poll.
pub(crate) fn idle(session: &Session) {
    for number in ["1", "2"] {
        let one = more(session, &format!("SELECT {number}"));
        // SAFETY: an open connection.
        let left = unsafe { conn_check(session.0) };
        assert_eq!(left, 0, "a group is open");
        assert_eq!(
            session.finish_in_words(one),
            [&format!("?column?: {number}"), "SELECT 1 1", OPEN]
        );
    }
    // SAFETY: an open connection.
    unsafe { assert!(conn_get_notice(session.0).is_null()) };
    // A warning in the middle of a result.
    let warned = more(session, "SELECT pg_catalog.pg_advisory_unlock(1,1)");
    assert_eq!(
        session.finish_in_words(warned),
        ["pg_advisory_unlock: f", "SELECT 1 1", OPEN]
    );
    // SAFETY: an open connection; the notice is freed.
    unsafe {
        let notice = conn_get_notice(session.0);
        assert!(!notice.is_null());
        conn_error_free(notice);
    }
}

/// An error undoes its group, whatever the group says about transactions.
pub(crate) fn transaction(session: &Session) {
    session.query("DROP TABLE IF EXISTS pq_pipeline_tst;CREATE TABLE pq_pipeline_tst (id int)");
    let (name, sql) = (c("rollback"), c("ROLLBACK"));
    let none = std::ptr::null();
    let rollback = || {
        // SAFETY: an open connection, C strings, no parameters.
        unsafe {
            conn_start_prepared(
                session.0,
                name.as_ptr(),
                0,
                std::ptr::null(),
                none,
                none,
                CONN_BINARY,
                0,
                CONN_MORE,
            )
        }
    };
    let insert = |value: i32| {
        more(
            session,
            &format!("INSERT INTO pq_pipeline_tst VALUES ({value})"),
        )
    };
    // SAFETY: as above.
    let prepare = unsafe {
        conn_start_prepare(
            session.0,
            name.as_ptr(),
            sql.as_ptr(),
            0,
            std::ptr::null(),
            CONN_MORE,
        )
    };
    let begin = more(session, "BEGIN");
    let wrong = more(session, "SELECT 0/0");
    let in_vain = [rollback(), insert(1)];
    let first_end = sync(session);
    let refused = insert(2);
    let second_end = sync(session);
    let rolled_back = rollback();
    let inserted = insert(3);
    let ends = [sync(session), sync(session)];
    assert_eq!(session.finish_in_words(prepare), ["() -> ", OPEN]);
    assert_eq!(session.finish_in_words(begin), ["BEGIN 0", OPEN]);
    assert_eq!(
        session.finish_in_words(wrong),
        ["22012 division by zero", "done 2 1 2"]
    );
    for operation in in_vain {
        assert_eq!(
            session.finish_in_words(operation),
            ["(skipped)", "done 3 1 2"]
        );
    }
    let in_failed = "done 1 3 2";
    assert_eq!(session.finish_in_words(first_end), [in_failed]);
    assert_eq!(
        session.finish_in_words(refused),
        [
            "25P02 current transaction is aborted, commands ignored until end of transaction block",
            "done 2 3 2"
        ]
    );
    assert_eq!(session.finish_in_words(second_end), [in_failed]);
    assert_eq!(
        session.finish_in_words(rolled_back),
        ["ROLLBACK 0", in_failed]
    );
    assert_eq!(
        session.finish_in_words(inserted),
        ["INSERT 0 1 1", in_failed]
    );
    for end in ends {
        assert_eq!(session.finish_in_words(end), [OK]);
    }
    assert_eq!(session.query("SELECT * FROM pq_pipeline_tst")[0], "id: 3");
}
