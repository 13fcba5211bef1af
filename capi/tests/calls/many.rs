//! Many executions started by one call, and many items taken by one: the same as one by one.

use std::ffi::{CString, c_int};
use std::mem::MaybeUninit;
use std::ptr;

use pgpoll_capi::*;

use crate::session::{Session, Taken, c};

/// Rows of values for one statement, as C has them.
struct Values {
    // What the pointers lead to.
    _texts: Vec<Option<CString>>,
    pointers: Vec<*const std::ffi::c_char>,
}

impl Values {
    fn new(values: &[Option<&str>]) -> Values {
        let texts: Vec<_> = values.iter().map(|value| value.map(c)).collect();
        let pointers = texts
            .iter()
            .map(|text| text.as_ref().map_or(ptr::null(), |text| text.as_ptr()))
            .collect();
        Values {
            _texts: texts,
            pointers,
        }
    }
}

fn prepare(session: &Session, name: &str, sql: &str) {
    let (name, sql) = (c(name), c(sql));
    // SAFETY: an open connection and C strings.
    let operation =
        unsafe { conn_start_prepare(session.0, name.as_ptr(), sql.as_ptr(), 0, ptr::null(), 0) };
    assert_ne!(operation, 0, "{:?}", session.error());
    session.finish(operation);
}

/// The first operation's id, and how many were started.
fn start(session: &Session, name: &str, n: usize, values: &Values, flags: u32) -> (u64, usize) {
    let (name, mut started) = (c(name), 7);
    // SAFETY: an open connection, C strings, arrays as long as they are said to be.
    let first = unsafe {
        conn_start_prepared_many(
            session.0,
            name.as_ptr(),
            n as c_int,
            values.pointers.len() / n,
            values.pointers.as_ptr(),
            ptr::null(),
            ptr::null(),
            CONN_TEXT,
            flags,
            &mut started,
        )
    };
    (first, started)
}

/// All items up to the done of `last`, taken so many at a time.
fn taken(session: &Session, last: u64, most: usize) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    let mut items: Vec<MaybeUninit<ConnItem>> = Vec::new();
    items.resize_with(most, MaybeUninit::uninit);
    loop {
        // SAFETY: an open connection, and room for so many items, of which as many are filled as it says.
        let count = unsafe { conn_get_results(session.0, items.as_mut_ptr().cast(), most) };
        assert!(count <= most);
        for item in &items[..count] {
            // SAFETY: as above.
            let item = unsafe { Taken::new(item.as_ptr()) };
            all.push((item.operation, item.words()));
            if item.operation == last && item.kind == CONN_ITEM_DONE {
                return all;
            }
        }
        if count < most {
            // SAFETY: an open connection.
            let bits = unsafe { conn_wait(session.0, 60_000) };
            assert_ne!(
                bits & (CONN_RESULT | CONN_ROOM),
                0,
                "{bits}: {:?}",
                session.error()
            );
        }
    }
}

fn words(first: u64, of_each: &[&[&str]]) -> Vec<(u64, String)> {
    let operations = (first..).zip(of_each);
    operations
        .flat_map(|(operation, words)| words.iter().map(move |word| (operation, (*word).into())))
        .collect()
}

#[test]
fn what_is_started_and_taken_at_once_is_what_is_started_and_taken_one_by_one() {
    let session = Session::open();
    prepare(&session, "add", "select $1::int + $2::int as sum");
    session.query("create temp table t (a int primary key)");
    prepare(&session, "insert", "insert into t values ($1)");
    let sums = Values::new(&[Some("1"), Some("2"), None, Some("2"), Some("40"), Some("2")]);
    let ids = Values::new(&[Some("1"), Some("2")]);
    for most in [1, 2, 3, 4, 5, 100] {
        for (flags, last) in [(0, "done 1 1 1"), (CONN_MORE, "done 1 1 2")] {
            let (first, started) = start(&session, "add", 2, &sums, flags);
            assert_eq!((started, session.error()), (3, None));
            let mut wanted = words(
                first,
                &[
                    &["sum: 3", "SELECT 1 1", "done 1 1 2"],
                    &["sum: NULL", "SELECT 1 1", "done 1 1 2"],
                    &["sum: 42", "SELECT 1 1", last],
                ],
            );
            let mut end = first + 2;
            if flags == CONN_MORE {
                // SAFETY: an open connection.
                end = unsafe { conn_sync(session.0) };
                wanted.push((end, "done 1 1 1".into()));
            }
            assert_eq!(taken(&session, end, most), wanted);
        }
        // Commands without a result are two items each.
        let (first, started) = start(&session, "insert", 1, &ids, 0);
        assert_eq!(started, 2);
        assert_eq!(
            taken(&session, first + 1, most),
            words(
                first,
                &[
                    &["INSERT 0 1 1", "done 1 1 2"],
                    &["INSERT 0 1 1", "done 1 1 1"]
                ]
            )
        );
        session.query("truncate t");
    }
}

/// One group: what comes behind the failure is skipped, and nothing remains.
#[test]
fn one_that_fails_fails_the_others() {
    let session = Session::open();
    prepare(&session, "divide", "select 12 / $1::int as n");
    let values = Values::new(&[Some("4"), Some("0"), Some("1")]);
    let (first, _) = start(&session, "divide", 1, &values, 0);
    assert_eq!(
        taken(&session, first + 2, 100),
        words(
            first,
            &[
                &["n: 3", "SELECT 1 1", "done 1 1 2"],
                &["22012 division by zero", "done 2 1 2"],
                &["(skipped)", "done 3 1 1"],
            ]
        )
    );
    assert_eq!(
        session.query("select 1 as a"),
        ["a: 1", "SELECT 1 1", "done 1 1 1"]
    );
}

#[test]
fn values_may_be_binary() {
    let session = Session::open();
    prepare(
        &session,
        "bytes",
        "select length($1::bytea) as l, $2::text as t",
    );
    let values = [&b"\0\x01\0"[..], b"x", b"", b"yz"];
    let pointers = values.map(|value| value.as_ptr().cast());
    let lengths = values.map(|value| value.len() as c_int);
    let (name, mut started) = (c("bytes"), 0);
    // SAFETY: an open connection, a C string, arrays as long as they are said to be.
    let first = unsafe {
        conn_start_prepared_many(
            session.0,
            name.as_ptr(),
            2,
            2,
            pointers.as_ptr(),
            lengths.as_ptr(),
            [CONN_BINARY; 2].as_ptr(),
            CONN_TEXT,
            0,
            &mut started,
        )
    };
    assert_eq!(started, 2, "{:?}", session.error());
    let all = taken(&session, first + 1, 10);
    assert_eq!(
        (all[0].1.as_str(), all[3].1.as_str()),
        ("l,t: 3,x", "l,t: 0,yz")
    );
}

/// As many as fit are started; the rest goes when there is room, in the same group.
#[test]
fn a_full_queue_takes_the_rest_later() {
    let session = Session::open();
    prepare(&session, "echo", "select $1::int as n");
    let texts: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
    // SAFETY: an open connection.
    unsafe { conn_set_send_queue(session.0, 10_000) };
    let (mut left, mut parts, mut seen) = (&texts[..], 0, 0);
    let mut last = 0;
    while !left.is_empty() || last != 0 {
        if !left.is_empty() {
            let values: Vec<_> = left.iter().map(|text| Some(text.as_str())).collect();
            let (first, started) = start(&session, "echo", 1, &Values::new(&values), 0);
            if first == 0 {
                assert_eq!(started, 0);
                assert_eq!(session.error().unwrap().0, CONN_ERROR_WOULD_BLOCK);
            }
            parts += usize::from(started > 0);
            left = &left[started..];
            if left.is_empty() {
                last = first + started as u64 - 1;
            }
        }
        // SAFETY: an open connection.
        let bits = unsafe { conn_wait(session.0, 60_000) };
        assert_ne!(bits & (CONN_RESULT | CONN_ROOM), 0, "{bits}");
        while let Some(item) = session.try_next() {
            if item.kind == CONN_ITEM_ROWS {
                assert_eq!(item.cell(0, 0).as_ref(), texts.get(seen));
                seen += 1;
            }
            if item.kind == CONN_ITEM_DONE && item.operation == last {
                assert_eq!(item.words(), "done 1 1 1");
                last = 0;
            }
        }
    }
    assert_eq!(seen, texts.len());
    assert!(parts > 1, "{parts}");
}

/// All or none, however little room there is: what is refused is started later, and nothing comes between.
#[test]
fn a_whole_is_started_where_there_is_room_for_one() {
    let session = Session::open();
    prepare(&session, "echo", "select $1::int as n");
    let texts: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
    let values: Vec<_> = texts.iter().map(|text| Some(text.as_str())).collect();
    let values = Values::new(&values);
    // SAFETY: an open connection.
    unsafe { conn_set_send_queue(session.0, 1000) };
    let part = start(&session, "echo", 1, &values, CONN_MORE);
    assert!((1..1000).contains(&part.1), "{part:?}");
    assert_eq!(start(&session, "echo", 1, &values, CONN_WHOLE), (0, 0));
    assert_eq!(session.error().unwrap().0, CONN_ERROR_WOULD_BLOCK);
    let mut all = Vec::new();
    let last = part.0 + part.1 as u64 - 1;
    all.extend(taken(&session, last, 100));
    let whole = start(&session, "echo", 1, &values, CONN_WHOLE);
    assert_eq!(whole, (last + 1, 1000), "{:?}", session.error());
    let whole = taken(&session, last + 1000, 100);
    assert_eq!(whole.len(), 3000);
    assert_eq!(whole[2999].1, "done 1 1 1");
}

#[test]
fn what_cannot_be_is_refused() {
    let session = Session::open();
    let (name, mut started) = (c("s"), 7);
    let one = Values::new(&[Some("1")]);
    let none = ptr::null();
    let refused = |n: c_int, rows, values, formats, flags, started: *mut usize| {
        // SAFETY: an open connection, a C string, arrays as long as they are said to be or refused.
        let first = unsafe {
            let (name, no) = (name.as_ptr(), ptr::null());
            conn_start_prepared_many(
                session.0, name, n, rows, values, no, formats, CONN_TEXT, flags, started,
            )
        };
        assert_eq!(first, 0);
        session.error().unwrap().1
    };
    let values = one.pointers.as_ptr();
    let started = &raw mut started;
    for (said, part) in [
        (
            refused(1, 1, values, none, 0, ptr::null_mut()),
            "started is NULL",
        ),
        (refused(1, 0, values, none, 0, started), "rows is 0"),
        (
            refused(1, 1, ptr::null(), none, 0, started),
            "values is NULL",
        ),
        (refused(-1, 1, values, none, 0, started), "n is negative"),
        (
            refused(2, usize::MAX, values, none, 0, started),
            "rows is too large",
        ),
        (
            refused(1, 1, values, &CONN_BINARY, 0, started),
            "pass lengths",
        ),
        (refused(1, 1, values, &7, 0, started), "a format is neither"),
        (refused(1, 1, values, none, 8, started), "unknown bits"),
    ] {
        assert!(said.contains(part), "{said}");
    }
    // SAFETY: `started` is alive; nothing is written where there is no room.
    unsafe {
        assert_eq!(*started, 0);
        assert_eq!(conn_get_results(session.0, ptr::null_mut(), 1), 0);
        assert!(session.error().unwrap().1.contains("items is NULL"));
        assert_eq!(conn_get_results(session.0, ptr::null_mut(), 0), 0);
        assert_eq!(conn_get_results(ptr::null_mut(), ptr::null_mut(), 1), 0);
    }
}
