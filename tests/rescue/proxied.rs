//! A real server behind a proxy that breaks the requests to cancel on purpose: the operation is stopped in the end, or the
//! connection is given up in time.

use std::time::{Duration, Instant};

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::{Done, Outcome, Reply, Verdict};
use testkit::proxy::{Fault, Faults, Proxy};
use testkit::shared;

const TIMEOUT: Duration = Duration::from_millis(100);
const CANCEL_TIMEOUT: Duration = Duration::from_millis(1500);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_millis(1000);

/// Runs a statement that is late through the proxy; its done, how long it took, and the connection.
fn late(proxy: &Proxy) -> (Done, Duration, Connection) {
    let port = proxy.port();
    let conninfo =
        format!("host=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=disable");
    let mut conn = Connection::open(conninfo);
    let up = conn.wait_for(Readiness::IDLE | Readiness::FAILED, None);
    assert!(up.is_idle(), "{:?}", conn.error());
    conn.set_timeout(Some(TIMEOUT));
    conn.set_cancel_timeout(CANCEL_TIMEOUT);
    let begun = Instant::now();
    conn.start_query("select pg_sleep(600)").unwrap();
    let done = take_done(&mut conn);
    (done, begun.elapsed(), conn)
}

fn take_done(conn: &mut Connection) -> Done {
    loop {
        while let Some(item) = conn.take() {
            if let Reply::Done(done) = item.reply {
                return done;
            }
        }
        conn.wait(Some(Duration::from_secs(30)));
    }
}

fn usable(conn: &mut Connection) {
    conn.set_timeout(None);
    conn.start_query("select 1").unwrap();
    let done = take_done(conn);
    assert_eq!((done.outcome, done.verdict), (Outcome::Ok, Verdict::Clean));
}

#[test]
fn a_request_that_gets_lost_is_made_again() {
    for faults in [
        Faults::refused(),
        Faults::none().to_server(0, Fault::Reset),
        Faults::none().to_server(7, Fault::Reset),
        Faults::none().to_server(7, Fault::Close),
        Faults::none().to_server(0, Fault::Insert(b"nonsense".to_vec())),
    ] {
        let shown = format!("{faults:?}");
        let proxy = Proxy::start(shared(), move |number| match number {
            1 => faults.clone(),
            _ => Faults::none(),
        });
        let (done, took, mut conn) = late(&proxy);
        assert_eq!(
            (done.outcome, done.verdict),
            (Outcome::Failed, Verdict::Clean),
            "{shown}"
        );
        assert!(
            took >= TIMEOUT + Duration::from_millis(500),
            "{shown}: {took:?}"
        );
        assert!(took < TIMEOUT + CANCEL_TIMEOUT + SLACK, "{shown}: {took:?}");
        usable(&mut conn);
    }
}

#[test]
fn requests_that_nobody_answers_cost_the_connection() {
    for faults in [
        Faults::silent(),
        Faults::none().to_server(0, Fault::BlackHole),
        Faults::none().to_server(15, Fault::BlackHole),
        Faults::refused(),
    ] {
        let shown = format!("{faults:?}");
        let proxy = Proxy::start(shared(), move |number| match number {
            0 => Faults::none(),
            _ => faults.clone(),
        });
        let (done, took, conn) = late(&proxy);
        assert_eq!(done.verdict, Verdict::Lost, "{shown}");
        assert!(took >= TIMEOUT + CANCEL_TIMEOUT, "{shown}: {took:?}");
        assert!(took < TIMEOUT + CANCEL_TIMEOUT + SLACK, "{shown}: {took:?}");
        let error = conn.error().unwrap().message();
        assert!(
            error.starts_with("timeout expired: the server did not"),
            "{error}"
        );
    }
}

/// The end of the request comes long after the end of the operation: what is started meanwhile is not sent before it.
#[test]
fn what_follows_waits_for_the_end_of_the_request() {
    let delay = Duration::from_millis(700);
    let proxy = Proxy::start(shared(), move |number| match number {
        0 => Faults::none(),
        _ => Faults::none().to_client(0, Fault::Delay(delay)),
    });
    let (done, _, mut conn) = late(&proxy);
    assert_eq!(
        (done.outcome, done.verdict),
        (Outcome::Failed, Verdict::Clean)
    );
    let before = proxy.counts().to_server;
    conn.set_timeout(None);
    conn.start_query("select 1").unwrap();
    assert!(!conn.poll().is_idle());
    if conn.engine().is_rescuing() {
        assert!(conn.engine().output().is_empty(), "{}", conn.inspect());
        assert_eq!(proxy.counts().to_server, before);
    }
    let done = take_done(&mut conn);
    assert_eq!((done.outcome, done.verdict), (Outcome::Ok, Verdict::Clean));
}
