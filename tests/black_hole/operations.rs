//! Operations with a deadline at a server that has fallen silent: the error comes at the deadline, the done when the time of the
//! request to cancel is over, too, and then the connection is over.

use std::time::{Duration, Instant};

use pgpoll::conn::Connection;
use pgpoll::engine::{Done, Outcome, Phase, Reply, Verdict};
use testkit::crowd::{self, Crowd};
use testkit::script::{Script, Scripted};
use testkit::sim::Bench;

use crate::standstill::{Peer, Point, Stand, Where, every};
use crate::{SLACK, TIMEOUT, check, sleep};

/// What happened, and when.
#[derive(Debug, Default)]
struct Seen {
    errors: Vec<(Duration, String)>,
    done: Option<(Duration, Done)>,
    over: Option<Duration>,
    wakes: u32,
}

/// Sleeps as a caller's loop does, until the connection is over.
fn until_over(conn: &mut Connection, begun: Instant) -> Seen {
    let mut seen = Seen::default();
    loop {
        let ready = conn.poll();
        while let Some(item) = conn.take() {
            match item.reply {
                Reply::Error(error) => {
                    let text = error.message().to_owned();
                    seen.errors.push((begun.elapsed(), text));
                }
                Reply::Done(done) => seen.done = Some((begun.elapsed(), done)),
                _ => {}
            }
        }
        if conn.poll().is_failed() {
            seen.over = Some(begun.elapsed());
            return seen;
        }
        let told = conn.deadline_ms();
        let told = told.unwrap_or_else(|| panic!("no deadline: {}", conn.inspect()));
        sleep(conn.socket(), ready.wants_read(), ready.wants_write(), told);
        seen.wakes += 1;
        assert!(begun.elapsed() < 10 * TIMEOUT, "{}", conn.inspect());
    }
}

fn in_time(name: &str, took: Duration, expected: Duration) {
    assert!(took >= expected, "{name}: {took:?}");
    assert!(took < expected + SLACK, "{name}: {took:?}");
}

/// The operation that was started with a deadline ends in time, and with it the connection.
fn ends_in_time(name: &str, conn: &mut Connection, begun: Instant) {
    let seen = until_over(conn, begun);
    let [(error, text)] = &seen.errors[..] else {
        panic!("{name}: {seen:?}");
    };
    let (done, what) = seen.done.unwrap_or_else(|| panic!("{name}: {seen:?}"));
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "black hole: {name:34} error after {:7.1} ms, done after {:7.1} ms, {} wakes",
        ms(*error),
        ms(done),
        seen.wakes
    );
    assert!(text.contains("timeout expired"), "{name}: {text}");
    in_time(name, *error, TIMEOUT);
    in_time(name, done, 2 * TIMEOUT);
    in_time(name, seen.over.unwrap(), 2 * TIMEOUT);
    assert_eq!(
        (what.outcome, what.verdict),
        (Outcome::Failed, Verdict::Lost)
    );
    assert!(seen.wakes <= 12, "{name}: it woke {} times", seen.wakes);
}

fn set_timeouts(conn: &mut Connection) {
    conn.set_timeout(Some(TIMEOUT));
    conn.set_cancel_timeout(TIMEOUT);
}

fn operations() -> impl Iterator<Item = &'static Point> {
    let points = every().iter();
    points.filter(|point| point.place == Where::Server && point.act.is_some())
}

/// The server neither answers nor takes the request to cancel.
#[test]
fn an_operation_ends_at_its_deadline() {
    std::thread::scope(|scope| {
        for point in operations() {
            scope.spawn(|| {
                let peer = Peer::to_be_left(point);
                let mut stand = Stand::prepared(peer, point, "", set_timeouts);
                ends_in_time(point.name, &mut stand.conn, stand.begun);
            });
        }
    });
}

/// A server that answers no query, and whoever takes its cancel requests.
fn while_cancelling(name: &str, options: &str, first: Script, then: Option<Script>) {
    let listener = crowd::listener();
    let silent = Scripted::over(listener.try_clone().unwrap(), &[first]);
    let mut conn = Connection::open(format!("{} {options}", silent.conninfo()));
    set_timeouts(&mut conn);
    while !conn.wait(None).is_idle() {
        assert!(conn.error().is_none(), "{:?}", conn.error());
    }
    let (mut crowd, mut taker) = (None, None);
    match then {
        None => crowd = Some(Crowd::before(listener)),
        Some(script) => taker = Some(Scripted::over(listener, &[script])),
    }
    let begun = Instant::now();
    conn.start_query("select 2").unwrap();
    ends_in_time(name, &mut conn, begun);
    drop((conn, crowd, taker));
}

/// The request to cancel falls into a black hole at each point of its own.
#[test]
fn an_automatic_cancel_has_a_deadline_wherever_it_stands() {
    const TLS: &str = "sslmode=require";
    let plain = || Script::trusting().halt();
    let tls = || Script::encrypted().and(&plain());
    let asked = || Script::new().ssl_request();
    let cases = [
        ("cancel: dialling", "", plain(), None),
        (
            "cancel: the request is not read",
            "",
            plain(),
            Some(Script::new().halt()),
        ),
        (
            "cancel: no end of the connection",
            "",
            plain(),
            Some(Script::new()),
        ),
        (
            "cancel: encryption asked for",
            TLS,
            tls(),
            Some(asked().halt()),
        ),
        (
            "cancel: hello sent",
            TLS,
            tls(),
            Some(asked().send("S").halt()),
        ),
        (
            "cancel: half a flight",
            TLS,
            tls(),
            Some(asked().send("S").flight(500).halt()),
        ),
        (
            "cancel: no end under TLS",
            TLS,
            tls(),
            Some(Script::encrypted()),
        ),
    ];
    std::thread::scope(|scope| {
        for (name, options, first, then) in cases {
            scope.spawn(move || while_cancelling(name, options, first, then));
        }
    });
}

/// The server hears the goodbye, and does not go.
#[test]
fn a_shutdown_ends_at_its_deadline() {
    std::thread::scope(|scope| {
        let idle = every().iter().filter(|point| point.phase == Phase::Ready);
        for point in idle.filter(|point| point.act.is_none()) {
            scope.spawn(|| {
                let peer = Peer::to_be_left(point);
                let mut stand = Stand::over(peer, point, "");
                let begun = Instant::now();
                stand.conn.start_shutdown(Some(TIMEOUT)).unwrap();
                let seen = until_over(&mut stand.conn, begun);
                let name = format!("shutdown, {}", point.name);
                check(&name, seen.over.unwrap(), seen.wakes);
                assert!(seen.done.is_some(), "{name}");
            });
        }
    });
}

/// The same on the simulated clock, to the nanosecond.
#[test]
fn on_the_simulated_clock_everything_comes_in_the_poll_at_its_deadline() {
    const LATE: u64 = 3_000_000_000;
    const PATIENCE: u64 = 5_000_000_000;
    let mut cases = 0;
    for point in operations().filter(|point| point.options.is_empty()) {
        let name = point.name;
        let mut bench = Bench::connected(&point.script());
        bench.engine.set_timeout(Some(Duration::from_nanos(LATE)));
        point.act.unwrap().start_on(&mut bench.engine);
        bench.poll();
        let begun = bench.now;
        assert_eq!(bench.engine.deadline(), Some(begun + LATE), "{name}");
        let nothing_until = |bench: &mut Bench, end: u64| {
            // The loop comes back when it is told to, and at the last moment before the end.
            while let Some(next) = bench.engine.deadline().filter(|next| *next < end) {
                assert!(next > bench.now, "{name}: told to come back at once");
                bench.now = next;
                bench.poll();
                assert!(!bench.engine.has_item(), "{name}: too early");
            }
            bench.now = end - 1;
            bench.poll();
            assert!(!bench.engine.has_item(), "{name}: too early");
            bench.now = end;
            bench.poll();
        };
        nothing_until(&mut bench, begun + LATE);
        let item = bench.engine.take().unwrap();
        assert!(matches!(item.reply, Reply::Error(_)), "{name}: {item:?}");
        nothing_until(&mut bench, begun + LATE + PATIENCE);
        let item = bench.engine.take().unwrap();
        let Reply::Done(done) = item.reply else {
            panic!("{name}: {item:?}");
        };
        assert_eq!(done.verdict, Verdict::Lost, "{name}");
        assert!(bench.engine.error().is_some(), "{name}");
        assert_eq!(bench.engine.deadline(), None, "{name}");
        cases += 1;
    }
    println!("black hole under operations, on the simulated clock: {cases} points");
    assert!(cases >= 3);
}
