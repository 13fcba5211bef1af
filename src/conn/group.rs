//! Many connections behind one descriptor: who is polled, who is ready, who is done. Knows neither C nor protocol.

mod line;
mod member;
mod membership;
mod telling;
mod timers;
mod wait;

use std::os::fd::RawFd;

use self::line::Line;
use self::member::{Standing, Watch};
use self::timers::Timers;
use super::Readiness;
use crate::error::Error;
use crate::net::{Many, clock};

pub use self::member::{Member, Turn};
pub use self::wait::WaitFor;

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
    /// Among these are some who must not be kept waiting.
    pressing: bool,
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
    /// What a poll said that says it once, for the owner to be told: [`ROOM`](Readiness::ROOM).
    said_once: u32,
    failure: Option<u64>,
}

impl<M> Slot<M> {
    /// What the owner has not been told.
    fn news(&self) -> u32 {
        self.something & (UNTIL_TAKEN | !self.told) | self.said_once
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
            pressing: false,
            due: Line::default(),
            news: Line::default(),
            failures: Line::default(),
            timers: Timers::default(),
            counts: Counts::default(),
        })
    }

    /// What a loop of one's own waits for, at most until [`deadline_ns`](Group::deadline_ns): it is readable when a member has to
    /// be polled. It is the same as long as the group lives.
    pub fn socket(&self) -> RawFd {
        self.many.fd()
    }

    /// When to poll at the latest: nanoseconds of CLOCK_MONOTONIC. At once while members wait for their turn, or were used
    /// since the last poll.
    pub fn deadline_ns(&self) -> Option<u64> {
        match self.pressing || !self.due.is_empty() {
            true => Some(0),
            false => self.timers.first(),
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
        self.pressing = false;
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
            place.something = turn.ready.bits() & Readiness::SOMETHING & !Readiness::ROOM;
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
        if turn.ready.has(Readiness::ROOM) {
            place.said_once = Readiness::ROOM;
            self.news.join(slot);
        }
        let before = std::mem::replace(&mut place.standing, turn.standing);
        if before != turn.standing {
            self.counts.leave(before);
            self.counts.join(turn.standing);
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

/// What the set of descriptors is told of a slot's member.
fn key(slot: u32, turn: u32) -> u64 {
    u64::from(turn) << 32 | u64::from(slot)
}
