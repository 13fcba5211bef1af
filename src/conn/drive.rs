//! The turns of a connection: bytes both ways, the protocol run on them, and what to wait for. Knows no operation.

use std::time::Duration;

use super::{Connection, Readiness};
use crate::engine::Need;
use crate::error::Error;
use crate::link::Ask;
use crate::net::{Interest, Received, Sent, clock};

/// Bytes that one poll receives at most, and works through at most: well below a millisecond of work.
const BUDGET: usize = 512 * 1024;

impl Connection {
    /// Moves bytes both ways and runs the protocol until nothing changes; says what to wait for.
    #[inline]
    pub fn poll(&mut self) -> Readiness {
        self.turn(false)
    }

    /// The same. `level`: whoever waits next is woken by what lies unread, not only by what comes.
    pub(super) fn turn(&mut self, level: bool) -> Readiness {
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
        let mut moved = 0;
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
            if self.moving.is_some() {
                news |= self.move_file(&mut moved);
            }
            if self.net.has_unsent() && !need.write {
                self.net.send_unsent();
            }
            // What went out whole is answered, and the answer makes the socket readable: if nothing had arrived before, a
            // look now would be in vain. Who is woken once for what arrives may have been woken for what arrived since.
            let asked = need.write && !self.write_blocked && self.flush();
            if level && asked && self.quiet && self.is_answer_due() {
                drained = true;
            }
            // With all of it received and something to take, the caller polls again before it waits: that poll sees the rest.
            let enough = self.all_received && self.engine.has_item();
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
        need.runnable |= self.moving.is_some() && self.is_file_due();
        need.write &= self.engine.has_output();
        need.write |= self.net.has_unsent();
        let ready = self.readiness(need);
        self.trace_step();
        if ready.is_stalled() && self.engine.deadline().is_none() {
            return self.stalled();
        }
        ready
    }

    /// Whether everything was sent, and a reply is to come: to an operation, or to what connecting has sent. Data of a COPY is
    /// answered when it ends.
    #[inline]
    fn is_answer_due(&self) -> bool {
        (self.engine.queued() > 0 || !self.facts().is_ready())
            && !self.engine.takes_copy_data()
            && !self.engine.has_output()
            && self.send_failed.is_none()
    }

    /// Carries questions and answers between the engine and the net; true when there was one.
    pub fn converse(&mut self) -> bool {
        let progress = self.pass_on();
        match self.net.answer() {
            Some((id, answer)) => {
                self.engine.answer(id, answer);
                true
            }
            None => progress,
        }
    }

    /// Carries the engine's questions to the net; true when one of them was answered.
    pub fn pass_on(&mut self) -> bool {
        let mut progress = false;
        while let Some((id, ask)) = self.engine.ask() {
            match ask {
                Ask::Cancel { .. } => {
                    progress |= self.begin_cancel(id);
                    continue;
                }
                Ask::Token(ask) => {
                    progress |= self.begin_token(id, ask);
                    continue;
                }
                _ => self.drop_token(),
            }
            self.end_cancel();
            self.net.ask(id, ask);
            self.send_failed = None;
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
            let all = output.len();
            match self.net.send(output) {
                Sent::Bytes(count) => {
                    self.engine.sent(count);
                    if count == all {
                        return true;
                    }
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
    /// That the transport is gone is seen in [`Engine::loss`](crate::engine::Engine::loss). Whoever waits next is woken by what
    /// lies unread.
    pub fn consume_input(&mut self) -> usize {
        let mut count = 0;
        self.all_received = false;
        // What is in memory already no descriptor will show: that goes beyond the budget.
        while (count < BUDGET || self.has_input()) && !self.all_received {
            match self.receive_once() {
                0 => break,
                received => count += received,
            }
        }
        if count == 0 {
            self.engine.release();
        }
        count
    }

    /// The same, but at most once, as much as there is room for.
    pub fn receive_once(&mut self) -> usize {
        if !self.engine.is_linked() {
            return 0;
        }
        let received = self.receive(usize::MAX);
        self.heard |= received != Some(0);
        received.unwrap_or(0)
    }

    /// Whether bytes that were received, and no descriptor shows, wait in the net.
    #[inline]
    pub fn has_input(&self) -> bool {
        self.net.has_input()
    }

    /// Whether there may be something new to the protocol, or the connection is over.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.heard || self.engine.has_work() || self.engine.deadline().is_some()
    }

    /// Runs the protocol on what has been received, without I/O, if there is anything new to it.
    #[inline]
    pub fn advance(&mut self) {
        if self.has_news() {
            self.go_on();
        }
    }

    #[inline(never)]
    fn go_on(&mut self) {
        self.heard = false;
        self.engine.advance(clock::now_ns(), usize::MAX);
        self.engine.release();
    }

    /// What was read before there was room, or left where it was, is looked at without I/O.
    #[inline(never)]
    pub(super) fn catch_up(&mut self) {
        if self.engine.finish_left_answer() {
            return;
        }
        let due = !self.engine.need().read || self.engine.has_work();
        if due && self.engine.error().is_none() {
            self.engine.advance(clock::now_ns(), BUDGET);
            self.trace_step();
        }
    }

    /// Polls, and waits for what it names, until there is something to take or do, or `timeout` is over (`None`: no
    /// limit). The one call that waits.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Readiness {
        self.wait_for(Readiness::SOMETHING, timeout)
    }

    /// The same, until the poll says one of `bits`, or nothing more can come before something is taken.
    pub fn wait_for(&mut self, bits: u32, timeout: Option<Duration>) -> Readiness {
        let end = timeout.map(clock::after);
        loop {
            let ready = self.turn(true);
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
            let until = end.into_iter().chain(self.deadline_ns()).min();
            let timeout = until.map(|until| Duration::from_nanos(until.saturating_sub(now)));
            crate::net::wait(
                self.socket(),
                ready.wants_read(),
                ready.wants_write(),
                timeout,
            );
        }
    }

    /// What to wait for after an advance or a poll, from what the engine and the net need.
    #[inline(always)]
    pub fn readiness(&mut self, mut need: Need) -> Readiness {
        if self.rescue.is_some() {
            self.interest_of_cancel(&mut need);
        }
        let mut ready = Readiness::default();
        let has_item = self.engine.has_item();
        let (notice, notification) = self.engine.has_mail();
        ready.set(Readiness::RESULT, has_item);
        ready.set(Readiness::NOTICE, notice);
        ready.set(Readiness::NOTIFY, notification);
        ready.set(Readiness::WANT_READ, need.read);
        ready.set(Readiness::WANT_WRITE, need.write);
        ready.set(Readiness::RUNNABLE, need.runnable);
        ready.set(Readiness::COPY, self.engine.has_copy_data());
        ready.set(Readiness::ROOM, self.has_made_room());
        if self.facts().is_ready() {
            let idle = self.engine.queued() == 0 && !has_item && !self.engine.is_rescuing();
            ready.set(Readiness::IDLE, idle);
        } else {
            self.add_unready(&mut ready);
        }
        let generation = self.socket_generation() as u32;
        if self.told != generation {
            self.told = generation;
            ready.set(Readiness::SOCKET_CHANGED, true);
            let socket = self.socket();
            self.engine.note_socket(socket);
        }
        ready
    }

    /// What else to wait for, or why not, while the connection is not up.
    #[cold]
    fn add_unready(&self, ready: &mut Readiness) {
        let pending = self.net.pending();
        ready.set(Readiness::WANT_READ, pending == Some(Interest::Read));
        ready.set(Readiness::WANT_WRITE, pending == Some(Interest::Write));
        ready.set(Readiness::WANT_TOKEN, self.wanted_token().is_some());
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
}
