//! A connection: the engine coupled with a real transport. Both faces stand on it; it knows no C.

mod cancel;
mod given;
mod place;
mod readiness;
mod rescue;
mod start;
mod tls;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

pub use cancel::{Cancel, CancelPoll};
pub use readiness::{Readiness, State};
pub use tls::{TLS_ATTRIBUTES, TLS_LIBRARY};

use self::rescue::Rescue;
use crate::auth::wiping;
use crate::conninfo::{Options, Plan, Surroundings, TcpOptions, Tls};
use crate::engine::{Engine, Facts, Item, Need, Notice, Notification, Random, Room};
use crate::error::Error;
use crate::link::Ask;
use crate::net::{Interest, Net, Received, Sent, clock, entropy, same_tls};
use crate::rows::Limits;

/// Bytes that one poll receives at most, and works through at most: well below a millisecond of work.
const BUDGET: usize = 512 * 1024;

/// What [`Connection::set_batch`] and the taker leave in the connection before reading stops.
const NATIVE_ROOM: Room = Room {
    items: 256,
    bytes: 1024 * 1024,
    inbox: 1024 * 1024,
};

/// A connection to a PostgreSQL server.
///
/// Start an operation, [`poll`](Connection::poll), wait for what the poll names, poll again, [`take`](Connection::take)
/// the items. No call waits, except [`wait`](Connection::wait).
#[derive(Debug)]
pub struct Connection {
    engine: Engine,
    net: Net,
    options: Options,
    warnings: Vec<String>,
    room: Room,
    limits: Limits,
    /// The generation of the descriptor that the caller was told of, its lower half.
    told: u32,
    /// Sending has failed: what the server said before is read first.
    send_failed: Option<crate::link::LinkError>,
    write_blocked: bool,
    /// The last receiving got less than there was room for: nothing more had arrived then.
    all_received: bool,
    /// Nothing more had arrived at the last look.
    quiet: bool,
    /// Something was received that the protocol has not been run on yet.
    heard: bool,
    /// There are no options to connect with.
    hopeless: bool,
    /// The transport is the caller's.
    given: bool,
    /// How a request to cancel connects: the plan itself is gone once the connection is up.
    tcp: TcpOptions,
    tls: Option<Arc<Tls>>,
    connect_timeout: Option<Duration>,
    /// A request to cancel an operation that nobody wants any more.
    rescue: Option<Box<Rescue>>,
    /// How often the descriptor to wait for has become another one for its sake.
    switches: u32,
}

impl Connection {
    /// Begins to connect as a connection string or URI says (manual, "Connection Strings"). Files (service, password)
    /// are read now; everything else happens in [`poll`](Connection::poll). A string that makes no sense gives a
    /// connection that is over at once, with the reason.
    pub fn open(conninfo: impl AsRef<[u8]>) -> Self {
        match Options::parse(conninfo.as_ref()) {
            Ok(options) => Self::open_options(options),
            Err(error) => Self::failed(Error::misuse(error.to_string())),
        }
    }

    /// The same from options that were parsed already.
    pub fn open_options(options: Options) -> Self {
        Self::open_with(options, NATIVE_ROOM)
    }

    /// The same with a policy of how much may be finished and not taken.
    pub fn open_with(options: Options, room: Room) -> Self {
        Self::open_over(options, room, None)
    }

    /// The same over what the caller has connected, if it is `given`.
    fn open_over(mut options: Options, room: Room, given: Option<Net>) -> Self {
        let surroundings = Surroundings::real();
        let planned = wiping(|| {
            options.fill_defaults(&surroundings)?;
            let planned = match given {
                None => options.plan(&surroundings)?,
                Some(_) => options.plan_given(&surroundings)?,
            };
            options.settle(&planned.0, &surroundings)?;
            Ok::<_, crate::conninfo::Error>(planned)
        });
        let mut connection = match planned {
            Ok((plan, warnings)) => Self::over_plan(plan, warnings, room),
            Err(error) => {
                Self::with_engine(Engine::failed(Error::misuse(error.to_string()), room), room)
            }
        };
        connection.options = options;
        if let Some(net) = given {
            connection.net = net;
            connection.given = true;
        }
        connection
    }

    /// A connection that is over from the beginning, for a reason that comes before the options.
    pub fn failed(error: Error) -> Self {
        let mut connection = Self::with_engine(Engine::failed(error, NATIVE_ROOM), NATIVE_ROOM);
        connection.hopeless = true;
        connection
    }

    fn over_plan(mut plan: Plan, warnings: Vec<String>, room: Room) -> Self {
        plan.tls = plan.tls.map(same_tls);
        let (tcp, tls) = (plan.tcp.clone(), plan.tls.clone());
        let connect_timeout = plan.connect_timeout;
        let engine = match entropy() {
            Ok(seed) => Engine::new(plan, Random::new(seed), room),
            Err(error) => Engine::failed(error.into(), room),
        };
        let mut connection = Self::with_engine(engine, room);
        connection.warnings = warnings;
        connection.tcp = tcp;
        connection.tls = tls;
        connection.connect_timeout = connect_timeout;
        connection
    }

    fn with_engine(engine: Engine, room: Room) -> Self {
        Self {
            engine,
            net: Net::new(),
            options: Options::default(),
            warnings: Vec::new(),
            room,
            limits: Limits::NONE,
            told: 0,
            send_failed: None,
            write_blocked: false,
            all_received: false,
            quiet: true,
            heard: false,
            hopeless: false,
            given: false,
            tcp: TcpOptions::default(),
            tls: None,
            connect_timeout: None,
            rescue: None,
            switches: 0,
        }
    }

    /// Closes the connection and begins anew with the same options: files are read again, names resolved again. Without
    /// options, because they made no sense, it stays over. Over a transport of the caller's it is over then: that cannot be had again.
    pub fn reset(&mut self) {
        if self.hopeless {
            return;
        }
        if self.given {
            return self.refuse_reset();
        }
        let mut fresh = Self::open_with(self.options.clone(), self.room);
        fresh.limits = self.limits;
        fresh.engine.set_limits(self.limits);
        self.say_goodbye();
        self.net.hangup();
        // The net lives on: its descriptors are closed only at the next poll, and its generation keeps counting.
        std::mem::swap(&mut fresh.net, &mut self.net);
        fresh.told = self.told;
        fresh.take_over_rescue(self);
        *self = fresh;
    }

    /// Moves bytes both ways and runs the protocol until nothing changes; says what to wait for.
    pub fn poll(&mut self) -> Readiness {
        self.net.release_retired();
        if self.rescue.is_some() {
            self.release_cancel();
        }
        if let Err(error) = self.engine.flush_open_group() {
            self.engine.end(error);
        }
        let now = clock::now_ns();
        self.write_blocked = false;
        self.all_received = false;
        let mut left = BUDGET;
        let mut drained = false;
        let mut news = self.engine.has_news(now) || self.heard;
        self.heard = false;
        let mut need = loop {
            let need = self.engine.need();
            if need.answer || self.engine.asks() {
                news |= self.converse();
            }
            if self.rescue.is_some() {
                news |= self.go_on_cancelling();
            }
            if self.net.has_unsent() && !need.write {
                self.net.send_unsent();
            }
            // What went out whole is answered, and the answer makes the socket readable: if nothing had arrived before, a
            // look now would be in vain.
            let asked = need.write && !self.write_blocked && self.flush();
            if asked && self.quiet && self.is_answer_due() {
                drained = true;
            }
            // With all of it received and something to take, the caller polls again before it waits: that poll sees the rest.
            let enough = self.all_received && self.engine.peek().is_some();
            if need.read && !drained && left > 0 && !enough {
                match self.receive(left) {
                    Some(0) => drained = true,
                    Some(count) => {
                        left -= count;
                        self.quiet = self.all_received;
                        news = true;
                    }
                    None => {
                        drained = true;
                        news = true;
                    }
                }
            }
            if !news {
                break need;
            }
            news = false;
            self.engine.advance(now, BUDGET);
        };
        self.engine.release();
        self.quiet = drained || self.all_received;
        need.runnable |= need.read && (left == 0 && !drained || self.net.has_input());
        need.write &= self.engine.has_output();
        need.write |= self.net.has_unsent();
        let ready = self.readiness(need);
        if ready.is_stalled() && self.engine.deadline().is_none() {
            return self.stalled();
        }
        ready
    }

    /// Whether everything was sent, and a reply is to come: to an operation, or to what connecting has sent.
    #[inline]
    fn is_answer_due(&self) -> bool {
        (self.engine.queued() > 0 || !self.facts().is_ready())
            && !self.engine.has_output()
            && self.send_failed.is_none()
    }

    /// Carries questions and answers between the engine and the net; true when there was one.
    pub fn converse(&mut self) -> bool {
        let mut progress = false;
        while let Some((id, ask)) = self.engine.ask() {
            if matches!(ask, Ask::Cancel { .. }) {
                progress |= self.begin_cancel(id);
                continue;
            }
            self.end_cancel();
            self.net.ask(id, ask);
            self.send_failed = None;
        }
        if let Some((id, answer)) = self.net.answer() {
            self.engine.answer(id, answer);
            progress = true;
        }
        progress
    }

    /// Sends queued output until the socket takes no more; true when some of it went.
    pub fn flush(&mut self) -> bool {
        if self.send_failed.is_some() {
            return false;
        }
        let mut progress = false;
        loop {
            let output = self.engine.output();
            if output.is_empty() {
                return progress;
            }
            match self.net.send(output) {
                Sent::Bytes(count) => {
                    self.engine.sent(count);
                    progress = true;
                }
                Sent::Wait => {
                    self.write_blocked = true;
                    self.engine.committed(self.net.committed());
                    return progress;
                }
                Sent::Failed(error) => {
                    self.send_failed = Some(error);
                    return true;
                }
            }
        }
    }

    /// Whether sending has failed: the reason is told when nothing better is read.
    pub fn is_send_broken(&self) -> bool {
        self.send_failed.is_some()
    }

    /// Receives once, at most `most` bytes: how many came, 0 when nothing has arrived, `None` when the transport is gone.
    #[inline(always)]
    fn receive(&mut self, most: usize) -> Option<usize> {
        let room = self.engine.room()?;
        let most = most.min(room.most);
        match self.net.receive_behind(room.chunk, most) {
            Received::Bytes(count) => {
                self.engine.received(count);
                self.all_received = count < most && !self.net.has_more();
                Some(count)
            }
            Received::Wait => {
                let error = self.send_failed.take();
                match error {
                    None => Some(0),
                    Some(error) => {
                        self.engine.lost(error);
                        None
                    }
                }
            }
            Received::Failed(error) => {
                self.engine.lost(error);
                None
            }
        }
    }

    /// Receives what has arrived, without parsing it and even while finished items wait to be taken: how many bytes came.
    /// That the transport is gone is seen in [`Engine::loss`].
    pub fn consume_input(&mut self) -> usize {
        let mut count = 0;
        self.heard = true;
        // What is in memory already no descriptor will show: that goes beyond the budget.
        while (count < BUDGET || self.net.has_input()) && self.engine.is_linked() {
            match self.receive(usize::MAX) {
                Some(0) | None => break,
                Some(received) => count += received,
            }
        }
        self.engine.release();
        count
    }

    /// Runs the protocol on what has been received, without I/O.
    pub fn advance(&mut self) -> Need {
        let need = self.engine.advance(clock::now_ns(), usize::MAX);
        self.engine.release();
        need
    }

    /// Polls, and waits for what it names, until there is something to take or do, or `timeout` is over (`None`: no
    /// limit). The one call that waits.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Readiness {
        self.wait_for(Readiness::SOMETHING, timeout)
    }

    /// The same, until the poll says one of `bits`, or nothing more can come before something is taken.
    pub fn wait_for(&mut self, bits: u32, timeout: Option<Duration>) -> Readiness {
        let end = timeout.map(|timeout| clock::now_ns().saturating_add(timeout.as_nanos() as u64));
        loop {
            let ready = self.poll();
            let waits = Readiness::WANT_READ | Readiness::WANT_WRITE | Readiness::RUNNABLE;
            // What is left untaken may have stopped the reading: then there is nothing to wait for.
            if ready.has(bits) || (ready.is_something() && !ready.has(waits)) {
                return ready;
            }
            // Nobody else could bring or carry anything meanwhile.
            if self.is_stream() && !ready.is_runnable() {
                return ready;
            }
            let now = clock::now_ns();
            if end.is_some_and(|end| now >= end) {
                return ready;
            }
            if ready.is_runnable() {
                continue;
            }
            let until = match (end, self.deadline_ns()) {
                (Some(end), Some(deadline)) => Some(end.min(deadline)),
                (end, deadline) => end.or(deadline),
            };
            let timeout = until.map(|until| Duration::from_nanos(until.saturating_sub(now)));
            crate::net::wait(
                self.socket(),
                ready.wants_read(),
                ready.wants_write(),
                timeout,
            );
        }
    }

    /// The next finished item; `None` when nothing is finished now.
    #[inline]
    pub fn take(&mut self) -> Option<Item> {
        if self.engine.peek().is_none() {
            self.catch_up();
        }
        self.engine.take()
    }

    /// What was read before there was room is looked at without I/O.
    #[inline(never)]
    fn catch_up(&mut self) {
        if !self.engine.need().read && self.engine.error().is_none() {
            self.engine.advance(clock::now_ns(), BUDGET);
        }
    }

    /// The next notice.
    pub fn take_notice(&mut self) -> Option<Notice> {
        self.engine.notice()
    }

    /// The next notification.
    pub fn take_notification(&mut self) -> Option<Notification> {
        self.engine.notification()
    }

    /// The descriptor to wait for; it may be another one after each poll that says so.
    #[inline]
    pub fn socket(&self) -> Option<RawFd> {
        if self.rescue.is_some()
            && let Some(socket) = self.cancel_socket()
        {
            return Some(socket);
        }
        self.net.fd()
    }

    /// Goes up whenever [`socket`](Connection::socket) changes.
    #[inline]
    pub fn socket_generation(&self) -> u64 {
        self.net.generation() + u64::from(self.switches)
    }

    /// When to poll at the latest: nanoseconds of CLOCK_MONOTONIC.
    #[inline]
    pub fn deadline_ns(&self) -> Option<u64> {
        let deadline = self.engine.deadline();
        if self.rescue.is_none() {
            return deadline;
        }
        deadline.into_iter().chain(self.cancel_deadline()).min()
    }

    /// The same as milliseconds from now, rounded up; `None`: no limit.
    pub fn deadline_ms(&self) -> Option<u64> {
        let deadline = self.deadline_ns()?;
        Some(deadline.saturating_sub(clock::now_ns()).div_ceil(1_000_000))
    }

    /// What is known of the connection.
    #[inline]
    pub fn facts(&self) -> &Facts {
        self.engine.facts()
    }

    /// Why the connection is over, once it is.
    pub fn error(&self) -> Option<&Error> {
        self.engine.error()
    }

    /// The options, as given and filled with defaults.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What was odd about the files that were read: a password file that others can read, say.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// How the rows of operations started from now on are cut: a batch ends after `rows` rows or `bytes` bytes,
    /// whichever comes first; 0 is no limit. Batches that are not taken stop the reading.
    pub fn set_batch(&mut self, rows: usize, bytes: usize) {
        let limit = |value| if value == 0 { usize::MAX } else { value };
        self.limits = Limits {
            rows: limit(rows),
            bytes: limit(bytes),
        };
        self.engine.set_limits(self.limits);
    }

    /// Says goodbye to the server, if that can be done at once, and ends the connection: what is queued fails. Dropping
    /// it does the same.
    pub fn close(&mut self) {
        self.say_goodbye();
        self.engine.end(Error::misuse("the connection was closed"));
        self.converse();
    }

    /// One line of JSON: phase, operation, what it awaits, where and since when, bytes, queue, transaction.
    pub fn inspect(&self) -> String {
        self.engine.inspect(clock::now_ns())
    }

    /// The engine, for what a face needs of it.
    #[inline]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The engine, for what a face needs of it.
    #[inline]
    pub fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// What the last poll said, and where to wait for it, in one piece.
    pub fn state(&self, ready: Readiness) -> State {
        State {
            ready,
            socket: self.socket().unwrap_or(-1),
            generation: self.socket_generation(),
            deadline_ns: self.deadline_ns(),
        }
    }

    /// What to wait for after an advance or a poll, from what the engine and the net need.
    #[inline(always)]
    pub fn readiness(&mut self, mut need: Need) -> Readiness {
        if self.rescue.is_some() {
            self.interest_of_cancel(&mut need);
        }
        let mut ready = Readiness::default();
        let has_item = self.engine.peek().is_some();
        let (notice, notification) = self.engine.has_mail();
        ready.set(Readiness::RESULT, has_item);
        ready.set(Readiness::NOTICE, notice);
        ready.set(Readiness::NOTIFY, notification);
        ready.set(Readiness::WANT_READ, need.read);
        ready.set(Readiness::WANT_WRITE, need.write);
        ready.set(Readiness::RUNNABLE, need.runnable);
        if self.facts().is_ready() {
            let idle = self.engine.queued() == 0 && !has_item && !self.engine.is_rescuing();
            ready.set(Readiness::IDLE, idle);
        } else {
            self.add_unready(&mut ready);
        }
        ready.set(
            Readiness::SOCKET_CHANGED,
            self.told != self.socket_generation() as u32,
        );
        self.told = self.socket_generation() as u32;
        ready
    }

    /// What else to wait for, or why not, while the connection is not up.
    #[cold]
    fn add_unready(&self, ready: &mut Readiness) {
        let pending = self.net.pending();
        ready.set(Readiness::WANT_READ, pending == Some(Interest::Read));
        ready.set(Readiness::WANT_WRITE, pending == Some(Interest::Write));
        let failed = self.engine.error().is_some() && !ready.has_result();
        ready.set(Readiness::FAILED, failed);
    }

    /// Neither interest nor deadline nor anything to do would be a hang: it is an error that names the await.
    #[cold]
    fn stalled(&mut self) -> Readiness {
        let awaiting = self.engine.awaiting();
        self.engine.end(Error::transport(format!(
            "internal error: stalled while waiting for {} ({})",
            awaiting.what, awaiting.at
        )));
        self.converse();
        self.readiness(Need::default())
    }

    /// Tells the server that the connection ends, if that can be said at once.
    fn say_goodbye(&mut self) {
        if self.engine.output().is_empty() {
            self.engine.terminate();
            self.flush();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.say_goodbye();
    }
}
