//! Many connections behind one descriptor: who is polled, who is ready, who is done. Knows neither C nor protocol.

mod line;
mod member;
mod timers;

use std::collections::TryReserveError;
use std::os::fd::RawFd;
use std::time::Duration;

use self::line::Line;
use self::member::{Standing, Watch};
use self::timers::Timers;
use super::Readiness;
use crate::error::Error;
use crate::net::{Many, clock};

pub use self::member::{Member, Turn};

/// Work of one poll: bytes received, and so many for each member that is polled.
const WORK: u64 = 1024 * 1024;
const WORK_OF_A_TURN: u64 = 8 * 1024;

/// What is told of a member as long as it is there. The rest is told once, when it comes.
const UNTIL_TAKEN: u32 = Readiness::RESULT | Readiness::COPY;

/// Connections that are driven together: one descriptor to wait for, one poll, and the ready ones handed out in turn.
///
/// Add connections, [`poll`](Group::poll), use those that [`ready`](Group::ready) gives, poll again; wait until
/// [`socket`](Group::socket) is readable, at most until [`deadline_ns`](Group::deadline_ns). A member is polled by its group alone;
/// operations are started and items taken as ever. A member that has nothing to do costs a poll nothing, and a
/// poll's work is bounded: whoever has more to do waits in line for the next one.
///
/// No call waits, except [`wait`](Group::wait). After a fork the child can only drop it.
#[derive(Debug)]
pub struct Group<M> {
    many: Many,
    slots: Vec<Slot<M>>,
    free: Vec<u32>,
    /// Used by their owner since the last poll, or handed out by it.
    touched: Line,
    /// To be polled.
    due: Line,
    /// With something that their owner was not told of.
    news: Line,
    /// With an operation that has failed, which nobody was told of.
    failures: Line,
    timers: Timers,
    counts: Counts,
}

/// A member's name in its group; none is given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    slot: u32,
    /// Counts those who had the slot.
    turn: u32,
}

/// A member with something to take or to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Which.
    pub key: Key,
    /// What: of [`Readiness`] the bits of [`Readiness::SOMETHING`].
    pub ready: Readiness,
}

/// An operation that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Whose.
    pub key: Key,
    /// Which; 0 when the connection was lost and no operation of it says so.
    pub operation: u64,
}

/// How many members there are, and where they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// In all.
    pub members: usize,
    /// Which connect, or whose operations are under way.
    pub running: usize,
    /// With operations that do not go on before their owner does something: takes what is finished, continues a portal,
    /// goes on with a COPY.
    pub waiting: usize,
    /// Which are over.
    pub over: usize,
}

impl Counts {
    /// Members with something that is not done: connecting, or an operation.
    pub fn pending(&self) -> usize {
        self.running + self.waiting
    }
}

/// What [`Group::wait`] waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// Some member has something to take or to know.
    Any,
    /// Nothing is under way in any member: all that was started is finished, if perhaps not taken, or waits for its owner.
    All,
    /// The same, or before that an operation has failed or a connection was lost: [`Group::failure`].
    FirstError,
}

#[derive(Debug)]
struct Slot<M> {
    member: Option<M>,
    /// Counts those who had the slot.
    turn: u32,
    watch: Watch,
    standing: Standing,
    /// What the last poll has said.
    last: Readiness,
    /// What there is to take or to know.
    something: u32,
    /// What of it the owner was told.
    told: u32,
    failure: Option<u64>,
}

impl<M> Slot<M> {
    /// What the owner has not been told.
    fn news(&self) -> u32 {
        self.something & (UNTIL_TAKEN | !self.told)
    }
}

impl<M: Member> Group<M> {
    /// A group without members.
    ///
    /// # Errors
    /// No more descriptors can be had.
    pub fn new() -> Result<Self, Error> {
        Ok(Self {
            many: Many::new()?,
            slots: Vec::new(),
            free: Vec::new(),
            touched: Line::default(),
            due: Line::default(),
            news: Line::default(),
            failures: Line::default(),
            timers: Timers::default(),
            counts: Counts::default(),
        })
    }

    /// Adds a connection at whatever point it is: connecting, idle, with operations under way. It is polled by the next
    /// [`poll`](Group::poll), and what it has to be taken is told then.
    ///
    /// # Errors
    /// There is no memory, the process has forked, or the connection has no descriptor because its bytes are carried by the
    /// caller. The connection is given back.
    pub fn add(&mut self, mut member: M) -> Result<Key, (Error, M)> {
        if self.many.is_forked() {
            return Err((forked(), member));
        }
        let mut is_stream = false;
        let looked = member.turn(|connection| {
            is_stream = connection.is_stream();
            // What failed before is none of the group's business, unless it is over.
            if connection.error().is_none() {
                connection.engine_mut().take_failure();
            }
            Turn::default()
        });
        if looked.is_none() {
            return Err((Error::misuse(USED), member));
        }
        if is_stream {
            return Err((Error::misuse(STREAM), member));
        }
        let Ok(slot) = self.free_slot() else {
            let error = "out of memory: the group has no room for another connection";
            return Err((Error::misuse(error), member));
        };
        let Some(place) = self.slots.get_mut(slot as usize) else {
            return Err((Error::misuse("internal error: no such slot"), member));
        };
        place.member = Some(member);
        let turn = place.turn;
        self.counts.members += 1;
        self.counts.join(Standing::Running);
        self.touched.join(slot);
        Ok(Key { slot, turn })
    }

    /// A slot without a member. All that this group ever allocates is allocated here.
    fn free_slot(&mut self) -> Result<u32, TryReserveError> {
        if let Some(slot) = self.free.pop() {
            return Ok(slot);
        }
        let count = self.slots.len() + 1;
        self.slots.try_reserve(1)?;
        self.free.try_reserve(count)?;
        for line in [
            &mut self.touched,
            &mut self.due,
            &mut self.news,
            &mut self.failures,
        ] {
            line.grow(count)?;
        }
        self.timers.grow(count)?;
        let slot = self.slots.len() as u32;
        self.slots.push(Slot {
            member: None,
            turn: 0,
            watch: Watch::new(key(slot, 0)),
            standing: Standing::Running,
            last: Readiness::default(),
            something: 0,
            told: 0,
            failure: None,
        });
        Ok(slot)
    }

    /// Takes a member out; `None` if there is none of that name. Its operations go on, whoever drives it now: its next poll says
    /// that the descriptor is another one, so that it gets registered.
    pub fn remove(&mut self, key: Key) -> Option<M> {
        let slot = self.slot_mut(key)?;
        let mut member = slot.member.take()?;
        let standing = slot.standing;
        slot.turn = slot.turn.wrapping_add(1);
        let watch = Watch::new(self::key(key.slot, slot.turn));
        let mut watched = std::mem::replace(&mut slot.watch, watch);
        slot.standing = Standing::Running;
        slot.last = Readiness::default();
        slot.something = 0;
        slot.told = 0;
        slot.failure = None;
        watched.stop(&self.many);
        self.timers.set(key.slot, None);
        self.counts.members -= 1;
        self.counts.leave(standing);
        self.free.push(key.slot);
        member.turn(|connection| {
            connection.forget_told();
            Turn::default()
        });
        Some(member)
    }

    /// A member, to be asked.
    pub fn get(&self, key: Key) -> Option<&M> {
        let slot = self.slots.get(key.slot as usize)?;
        slot.member.as_ref().filter(|_| slot.turn == key.turn)
    }

    /// A member, to start operations, to take items, or to do whatever there is to do but to poll it: that is the group's.
    /// [`poll`](Group::poll) afterwards.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut M> {
        self.touch(key);
        self.slot_mut(key)?.member.as_mut()
    }

    /// Says that a member was used by other ways than [`get_mut`](Group::get_mut).
    pub fn touch(&mut self, key: Key) {
        if self.get(key).is_some() {
            self.touched.join(key.slot);
        }
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.counts.members
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counts.members == 0
    }

    /// The first member of all, in no order that means anything: [`key_after`](Group::key_after) gives the others.
    pub fn first_key(&self) -> Option<Key> {
        self.key_from(0)
    }

    /// The member that comes after this one, which need not be there any more.
    pub fn key_after(&self, key: Key) -> Option<Key> {
        self.key_from(key.slot as usize + 1)
    }

    fn key_from(&self, slot: usize) -> Option<Key> {
        let mut rest = self.slots.iter().enumerate().skip(slot);
        let (slot, place) = rest.find(|(_, place)| place.member.is_some())?;
        Some(Key {
            slot: slot as u32,
            turn: place.turn,
        })
    }

    fn slot_mut(&mut self, key: Key) -> Option<&mut Slot<M>> {
        let slot = self.slots.get_mut(key.slot as usize)?;
        (slot.turn == key.turn).then_some(slot)
    }

    /// What a loop of one's own waits for, at most until [`deadline_ns`](Group::deadline_ns): it is readable when a member has to
    /// be polled. It is the same as long as the group lives.
    pub fn socket(&self) -> RawFd {
        self.many.fd()
    }

    /// When to poll at the latest: nanoseconds of CLOCK_MONOTONIC. At once while members wait for their turn, or were used
    /// since the last poll.
    pub fn deadline_ns(&self) -> Option<u64> {
        if self.due.is_empty() && self.touched.is_empty() {
            self.timers.first()
        } else {
            Some(0)
        }
    }

    /// Whether it was made in a parent of this process: then it can only be dropped.
    pub fn is_forked(&self) -> bool {
        self.many.is_forked()
    }

    /// Polls those members that have something to do, within bounds. What it says is about all of them:
    ///
    /// - `WANT_READ`: wait for the descriptor. Always, while there are members.
    /// - `RUNNABLE`: there is more to do now: poll again soon, without waiting.
    /// - `RESULT`: [`ready`](Group::ready) has something to give.
    /// - `FAILED`: [`failure`](Group::failure) has something to give.
    /// - `IDLE`: nothing is under way in any member, see [`WaitFor::All`].
    /// - `FAILED` alone: the process has forked.
    pub fn poll(&mut self) -> Readiness {
        let mut ready = Readiness::default();
        if self.is_forked() {
            ready.set(Readiness::FAILED, true);
            return ready;
        }
        let now = clock::now_ns();
        self.look_again(now);
        while let Some(slot) = self.timers.due(now) {
            self.due.join(slot);
        }
        let more = self.see_who_is_ready();
        let mut work = WORK;
        for _ in 0..self.due.len() {
            if work == 0 {
                break;
            }
            if let Some(slot) = self.due.next() {
                work = work.saturating_sub(self.turn(slot));
            }
        }
        ready.set(Readiness::WANT_READ, self.counts.members > 0);
        ready.set(Readiness::RUNNABLE, more || !self.due.is_empty());
        ready.set(Readiness::RESULT, self.first_ready().is_some());
        ready.set(Readiness::FAILED, self.first_failure().is_some());
        ready.set(Readiness::IDLE, self.counts.running == 0);
        ready
    }

    /// Looks at those who were used since the last poll.
    fn look_again(&mut self, now: u64) {
        for _ in 0..self.touched.len() {
            if let Some(slot) = self.touched.next() {
                self.look(slot, now);
            }
        }
    }

    fn look(&mut self, slot: u32, now: u64) {
        let Some(turn) = self.looked_at(slot, now) else {
            return self.due.join(slot); // somebody is using it now
        };
        if turn.has_work {
            self.due.join(slot);
        }
        if let Some(place) = self.slots.get_mut(slot as usize) {
            // What has been taken since it was told is news when it comes again.
            place.told &= turn.ready.bits();
        }
        self.note(slot, turn);
    }

    fn looked_at(&mut self, slot: u32, now: u64) -> Option<Turn> {
        let place = self.slots.get_mut(slot as usize)?;
        let last = place.last;
        let member = place.member.as_mut()?;
        member.turn(|connection| Watch::look(connection, last, now))
    }

    /// Those whose descriptor is ready are polled; true if there may be more of them.
    fn see_who_is_ready(&mut self) -> bool {
        let Self {
            many, slots, due, ..
        } = self;
        let more = many.look();
        for key in many.ready() {
            let slot = key as u32;
            if let Some(place) = slots.get_mut(slot as usize)
                && place.watch.key() == key
                && place.watch.disturbed(place.last, many)
            {
                due.join(slot);
            }
        }
        more
    }

    /// One member's turn: how much of the work of this poll it took.
    fn turn(&mut self, slot: u32) -> u64 {
        let Self { slots, many, .. } = self;
        let Some(place) = slots.get_mut(slot as usize) else {
            return 0;
        };
        let (watch, Some(member)) = (&mut place.watch, &mut place.member) else {
            return 0;
        };
        match member.turn(|connection| watch.poll(connection, many)) {
            Some(turn) => {
                place.last = turn.ready;
                if turn.ready.is_runnable() {
                    self.due.join(slot);
                }
                self.note(slot, turn);
                WORK_OF_A_TURN + turn.received
            }
            // Somebody is using it now: the next poll tries again.
            None => {
                self.due.join(slot);
                WORK_OF_A_TURN
            }
        }
    }

    /// Keeps what a turn has come to.
    fn note(&mut self, slot: u32, turn: Turn) {
        self.timers.set(slot, turn.deadline);
        self.note_standing(slot, turn);
        if let Some(place) = self.slots.get_mut(slot as usize) {
            place.something = turn.ready.bits() & Readiness::SOMETHING;
            if place.news() != 0 {
                self.news.join(slot);
            }
        }
    }

    /// The only place where members are counted: by where one stands now, not by events, which could be missed.
    fn note_standing(&mut self, slot: u32, turn: Turn) {
        let Some(place) = self.slots.get_mut(slot as usize) else {
            return;
        };
        if let Some(operation) = turn.failure {
            place.failure.get_or_insert(operation);
            self.failures.join(slot);
        }
        let before = std::mem::replace(&mut place.standing, turn.standing);
        if before != turn.standing {
            self.counts.leave(before);
            self.counts.join(turn.standing);
        }
    }

    /// The next member with something to take or to know, the one that has waited longest. It is given again by a later
    /// [`poll`](Group::poll) if its items are not all taken then, or when there is something new.
    pub fn ready(&mut self) -> Option<Ready> {
        let slot = self.first_ready()?;
        self.news.next();
        let place = self.slots.get_mut(slot as usize)?;
        place.told = place.something;
        self.touched.join(slot);
        let mut ready = Readiness::default();
        ready.set(place.something, true);
        let turn = place.turn;
        Some(Ready {
            key: Key { slot, turn },
            ready,
        })
    }

    fn first_ready(&mut self) -> Option<u32> {
        loop {
            let slot = self.news.first()?;
            if self.touched.has(slot) {
                self.look(slot, clock::now_ns());
            }
            let place = self.slots.get(slot as usize)?;
            if place.news() != 0 {
                return Some(slot);
            }
            self.news.next();
        }
    }

    /// The next operation that has failed, in the order in which that was seen: each member's first since it was last asked for. It
    /// is told once; its error is an item of the member's as ever.
    pub fn failure(&mut self) -> Option<Failure> {
        let slot = self.first_failure()?;
        self.failures.next();
        let place = self.slots.get_mut(slot as usize)?;
        let operation = place.failure.take()?;
        let turn = place.turn;
        Some(Failure {
            key: Key { slot, turn },
            operation,
        })
    }

    fn first_failure(&mut self) -> Option<u32> {
        loop {
            let slot = self.failures.first()?;
            let place = self.slots.get(slot as usize)?;
            if place.failure.is_some() {
                return Some(slot);
            }
            self.failures.next();
        }
    }

    /// How many members there are, and where they stand now, as far as that can be known without a poll: an operation that was
    /// just started counts.
    pub fn counts(&mut self) -> Counts {
        let now = clock::now_ns();
        for _ in 0..self.touched.len() {
            let Some(slot) = self.touched.next() else {
                break;
            };
            if let Some(turn) = self.looked_at(slot, now) {
                self.note_standing(slot, turn);
            }
            // What there is to take is told by the next poll, not by this.
            self.touched.join(slot);
        }
        self.counts
    }

    /// Polls and waits until what is waited `for` has come, or `timeout` is over (`None`: no limit). Also returns when nothing
    /// can come: there are no members, or all are over. The one call that waits.
    pub fn wait(&mut self, what: WaitFor, timeout: Option<Duration>) -> Readiness {
        let end = timeout.map(|timeout| {
            let timeout = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
            clock::now_ns().saturating_add(timeout)
        });
        loop {
            let ready = self.poll();
            if self.has_come(what, ready) || self.is_forked() {
                return ready;
            }
            let now = clock::now_ns();
            if end.is_some_and(|end| now >= end) {
                return ready;
            }
            if ready.is_runnable() {
                continue;
            }
            let until = end.into_iter().chain(self.deadline_ns()).min();
            let left = until.map(|until| Duration::from_nanos(until.saturating_sub(now)));
            crate::net::wait(Some(self.socket()), true, false, left);
        }
    }

    fn has_come(&self, what: WaitFor, ready: Readiness) -> bool {
        match what {
            WaitFor::Any => ready.has_result() || self.counts.members == self.counts.over,
            WaitFor::All => ready.is_idle(),
            WaitFor::FirstError => ready.has(Readiness::IDLE | Readiness::FAILED),
        }
    }
}

impl Counts {
    fn join(&mut self, standing: Standing) {
        if let Some(count) = self.of(standing) {
            *count += 1;
        }
    }

    fn leave(&mut self, standing: Standing) {
        if let Some(count) = self.of(standing) {
            *count -= 1;
        }
    }

    fn of(&mut self, standing: Standing) -> Option<&mut usize> {
        match standing {
            Standing::Running => Some(&mut self.running),
            Standing::Waiting => Some(&mut self.waiting),
            Standing::Over => Some(&mut self.over),
            Standing::Idle => None,
        }
    }
}

const USED: &str =
    "another call is inside the connection: one call at a time, from whichever thread";

const STREAM: &str = "the connection has no descriptor: what conn_open_stream made is fed and polled by its owner, not by a group";

#[cold]
fn forked() -> Error {
    Error::misuse(
        "the process has forked: the group belongs to the parent; close it here and open another",
    )
}

/// What the set of descriptors is told of a slot's member.
fn key(slot: u32, turn: u32) -> u64 {
    u64::from(turn) << 32 | u64::from(slot)
}
