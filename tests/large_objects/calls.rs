//! The function-call message: any function by its object ID.

use pgpoll::engine::{LARGE_OBJECT_FUNCTIONS, Reply};

use crate::session::{FAILED, OK, Session, texts};
use crate::{IN_BLOCK, is_done, servers};

/// The object IDs that are built in are those of each server's catalog.
#[test]
fn the_functions_are_where_the_catalog_has_them() {
    for server in servers() {
        for function in LARGE_OBJECT_FUNCTIONS {
            let sql = format!(
                "select proname || ' ' || prorettype::oid || ' ' || pronamespace::regnamespace \
                 from pg_proc where oid = {}",
                function.oid
            );
            let expected = format!("{} {} pg_catalog", function.name, function.returns);
            assert_eq!(server.psql(&sql), expected);
        }
    }
}

/// int4pl, textlen, bytearecv … whatever returns something.
#[test]
fn a_function_is_called_by_its_object_id() {
    const INT4PL: u32 = 177;
    const INT8PL: u32 = 463;
    const UPPER: u32 = 871;
    const VERSION: u32 = 89;
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let two: [Option<&[u8]>; 2] = [Some(&[0, 0, 0, 20]), Some(&[0, 0, 0, 22])];
        let call = session.conn.start_call(INT4PL, &two);
        assert_eq!(session.number(call), 42);
        let (low, high) = ((1_i64 << 40).to_be_bytes(), (-1_i64).to_be_bytes());
        let two: [Option<&[u8]>; 2] = [Some(&low), Some(&high)];
        let call = session.conn.start_call(INT8PL, &two);
        assert_eq!(session.number(call), (1 << 40) - 1);
        let call = session.conn.start_call(VERSION, &());
        let Reply::Called(batch) = session.called(call) else {
            panic!("not called");
        };
        let version = String::from_utf8_lossy(batch.value_with_nul(0, 0).unwrap()).into_owned();
        assert!(version.starts_with("PostgreSQL 1") && version.ends_with('\0'));
        assert_eq!((batch.rows(), batch.columns().len()), (1, 1));
        assert_eq!(batch.format(0), 1);
        // NULL in, NULL out.
        let nulls: [Option<&[u8]>; 2] = [Some(&[0; 4]), None];
        let call = session.conn.start_call(INT4PL, &nulls).unwrap();
        assert_eq!(session.finish(call), ["called NULL", OK]);
        let call = session.conn.start_call(INT4PL, &()).unwrap();
        assert_eq!(
            session.finish(call),
            [
                "error 08P01 function call message contains 0 arguments but function requires 2",
                FAILED
            ]
        );
        let call = session.conn.start_call(1, &()).unwrap();
        let said = session.finish(call);
        assert!(
            said[0].starts_with("error 42883 ") || said[0].starts_with("error XX000 "),
            "{said:?}"
        );
        assert_eq!(said[1], FAILED);
        // No collation comes with a call: the server says so, and goes on.
        let text: [Option<&[u8]>; 1] = [Some(b"abc")];
        let call = session.conn.start_call(UPPER, &text).unwrap();
        assert!(session.finish(call)[0].starts_with("error 42P22"));
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}

/// A pipeline of calls and queries: each has its own ReadyForQuery, and they are answered in order.
#[test]
fn calls_are_pipelined_with_queries() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let conn = &mut session.conn;
        let begin = conn.start_query("begin").unwrap();
        let create = conn.start_lo_create(0).unwrap();
        let one = conn.start_query("select 1 as a").unwrap();
        let tell = conn.start_lo_tell(77).unwrap();
        let two = conn.start_lo_create(0).unwrap();
        let end = conn.start_query("rollback").unwrap();
        assert_eq!(session.finish(begin), ["BEGIN", IN_BLOCK]);
        let created = texts(&session.until(create, is_done));
        assert!(
            created[0].starts_with("called ") && created[1] == IN_BLOCK,
            "{created:?}"
        );
        assert_eq!(session.finish(one), ["a: 1", "SELECT 1", IN_BLOCK]);
        let failed = "done Failed Failed InTransaction";
        let invalid = "error 42704 invalid large-object descriptor: 77";
        assert_eq!(session.finish(tell), [invalid, failed]);
        let aborted = "error 25P02 current transaction is aborted, commands ignored until end of transaction block";
        assert_eq!(session.finish(two), [aborted, failed]);
        assert_eq!(session.finish(end), ["ROLLBACK", OK]);
    }
}

/// A group has no place for a simple message; nothing of it is sent.
#[test]
fn a_call_inside_of_a_group_is_refused() {
    use pgpoll::engine::{Command, End};
    let mut session = Session::open(&servers()[0].conninfo());
    let (sql, types, params) = (&b"select 1 as a"[..], &[][..], &());
    let (format, max_rows) = (0, 0);
    let command = Command::Params {
        sql,
        types,
        params,
        format,
        max_rows,
    };
    let one = session.conn.start(command, End::More).unwrap();
    for refused in [
        session.conn.start_lo_create(0),
        session.conn.start_call(177, &()),
        session
            .conn
            .start_lo_export(1, std::fs::File::create("/dev/null").unwrap()),
    ] {
        let error = refused.unwrap_err();
        assert!(error.message().contains("end it with a sync"), "{error}");
    }
    let two = session.conn.sync().unwrap();
    session.finish(one);
    assert_eq!(session.finish(two), [OK]);
}
