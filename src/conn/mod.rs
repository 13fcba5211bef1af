//! A connection: the engine coupled with a real transport. Both faces stand on it; it knows no C.

mod awaited;
mod cancel;
mod copy;
mod drive;
mod given;
pub mod group;
mod gss;
mod large_object;
mod place;
mod readiness;
mod rescue;
mod start;
mod timeline;
mod tls;
mod token;
mod trace;

use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

pub use awaited::{Answer, Awaited, Reactor};
pub use cancel::{Cancel, CancelPoll};
pub use place::Place;
pub use readiness::{Readiness, State};
pub use timeline::Timelines;
pub use tls::{TLS_ATTRIBUTES, TLS_LIBRARY};
pub use token::Asked;

use self::large_object::Moving;
use self::rescue::Rescue;
use self::start::SendQueue;
use self::token::Tokens;
use self::trace::Tracing;
use crate::auth::wiping;
use crate::conninfo::{Host, Options, Plan, Secret, Surroundings, TcpOptions, Tls};
use crate::engine::{
    CommandTag, Done, Engine, Facts, Item, Notice, Notification, Random, Room, Taken,
};
use crate::error::Error;
use crate::net::{Net, clock, entropy, same_tls};
use crate::rows::{Batch, Limits};

/// What [`Connection::set_batch`] and the taker leave in the connection before reading stops.
const NATIVE_ROOM: Room = Room {
    items: 256,
    ahead: 0,
    bytes: 1024 * 1024,
    inbox: 1024 * 1024,
};

/// A connection to a PostgreSQL server.
///
/// Start an operation, [`poll`](Connection::poll), wait for what the poll names, poll again, [`take`](Connection::take)
/// the items. No call waits, except [`wait`](Connection::wait). In an asynchronous runtime it is awaited: [`Awaited`].
#[derive(Debug)]
pub struct Connection {
    engine: Engine,
    net: Net,
    options: Options,
    warnings: Vec<String>,
    room: Room,
    limits: Limits,
    front: u16,
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
    /// What is wrong with the options.
    refused: Option<Box<crate::conninfo::Error>>,
    /// The transport is the caller's.
    given: bool,
    /// How a request to cancel connects: the plan itself is gone once the connection is up.
    tcp: TcpOptions,
    tls: Option<Arc<Tls>>,
    connect_timeout: Option<Duration>,
    /// What the password file has for each host, where that is kept.
    passwords: Option<Box<[Option<Secret>]>>,
    /// Bearer tokens, where there is anything to know of them.
    tokens: Option<Box<Tokens>>,
    /// A request to cancel an operation that nobody wants any more.
    rescue: Option<Box<Rescue>>,
    /// The file of a large object that is imported or exported.
    moving: Option<Box<Moving>>,
    /// How often the descriptor to wait for has become another one for its sake.
    switches: u32,
    send_queue: SendQueue,
    tracing: Option<Box<Tracing>>,
    /// Which connection of the process it is.
    number: u32,
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
        Self::open_over(options, NATIVE_ROOM, &Surroundings::real(), None, false)
    }

    /// The same with a policy of how much may be finished and not taken, and what the options are filled from; and what the
    /// password file says is kept, for [`places`](Connection::places).
    pub fn open_with(options: Options, room: Room, from: &Surroundings) -> Self {
        Self::open_over(options, room, from, None, true)
    }

    /// The same over what the caller has connected, if it is `given`.
    fn open_over(
        mut options: Options,
        room: Room,
        from: &Surroundings,
        given: Option<Net>,
        keeps_passwords: bool,
    ) -> Self {
        let planned = wiping(|| {
            if let Err(error) = options.fill_defaults(from) {
                options = Options::default();
                return Err(error);
            }
            let planned = match given {
                None => options.plan(from),
                Some(_) => options.plan_given(from),
            };
            match &planned {
                Ok((plan, _)) => options.settle(plan, from)?,
                // What it is refused for is worth more than what else goes wrong.
                Err(error) => drop(options.settle_refused(error, from)),
            }
            planned
        });
        let mut connection = match planned {
            Ok((plan, warnings)) => Self::over_plan(plan, warnings, room, keeps_passwords),
            Err(error) => {
                let engine = Engine::failed(Error::misuse(error.to_string()), room);
                let mut connection = Self::with_engine(engine, room);
                connection.refused = Some(Box::new(error));
                connection
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

    fn over_plan(mut plan: Plan, warnings: Vec<String>, room: Room, keeps_passwords: bool) -> Self {
        plan.tls = plan.tls.map(same_tls);
        let (tcp, tls) = (plan.tcp.clone(), plan.tls.clone());
        let connect_timeout = plan.connect_timeout;
        let passwords = keeps_passwords.then(|| passwords(&plan));
        let engine = match entropy() {
            Ok(seed) => Engine::new(plan, Random::new(seed), room),
            Err(error) => Engine::failed(error.into(), room),
        };
        let mut connection = Self::with_engine(engine, room);
        connection.warnings = warnings;
        connection.tcp = tcp;
        connection.tls = tls;
        connection.connect_timeout = connect_timeout;
        connection.passwords = passwords;
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
            front: 0,
            told: 0,
            send_failed: None,
            write_blocked: false,
            all_received: false,
            quiet: true,
            heard: false,
            hopeless: false,
            refused: None,
            given: false,
            tcp: TcpOptions::default(),
            tls: None,
            connect_timeout: None,
            passwords: None,
            tokens: None,
            rescue: None,
            moving: None,
            switches: 0,
            send_queue: SendQueue::default(),
            tracing: None,
            number: timeline::number(),
        }
    }

    /// Closes the connection and begins anew with the same options: files are read again, names resolved again. Notices and
    /// notifications that were not taken stay; what the session has listened to it has to LISTEN to again. Without
    /// options, because they made no sense, it stays over. Over a transport of the caller's it is over then: that cannot be had again.
    pub fn reset(&mut self) {
        if self.hopeless {
            return;
        }
        if self.given {
            return self.refuse_reset();
        }
        let mut fresh = Self::open_over(
            self.options.clone(),
            self.room,
            &Surroundings::real(),
            None,
            self.passwords.is_some(),
        );
        fresh.limits = self.limits;
        fresh.engine.set_limits(self.limits);
        fresh.set_front(self.front);
        fresh.engine.keep_mail(&mut self.engine);
        self.say_goodbye();
        self.trace_step();
        fresh.take_over_trace(self);
        fresh.number = self.number;
        fresh.engine.take_over_timeline(&mut self.engine);
        self.net.hangup();
        // The net lives on: its descriptors are closed only at the next poll, and its generation keeps counting.
        std::mem::swap(&mut fresh.net, &mut self.net);
        fresh.told = self.told;
        fresh.send_queue = self.send_queue.anew();
        fresh.engine.set_healing(self.engine.heals());
        fresh.engine.set_describing(self.engine.describes());
        fresh.engine.leave_answers(self.engine.leaves_answers());
        fresh.take_over_rescue(self);
        fresh.tokens = self.tokens.take();
        fresh.drop_token();
        *self = fresh;
    }

    /// The next finished item; `None` when nothing is finished now.
    #[inline]
    pub fn take(&mut self) -> Option<Item> {
        if !self.engine.has_item() {
            self.catch_up();
        }
        self.engine.take()
    }

    /// The same for a caller who takes the parts of it: it is gone when `work` is done.
    #[inline(always)]
    pub fn take_with<T>(&mut self, work: impl FnOnce(u64, Taken<'_>) -> T) -> Option<T> {
        if !self.engine.has_item() {
            self.catch_up();
        }
        self.engine.take_with(work)
    }

    /// All items of an operation at once, as [`Engine::take_answer`] has them.
    #[inline(always)]
    pub fn take_answer<T>(
        &mut self,
        work: impl FnOnce(u64, Option<Batch>, &CommandTag, Done) -> T,
    ) -> Option<T> {
        self.engine.take_answer(work)
    }

    /// All that operations have yielded and what was left in the input until now, as [`Engine::take_left_answers`] has it.
    #[inline(always)]
    pub fn take_left_answers(&mut self, work: impl FnMut(u64, Option<Batch>, &[u8], Done) -> bool) {
        self.engine.take_left_answers(work);
    }

    /// The next notice.
    pub fn take_notice(&mut self) -> Option<Notice> {
        self.engine.notice()
    }

    /// How many notices were dropped, the oldest ones, because more than a megabyte of them was left there.
    pub fn notices_dropped(&self) -> u64 {
        self.engine.notices_dropped()
    }

    /// The next notification. They are never dropped: with a megabyte of them left there, nothing more is received. Those of
    /// a connection that is over are still given.
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

    /// The same, to be used before the next poll: for runtimes that keep a duplicate.
    pub fn borrow_socket(&self) -> Option<BorrowedFd<'_>> {
        self.borrow_cancel_socket().or_else(|| self.net.borrow_fd())
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

    /// What is wrong with the options, if that is why the connection is over.
    pub fn refused(&self) -> Option<&crate::conninfo::Error> {
        self.refused.as_deref()
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

    /// How many bytes are left before the rows of small results from now on: see [`Batch::front_mut`](crate::rows::Batch::front_mut).
    pub fn set_front(&mut self, front: u16) {
        self.front = front;
        self.engine.set_front(front);
    }

    /// Says goodbye to the server, if that can be done at once, and ends the connection: what is queued fails. Dropping
    /// it does the same.
    pub fn close(&mut self) {
        self.say_goodbye();
        self.engine.end(Error::misuse("the connection was closed"));
        self.moving = None;
        self.converse();
        self.trace_step();
    }

    /// Makes the connection that a parent process opened the forked child's, which may otherwise only close it, and then says nothing
    /// to the server. The parent uses it no more: the two would take each other's replies.
    #[inline]
    pub fn take_over(&mut self) {
        self.net.take_over();
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

    /// Tells the server that the connection ends, if that can be said at once.
    fn say_goodbye(&mut self) {
        if self.engine.output().is_empty() {
            self.engine.terminate();
            self.flush();
        }
    }
}

/// The passwords that the password file has for the hosts of the plan.
fn passwords(plan: &Plan) -> Box<[Option<Secret>]> {
    if plan.hosts.iter().all(|host| host.passfile.is_none()) {
        return Box::default();
    }
    let found = |host: &Host| host.password.clone().filter(|_| host.passfile.is_some());
    plan.hosts.iter().map(found).collect()
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.say_goodbye();
        self.trace_step();
    }
}
