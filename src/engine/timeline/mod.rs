//! What has happened lately: a ring of state changes with their times, always on. Entries are numbers, formatted only when
//! somebody looks. Knows no protocol.

mod events;

use std::panic::Location;

pub use events::Track;

use super::Engine;
use super::expect::{Expect, Steps};
use super::facts::Phase;
use super::item::{CopyWay, Outcome};
use super::state::State;
use crate::error::Error;

/// So many entries are always kept.
const USUAL: usize = 16;
/// More than so many are never kept: 48 MB.
const MOST: usize = 1024 * 1024;

/// What has happened, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Monotonic nanoseconds.
    pub at: u64,
    /// Bytes received until then, less those of the engines before a reset, modulo 2⁶⁴.
    pub received: u64,
    /// The same of bytes sent.
    pub sent: u64,
    pub event: Event,
}

/// What has happened.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    /// The coroutine began to wait.
    Waits {
        what: &'static str,
        at: &'static Location<'static>,
    },
    Changed(Change),
}

/// The same but for waits; of operations the lower half of the id.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Phase(Phase),
    /// The first reply to the operation has come, and more is to come.
    Replied {
        operation: u32,
    },
    Done {
        operation: u32,
        since: u64,
        steps: Steps,
        outcome: Outcome,
    },
    /// Finished items were not taken since then, and stopped the reading.
    Starved {
        since: u64,
    },
    /// The transport takes no more now; all is sent.
    Stalled,
    Sent,
    CopyBegan(CopyWay),
    CopyEnded,
    /// A statement that the server has lost is prepared again.
    Heals,
    /// The deadline of the operation, and perhaps of some before it, has passed.
    Late {
        operation: u32,
    },
    /// The operation at the head of the queue is not wanted; the queue goes on without it.
    Unwanted {
        operation: u32,
    },
    Rescued,
    CancelBegan,
    CancelEnded {
        told: bool,
    },
    /// The descriptor is another one.
    Socket(u32),
    /// There is none any more.
    NoSocket,
    /// The server said no, with this SQLSTATE.
    Refused([u8; 5]),
    /// An operation failed for another reason.
    Failed,
    /// The transport is gone.
    Lost,
    /// The connection is begun anew.
    Reset,
}

impl Change {
    /// An operation or the connection has failed.
    #[cold]
    pub(super) fn failed(error: &Error) -> Self {
        let sqlstate = error.server_error().and_then(|error| error.sqlstate());
        match sqlstate.and_then(|state| state.try_into().ok()) {
            Some(sqlstate) => Self::Refused(sqlstate),
            None => Self::Failed,
        }
    }

    /// What it is called in `conn_inspect`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Phase(_) => "phase",
            Self::Replied { .. } => "first reply",
            Self::Done { .. } => "done",
            Self::Starved { .. } => "results were not taken",
            Self::Stalled => "transport takes no more",
            Self::Sent => "all sent",
            Self::CopyBegan(_) => "COPY began",
            Self::CopyEnded => "COPY ended",
            Self::Heals => "statement prepared again",
            Self::Late { .. } => "deadline",
            Self::Unwanted { .. } => "unwanted",
            Self::Rescued => "rid of what was unwanted",
            Self::CancelBegan => "cancel began",
            Self::CancelEnded { .. } => "cancel ended",
            Self::Socket(_) => "socket",
            Self::NoSocket => "no socket",
            Self::Refused(_) => "error",
            Self::Failed => "failed",
            Self::Lost => "transport lost",
            Self::Reset => "reset",
        }
    }
}

impl Expect {
    /// Its entry; what was never begun ends when it begins.
    #[inline]
    pub(super) fn ended(&self, outcome: Outcome, now: u64) -> Change {
        Change::Done {
            operation: self.operation as u32,
            since: if self.since == 0 { now } else { self.since },
            steps: self.steps,
            outcome,
        }
    }
}

/// How an operation ended, in a word.
pub(super) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Ok => "ok",
        Outcome::Failed => "failed",
        Outcome::Skipped => "skipped",
        Outcome::Discarded => "discarded",
    }
}

/// Which way a COPY goes, in a word.
pub(super) fn direction(way: CopyWay) -> &'static str {
    match way {
        CopyWay::In => "COPY in",
        CopyWay::Out => "COPY out",
        CopyWay::Both => "COPY both",
    }
}

/// How long finished items have to lie there until it is worth an entry.
const STARVING: u64 = 1_000_000;

/// The last entries.
#[derive(Debug)]
pub(super) struct Timeline {
    ring: Vec<Entry>,
    /// Where the next one goes.
    next: usize,
    most: usize,
    /// Bytes received and sent by the engines before a reset.
    earlier: (u64, u64),
    /// The operation whose first reply was seen last.
    replied: u32,
    /// Since when finished items stop the reading; 0: they do not.
    starved: u64,
    stalled: bool,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            ring: Vec::new(),
            next: 0,
            most: USUAL,
            earlier: (0, 0),
            replied: 0,
            starved: 0,
            stalled: false,
        }
    }
}

impl Timeline {
    #[inline]
    fn push(&mut self, at: u64, received: u64, sent: u64, event: Event) {
        let entry = || Entry {
            at,
            received,
            sent,
            event,
        };
        match self.ring.get_mut(self.next) {
            Some(oldest) => {
                *oldest = entry();
                self.next += 1;
                if self.next == self.most {
                    self.next = 0;
                }
            }
            None => self.grow(entry()),
        }
    }

    /// The ring is not full yet. Without memory nothing is remembered.
    #[cold]
    fn grow(&mut self, entry: Entry) {
        let room = self.ring.len() < self.ring.capacity() || {
            let more = (self.most - self.ring.len()).min(self.ring.len().max(USUAL));
            self.ring.try_reserve_exact(more).is_ok()
        };
        if room {
            self.ring.push(entry);
            self.next = self.ring.len() % self.most;
        }
    }

    /// The entries, oldest first.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        let (newer, older) = self.ring.split_at(self.next.min(self.ring.len()));
        // What happened before anybody looked at the clock has no time.
        older.iter().chain(newer).filter(|entry| entry.at > 0)
    }

    fn last_received(&self) -> Option<u64> {
        self.entries().next_back().map(|entry| entry.received)
    }

    /// All bytes received and sent until an entry.
    pub(super) fn totals(&self, entry: &Entry) -> (u64, u64) {
        let (received, sent) = self.earlier;
        (
            received.wrapping_add(entry.received),
            sent.wrapping_add(entry.sent),
        )
    }

    /// Keeps up to `most` entries; those there are stay, the newest first.
    fn resize(&mut self, most: usize) -> Result<(), std::collections::TryReserveError> {
        let mut ring = Vec::new();
        let kept = self.ring.len().min(most);
        ring.try_reserve_exact(most)?;
        ring.extend(self.entries().skip(self.ring.len() - kept));
        self.ring = ring;
        self.most = most;
        self.next = kept % most;
        Ok(())
    }
}

impl State {
    /// Remembers that something has changed.
    #[inline]
    pub(super) fn record(&mut self, change: Change) {
        self.remember(Event::Changed(change));
    }

    #[inline]
    fn remember(&mut self, event: Event) {
        let (received, sent) = (self.input.received, self.output.total);
        self.timeline.push(self.now, received, sent, event);
    }

    /// The connection has come to another phase of its life.
    pub(super) fn enter(&mut self, phase: Phase) {
        if self.facts.phase != phase {
            self.facts.phase = phase;
            self.record(Change::Phase(phase));
        }
    }

    /// The coroutine waits; `began`: it did not before. That an idle connection waits for an operation goes without saying.
    #[inline]
    pub(super) fn pending(&mut self, began: bool) {
        if !self.queue.is_empty() || self.facts.phase != Phase::Ready || self.timeline.starved != 0
        {
            self.pending_at_work(began);
        }
    }

    #[cold]
    fn pending_at_work(&mut self, began: bool) {
        let head = self.queue.front().map(|head| head.operation as u32);
        if let Some(operation) = head
            && operation != self.timeline.replied
            && self.timeline.last_received() != Some(self.input.received)
        {
            self.timeline.replied = operation;
            self.record(Change::Replied { operation });
        }
        if self.starved != (self.timeline.starved != 0) {
            let since = std::mem::replace(&mut self.timeline.starved, self.now);
            if !self.starved {
                self.timeline.starved = 0;
                if self.now - since.min(self.now) >= STARVING {
                    self.record(Change::Starved { since });
                }
            }
        }
        if began && (head.is_some() || self.facts.phase != Phase::Ready) {
            let (what, at) = (self.awaiting.what, self.awaiting.at);
            // A long computation waits at the same place again and again for its next turn.
            let last = self.timeline.entries().next_back().map(|entry| entry.event);
            if !matches!(last, Some(Event::Waits { at: before, .. }) if std::ptr::eq(before, at)) {
                self.remember(Event::Waits { what, at });
            }
        }
    }

    /// The transport takes no more output now.
    #[cold]
    pub(super) fn stall(&mut self) {
        if !std::mem::replace(&mut self.timeline.stalled, true) {
            self.record(Change::Stalled);
        }
    }

    /// Some output was sent.
    #[inline]
    pub(super) fn unstall(&mut self) {
        if self.timeline.stalled && self.output.is_empty() {
            self.timeline.stalled = false;
            self.record(Change::Sent);
        }
    }
}

impl Engine {
    /// How many changes of state are remembered: at least 16, at most 1,048,576 (48 bytes each); the newest of those that are there stay.
    ///
    /// # Errors
    /// When there is no memory for so many; nothing has changed then.
    pub fn set_timeline(&mut self, entries: usize) -> Result<(), Error> {
        let most = entries.clamp(USUAL, MOST);
        let timeline = &mut self.state_mut().timeline;
        if most == timeline.most {
            return Ok(());
        }
        timeline.resize(most).map_err(|_| {
            Error::misuse(format!(
                "out of memory: {entries} entries of a timeline are too many"
            ))
        })
    }

    /// What was remembered by the engine before a reset goes on here.
    pub fn take_over_timeline(&mut self, old: &mut Self) {
        let (old, new) = (old.state_mut(), self.state_mut());
        old.record(Change::Reset);
        let (received, sent) = old.timeline.earlier;
        new.timeline = std::mem::take(&mut old.timeline);
        for entry in &mut new.timeline.ring {
            entry.received = entry.received.wrapping_sub(old.input.received);
            entry.sent = entry.sent.wrapping_sub(old.output.total);
        }
        new.timeline.earlier = (received + old.input.received, sent + old.output.total);
        new.timeline.starved = 0;
        new.timeline.stalled = false;
        new.timeline.replied = 0;
    }

    /// Says that the descriptor of the transport is another one.
    #[cold]
    pub fn note_socket(&mut self, socket: Option<i32>) {
        let socket = socket.and_then(|socket| u32::try_from(socket).ok());
        let change = socket.map_or(Change::NoSocket, Change::Socket);
        self.state_mut().record(change);
    }
}
