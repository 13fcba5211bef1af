//! One member of a group: its turns, what is watched for it, and where it stands. Knows one connection, not the others.

use std::os::fd::RawFd;

use crate::conn::{Connection, Readiness};
use crate::engine::Need;
use crate::error::Error;
use crate::link::LinkError;
use crate::net::{Many, Wants};

/// What a group is made of: a connection, or something that has one.
pub trait Member {
    /// Lends the connection to `work`; `None` when somebody else is using it now. A second call of `work` is about what has
    /// taken the connection's place.
    fn turn(&mut self, work: impl FnMut(&mut Connection) -> Turn) -> Option<Turn>;
}

impl Member for Connection {
    fn turn(&mut self, mut work: impl FnMut(&mut Connection) -> Turn) -> Option<Turn> {
        Some(work(self))
    }
}

/// A connection with something that says whose it is.
impl<T> Member for (Connection, T) {
    fn turn(&mut self, mut work: impl FnMut(&mut Connection) -> Turn) -> Option<Turn> {
        Some(work(&mut self.0))
    }
}

/// What a turn of a member came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Turn {
    /// What there is, and if it was polled what to wait for.
    pub(super) ready: Readiness,
    /// It was polled; else it was only looked at.
    pub(super) polled: bool,
    /// It has to be polled.
    pub(super) has_work: bool,
    pub(super) standing: Standing,
    pub(super) deadline: Option<u64>,
    /// The operation that has failed first since the last turn.
    pub(super) failure: Option<u64>,
    /// Bytes received.
    pub(super) received: u64,
}

impl Turn {
    /// What the poll said, if it was one.
    pub fn polled(&self) -> Option<Readiness> {
        self.polled.then_some(self.ready)
    }

    /// What there is now to take or to know.
    fn of(connection: &mut Connection, ready: Readiness) -> Turn {
        Turn {
            ready,
            standing: Standing::of(connection, ready),
            deadline: connection.deadline_ns(),
            failure: connection.engine_mut().take_failure(),
            ..Turn::default()
        }
    }
}

/// Where a member stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Standing {
    /// It connects, or operations are under way.
    #[default]
    Running,
    /// Operations are under way that do not go on before its owner does something: takes what is finished, say. Or it connects, and
    /// wants a token.
    Waiting,
    /// It is up, and all that was started is finished, if perhaps not taken.
    Idle,
    /// It is over.
    Over,
}

impl Standing {
    fn of(connection: &Connection, ready: Readiness) -> Standing {
        let engine = connection.engine();
        let goes_on = ready.has(Readiness::WANT_READ | Readiness::WANT_WRITE | Readiness::RUNNABLE);
        if engine.error().is_some() {
            Standing::Over
        } else if connection.wanted_token().is_some() {
            Standing::Waiting
        } else if !engine.facts().is_ready() {
            Standing::Running
        } else if engine.queued() == 0 && !engine.is_rescuing() {
            Standing::Idle
        } else if connection.awaits_owner() || ready.has(Readiness::COPY) || !goes_on {
            Standing::Waiting
        } else {
            Standing::Running
        }
    }
}

/// What is watched for a member.
#[derive(Debug)]
pub(super) struct Watch {
    fd: RawFd,
    /// Which of the connection's descriptors that is.
    generation: u64,
    wants: Wants,
    /// What the set is told by its events.
    key: u64,
}

impl Watch {
    pub(super) fn new(key: u64) -> Watch {
        Watch {
            fd: -1,
            generation: 0,
            wants: Wants::NOTHING,
            key,
        }
    }

    pub(super) fn key(&self) -> u64 {
        self.key
    }

    /// Polls the connection, and watches from now on what it says.
    #[inline]
    pub(super) fn poll(&mut self, connection: &mut Connection, many: &Many) -> Turn {
        // A reset by its owner: the old descriptor is closed by this poll.
        if self.generation != connection.socket_generation() {
            self.stop(many);
        }
        let before = connection.engine().bytes_received();
        let mut ready = connection.turn(true);
        let received = connection.engine().bytes_received().saturating_sub(before);
        if let Err(error) = self.follow(connection, ready, many) {
            connection.engine_mut().end(not_watched(&error));
            ready = connection.turn(true);
            self.stop(many);
        }
        Turn {
            polled: true,
            received,
            ..Turn::of(connection, ready)
        }
    }

    /// Looks at a connection that its owner has used. `last`: what the last poll said.
    pub(super) fn look(connection: &mut Connection, last: Readiness, now: u64) -> Turn {
        let has_work = last.is_runnable()
            || connection.wants_poll(last.wants_read())
            || connection.engine_mut().has_news(now);
        let need = connection.engine().need();
        // Polled soon, whatever it wants now.
        let need = if has_work {
            Need {
                runnable: true,
                ..need
            }
        } else {
            need
        };
        let ready = connection.readiness(need);
        Turn {
            has_work,
            ..Turn::of(connection, ready)
        }
    }

    /// Watches what the last poll has said.
    #[inline]
    fn follow(
        &mut self,
        connection: &Connection,
        ready: Readiness,
        many: &Many,
    ) -> Result<(), LinkError> {
        let generation = connection.socket_generation();
        if self.generation != generation {
            self.stop(many);
            self.generation = generation;
            self.fd = connection.socket().unwrap_or(-1);
        }
        // To stop watching for input would cost a call each time that something waits to be taken: see `disturbed`.
        let wants = Wants {
            read: ready.wants_read() || self.wants.read,
            write: ready.wants_write(),
        };
        if wants == self.wants || self.fd < 0 {
            return Ok(());
        }
        self.change(wants, many)
    }

    #[cold]
    fn change(&mut self, wants: Wants, many: &Many) -> Result<(), LinkError> {
        many.change(self.fd, self.wants, wants, self.key)?;
        self.wants = wants;
        Ok(())
    }

    /// The descriptor is ready: whether for something that the last poll has named. What it has not is not watched any more.
    #[inline]
    pub(super) fn disturbed(&mut self, last: Readiness, many: &Many) -> bool {
        let wants = Wants {
            read: last.wants_read(),
            write: last.wants_write(),
        };
        if wants != self.wants {
            // What cannot be taken out is no descriptor of the set any more.
            let _ = self.change(wants, many);
        }
        wants != Wants::NOTHING
    }

    /// Watches nothing any more. To be called while the descriptor is open: a forked child may have a copy of it, and then its
    /// closing would leave it in the set.
    pub(super) fn stop(&mut self, many: &Many) {
        if self.wants != Wants::NOTHING {
            let _ = many.change(self.fd, self.wants, Wants::NOTHING, self.key);
        }
        self.wants = Wants::NOTHING;
        self.fd = -1;
    }
}

impl Connection {
    /// Whether its owner has done something since the last poll that makes another one necessary: started an operation, taken what
    /// was in the way of reading. `reading`: the last poll has named [`WANT_READ`](Readiness::WANT_READ).
    pub fn wants_poll(&self, reading: bool) -> bool {
        let need = self.engine.need();
        need.write
            || need.read && !reading
            || self.heard
            || self.rescue.is_some()
            || self.engine.asks()
            || self.engine.owes_flush()
            || self.engine.deadline() == Some(0)
            || self.told != self.socket_generation() as u32
    }

    /// Whether what is under way goes on when the owner says how: continues a portal, puts data of a COPY that there is room for.
    fn awaits_owner(&self) -> bool {
        self.engine.is_portal_suspended()
            || self.engine.takes_copy_data() && !self.send_queue.refused
    }

    /// Forgets which descriptor the caller knows: the next poll says that it is another one.
    pub fn forget_told(&mut self) {
        self.told = (self.socket_generation() as u32).wrapping_sub(1);
    }
}

#[cold]
fn not_watched(error: &LinkError) -> Error {
    Error::transport(format!(
        "could not watch the descriptor of the connection for its group: {}",
        error.text
    ))
}
