//! One direction of a proxied connection: what has come, what may go on, and what happens to it. Knows no second direction.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use socket2::Socket;

use super::Counts;
use super::faults::Fault;

/// How much of a direction is held here at most.
const CHUNK: usize = 16_384;

/// One direction.
#[derive(Debug)]
pub(super) struct Way {
    faults: VecDeque<(u64, Fault)>,
    /// What was put in stands before what was received and not passed on yet.
    inserted: Vec<u8>,
    waiting: Vec<u8>,
    passed: u64,
    /// Nothing happens before.
    due: Option<Instant>,
    delay: Duration,
    pieces: (usize, Duration),
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The sender has no more to say.
    Ending,
    /// The receiver has been told the end; what still comes is thrown away.
    Closed,
    /// And nothing comes any more.
    Ended,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    GoesOn,
    Reset,
    BlackHole,
    Close,
    Gone,
}

impl Way {
    pub(super) fn new(faults: Vec<(u64, Fault)>) -> Way {
        Way {
            faults: faults.into(),
            inserted: Vec::new(),
            waiting: Vec::new(),
            passed: 0,
            due: None,
            delay: Duration::ZERO,
            pieces: (usize::MAX, Duration::ZERO),
            state: State::Open,
        }
    }

    pub(super) fn wants_read(&self) -> bool {
        let reads = matches!(self.state, State::Open | State::Closed);
        reads && self.due.is_none() && !self.has_output()
    }

    pub(super) fn wants_write(&self) -> bool {
        self.due.is_none() && self.has_output()
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Tells the receiver that this is the end.
    pub(super) fn close(&mut self, to: &Socket) {
        // One that is gone needs no telling.
        let _ = to.shutdown(Shutdown::Write);
        self.waiting.clear();
        self.inserted.clear();
        self.due = None;
        self.state = match self.state {
            State::Open | State::Closed => State::Closed,
            State::Ending | State::Ended => State::Ended,
        };
    }

    /// Moves what can be moved; `passed` is where the bytes are counted.
    pub(super) fn serve(
        &mut self,
        (from, to): (&Socket, &Socket),
        now: Instant,
        counts: &mut Counts,
        passed: fn(&mut Counts) -> &mut u64,
    ) -> Fate {
        loop {
            if self.due.is_some_and(|due| due > now) {
                return Fate::GoesOn;
            }
            self.due = None;
            if let Some(fate) = self.meet_fault(to, now, counts) {
                return fate;
            }
            let moved = if self.due.is_some() {
                Ok(false)
            } else if self.has_output() {
                self.write(to, now).map(|(more, count)| {
                    *passed(counts) += count;
                    more
                })
            } else {
                self.read((from, to), now)
            };
            match moved {
                Ok(true) => {}
                Ok(false) => return Fate::GoesOn,
                Err(_) => return Fate::Gone,
            }
        }
    }

    /// Does what is planned for this place. A fate ends the plan; a new `due` interrupts it.
    fn meet_fault(&mut self, to: &Socket, now: Instant, counts: &mut Counts) -> Option<Fate> {
        while self.due.is_none() && matches!(self.state, State::Open | State::Ending) {
            if self.faults.front()?.0 > self.passed {
                return None;
            }
            match self.faults.pop_front()?.1 {
                Fault::Delay(time) => self.delay = time,
                Fault::Pause(time) => self.due = Some(now + time),
                Fault::Pieces(size, time) => self.pieces = (size.max(1), time),
                Fault::Insert(bytes) => {
                    counts.inserts += 1;
                    self.inserted.extend(bytes);
                }
                Fault::HalfClose => {
                    counts.closes += 1;
                    self.close(to);
                }
                Fault::Reset => return Some(Fate::Reset),
                Fault::BlackHole => return Some(Fate::BlackHole),
                Fault::Close => return Some(Fate::Close),
            }
        }
        None
    }

    /// Whether to go on at once, and how many of the sender's bytes went.
    fn write(&mut self, mut to: &Socket, now: Instant) -> io::Result<(bool, u64)> {
        let (size, time) = self.pieces;
        let counts = self.inserted.is_empty();
        let (bytes, most) = if counts {
            let next = self.faults.front().map_or(u64::MAX, |(at, _)| *at);
            let until_next = usize::try_from(next - self.passed).unwrap_or(usize::MAX);
            (&mut self.waiting, size.min(until_next))
        } else {
            (&mut self.inserted, size)
        };
        let most = most.min(bytes.len());
        let Some(count) = would_block(to.write(&bytes[..most]))? else {
            return Ok((false, 0));
        };
        bytes.drain(..count);
        if time > Duration::ZERO && self.has_output() {
            self.due = Some(now + time);
        }
        // A piece at a time, however fast the receiver is.
        let count = if counts { count as u64 } else { 0 };
        self.passed += count;
        Ok((size == usize::MAX, count))
    }

    /// Whether to go on at once.
    fn read(&mut self, (mut from, to): (&Socket, &Socket), now: Instant) -> io::Result<bool> {
        if self.state == State::Ending {
            self.close(to);
        }
        if self.state == State::Ended {
            return Ok(false);
        }
        let mut chunk = [0; CHUNK];
        let Some(count) = would_block(from.read(&mut chunk))? else {
            return Ok(false);
        };
        match (self.state, count) {
            (State::Closed, 0) => self.state = State::Ended,
            (State::Closed, _) => {}
            (_, 0) => self.state = State::Ending,
            _ => self.waiting.extend_from_slice(&chunk[..count]),
        }
        if self.delay > Duration::ZERO && self.state != State::Closed {
            self.due = Some(now + self.delay);
        }
        Ok(self.state != State::Ended)
    }

    fn has_output(&self) -> bool {
        !(self.waiting.is_empty() && self.inserted.is_empty())
    }
}

/// None where nothing can be moved now; a socket that is still connecting moves nothing either.
fn would_block(moved: io::Result<usize>) -> io::Result<Option<usize>> {
    match moved {
        Ok(count) => Ok(Some(count)),
        Err(error) => match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::NotConnected | ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        },
    }
}
