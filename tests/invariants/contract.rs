//! The invariants 1 to 6 of the poll contract: what a poll says. Loops over real sockets are in `loops`.

use std::time::Duration;

use pgpoll::conn::{Connection, Readiness};
use pgpoll::link::{Answer, Ask, Peer};
use testkit::script::{Script, Scripted, complete, error, notification, ready, row};
use testkit::sim::{Bench, Chunks, Pace, Server, plan};

use super::{answering, connected, is_done, one_row, readable, start, take_all};

/// The poll that consumed the bytes of a result reports it in the same return, and the takers empty what has arrived.
#[test]
fn invariant_1_never_wait_while_something_is_ready() {
    let server = Scripted::tcp(&[answering(3)]);
    let mut connection = connected(&server);
    for _ in 0..3 {
        connection.start_query("SELECT 1").unwrap();
        assert!(connection.flush());
        readable(&connection);
        let ready = connection.poll();
        assert!(ready.has_result(), "{}", connection.inspect());
        let items = take_all(&mut connection);
        assert!(items.last().is_some_and(is_done), "{items:?}");
        let ready = connection.poll();
        assert!(ready.is_idle() && !ready.has_result());
    }
}

/// A server that is blocked writing to us cannot read from us. Without room the answer is RESULT and no READ.
#[test]
fn invariant_2_read_is_wanted_whenever_there_is_room_also_while_output_is_queued() {
    let mut flood = Vec::new();
    for _ in 0..1000 {
        flood.extend(complete("INSERT 0 1"));
    }
    let script = Script::trusting()
        .query("SELECT 1")
        .send(flood)
        .send(ready(b'I'));
    let mut bench = Bench::connected(&script);
    start(&mut bench, "SELECT 1");
    bench.pace.outbound = Chunks::Of(0);
    let need = bench.poll();
    assert!(need.read && need.write, "{need:?}");
    bench.pace.outbound = Chunks::All;
    let need = bench.poll();
    assert!(!need.read && !need.write, "{need:?}");
    assert!(bench.engine.has_item());
    while bench.engine.take().is_some() {}
    bench.poll();
    while bench.engine.take().is_some() {
        bench.poll();
    }
    let need = bench.poll();
    assert!(need.read && bench.engine.queued() == 0, "{}", bench.place());
}

/// Notifications and a server's goodbye arrive on their own.
#[test]
fn invariant_3_an_idle_connection_wants_read() {
    let words = "terminating connection due to idle-session timeout";
    let script = answering(1)
        .send(notification(7, "channel", "hello"))
        .expect_any()
        .send(error("FATAL", "57P05", words))
        .close();
    let server = Scripted::tcp(&[script]);
    let mut connection = connected(&server);
    assert!(connection.poll().wants_read());
    connection.start_query("SELECT 1").unwrap();
    let ready = connection.wait_for(Readiness::NOTIFY, Some(Duration::from_secs(30)));
    assert!(ready.has(Readiness::NOTIFY));
    let notification = connection.take_notification().unwrap();
    assert_eq!(notification.payload(), b"hello");
    take_all(&mut connection);
    assert!(connection.poll().wants_read());
    connection.start_query("").unwrap();
    while !connection.wait(Some(Duration::from_secs(30))).is_failed() {
        take_all(&mut connection);
    }
    assert_eq!(connection.error().unwrap().message(), words);
}

/// Neither interest nor deadline nor anything to do: an internal error that names the await, never a hang.
#[test]
fn invariant_4_a_stall_is_an_internal_error_that_names_the_await() {
    let mut connection =
        Connection::open("host=127.0.0.1 user=tester connect_timeout=0 gssencmode=disable");
    // The question gets lost between the engine and the net.
    connection.engine_mut().advance(1, 1000);
    assert!(matches!(
        connection.engine_mut().ask(),
        Some((_, Ask::Dial { .. }))
    ));
    assert!(connection.poll().is_failed());
    let error = connection.error().unwrap().message();
    assert!(
        error.starts_with(
            "internal error: stalled while waiting for the socket to be connected (src/engine/"
        ),
        "{error}"
    );
}

/// Names are resolved outside of the engine; numeric addresses are not asked for at all. That no call enters a waiting
/// system call is held by `never_waits`.
#[test]
fn invariant_6_numeric_addresses_ask_nobody() {
    for (host, resolves) in [
        ("host=127.0.0.1", false),
        ("host=::1", false),
        ("hostaddr=10.1.2.3 host=name.example", false),
        ("host=/tmp", false),
        ("host=name.example", true),
        ("host=localhost", true),
    ] {
        let plan = plan(&format!("{host} user=tester"));
        let random = pgpoll::engine::Random::new([1; 32]);
        let mut engine = pgpoll::engine::Engine::new(plan, random, testkit::sim::ROOM);
        engine.advance(1, 1000);
        let (_, ask) = engine.ask().unwrap();
        assert_eq!(
            matches!(ask, Ask::Resolve { .. }),
            resolves,
            "{host}: {ask:?}"
        );
    }
}

/// Asks are numbered: a socket that is connected after its deadline, when another one was asked for, is nobody's.
#[test]
fn invariant_6_an_answer_to_an_old_ask_is_dropped() {
    let conninfo = "host=127.0.0.1,127.0.0.2 user=tester connect_timeout=3";
    let servers = [Server::IsSilent, Server::IsSilent];
    let mut bench = Bench::with(conninfo, servers, Pace::default());
    bench.poll();
    bench.now = bench.engine.deadline().unwrap();
    bench.poll();
    assert_eq!(bench.dialled, 2);
    bench.engine.answer(1, Answer::Dialled(Peer::default()));
    let need = bench.poll();
    assert!(need.answer && !need.write, "{need:?}");
    bench.engine.answer(2, Answer::Dialled(Peer::default()));
    bench.engine.advance(bench.now, 1000);
    assert!(bench.engine.need().write, "{}", bench.place());
}

/// Nothing of a connection changes when it is polled for no reason, at whatever moment.
#[test]
fn invariant_5_a_spurious_call_is_harmless() {
    let script = Script::trusting()
        .query("SELECT 1")
        .send(one_row())
        .query("SELECT 1")
        .send([row(&[])].concat());
    let mut bench = Bench::with(
        "host=127.0.0.1 user=tester",
        [Server::Plays(script)],
        Pace {
            inbound: Chunks::Of(1),
            ..Pace::default()
        },
    );
    let mut before = String::new();
    for _ in 0..2000 {
        let (_, progress) = bench.turn();
        let budget = bench.pace.budget;
        for _ in 0..3 {
            let need = bench.engine.advance(bench.now, budget);
            assert_eq!(need, bench.engine.advance(bench.now, budget));
        }
        if !progress {
            before = bench.place();
            break;
        }
    }
    for _ in 0..100 {
        bench.turn();
    }
    assert_eq!(before, bench.place());
    assert!(bench.engine.facts().is_ready());
}
