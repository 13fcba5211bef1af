//! Many operations queued before the first is read: order, errors, and no stall whoever is slow.

use pgpoll::engine::{Outcome, Reply};

use crate::servers;
use crate::session::{FAILED, OK, Session};

#[test]
fn queued_operations_end_in_order_each_by_itself() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let conn = &mut session.conn;
        let value: [Option<&[u8]>; 1] = [Some(b"2")];
        let operations = [
            conn.start_query("select 1 as a").unwrap(),
            conn.start_query("select 1/0").unwrap(),
            conn.start_query_params("select $1::int as b", &[], &value, 0)
                .unwrap(),
            conn.start_prepare("p", "select 3 as c", &[]).unwrap(),
            conn.start_prepared("p", &(), 0).unwrap(),
            conn.start_query("").unwrap(),
            conn.start_prepared("missing", &(), 0).unwrap(),
            conn.start_query("select 4 as d").unwrap(),
        ];
        assert_eq!(operations, [1, 2, 3, 4, 5, 6, 7, 8]);
        let expected: [&[&str]; 8] = [
            &["a: 1", "SELECT 1", OK],
            &["error 22012 division by zero", FAILED],
            &["b: 2", "SELECT 1", OK],
            &[r#"described [] Some(["c:23"])"#, OK],
            &["c: 3", "SELECT 1", OK],
            &["(empty)", OK],
            &[
                "error 26000 prepared statement \"missing\" does not exist",
                FAILED,
            ],
            &["d: 4", "SELECT 1", OK],
        ];
        for (operation, expected) in operations.into_iter().zip(expected) {
            assert_eq!(session.finish(operation), expected);
        }
    }
}

/// Both sides' buffers fill up: a client that only writes here would wait for a server that only writes too.
#[test]
fn ten_thousand_queries_with_large_parameters_and_rows() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo_tcp());
        session.conn.set_send_queue(usize::MAX);
        session.prepare("echo", "select $1::text || $2::text as both");
        let large = vec![b'p'; 3000];
        let mut operations = Vec::new();
        for number in 0..10_000 {
            let number = format!("{number:05}");
            let values: [Option<&[u8]>; 2] = [Some(number.as_bytes()), Some(&large)];
            operations.push(session.conn.start_prepared("echo", &values, 0).unwrap());
        }
        let mut rows = 0;
        for (number, operation) in operations.into_iter().enumerate() {
            for reply in session.until(operation, |reply| matches!(reply, Reply::Done(_))) {
                match reply {
                    Reply::Rows(batch) => {
                        let value = batch.value(0, 0).unwrap();
                        assert_eq!(value.len(), 3005);
                        assert_eq!(value[..5], *format!("{number:05}").as_bytes());
                        rows += batch.rows();
                    }
                    Reply::Complete(tag) => assert_eq!(tag.rows(), Some(1)),
                    Reply::Done(done) => assert_eq!(done.outcome, Outcome::Ok),
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(rows, 10_000);
        assert_eq!(session.conn.engine().queued(), 0);
    }
}

#[test]
fn megabytes_both_ways_at_once() {
    for server in servers() {
        let mut session = Session::open(&server.conninfo());
        let large = vec![b'm'; 1024 * 1024];
        let values: [Option<&[u8]>; 1] = [Some(&large)];
        let conn = &mut session.conn;
        conn.set_send_queue(usize::MAX);
        let operations: Vec<u64> = (0..24)
            .map(|_| {
                conn.start_query_params("select $1::text as t", &[], &values, 0)
                    .unwrap()
            })
            .collect();
        for operation in operations {
            let replies = session.until(operation, |reply| matches!(reply, Reply::Done(_)));
            let Reply::Rows(batch) = &replies[0] else {
                panic!("{replies:?}");
            };
            assert!(batch.value(0, 0) == Some(&large[..]));
        }
    }
}
