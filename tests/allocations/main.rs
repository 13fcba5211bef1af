//! What a query allocates, and what an idle connection holds. Counts exactly, so that a change is seen.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../memory/mod.rs"]
mod memory;
mod owners;

use std::hint::black_box;

use memory::{VAST, complete, describe, ready, row, sent, up};
use owners::Recording;
use pgpoll::conn::Connection;
use pgpoll::engine::{Command, End, Engine, Reply};
use pgpoll::wire::Parameters;
use testkit::alloc::thread;
use testkit::shared;

#[global_allocator]
static RECORDING: Recording = Recording;

/// Allocations while `work` runs.
fn made<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = thread();
    let result = work();
    ((thread() - before).allocations, result)
}

/// The reply to a point query: a row of a number and a text.
fn point(described: bool) -> Vec<u8> {
    let mut out = Vec::new();
    if described {
        describe(&mut out, 2);
    } else {
        out.extend_from_slice(b"2\0\0\0\x04"); // BindComplete
    }
    row(&mut out, &[Some(b"42"), Some(b"some short text")]);
    complete(&mut out, "SELECT 1");
    out
}

/// Receives without the harness's own copies.
fn receive(engine: &mut Engine, bytes: &[u8]) {
    assert_eq!(engine.feed(bytes), bytes.len());
    engine.advance(4, usize::MAX);
}

fn prepared(value: &[Option<&[u8]>; 1]) -> Command<'static> {
    let params: Box<dyn Parameters> = Box::new([value[0].map(|value| &*value.to_vec().leak())]);
    Command::Prepared {
        name: b"point",
        params: Box::leak(params),
        format: 0,
        max_rows: 0,
        describe: false,
    }
}

/// Starts `command`, answers it with `reply` and ReadyForQuery; the allocations of starting, receiving, taking, ending.
fn steps(engine: &mut Engine, command: Command<'_>, reply: &[u8], end: &[u8]) -> [u64; 4] {
    let (starting, _) = made(|| engine.start(command, End::Sync).unwrap());
    let len = engine.output().len();
    engine.sent(len);
    let (receiving, ()) = made(|| receive(engine, reply));
    let mut taken = Vec::with_capacity(8);
    let (taking, ()) = made(|| {
        while let Some(item) = engine.take() {
            taken.push(item);
        }
    });
    let (ending, done) = made(|| {
        receive(engine, end);
        engine.take().unwrap()
    });
    assert!(matches!(done.reply, Reply::Done(_)));
    black_box(taken);
    [starting, receiving, taking, ending]
}

/// Trap 27, a boxed future, channel or Arc for each operation: a query allocates nothing: its result, where it is small,
/// comes from the thread's pool.
#[test]
fn the_engine_allocates_a_result_and_nothing_else() {
    let mut engine = up(VAST);
    let mut end = Vec::new();
    ready(&mut end);
    // Prepared once, so that its columns are remembered.
    let (name, sql) = (&b"point"[..], &b"select $1, 'x'"[..]);
    let prepare = Command::Prepare {
        name,
        sql,
        types: &[],
        describe: true,
    };
    engine.start(prepare, End::Sync).unwrap();
    sent(&mut engine);
    let mut reply = b"1\0\0\0\x04t\0\0\0\x0a\0\x01\0\0\0\x17".to_vec();
    describe(&mut reply, 2);
    reply.extend_from_slice(&end);
    receive(&mut engine, &reply);
    assert_eq!(memory::take_all(&mut engine).len(), 2);

    let value: [Option<&[u8]>; 1] = [Some(b"42")];
    let point_query = prepared(&value);
    let simple = Command::Query { sql: b"select 1" };
    let mut update = b"2\0\0\0\x04".to_vec();
    complete(&mut update, "UPDATE 1");
    for round in 0..8 {
        // Deadlines that do not pass cost nothing.
        let timeout = (round > 4).then(|| std::time::Duration::from_secs(60));
        engine.set_timeout(timeout);
        let counts = [
            steps(&mut engine, point_query, &point(false), &end),
            steps(&mut engine, simple, &point(true), &end),
            steps(&mut engine, point_query, &update, &end),
        ];
        if round == 4 {
            println!("allocations of starting, receiving, taking, ending: {counts:?}");
        }
        // The first rounds fill pools and queues.
        if round > 1 {
            let one_block = [0, 1, 0, 0];
            assert_eq!(
                counts,
                [one_block, one_block, [0, 0, 0, 0]],
                "round {round}"
            );
        }
    }
}

fn drive(conn: &mut Connection) -> u64 {
    let mut rows = 0;
    loop {
        while let Some(item) = conn.take() {
            match item.reply {
                Reply::Rows(batch) => rows += batch.rows() as u64,
                Reply::Done(_) => return rows,
                Reply::Error(error) => panic!("{error}"),
                _ => {}
            }
        }
        conn.wait(None);
    }
}

fn connect(conninfo: &str) -> Connection {
    let mut conn = Connection::open(conninfo);
    while !conn.wait(None).is_idle() {
        assert!(conn.error().is_none(), "{:?}", conn.error());
    }
    conn
}

/// Trap 27, a boxed future, channel or Arc for each operation: a query allocates its result alone.
#[test]
fn a_connection_allocates_nothing_for_a_small_result() {
    let cluster = shared();
    for conninfo in [cluster.conninfo(), cluster.conninfo_tcp()] {
        let mut conn = connect(&conninfo);
        conn.start_prepare("point", "select $1::int4 as n, 'some short text' as t", &[])
            .unwrap();
        drive(&mut conn);
        let value: [Option<&[u8]>; 1] = [Some(b"42")];
        let mut count = [0; 2];
        for _ in 0..5 {
            // The first rounds fill pools and queues.
            count[0] = made(|| {
                conn.start_prepared("point", &value, 0).unwrap();
                assert_eq!(drive(&mut conn), 1);
            })
            .0;
            count[1] = made(|| {
                conn.start_query("select 1").unwrap();
                assert_eq!(drive(&mut conn), 1);
            })
            .0;
        }
        assert_eq!(count, [0, 0]);
        // A hundred queued ones are a hundred results, as many as the pool has.
        let pipeline = |conn: &mut Connection| {
            for _ in 0..100 {
                conn.start_prepared("point", &value, 0).unwrap();
            }
            for _ in 0..100 {
                assert_eq!(drive(conn), 1);
            }
        };
        // How many are finished before the first is taken, and so how long the queue of items gets, is chance.
        let fewest = (0..8).map(|_| made(|| pipeline(&mut conn)).0).min();
        assert_eq!(fewest, Some(0));
    }
}

/// Connects, runs a query and takes everything.
fn idle(conninfo: &str) -> Box<Connection> {
    let mut conn = Box::new(Connection::open(conninfo));
    while !conn.wait(None).is_idle() {
        assert!(conn.error().is_none(), "{:?}", conn.error());
    }
    conn.start_query("select 1").unwrap();
    assert_eq!(drive(&mut conn), 1);
    conn.poll();
    conn
}

/// Results of many chunks, and then nothing.
fn use_it(conn: &mut Connection) {
    for _ in 0..50 {
        conn.start_query("select repeat('x', 3000) from generate_series(1, 200)")
            .unwrap();
        assert_eq!(drive(conn), 200);
    }
    conn.poll();
}

#[test]
fn an_idle_connection_is_small() {
    let cluster = shared();
    let password = testkit::PASSWORD.replace('\'', r"\'");
    for conninfo in [
        cluster.conninfo(),
        // Without a look for tickets: what a helper thread gives back is not counted here.
        format!(
            "{} password='{password}' gssencmode=disable",
            cluster.conninfo_tcp_as("user_scram")
        ),
    ] {
        // What a thread keeps for all its connections is not one connection's.
        use_it(&mut idle(&conninfo));
        drop(idle(&conninfo));
        let before = thread();
        let conn = idle(&conninfo);
        let held = (thread() - before).held;
        assert!(held > size_of::<Connection>() as i64);
        assert!(
            held <= 5_000,
            "{held} bytes:\n{}",
            owners::of(|| idle(&conninfo))
        );
        // Nor does it grow by being used.
        let mut conn = conn;
        use_it(&mut conn);
        let after = (thread() - before).held;
        assert!(after <= held + 64, "{held} bytes before, {after} after use");
        drop(conn);
        // The large results have taken the thread's buffers with them: the next connection fills the pool again.
        drop(idle(&conninfo));
        assert_eq!((thread() - before).held, 0, "all of it is given back");
        // Not before: what a test prints is kept on the heap.
        println!(
            "an idle connection holds {held} bytes of heap, {} of them itself",
            size_of::<Connection>()
        );
    }
    println!("{}", owners::of(|| idle(&cluster.conninfo())));
}
