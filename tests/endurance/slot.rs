//! One place in the loop: a connection, its operations, another connection after it. Knows the poll contract, and does what it says.

use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::{Done, Item, Outcome, Reply, Verdict};
use pgpoll::net::clock;
use testkit::proxy::Proxy;

use crate::count::Count;
use crate::epoll::Epoll;
use crate::work::{Dice, Seen, Work};

/// How long an operation may take before the connection is given up, where no deadline was set.
const PATIENCE: Duration = Duration::from_secs(4);
/// With a deadline nothing takes that long, and if it does on a machine that is far too busy, it is no matter of ours.
const NEVER: Duration = Duration::from_secs(30);
/// The deadline of every operation of every other connection.
const LATE: Duration = Duration::from_millis(1500);
/// How long its cancel may take.
const CANCEL: Duration = Duration::from_millis(2000);

/// Where connections go.
#[derive(Debug)]
pub(crate) struct Place {
    conninfo: String,
    is_faulty: bool,
}

impl Place {
    /// A proxy, and what else to connect with.
    pub(crate) fn new(proxy: &Proxy, options: &str, is_faulty: bool) -> Place {
        let port = proxy.port();
        // Where nothing is wrong, only a machine that is far too busy makes it last.
        let seconds = if is_faulty { 3 } else { 60 };
        Place {
            conninfo: format!(
                "user=postgres dbname=postgres connect_timeout={seconds} {options} port={port}"
            ),
            is_faulty,
        }
    }
}

/// An operation under way.
#[derive(Debug)]
struct Pending {
    id: u64,
    work: Work,
    seen: Seen,
    begun: Instant,
    failed: bool,
    /// Its deadline has passed, or it was abandoned.
    unwanted: bool,
}

/// One of the loop's connections.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    number: usize,
    place: &'a Place,
    /// Operations have deadlines, and some are abandoned.
    is_hasty: bool,
    dice: Dice,
    conn: Option<Connection>,
    was_up: bool,
    pending: VecDeque<Pending>,
    /// Operations until the connection is closed.
    left: u64,
    /// When the loop calls, whatever the connection says: the end of a rest, or of patience.
    alarm: Instant,
    /// What epoll was told.
    watched: Option<(u64, u32, RawFd)>,
    pub(crate) ready: bool,
    /// The run is over: what is under way is lost.
    leaving: bool,
}

impl<'a> Slot<'a> {
    pub(crate) fn new(number: usize, seed: u64, place: &'a Place) -> Slot<'a> {
        let mut dice = Dice(seed ^ (number as u64) << 32);
        // They come one after another, as they would after a restart of the server.
        let rest = Duration::from_millis(dice.below(500) + 3 * number as u64);
        Slot {
            number,
            place,
            is_hasty: number / 8 % 2 == 1,
            dice,
            conn: None,
            was_up: false,
            pending: VecDeque::new(),
            left: 0,
            alarm: Instant::now() + rest,
            watched: None,
            ready: false,
            leaving: false,
        }
    }

    /// When to call at the latest.
    pub(crate) fn due(&mut self) -> Instant {
        let now = Instant::now();
        if self.ready {
            return now;
        }
        let deadline = self.conn.as_ref().and_then(Connection::deadline_ns);
        let deadline = deadline.map(|deadline| {
            let left = deadline.saturating_sub(clock::now_ns());
            now + Duration::from_nanos(left)
        });
        let due = deadline.map_or(self.alarm, |deadline| deadline.min(self.alarm));
        self.ready = due <= now;
        due
    }

    /// Does what there is to do.
    pub(crate) fn turn(&mut self, epoll: &mut Epoll, count: &mut Count) {
        if !std::mem::take(&mut self.ready) {
            return;
        }
        if self.conn.is_none() {
            if Instant::now() < self.alarm {
                return;
            }
            self.open(count);
        }
        let ready = self.poll(count);
        self.was_up |= self.conn.as_ref().unwrap().facts().is_ready();
        if ready.is_failed() {
            return self.over(count);
        }
        if ready.is_idle() {
            self.idle(count);
        } else if self.was_up && Instant::now() >= self.alarm {
            let excused = self.place.is_faulty && !self.is_hasty;
            assert!(excused, "asleep: {:?}", self.conn);
            count.given_up += 1;
            return self.close(count);
        }
        // Something was started, or there is more to do: once more before sleeping.
        self.ready |= ready.is_runnable();
        self.watch(epoll, ready);
    }

    fn open(&mut self, count: &mut Count) {
        let mut conn = Connection::open(&self.place.conninfo);
        conn.engine_mut().leave_answers(true);
        if self.is_hasty {
            conn.set_timeout(Some(LATE));
            // As with connecting: where nothing is wrong, there is time.
            let patience = if self.place.is_faulty { CANCEL } else { NEVER };
            conn.set_cancel_timeout(patience);
        }
        self.conn = Some(conn);
        count.opened += 1;
        self.was_up = false;
        self.watched = None;
        self.left = 1 + self.dice.below(30);
        self.alarm = Instant::now() + Duration::from_secs(3600);
    }

    /// Polls and takes until there is nothing more.
    fn poll(&mut self, count: &mut Count) -> Readiness {
        loop {
            let conn = self.conn.as_mut().unwrap();
            let ready = conn.poll();
            count.polls += 1;
            let deadline = conn.deadline_ns();
            let passed = deadline.is_some_and(|at| at + 1_000_000_000 < clock::now_ns());
            assert!(!passed, "a deadline is over: {}", conn.inspect());
            let mut some = false;
            while let Some(item) = self.conn.as_mut().unwrap().take() {
                self.heed(item, count);
                some = true;
            }
            if !some {
                return ready;
            }
        }
    }

    fn heed(&mut self, item: Item, count: &mut Count) {
        // A deadline is told of at once, whatever is still under way before that operation; all else comes in order.
        let is_late = matches!(&item.reply, Reply::Error(error) if error.is_timeout());
        let ours = |pending: &&mut Pending| !is_late || pending.id == item.operation;
        let first = self.pending.iter_mut().find(ours);
        let first = first.unwrap_or_else(|| panic!("nobody asked for {item:?}"));
        assert_eq!(item.operation, first.id, "out of order: {item:?}");
        first.seen.look(&item.reply);
        if let Reply::Error(error) = &item.reply {
            assert!(!first.failed, "a second error: {error}");
            first.failed = true;
            if error.is_timeout() {
                first.unwanted = true;
                count.late(first.begun.elapsed().saturating_sub(LATE));
            }
        }
        let Reply::Done(done) = item.reply else {
            return;
        };
        let pending = self.pending.pop_front().unwrap();
        self.alarm = Instant::now() + self.patience();
        self.ended(&pending, done, count);
    }

    fn ended(&self, pending: &Pending, done: Done, count: &mut Count) {
        let Pending { work, seen, .. } = pending;
        match (done.outcome, done.verdict) {
            (Outcome::Ok, Verdict::Clean) => {
                assert!(!pending.unwanted, "{pending:?}");
                assert!(work.is_right(seen), "{work:?} gave {seen:?}");
                count.right += 1;
            }
            (Outcome::Failed | Outcome::Skipped, Verdict::Lost) => {
                let excused = self.place.is_faulty || self.leaving;
                assert!(excused, "lost: {work:?} {:?}", self.conn);
                count.lost += 1;
            }
            (_, Verdict::Clean) if pending.unwanted => count.stopped += 1,
            (Outcome::Failed, Verdict::Clean) => {
                assert!(pending.failed, "{work:?} failed without a reason");
                let damaged = self.place.is_faulty;
                assert!(*work == Work::Fails || damaged, "{work:?} failed");
                count.failed += 1;
            }
            other => panic!("{work:?} ended {other:?}"),
        }
    }

    fn patience(&self) -> Duration {
        if self.is_hasty || !self.place.is_faulty {
            2 * NEVER
        } else {
            PATIENCE
        }
    }

    /// The connection has nothing to do: something is started, one operation or several, or it is closed.
    fn idle(&mut self, count: &mut Count) {
        if self.alarm > Instant::now() && self.pending.is_empty() && self.left > 0 && self.rests() {
            return;
        }
        if self.left == 0 {
            count.left += 1;
            return self.close(count);
        }
        let together = 1 + self.dice.below(4).min(self.left - 1);
        self.left -= together;
        for _ in 0..together {
            let conn = self.conn.as_mut().unwrap();
            let sleeps = self.is_hasty && self.dice.below(40) == 0;
            let work = if sleeps {
                Work::Sleep
            } else {
                Work::drawn(&mut self.dice)
            };
            let id = work.start(conn).unwrap();
            count.started += 1;
            let unwanted = self.is_hasty && self.dice.below(20) == 0;
            if unwanted {
                assert!(conn.abandon(id), "{work:?} cannot be abandoned");
            }
            self.pending.push_back(Pending {
                id,
                work,
                seen: Seen::default(),
                begun: Instant::now(),
                failed: false,
                unwanted,
            });
        }
        self.alarm = Instant::now() + self.patience();
        self.ready = true;
    }

    /// Now and then a connection stays idle for a while.
    fn rests(&mut self) -> bool {
        let rests = self.dice.below(10) == 0;
        if rests {
            self.alarm = Instant::now() + Duration::from_millis(self.dice.below(200));
        }
        rests
    }

    /// It is over by itself: everything that was under way has had its done.
    fn over(&mut self, count: &mut Count) {
        let conn = self.conn.take().unwrap();
        assert!(self.place.is_faulty, "{:?}", conn.error());
        count.ending(conn.error().unwrap());
        self.rest(count);
    }

    /// It is closed: what is under way ends now.
    fn close(&mut self, count: &mut Count) {
        let mut conn = self.conn.take().unwrap();
        conn.close();
        while let Some(item) = conn.take() {
            self.heed(item, count);
        }
        self.rest(count);
    }

    fn rest(&mut self, count: &mut Count) {
        assert!(
            self.pending.is_empty(),
            "without a done: {:?}",
            self.pending
        );
        count.came_up += u64::from(self.was_up);
        self.alarm = Instant::now() + Duration::from_millis(self.dice.below(50));
    }

    /// Leaves at the end of the run, whatever is under way.
    pub(crate) fn leave(&mut self, count: &mut Count) {
        self.leaving = true;
        if self.conn.is_some() {
            count.left += 1;
            self.close(count);
        }
    }

    /// Registers what the poll named: every other slot is edge-triggered.
    fn watch(&mut self, epoll: &mut Epoll, ready: Readiness) {
        let Some(conn) = &self.conn else {
            return;
        };
        let Some(socket) = conn.socket() else {
            assert!(self.ready, "nothing to wait for: {}", conn.inspect());
            return;
        };
        let mut events = 0;
        if ready.wants_read() {
            events |= libc::EPOLLIN as u32;
        }
        if ready.wants_write() {
            events |= libc::EPOLLOUT as u32;
        }
        if self.number % 2 == 1 {
            events = (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32;
        }
        let generation = conn.socket_generation();
        if self.watched == Some((generation, events, socket)) {
            return;
        }
        let known = self.watched.filter(|(before, ..)| *before == generation);
        if let (None, Some((_, _, old))) = (known, self.watched) {
            epoll.forget(old);
        }
        epoll.watch(known.is_none(), socket, events, self.number);
        self.watched = Some((generation, events, socket));
    }
}
