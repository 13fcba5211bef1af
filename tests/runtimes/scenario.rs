//! What a connection does in whatever runtime. Knows no runtime.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use pgpoll::conn::{Answer, Awaited, Connection, Reactor, Readiness};
use pgpoll::engine::{Outcome, Reply};
use pgpoll::error::{Error, Family};
use testkit::shared;

use super::Counted;

type Db<R> = Awaited<Counted<R>>;

async fn connect<R: Reactor>(reactor: Counted<R>) -> Db<R> {
    let connected = Awaited::connect(reactor, shared().conninfo()).await;
    let mut db = connected.unwrap();
    // However slow the machine is.
    let minute = Duration::from_secs(60);
    db.connection().set_cancel_timeout(minute);
    db
}

fn text(answer: &Answer) -> &str {
    std::str::from_utf8(answer.value().unwrap()).unwrap()
}

fn sqlstate<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    let error = answer.unwrap_err();
    String::from_utf8_lossy(error.sqlstate().unwrap_or_default()).into_owned()
}

fn start(connection: &mut Connection, sql: &str) -> u64 {
    connection.start_query_params(sql, &[], &(), 0).unwrap()
}

pub(crate) async fn a_pipeline_is_finished_in_its_order<R: Reactor + Clone>(reactor: Counted<R>) {
    let mut db = connect(reactor).await;
    let all = [
        "select 1",
        "select 1 / 0",
        "select 3",
        "select 4",
        "select 5",
    ];
    let started = all.map(|sql| start(db.connection(), sql));
    assert_eq!(text(&db.finish(started[0]).await.unwrap()), "1");
    assert_eq!(sqlstate(db.finish(started[1]).await), "22012");
    // Nobody asks for the third.
    assert_eq!(text(&db.finish(started[3]).await.unwrap()), "4");
    assert_eq!(text(&db.finish(started[4]).await.unwrap()), "5");
    let answer = db
        .query("select 6; select 7 from generate_series(1, 3)")
        .await;
    let answer = answer.unwrap();
    assert_eq!(
        (answer.rows(), answer.batches.len(), answer.tags.len()),
        (4, 2, 2)
    );
}

pub(crate) async fn a_deadline_ends_an_operation_and_nothing_else<R: Reactor + Clone>(
    reactor: Counted<R>,
) {
    let mut db = connect(reactor).await;
    db.connection()
        .set_timeout(Some(Duration::from_millis(100)));
    let late = db.query("select pg_sleep(600)").await.unwrap_err();
    assert!(late.is_timeout(), "{late}");
    db.connection().set_timeout(None);
    assert_eq!(text(&db.query("select 'there'").await.unwrap()), "there");
}

/// The second one's time is over before the first one is done, which waits for a lock: its error comes first.
pub(crate) async fn an_early_deadline_is_not_forgotten<R: Reactor + Clone>(reactor: Counted<R>) {
    let mut db = connect(reactor.clone()).await;
    let mut holder = connect(reactor).await;
    let key = db.connection().facts().backend_pid();
    let lock = format!("select pg_advisory_lock({key})");
    holder.query(lock).await.unwrap();
    let wait = format!("select 'first' from pg_advisory_lock({key})");
    let first = start(db.connection(), &wait);
    db.connection().set_timeout(Some(Duration::from_millis(50)));
    let second = start(db.connection(), "select 'second'");
    db.connection().set_timeout(None);
    let third = start(db.connection(), "select 'third'");
    let ready = db.until(Readiness::IDLE).await.unwrap();
    assert!(ready.has_result());
    let unlock = format!("select pg_advisory_unlock({key})");
    holder.query(unlock).await.unwrap();
    assert_eq!(text(&db.finish(first).await.unwrap()), "first");
    let late = db.finish(second).await.unwrap_err();
    assert!(late.is_timeout(), "{late}");
    assert_eq!(text(&db.finish(third).await.unwrap()), "third");
}

/// A future that is polled so often and no more.
struct Polled<'a, F>(Pin<&'a mut F>, usize);

impl<F: Future> Future for Polled<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<F::Output>> {
        if let Poll::Ready(value) = self.0.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        match self.1 {
            1 => Poll::Ready(None),
            _ => {
                self.1 -= 1;
                Poll::Pending
            }
        }
    }
}

pub(crate) async fn a_future_may_be_dropped_at_any_await<R: Reactor + Clone>(reactor: Counted<R>) {
    let mut db = connect(reactor).await;
    for polls in 1..6 {
        // One that is done whenever it is, one that never is, and one that has more than is taken.
        for sql in [
            "select repeat('x', 100) from generate_series(1, 2000)",
            "select pg_sleep(600)",
            "select generate_series(1, 100000000)",
        ] {
            {
                let query = pin!(db.query(sql));
                let never = sql.ends_with("(600)");
                // What never ends is not polled again.
                let polls = if never { 1 } else { polls };
                if let Some(answer) = Polled(query, polls).await {
                    assert_eq!(answer.unwrap().rows(), 2000);
                }
            }
            let after = db.query(format!("select {polls}")).await.unwrap();
            assert_eq!(text(&after), polls.to_string());
        }
        // Waiting for what is not lost by that.
        let started = start(db.connection(), "select 'kept'");
        for _ in 0..polls {
            let next = pin!(db.until(Readiness::RESULT));
            if Polled(next, 1).await.is_some() {
                break;
            }
        }
        assert_eq!(text(&db.finish(started).await.unwrap()), "kept");
    }
}

/// The runtime is asked to wait as often as there is something to wait for.
pub(crate) async fn waiting_is_no_work<R: Reactor + Clone>(reactor: Counted<R>) {
    let mut db = connect(reactor.clone()).await;
    let before = reactor.waits();
    db.connection().set_timeout(Some(Duration::from_secs(60)));
    db.query("select pg_sleep(0.5)").await.unwrap();
    // Twice for each wait: for the answer and for the deadline. What was seen before may be told once more.
    let waits = reactor.waits() - before;
    assert!(waits <= 10, "{waits}");
}

pub(crate) async fn rows_come_in_batches<R: Reactor + Clone>(reactor: Counted<R>) {
    let mut db = connect(reactor).await;
    db.connection().set_batch(1000, 0);
    let started = start(
        db.connection(),
        "select n from generate_series(1, 100000) as n",
    );
    let (mut rows, mut most) = (0, 0);
    let done = loop {
        let item = db.next().await.unwrap();
        assert_eq!(item.operation, started);
        match item.reply {
            Reply::Rows(batch) => {
                rows += batch.rows();
                most = most.max(batch.rows());
            }
            Reply::Done(done) => break done,
            _ => {}
        }
    };
    assert_eq!((rows, most, done.outcome), (100_000, 1000, Outcome::Ok));
}

pub(crate) async fn notifications_are_awaited<R: Reactor + Clone>(reactor: Counted<R>) {
    let mut listener = connect(reactor.clone()).await;
    let mut other = connect(reactor).await;
    let pid = listener.connection().facts().backend_pid();
    let channel = format!("channel_{pid}");
    listener.query(format!("listen {channel}")).await.unwrap();
    for n in 0..3 {
        other
            .query(format!("notify {channel}, '{n}'"))
            .await
            .unwrap();
    }
    for n in 0..3 {
        let heard = listener.notification().await.unwrap();
        assert_eq!(heard.payload(), n.to_string().as_bytes());
    }
}

pub(crate) async fn what_is_lost_is_said<R: Reactor + Clone>(reactor: Counted<R>) {
    let mut db = connect(reactor.clone()).await;
    let lost = db
        .query("select pg_terminate_backend(pg_backend_pid())")
        .await;
    assert_eq!(sqlstate(lost), "57P01");
    assert!(db.query("select 1").await.is_err());
    let nobody = Awaited::connect(reactor, "host=127.0.0.1 port=1").await;
    assert_eq!(nobody.err().unwrap().family(), Family::Transport);
}

pub(crate) async fn what_cannot_be_awaited_is_refused<R: Reactor + Clone>(reactor: Counted<R>) {
    let mut db = connect(reactor).await;
    let started = start(db.connection(), "select 1");
    db.finish(started).await.unwrap();
    let twice = db.finish(started).await.unwrap_err();
    assert_eq!(twice.family(), Family::Misuse);
    let copy = db
        .connection()
        .start_copy("copy (select 1) to stdout")
        .unwrap();
    assert_eq!(db.finish(copy).await.unwrap_err().family(), Family::Misuse);
    // It is given up, and nothing is started beside a COPY.
    while !db.until(Readiness::IDLE).await.unwrap().is_idle() {
        db.next().await.unwrap();
    }
    assert_eq!(text(&db.query("select 2").await.unwrap()), "2");
}
