//! Brings a connection to each point of its life and holds it there, with a peer that neither answers nor reads until it is told to
//! go on. Shared by the tests of what may happen at such a point.
#![allow(dead_code)] // no test needs all of it

mod names;
mod points;

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::{Done, Item, Reply};
use pgpoll::error::Error;
use testkit::crowd::Crowd;
use testkit::script::{Played, Script, Scripted};

#[allow(unused_imports)]
pub(crate) use points::{Act, Point, Where, connecting, every};

pub(crate) const LONG: Duration = Duration::from_secs(20);

/// The peer of one connection.
#[derive(Debug)]
pub(crate) struct Peer {
    server: Option<Scripted>,
    crowd: Option<Crowd>,
    /// Whoever takes the request to cancel, from its time on, and where.
    canceller: Option<Scripted>,
    listener: Option<TcpListener>,
    script: Script,
    name: String,
    conninfo: String,
}

impl Peer {
    /// A peer that will stand still at this point, and then go on.
    pub(crate) fn of(point: &Point) -> Peer {
        Self::with(point, point.script())
    }

    /// The same, but all that it does when it goes on is to read what comes.
    pub(crate) fn to_be_left(point: &Point) -> Peer {
        Self::with(point, point.script().until_halt())
    }

    fn with(point: &Point, script: Script) -> Peer {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("held-{}.test", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (mut server, mut crowd, mut listener) = (None, None, None);
        let conninfo = if point.place == Where::Dialling {
            let full = crowd.insert(Crowd::new());
            let port = full.port();
            format!(
                "host=127.0.0.1 port={port} user=tester dbname=scripted password=secret sslmode=disable"
            )
        } else {
            let own = listener.insert(TcpListener::bind("127.0.0.1:0").unwrap());
            let own = own.try_clone().unwrap();
            let started = Scripted::over(own, std::slice::from_ref(&script));
            server.insert(started).conninfo()
        };
        let conninfo = match point.place {
            Where::Resolving => conninfo.replace("127.0.0.1", &name),
            _ => conninfo,
        };
        Peer {
            server,
            crowd,
            canceller: None,
            listener,
            script,
            name,
            conninfo: format!("{conninfo} {}", point.options),
        }
    }

    /// How to reach it.
    pub(crate) fn conninfo(&self) -> &str {
        &self.conninfo
    }

    /// Whether the server's side has come to the point.
    fn is_there(&self, point: &Point) -> bool {
        match point.place {
            Where::Resolving | Where::Dialling => true,
            Where::Server => self.server.as_ref().is_some_and(Scripted::is_halted),
            Where::Cancelling => self.canceller.as_ref().is_some_and(Scripted::is_halted),
        }
    }

    /// The request to cancel is coming: the server itself takes no other connection.
    fn expect_cancel(&mut self, point: &Point) {
        let listener = self.listener.take().unwrap();
        self.canceller = Some(Scripted::over(listener, &[point.canceller()]));
    }

    /// Ends the standstill.
    pub(crate) fn go_on(&mut self) {
        if let Some(crowd) = self.crowd.take() {
            self.server = Some(Scripted::over(
                crowd.disperse(),
                std::slice::from_ref(&self.script),
            ));
        }
        names::open(&self.name);
        for server in [&self.server, &self.canceller].into_iter().flatten() {
            server.go_on();
        }
    }

    /// What the server heard of the one connection, once that is closed.
    pub(crate) fn finish(mut self) -> Played {
        for played in self.canceller.take().into_iter().flat_map(Scripted::finish) {
            assert!(played.is_over, "the request to cancel");
        }
        let played = self.server.take().unwrap().finish();
        played.into_iter().next().unwrap()
    }
}

/// A resolver that nobody waits for any more answers, so that its thread ends.
impl Drop for Peer {
    fn drop(&mut self) {
        names::open(&self.name);
    }
}

/// A connection that stands still at a point, and its peer.
#[derive(Debug)]
pub(crate) struct Stand {
    pub(crate) point: &'static Point,
    pub(crate) conn: Connection,
    pub(crate) peer: Peer,
    pub(crate) operation: Option<u64>,
    /// When the last attempt to do something began.
    pub(crate) begun: Instant,
}

impl Stand {
    /// Goes there.
    pub(crate) fn at(point: &'static Point, options: &str) -> Stand {
        Stand::over(Peer::of(point), point, options)
    }

    /// The same with a peer that is there already.
    pub(crate) fn over(peer: Peer, point: &'static Point, options: &str) -> Stand {
        Stand::prepared(peer, point, options, |_| ())
    }

    /// The same with a connection to which something is said before it does anything.
    pub(crate) fn prepared(
        peer: Peer,
        point: &'static Point,
        options: &str,
        prepare: impl FnOnce(&mut Connection),
    ) -> Stand {
        let begun = Instant::now();
        let mut conn = Connection::open(format!("{} {options}", peer.conninfo()));
        prepare(&mut conn);
        let mut stand = Stand {
            point,
            conn,
            peer,
            operation: None,
            begun,
        };
        stand.reach();
        stand
    }

    fn reach(&mut self) {
        // With something to do, the server may be there only then.
        let there = |stand: &Self| stand.point.act.is_some() || stand.peer.is_there(stand.point);
        while self.conn.facts().phase() != self.point.phase || !there(self) {
            self.conn.wait_for(0, Some(Duration::from_millis(1)));
            let place = self.conn.inspect();
            assert!(self.conn.error().is_none(), "{}: {place}", self.point.name);
            assert!(self.begun.elapsed() < LONG, "{}: {place}", self.point.name);
        }
        let is_late = self.point.place == Where::Cancelling;
        if is_late {
            self.peer.expect_cancel(self.point);
            self.conn.set_timeout(Some(Duration::from_millis(50)));
            self.conn.set_cancel_timeout(LONG);
        }
        if let Some(act) = self.point.act {
            self.begun = Instant::now();
            self.operation = Some(act.start(&mut self.conn));
        }
        if is_late {
            self.conn.set_timeout(None);
        }
        // Everything that can move moves first.
        let mut quiet = 0;
        while quiet < 10 || !self.peer.is_there(self.point) {
            assert!(self.begun.elapsed() < LONG, "{}", self.point.name);
            let before = self.conn.engine().output().len();
            std::thread::sleep(Duration::from_millis(1));
            self.conn.poll();
            while let Some(item) = self.conn.take() {
                let is_timeout = |error: &Error| {
                    error
                        .message()
                        .starts_with("timeout expired: query not done")
                };
                let due = matches!(&item.reply, Reply::Error(error) if is_timeout(error));
                assert!(is_late && due, "{}: {item:?}", self.point.name);
            }
            let still = before == self.conn.engine().output().len();
            quiet = if still { quiet + 1 } else { 0 };
        }
        assert_eq!(self.conn.facts().phase(), self.point.phase);
    }

    /// The peer goes on, and everything ends well: the operation under way, another one, and the connection.
    pub(crate) fn end_well(mut self) -> Played {
        self.peer.go_on();
        self.finish_well()
    }

    /// The same when the peer goes on already.
    pub(crate) fn finish_well(mut self) -> Played {
        self.wait_until_idle();
        let operation = self.conn.start_query("select 1").unwrap();
        let items = self.wait_until_idle();
        let rows = |item: &Item| match &item.reply {
            Reply::Rows(batch) => batch.rows(),
            _ => 0,
        };
        let rows: usize = items.iter().map(rows).sum();
        assert_eq!(rows, 1, "{}: {items:?}", self.point.name);
        assert_eq!(done(&items), Some(operation));
        let Stand { conn, peer, .. } = self;
        drop(conn);
        peer.finish()
    }

    fn wait_until_idle(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        loop {
            let ready = self.conn.wait_for(Readiness::SOMETHING, Some(LONG));
            let (name, place) = (self.point.name, self.conn.inspect());
            let error = self.conn.error();
            assert!(error.is_none(), "{name}: {error:?} {place}");
            assert!(ready.is_something(), "asleep at {name}: {place}");
            while let Some(item) = self.conn.take() {
                assert!(!matches!(item.reply, Reply::Error(_)), "{name}: {item:?}");
                items.push(item);
            }
            if self.conn.facts().is_ready() && self.conn.engine().queued() == 0 {
                return items;
            }
        }
    }
}

/// The operation whose done is the last item.
fn done(items: &[Item]) -> Option<u64> {
    let last = items.last()?;
    matches!(last.reply, Reply::Done(Done { .. })).then_some(last.operation)
}
