//! One statement with parameters: types, formats, NULL, and what the server finds wrong with them.

use pgpoll::engine::Reply;
use pgpoll::wire::Parameters;

use crate::servers;
use crate::session::{FAILED, OK, Session, is_done, texts};

const INT4: u32 = 23;
const TEXT: u32 = 25;
const BOOL: u32 = 16;
const BYTEA: u32 = 17;

#[test]
fn parameters_as_text() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let values: [Option<&[u8]>; 4] = [Some(b"41"), Some(b"it's"), None, Some(b"")];
        let operation = session
            .conn
            .start_query_params(
                "select $1 + 1 as n, $2 as t, $3 as z, $4 as e",
                &[INT4, TEXT, BOOL],
                &values,
                0,
            )
            .unwrap();
        assert_eq!(session.queued_messages(), "PBDES");
        assert_eq!(
            session.finish(operation),
            ["n,t,z,e: 42|it's|NULL|", "SELECT 1", OK]
        );
    }
}

#[test]
fn parameters_and_results_in_binary() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let bytes: Vec<u8> = (0..=255).collect();
        let number = 41_i32.to_be_bytes();
        let values: [(Option<&[u8]>, i16); 4] = [
            (Some(&number), 1),
            (Some(b"7"), 0),
            (Some(&bytes), 1),
            (None, 1),
        ];
        let values = &values[..];
        let operation = session
            .conn
            .start_query_params(
                "select $1 + $2 as n, $3 as b, $4 as z, 1.5::float8 as f",
                &[INT4, INT4, BYTEA, TEXT],
                &values as &dyn Parameters,
                1,
            )
            .unwrap();
        let replies = session.until(operation, is_done);
        let Reply::Rows(batch) = &replies[0] else {
            panic!("{replies:?}");
        };
        assert_eq!(batch.value(0, 0), Some(&48_i32.to_be_bytes()[..]));
        assert_eq!(batch.value(0, 1), Some(&bytes[..]));
        assert_eq!(batch.value_with_nul(0, 1).unwrap().len(), 257);
        assert_eq!(batch.value(0, 2), None);
        assert_eq!(batch.value(0, 3), Some(&1.5_f64.to_be_bytes()[..]));
        assert_eq!(
            (0..4)
                .map(|column| batch.format(column))
                .collect::<Vec<_>>(),
            [1; 4]
        );
        let types: Vec<_> = batch.columns().iter().map(|c| c.type_oid).collect();
        assert_eq!(types, [INT4, BYTEA, TEXT, 701]);
        assert_eq!(texts(&replies[1..]), ["SELECT 1", OK]);
    }
}

#[test]
fn what_a_column_is_made_of() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        session.query("create temp table made (a int, b varchar(10))");
        let oid: u32 = session.query("select 'made'::regclass::oid as o")[0]
            .strip_prefix("o: ")
            .unwrap()
            .parse()
            .unwrap();
        let batch = session.rows("select b, 1 as one from made");
        let column = batch.columns().get(0).unwrap();
        assert_eq!((column.table_oid, column.attribute), (oid, 2));
        assert_eq!((column.type_oid, column.type_size), (1043, -1));
        assert_eq!(column.type_modifier, 14);
        let column = batch.columns().get(1).unwrap();
        assert_eq!((column.table_oid, column.attribute), (0, 0));
        assert_eq!((column.type_size, column.type_modifier), (4, -1));
    }
}

#[test]
fn what_the_server_refuses() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let one: [Option<&[u8]>; 1] = [Some(b"x")];
        assert_eq!(
            session.params("select $1::int", &one),
            [
                "error 22P02 invalid input syntax for type integer: \"x\"",
                FAILED
            ]
        );
        assert_eq!(
            session.params("select 1; select 2", &()),
            [
                "error 42601 cannot insert multiple commands into a prepared statement",
                FAILED
            ]
        );
        assert_eq!(
            session.params("select $1::int", &()),
            [
                "error 08P01 bind message supplies 0 parameters, but prepared statement \"\" requires 1",
                FAILED
            ]
        );
        let zero: [Option<&[u8]>; 1] = [Some(b"3")];
        assert_eq!(
            session.params("select 1/($1 - n) from generate_series(1, 5) n", &zero),
            ["error 22012 division by zero", FAILED]
        );
        assert_eq!(
            session.params("create temp table made (x int)", &()),
            ["CREATE TABLE", OK]
        );
    }
}

#[test]
fn what_cannot_be_sent_changes_nothing() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        for error in [
            session.conn.start_query("select 1\0; drop").unwrap_err(),
            session
                .conn
                .start_prepare("a\0b", "select 1", &[])
                .unwrap_err(),
        ] {
            assert_eq!(error.sqlstate(), None, "misuse: {error}");
        }
        assert_eq!(session.queued_messages(), "");
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
}
