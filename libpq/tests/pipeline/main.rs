//! Pipelines, single rows and traces through the exported functions, on a real server: what comes, in which order, and what
//! the trace says. The expected traces are those of libpq 18.6.
#![allow(clippy::unwrap_used)]

mod postgres;
mod session;

use pq::exec::PQexec;
use pq::pipeline::{PQenterPipelineMode, PQexitPipelineMode, PQsendFlushRequest};
use pq::receive::{
    PQconsumeInput, PQgetResult, PQisBusy, PQsetChunkedRowsMode, PQsetSingleRowMode,
};
use session::Session;

const QUERY: &str = "select $1::int4";

#[test]
fn a_simple_pipeline() {
    let session = Session::open();
    session.trace();
    // SAFETY: the session's connection is open.
    unsafe { assert_eq!(PQenterPipelineMode(session.conn), 1) };
    session.send(QUERY, &["1"]);
    // SAFETY: as above.
    unsafe { assert_eq!(PQexitPipelineMode(session.conn), 0) };
    assert_eq!(session.error(), "cannot exit pipeline mode while busy\n");
    session.sync();
    assert_eq!(session.next(), "TUPLES_OK 1 SELECT 1");
    assert_eq!(session.next(), "NULL");
    // SAFETY: as above.
    unsafe { assert_eq!(PQexitPipelineMode(session.conn), 0) };
    // As in libpq, this result shows what the error buffer holds.
    assert_eq!(
        session.next(),
        "PIPELINE_SYNC cannot exit pipeline mode while busy\n"
    );
    assert_eq!(session.next(), "NULL");
    // SAFETY: as above.
    unsafe { assert_eq!(PQexitPipelineMode(session.conn), 1) };
    assert_eq!(
        session.close(),
        "F\t23\tParse\t \"\" \"select $1::int4\" 0
F\t19\tBind\t \"\" \"\" 0 1 1 '1' 1 0
F\t6\tDescribe\t P \"\"
F\t9\tExecute\t \"\" 0
F\t4\tSync
B\t4\tParseComplete
B\t4\tBindComplete
B\t29\tRowDescription\t 1 \"int4\" NNNN 0 NNNN 4 -1 0
B\t11\tDataRow\t 1 1 '1'
B\t13\tCommandComplete\t \"SELECT 1\"
B\t5\tReadyForQuery\t I
F\t4\tTerminate
"
    );
}

#[test]
fn what_follows_an_error_is_aborted_up_to_the_sync() {
    let session = Session::open();
    session.run("create temporary table t (i int4)");
    session.trace();
    // SAFETY: the session's connection is open.
    unsafe { assert_eq!(PQenterPipelineMode(session.conn), 1) };
    session.send("insert into t values ($1)", &["1"]);
    session.send("select nothing($1::int4)", &["1"]);
    session.send("insert into t values ($1)", &["2"]);
    session.sync();
    session.send("insert into t values ($1)", &["3"]);
    session.sync();
    assert_eq!(session.next(), "COMMAND_OK INSERT 0 1");
    assert_eq!(session.next(), "NULL");
    let error = session.next();
    assert!(error.starts_with("FATAL_ERROR ERROR:  function nothing(integer) does not exist\nLINE 1: select nothing($1::int4)\n               ^\nHINT:  "), "{error}");
    assert_eq!(session.next(), "NULL");
    assert_eq!(session.pipeline_status(), "aborted");
    assert_eq!(session.next(), "PIPELINE_ABORTED");
    assert_eq!(session.next(), "NULL");
    assert_eq!(session.next(), "PIPELINE_SYNC");
    assert_eq!(session.pipeline_status(), "on");
    assert_eq!(session.next(), "COMMAND_OK INSERT 0 1");
    assert_eq!(session.next(), "NULL");
    assert_eq!(session.next(), "PIPELINE_SYNC");
    // SAFETY: as above.
    unsafe { assert_eq!(PQexitPipelineMode(session.conn), 1) };
    assert_eq!(session.run("select i from t"), "TUPLES_OK 3 SELECT 1");
    let trace = session.close();
    let backend: Vec<&str> = trace.lines().filter(|line| line.starts_with('B')).collect();
    let names = backend.iter().map(|line| line.split('\t').nth(2).unwrap());
    assert_eq!(
        names.collect::<Vec<_>>().join(" "),
        "ParseComplete BindComplete NoData CommandComplete ErrorResponse ReadyForQuery ParseComplete \
         BindComplete NoData CommandComplete ReadyForQuery RowDescription DataRow CommandComplete ReadyForQuery"
    );
    let error = backend.iter().find(|line| line.contains("ErrorResponse"));
    let error = error.unwrap();
    assert!(error.starts_with("B\tNN\tErrorResponse\t S \"ERROR\" V \"ERROR\" C \"42883\" M "));
    assert!(
        error.ends_with(" P \"8\" F \"SSSS\" L \"SSSS\" R \"SSSS\" \\x00"),
        "{error}"
    );
}

#[test]
fn without_a_sync_results_come_after_a_flush_request() {
    let session = Session::open();
    session.trace();
    // SAFETY: the session's connection is open.
    unsafe { assert_eq!(PQenterPipelineMode(session.conn), 1) };
    session.send("select 1", &[]);
    session.send("select 2", &[]);
    // SAFETY: as above.
    unsafe {
        assert_eq!(PQsendFlushRequest(session.conn), 1);
        assert_eq!(PQisBusy(session.conn), 1);
    }
    assert_eq!(session.next(), "TUPLES_OK 1 SELECT 1");
    assert_eq!(session.next(), "NULL");
    assert_eq!(session.next(), "TUPLES_OK 2 SELECT 1");
    assert_eq!(session.next(), "NULL");
    // SAFETY: as above.
    unsafe { assert_eq!(PQexitPipelineMode(session.conn), 1) };
    // The group is still open: a simple query ends it.
    assert_eq!(session.run("select 3"), "TUPLES_OK 3 SELECT 1");
    let reply = "B\t4\tParseComplete
B\t4\tBindComplete
B\t33\tRowDescription\t 1 \"?column?\" NNNN 0 NNNN 4 -1 0\n";
    let call = "\" 0
F\t14\tBind\t \"\" \"\" 0 0 1 0
F\t6\tDescribe\t P \"\"
F\t9\tExecute\t \"\" 0\n";
    // Whether the implicit transaction is over then depends on the server's version.
    let trace = session.close();
    assert_eq!(
        trace.replace("ReadyForQuery\t T", "ReadyForQuery\t I"),
        format!(
            "F\t16\tParse\t \"\" \"select 1{call}F\t16\tParse\t \"\" \"select 2{call}F\t4\tFlush\n\
             {reply}B\t11\tDataRow\t 1 1 '1'\nB\t13\tCommandComplete\t \"SELECT 1\"\n\
             {reply}B\t11\tDataRow\t 1 1 '2'\nB\t13\tCommandComplete\t \"SELECT 1\"\n\
             F\t13\tQuery\t \"select 3\"\n\
             B\t33\tRowDescription\t 1 \"?column?\" NNNN 0 NNNN 4 -1 0\n\
             B\t11\tDataRow\t 1 1 '3'\nB\t13\tCommandComplete\t \"SELECT 1\"\nB\t5\tReadyForQuery\t I\n\
             F\t4\tTerminate\n"
        )
    );
}

#[test]
fn single_rows_and_chunks_end_with_an_empty_result() {
    let session = Session::open();
    // SAFETY: the session's connection is open.
    unsafe {
        assert_eq!(PQsetSingleRowMode(session.conn), 0, "nothing was sent");
        assert_eq!(PQenterPipelineMode(session.conn), 1);
    }
    let series = "select generate_series(1, $1::int4)";
    session.send(series, &["2"]);
    session.send(series, &["2"]);
    session.send(series, &["5"]);
    session.send("select 1/(2 - g) from generate_series(1, 3) g", &[]);
    session.sync();
    // SAFETY: as above.
    unsafe { assert_eq!(PQsetSingleRowMode(session.conn), 1) };
    assert_eq!(session.next(), "SINGLE_TUPLE 1");
    // SAFETY: as above.
    unsafe { assert_eq!(PQsetSingleRowMode(session.conn), 0, "too late") };
    assert_eq!(session.next(), "SINGLE_TUPLE 2");
    assert_eq!(session.next(), "TUPLES_OK SELECT 2");
    assert_eq!(session.next(), "NULL");
    assert_eq!(session.next(), "TUPLES_OK 1 2 SELECT 2", "one command only");
    assert_eq!(session.next(), "NULL");
    // SAFETY: as above.
    unsafe {
        assert_eq!(PQsetChunkedRowsMode(session.conn, 0), 0);
        assert_eq!(PQsetChunkedRowsMode(session.conn, 3), 1);
    }
    assert_eq!(session.next(), "TUPLES_CHUNK 1 2 3");
    assert_eq!(session.next(), "TUPLES_CHUNK 4 5 SELECT 5");
    assert_eq!(session.next(), "TUPLES_OK");
    assert_eq!(session.next(), "NULL");
    // SAFETY: as above.
    unsafe { assert_eq!(PQsetSingleRowMode(session.conn), 1) };
    assert_eq!(session.next(), "SINGLE_TUPLE 1");
    assert_eq!(session.next(), "FATAL_ERROR ERROR:  division by zero\n");
    assert_eq!(session.next(), "NULL");
    assert_eq!(session.next(), "PIPELINE_SYNC");
    assert_eq!(session.next(), "NULL");
}

#[test]
fn what_is_not_allowed_is_said_in_libpqs_words() {
    let session = Session::open();
    // SAFETY: the session's connection is open; C strings end with a NUL.
    unsafe {
        assert_eq!(PQenterPipelineMode(session.conn), 1);
        assert!(PQexec(session.conn, c"select 1".as_ptr()).is_null());
        assert_eq!(
            session.error(),
            "synchronous command execution functions are not allowed in pipeline mode\n"
        );
        assert_eq!(pq::send::PQsendQuery(session.conn, c"select 1".as_ptr()), 0);
        assert_eq!(
            session.error(),
            "PQsendQuery not allowed in pipeline mode\n"
        );
        assert_eq!(PQexitPipelineMode(session.conn), 1);
        assert_eq!(pq::pipeline::PQpipelineSync(session.conn), 0);
        let error = session.error();
        assert!(error.ends_with("\ncannot send pipeline when not in pipeline mode\n"));
        assert_eq!(pq::send::PQsendQuery(session.conn, c"select 1".as_ptr()), 1);
        assert_eq!(pq::send::PQsendQuery(session.conn, c"select 1".as_ptr()), 0);
        assert!(
            session
                .error()
                .ends_with("another command is already in progress\n")
        );
        assert_eq!(PQenterPipelineMode(session.conn), 0);
    }
    assert_eq!(session.next(), "TUPLES_OK 1 SELECT 1");
    assert_eq!(session.next(), "NULL");
}

#[test]
fn input_is_consumed_in_every_state_and_parsed_only_when_it_may_be() {
    let session = Session::open();
    session.trace();
    // SAFETY: the session's connection is open.
    unsafe { assert_eq!(PQenterPipelineMode(session.conn), 1) };
    session.send("select 1", &[]);
    session.sync();
    session.wait();
    // SAFETY: as above.
    unsafe { assert_eq!(PQconsumeInput(session.conn), 1) };
    assert!(!session.traced().contains("\nB\t"), "nothing is parsed yet");
    // SAFETY: as above.
    unsafe {
        assert_eq!(PQisBusy(session.conn), 0);
        assert_eq!(PQconsumeInput(session.conn), 1);
    }
    assert!(
        session
            .traced()
            .ends_with("CommandComplete\t \"SELECT 1\"\n")
    );
    assert_eq!(session.next(), "TUPLES_OK 1 SELECT 1");
    assert_eq!(session.next(), "NULL");
    assert_eq!(session.next(), "PIPELINE_SYNC");
}

#[test]
fn null_handles_survive() {
    let none = std::ptr::null_mut();
    // SAFETY: NULL is allowed everywhere.
    unsafe {
        assert!(PQgetResult(none).is_null());
        assert!(PQexec(none, std::ptr::null()).is_null());
        assert_eq!((PQisBusy(none), PQconsumeInput(none)), (0, 0));
        assert_eq!(pq::facts::PQstatus(none), 1);
        assert_eq!(pq::accessors::PQresultStatus(std::ptr::null()), 7);
        assert_eq!(pq::accessors::PQntuples(std::ptr::null()), 0);
        assert!(pq::cells::PQgetvalue(std::ptr::null(), 0, 0).is_null());
        pq::result::PQclear(std::ptr::null_mut());
        pq::conn::PQfinish(none);
        pq::trace::PQtrace(none, std::ptr::null_mut());
        let session = Session::open();
        assert!(PQexec(session.conn, std::ptr::null()).is_null());
        assert_eq!(session.error(), "command string is a null pointer\n");
    }
}
