//! Queries of each kind, and what results tell.

use std::ffi::{c_char, c_int};
use std::ptr;

use pgpoll_capi::*;

use crate::session::{Session, c, text};

#[test]
fn a_simple_query_gives_each_statements_items_and_one_done() {
    let session = Session::open();
    assert_eq!(
        session.query("select 1 as a, null as b, '' as c; create temp table t (n int); insert into t values (1), (2)"),
        ["a,b,c: 1,NULL,", "SELECT 1 1", "CREATE TABLE 0", "INSERT 0 2 2", "done 1 1 1"]
    );
    assert_eq!(
        session.query("select n from t where false"),
        ["n: ", "SELECT 0 0", "done 1 1 1"]
    );
    assert_eq!(session.query(""), ["(empty)", "done 1 1 1"]);
    assert_eq!(session.query("begin"), ["BEGIN 0", "done 1 2 2"]);
    assert_eq!(session.query("nonsense")[1], "done 2 3 2");
    assert_eq!(session.query("rollback"), ["ROLLBACK 0", "done 1 1 1"]);
}

#[test]
fn parameters_are_read_in_place_as_text_or_binary() {
    let session = Session::open();
    let operation = session.start_params(
        "select $1::int + 1 as n, $2::text as t, $3::text as u",
        &[Some("41"), None, Some("")],
        CONN_TEXT,
        0,
        0,
    );
    assert_eq!(
        session.finish_in_words(operation),
        ["n,t,u: 42,NULL,", "SELECT 1 1", "done 1 1 1"]
    );

    let number = 7_i32.to_be_bytes();
    let values: [*const c_char; 3] = [
        number.as_ptr().cast(),
        c"ü".as_ptr(),
        b"a\0b".as_ptr().cast(),
    ];
    let lengths: [c_int; 3] = [4, -99, 3];
    let formats: [c_int; 3] = [CONN_BINARY, CONN_TEXT, CONN_BINARY];
    let types = [23_u32, 25, 17];
    // SAFETY: arrays of three.
    let operation = unsafe {
        conn_start_query_params(
            session.0,
            c"select $1 as i, $2 as t, $3 as b".as_ptr(),
            3,
            types.as_ptr(),
            values.as_ptr(),
            lengths.as_ptr(),
            formats.as_ptr(),
            CONN_BINARY,
            0,
            0,
        )
    };
    let items = session.finish(operation);
    let result = items[0].result;
    // SAFETY: the result is alive, and its values are as long as it says.
    unsafe {
        let value = |column| {
            let value = conn_result_value(result, 0, column).cast::<u8>();
            std::slice::from_raw_parts(value, conn_result_length(result, 0, column)).to_vec()
        };
        assert_eq!(value(0), number);
        assert_eq!(value(1), "ü".as_bytes());
        assert_eq!(value(2), b"a\0b");
        assert_eq!(conn_result_format(result, 2), CONN_BINARY);
        assert_eq!(conn_result_format(result, 3), CONN_TEXT, "no such column");
    }
}

#[test]
fn results_describe_their_columns() {
    let session = Session::open();
    let setup = "create temp table described (id int primary key, name varchar(20) not null)";
    session.query(setup);
    let operation = session.start("select id, name, 1.5::numeric(5,2) as \"Ü\" from described");
    let items = session.finish(operation);
    let table: u32 = {
        let operation = session.start("select 'described'::regclass::oid");
        session.finish(operation)[0]
            .cell(0, 0)
            .unwrap()
            .parse()
            .unwrap()
    };
    let result = items[0].result;
    // SAFETY: the result is alive.
    unsafe {
        assert_eq!(text(conn_result_name(result, 2)).unwrap(), "Ü");
        assert!(conn_result_name(result, 3).is_null());
        assert_eq!(conn_result_find(result, c("Ü").as_ptr()), 2);
        assert_eq!(conn_result_find(result, c"name".as_ptr()), 1);
        assert_eq!(conn_result_find(result, c"Name".as_ptr()), -1);
        assert_eq!(conn_result_find(result, ptr::null()), -1);
        let of = |column| {
            (
                conn_result_type(result, column),
                conn_result_type_modifier(result, column),
                conn_result_type_size(result, column),
                conn_result_table(result, column),
                conn_result_attribute(result, column),
            )
        };
        assert_eq!(of(0), (23, -1, 4, table, 1));
        assert_eq!(of(1), (1043, 24, -1, table, 2));
        assert_eq!(of(2), (1700, (5 << 16 | 2) + 4, -1, 0, 0));
        assert_eq!(of(3), (0, 0, 0, 0, 0));
        assert_eq!(of(usize::MAX), (0, 0, 0, 0, 0));
    }
}

#[test]
fn a_prepared_statement_is_described_executed_and_closed() {
    let session = Session::open();
    let (name, sql) = (c"add", c"select $1::int8 + $2 as sum");
    let values = [c"40".as_ptr(), c"2".as_ptr()];
    // SAFETY: C strings, and arrays of two.
    let operations = unsafe {
        let types = [0, 23];
        let prepared =
            conn_start_prepare(session.0, name.as_ptr(), sql.as_ptr(), 2, types.as_ptr(), 0);
        let executed = conn_start_prepared(
            session.0,
            name.as_ptr(),
            2,
            values.as_ptr(),
            ptr::null(),
            ptr::null(),
            CONN_TEXT,
            0,
            0,
        );
        let described = conn_start_describe_statement(session.0, name.as_ptr(), 0);
        let closed = conn_start_close_statement(session.0, name.as_ptr(), 0);
        let gone = conn_start_describe_statement(session.0, name.as_ptr(), 0);
        [prepared, executed, described, closed, gone]
    };
    assert_eq!(operations, [1, 2, 3, 4, 5]);
    let words = operations.map(|operation| session.finish_in_words(operation));
    assert_eq!(words[0], ["(20,23) -> sum", "done 1 1 1"]);
    assert_eq!(words[1], ["sum: 42", "SELECT 1 1", "done 1 1 1"]);
    assert_eq!(words[2], words[0]);
    assert_eq!(words[3], ["done 1 1 1"]);
    assert_eq!(
        words[4][0],
        "26000 prepared statement \"add\" does not exist"
    );
    assert_eq!(words[4][1], "done 2 1 1");
}

#[test]
fn a_cursor_is_described_and_closed() {
    let session = Session::open();
    session.query("begin; declare portal cursor for select 1 as one, 2 as two");
    // SAFETY: C strings.
    unsafe {
        let described = conn_start_describe_portal(session.0, c"portal".as_ptr(), 0);
        assert_eq!(
            session.finish_in_words(described),
            ["() -> one,two", "done 1 2 2"]
        );
        let closed = conn_start_close_portal(session.0, c"portal".as_ptr(), 0);
        assert_eq!(session.finish_in_words(closed), ["done 1 2 2"]);
    }
    assert_eq!(
        session.query("fetch portal")[0],
        "34000 cursor \"portal\" does not exist"
    );
}

#[test]
fn batches_cut_a_result_by_rows_and_bytes() {
    let session = Session::open();
    // SAFETY: an open connection.
    unsafe { conn_set_batch(session.0, 2, 0) };
    assert_eq!(
        session.query("select n from generate_series(1, 5) n"),
        ["n: 1 / 2", "n: 3 / 4", "n: 5", "SELECT 5 5", "done 1 1 1"]
    );
    // SAFETY: an open connection.
    unsafe { conn_set_batch(session.0, 0, 100_000) };
    let operation = session.start("select n, repeat('x', 9000) from generate_series(1, 300) n");
    let items = session.finish(operation);
    let batches: Vec<_> = items
        .iter()
        .filter(|item| item.kind == CONN_ITEM_ROWS)
        .collect();
    assert!(batches.len() > 20, "{}", batches.len());
    assert_eq!(batches.iter().map(|batch| batch.rows).sum::<u64>(), 300);
    for (row, batch) in batches
        .iter()
        .flat_map(|batch| (0..batch.rows as usize).map(move |row| (row, batch)))
    {
        assert_eq!(batch.cell(row, 1).unwrap().len(), 9000);
    }
    // SAFETY: an open connection.
    unsafe { conn_set_batch(session.0, 0, 0) };
    let operation = session.start("select n, repeat('x', 9000) from generate_series(1, 300) n");
    let items = session.finish(operation);
    assert_eq!((items.len(), items[0].rows), (3, 300));
    for row in [299, 0, 150, 149, 299] {
        assert_eq!(items[0].cell(row, 0).unwrap(), (row + 1).to_string());
    }
}

#[test]
fn a_result_outlives_its_connection() {
    let session = Session::open();
    let operation = session.start("select repeat('x', 100000) as long");
    let items = session.finish(operation);
    drop(session);
    assert_eq!(items[0].words(), format!("long: {}", "x".repeat(100_000)));
}
