//! Twins of the cases of PostgreSQL's own test of pipelines (`src/test/modules/libpq_pipeline`), through `conn_*`. What a
//! pipeline mode is there is a group here: operations with `CONN_MORE` up to `conn_sync`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cancelling;
mod groups;
mod inserting;
mod out_of_turn;
#[path = "../calls/session.rs"]
#[allow(dead_code)] // what only the other program needs
mod session;
mod statements;
mod traces;

use pgpoll_capi::*;
use session::{Session, c, said};
use testkit::shared;

use traces::Traced;

type Case = (&'static str, bool, fn(&Session));

/// The cases: the name that PostgreSQL's program has for it, whether the trace is compared, and the twin.
const CASES: [Case; 13] = [
    ("cancel", false, cancelling::cancel),
    ("disallowed_in_pipeline", true, groups::disallowed),
    ("multi_pipelines", true, groups::multi),
    ("nosync", true, groups::nosync),
    ("pipeline_abort", true, groups::abort),
    ("pipeline_idle", true, groups::idle),
    ("pipelined_insert", false, inserting::pipelined_insert),
    ("prepared", true, statements::prepared),
    ("protocol_version", false, statements::protocol_version),
    ("simple_pipeline", true, groups::simple),
    ("singlerow", true, statements::single_row),
    ("transaction", true, groups::transaction),
    ("uniqviol", false, inserting::unique_violation),
];

/// Runs a case in a database of its own.
fn run(name: &str) {
    let (_, traced, case) = CASES.iter().find(|case| case.0 == name).unwrap();
    Session::open().query(&format!("create database twin_{name}"));
    let session = Session::begin(&in_database(name));
    session.wait_until_idle();
    let trace = traced.then(|| Traced::begin(&session, name));
    case(&session);
    drop(session);
    if let Some(trace) = trace {
        trace.compare();
    }
}

/// How to connect to a case's database.
fn in_database(name: &str) -> String {
    format!("{} dbname=twin_{name}", shared().conninfo())
}

/// Ends a group.
fn sync(session: &Session) -> u64 {
    // SAFETY: an open connection.
    let operation = unsafe { conn_sync(session.0) };
    assert_ne!(operation, 0, "{:?}", session.error());
    operation
}

/// A statement with text parameters that are integers, in an open group.
fn integers(session: &Session, sql: &str, values: &[&str]) -> u64 {
    let types = vec![INT4; values.len()];
    let values: Vec<_> = values.iter().map(|value| c(value)).collect();
    let pointers: Vec<_> = values.iter().map(|value| value.as_ptr()).collect();
    let (n, none) = (pointers.len() as i32, std::ptr::null());
    // SAFETY: an open connection, C strings, arrays of `n`.
    let operation = unsafe {
        let sql = c(sql);
        let (types, values) = (types.as_ptr(), pointers.as_ptr());
        conn_start_query_params(
            session.0,
            sql.as_ptr(),
            n,
            types,
            values,
            none,
            none,
            0,
            0,
            CONN_MORE,
        )
    };
    assert_ne!(operation, 0, "{:?}", session.error());
    operation
}

/// A statement without parameters in an open group.
fn more(session: &Session, sql: &str) -> u64 {
    session.start_params(sql, &[], 0, 0, CONN_MORE)
}

const INT4: u32 = 23;
/// The done of an operation inside a group outside of a transaction block, and of one that ended its group.
const OPEN: &str = "done 1 1 2";
const OK: &str = "done 1 1 1";

macro_rules! twins {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                run(stringify!($name));
            }
        )*

        /// Each case of the table is run, and where the sources of PostgreSQL 18 are at hand (`PG18_SRC`), it has just
        /// these cases.
        #[test]
        fn no_case_is_missing() {
            let names = CASES.map(|case| case.0);
            assert_eq!([$(stringify!($name)),*], names);
            let Some(source) = traces::source("libpq_pipeline.c") else {
                return;
            };
            let list = source.split("print_test_list(void)\n{").nth(1).unwrap();
            let list = list.split('}').next().unwrap();
            let theirs: Vec<_> = list
                .split('"')
                .skip(1)
                .step_by(2)
                .map(|name| name.trim_end_matches("\\n"))
                .collect();
            assert_eq!(theirs, names);
        }
    };
}

twins! {
    cancel disallowed_in_pipeline multi_pipelines nosync pipeline_abort pipeline_idle pipelined_insert prepared
    protocol_version simple_pipeline singlerow transaction uniqviol
}
