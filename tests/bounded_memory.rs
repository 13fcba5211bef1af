//! Large results in small memory: batches, and a reader that stops when nobody takes. One test alone in its process, because it
//! measures what the process holds at most.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use pgpoll::conn::Connection;
use pgpoll::engine::{Outcome, Reply};
use testkit::alloc::{peak, reset_peak};
use testkit::shared;

#[global_allocator]
static COUNTING: testkit::Counting = testkit::Counting;

const MB: u64 = 1024 * 1024;

/// Some 100 bytes a row.
const ROWS: u64 = 300_000;
const SQL: &str =
    "select n, repeat('x', 60) as a, null as b, 1.5 as c from generate_series(1, 300000) n";

fn connect(conninfo: &str) -> Connection {
    let mut conn = Connection::open(conninfo);
    while !conn.wait(None).is_idle() {
        assert!(conn.error().is_none(), "{:?}", conn.error());
    }
    conn
}

/// Takes until the done; the rows, and in how many batches they came.
fn drain(conn: &mut Connection, mut look: impl FnMut(usize)) -> (u64, u64) {
    let (mut rows, mut batches) = (0, 0);
    loop {
        while let Some(item) = conn.take() {
            match item.reply {
                Reply::Rows(batch) => {
                    for row in [0, batch.rows() / 2, batch.rows().saturating_sub(1)] {
                        if row < batch.rows() {
                            let expected = (rows + row as u64 + 1).to_string();
                            assert_eq!(batch.value(row, 0), Some(expected.as_bytes()));
                            assert_eq!(batch.value(row, 2), None);
                            assert_eq!(batch.value_with_nul(row, 3), Some(&b"1.5\0"[..]));
                        }
                    }
                    rows += batch.rows() as u64;
                    batches += 1;
                    look(batch.rows());
                }
                Reply::Done(done) => {
                    assert_eq!(done.outcome, Outcome::Ok);
                    return (rows, batches);
                }
                Reply::Error(error) => panic!("{error}"),
                _ => {}
            }
        }
        conn.wait(Some(Duration::from_secs(60)));
    }
}

#[test]
fn large_results_in_small_memory() {
    let cluster = shared();
    for conninfo in [cluster.conninfo(), cluster.conninfo_tcp()] {
        let mut conn = connect(&conninfo);

        // Whole: the rows as they came, and little more.
        let before = reset_peak();
        conn.start_query(SQL).unwrap();
        assert_eq!(drain(&mut conn, |_| {}), (ROWS, 1));
        let whole = peak() - before;
        println!("whole: {:.1} MB at most", whole as f64 / MB as f64);
        assert!(whole < 60 * MB, "{whole} bytes");

        // By rows, by bytes, and by both.
        for (rows, bytes) in [(1000, 0), (1, 0), (0, 64 * 1024), (700, 10_000)] {
            conn.set_batch(rows, bytes);
            let before = reset_peak();
            conn.start_query(SQL).unwrap();
            let (got, batches) = drain(&mut conn, |held| assert!(rows == 0 || held <= rows));
            assert_eq!(got, ROWS);
            if rows > 0 && bytes == 0 {
                assert_eq!(batches, ROWS / rows as u64 + 1, "the last one is empty");
            }
            let most = peak() - before;
            println!(
                "by {rows} rows, {bytes} bytes: {batches} batches, {:.2} MB at most",
                most as f64 / MB as f64
            );
            assert!(most < 4 * MB, "{most} bytes");
        }

        // Not taken: reading stops, whatever the caller does; then all of it is there.
        conn.set_batch(100, 0);
        let before = reset_peak();
        conn.start_query(SQL).unwrap();
        let begun = Instant::now();
        let mut stopped = 0;
        while stopped < 60 {
            let ready = conn.poll();
            if ready.has_result() && !ready.wants_read() {
                assert!(!ready.is_runnable());
                stopped += 1;
            } else {
                assert_eq!(stopped, 0, "it reads again");
                assert!(begun.elapsed() < Duration::from_secs(30), "it goes on");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let most = peak() - before;
        println!("not taken: {:.2} MB at most", most as f64 / MB as f64);
        assert!(most < 4 * MB, "{most} bytes");
        assert_eq!(drain(&mut conn, |_| {}).0, ROWS);

        // A thousand queued results that nobody takes.
        conn.set_batch(0, 0);
        let before = reset_peak();
        for _ in 0..1000 {
            conn.start_query("select repeat('y', 20000)").unwrap();
        }
        for _ in 0..200 {
            conn.poll();
            std::thread::sleep(Duration::from_millis(1));
        }
        let most = peak() - before;
        println!("queued results: {:.2} MB at most", most as f64 / MB as f64);
        assert!(most < 4 * MB, "{most} bytes");
        let mut done = 0;
        while done < 1000 {
            while let Some(item) = conn.take() {
                done += u64::from(matches!(item.reply, Reply::Done(_)));
            }
            conn.wait(Some(Duration::from_secs(60)));
        }
    }
}
