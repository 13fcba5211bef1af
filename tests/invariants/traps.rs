//! Traps of "async inside, poll outside" that other libraries fell into, each by its number and title in the notes on them.

use std::time::{Duration, Instant};

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::{Outcome, Reply};
use testkit::script::{Script, Scripted, columns, complete, oid, ready, row, sessions};
use testkit::sim::{Bench, Pace, START, Server};

use super::{LONG, answering, connected, is_done, one_row, take_all};

/// Both sides write megabytes at each other: whoever only waits for WRITE waits for ever.
#[test]
fn trap_1_wait_only_for_write_while_the_server_waits_for_us_to_read() {
    let wide = "w".repeat(1 << 20);
    let mut script = Script::trusting()
        .query("TABLE wide")
        .send(columns(&[("a", oid::TEXT)]));
    for _ in 0..16 {
        script = script.send(row(&[Some(&wide)]));
    }
    let script = script
        .send(complete("SELECT 16"))
        .send(ready(b'I'))
        .expect_tag(b'Q')
        .send(complete("X"))
        .send(ready(b'I'));
    let server = Scripted::tcp(&[script]);
    let mut connection = connected(&server);
    connection.set_batch(1, 0);
    connection.start_query("TABLE wide").unwrap();
    connection.start_query("x".repeat(16 << 20)).unwrap();
    let (mut rows, mut done) = (0, 0);
    while done < 2 {
        let ready = connection.wait(LONG);
        assert!(ready.is_something(), "deadlock: {}", connection.inspect());
        for item in take_all(&mut connection) {
            if let Reply::Rows(batch) = &item.reply {
                rows += batch.rows();
            }
            done += usize::from(is_done(&item));
        }
    }
    assert_eq!(rows, 16);
    // And an empty queue never wants WRITE.
    assert!(!connection.poll().wants_write());
}

/// Trap 4 (an edge-triggered host: one read per wake loses the rest) and trap 5 (a budget per poll: stop early and nobody
/// calls again): a poll reads until there is nothing more, or says RUNNABLE.
#[test]
fn trap_4_and_5_a_poll_reads_to_the_end_or_says_runnable() {
    let server = Scripted::tcp(&[Script::trusting()
        .query("SELECT 1")
        .send(columns(&[("a", oid::TEXT)]))
        .send(row(&[Some(&"w".repeat(8 << 20))]))
        .send(complete("SELECT 1"))
        .send(ready(b'I'))]);
    let mut connection = connected(&server);
    connection.start_query("SELECT 1").unwrap();
    let (mut runnable, begun) = (0, Instant::now());
    loop {
        let ready = connection.poll();
        if ready.is_runnable() {
            runnable += 1;
            continue;
        }
        if ready.has_result() {
            break;
        }
        // Nothing is left in the kernel for an edge that has been seen already.
        let mut entry = libc::pollfd {
            fd: connection.socket().unwrap(),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: one entry, on the stack.
        unsafe { libc::poll(&raw mut entry, 1, 1000) };
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{}",
            connection.inspect()
        );
    }
    println!("8 MB in polls, {runnable} of them said RUNNABLE");
    assert!(matches!(take_all(&mut connection)[0].reply, Reply::Rows(_)));
}

/// Trap 12, drop of a future in the middle of a message: a connection is dropped, or reset, after any byte, and nothing
/// of the old one is seen by the new one.
#[test]
fn trap_12_drop_of_a_future_in_the_middle_of_a_message() {
    let session = sessions::named("an error in the middle of a transaction");
    let whole = session.replay(Pace::default());
    for position in 0..whole.received {
        let seen = session.replay(Pace {
            hold: Some(position),
            ..Pace::default()
        });
        assert!(!seen.finished && seen.error.is_none(), "{}", seen.place);
    }
    let half = &one_row()[..30];
    let first = Script::trusting().query("SELECT 1").send(half);
    let server = Scripted::tcp(&[first, answering(1)]);
    let mut connection = connected(&server);
    connection.start_query("SELECT 1").unwrap();
    connection.wait(Some(Duration::from_millis(50)));
    connection.reset();
    assert!(connection.wait_for(Readiness::IDLE, LONG).is_idle());
    connection.start_query("SELECT 1").unwrap();
    connection.wait_for(Readiness::RESULT, LONG);
    let items = take_all(&mut connection);
    assert_eq!(items.len(), 3, "{items:?}");
}

/// Trap 16, the descriptor is closed and its number reused inside a poll: the first host's descriptor stays open until the
/// poll after the one that told of the second's.
#[test]
fn trap_16_the_descriptor_is_closed_and_its_number_reused_inside_a_poll() {
    let refusing = Script::new()
        .startup()
        .halt()
        .send(testkit::script::error("FATAL", "57P03", "starting up"))
        .close();
    let (first, second) = (Scripted::tcp(&[refusing]), Scripted::tcp(&[answering(0)]));
    let port = |server: &Scripted| {
        let conninfo = server.conninfo();
        let word = conninfo
            .split(' ')
            .find(|word| word.starts_with("port="))
            .unwrap();
        word[5..].to_owned()
    };
    let mut connection = Connection::open(format!(
        "host=127.0.0.1,127.0.0.1 port={},{} user=tester sslmode=disable",
        port(&first),
        port(&second)
    ));
    let (mut old, mut changes) = (None, 0);
    loop {
        let ready = connection.poll();
        let now = connection.socket().unwrap();
        if ready.has(Readiness::SOCKET_CHANGED) {
            changes += 1;
            if let Some(old) = old {
                assert_ne!(old, now, "its number was reused");
                // SAFETY: takes integers alone.
                let flags = unsafe { libc::fcntl(old, libc::F_GETFD) };
                assert!(flags >= 0, "closed too early");
            }
        } else {
            assert!(
                old.is_none() || old == Some(now),
                "a change that nobody was told of"
            );
        }
        old = Some(now);
        if ready.is_idle() {
            break;
        }
        // The first says nothing before a poll has shown its descriptor.
        if changes == 1 && ready.wants_read() {
            first.go_on();
        }
        pgpoll::net::wait(
            connection.socket(),
            ready.wants_read(),
            ready.wants_write(),
            LONG,
        );
    }
    assert!(changes >= 2, "{changes}");
}

/// Trap 18, poll before the connect has finished: calls too many at any phase, on a real socket.
#[test]
fn trap_18_poll_before_the_connect_has_finished() {
    let server = Scripted::tcp(&[answering(1)]);
    let mut connection = Connection::open(server.conninfo());
    let begun = Instant::now();
    while !connection.poll().is_idle() {
        assert!(connection.error().is_none(), "{}", connection.inspect());
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
    connection.start_query("SELECT 1").unwrap();
    while !connection.poll().has_result() {
        assert!(connection.error().is_none(), "{}", connection.inspect());
    }
    assert!(take_all(&mut connection).last().is_some_and(is_done));
}

/// Trap 20, timers: the deadline is absolute. Calls before it do not move it, and its milliseconds are rounded up, so that
/// who sleeps so long does not wake too early and spin.
#[test]
fn trap_20_a_deadline_is_absolute_and_its_milliseconds_are_rounded_up() {
    let conninfo = "host=127.0.0.1 user=tester connect_timeout=3";
    let mut bench = Bench::with(conninfo, [Server::IsSilent], Pace::default());
    bench.poll();
    let deadline = bench.engine.deadline().unwrap();
    assert_eq!(deadline, START + 3_000_000_000);
    for _ in 0..100 {
        bench.now += 1_000_001;
        bench.poll();
        assert_eq!(bench.engine.deadline(), Some(deadline));
    }
    let server = Scripted::tcp(&[Script::new()]);
    let mut connection = Connection::open(format!("{} connect_timeout=30", server.conninfo()));
    connection.poll();
    let milliseconds = connection.deadline_ms().unwrap();
    assert!((29_000..=30_000).contains(&milliseconds), "{milliseconds}");
    // Far in the past, far in the future: no overflow either way.
    bench.now = u64::MAX;
    bench.poll();
    assert!(bench.engine.error().is_some());
}

/// Trap 30, a dead connection loops for ever: every call says the same at once, with nothing to wait for.
#[test]
fn trap_30_a_dead_connection_loops_for_ever() {
    let server = Scripted::tcp(&[Script::trusting().query("SELECT 1").close()]);
    let mut connection = connected(&server);
    connection.start_query("SELECT 1").unwrap();
    connection.start_query("SELECT 1").unwrap();
    let mut outcomes = Vec::new();
    while !connection.wait(LONG).is_failed() {
        for item in take_all(&mut connection) {
            if let Reply::Done(done) = item.reply {
                outcomes.push(done.outcome);
            }
        }
    }
    assert_eq!(outcomes, [Outcome::Failed, Outcome::Failed]);
    let error = connection.error().unwrap().clone();
    for _ in 0..1000 {
        let ready = connection.wait(None);
        assert!(ready.is_failed() && !ready.wants_read() && !ready.wants_write());
        assert!(connection.take().is_none());
        assert_eq!(connection.error(), Some(&error));
        assert!(connection.start_query("SELECT 1").is_err());
        assert_eq!(connection.deadline_ns(), None);
    }
}
