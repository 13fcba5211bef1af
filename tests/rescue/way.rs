//! What travels in the world: bytes both ways, and requests to cancel, which are watched for what they can hit.

use std::collections::VecDeque;

use pgpoll::link::{Answer, Ask, AskId, LinkError, LinkErrorKind};

use crate::world::{Cancels, Op, World};

impl World {
    pub(crate) fn step(&mut self) {
        let due = |now: u64, hole: u64, queue: &VecDeque<(u64, Vec<u8>)>| {
            queue
                .front()
                .is_some_and(|(at, _)| *at <= now && *at < hole)
        };
        while due(self.now, self.hole, &self.to_server) {
            let (_, bytes) = self.to_server.pop_front().unwrap();
            self.server.heard.extend_from_slice(&bytes);
            self.serve();
        }
        self.serve();
        if let Some((_, arrives, _)) = &mut self.cancel
            && arrives.is_some_and(|at| at <= self.now && at < self.hole)
        {
            *arrives = None;
            self.interrupt();
            self.serve();
        }
        while due(self.now, self.hole, &self.to_client) {
            let (_, bytes) = self.to_client.pop_front().unwrap();
            let mut bytes = &bytes[..];
            while !bytes.is_empty() && self.engine.error().is_none() {
                assert!(self.engine.need().read, "{}", self.place());
                let count = self.engine.feed(bytes);
                bytes = &bytes[count..];
                self.engine.advance(self.now, usize::MAX);
                self.take();
            }
        }
        if self
            .end_at
            .is_some_and(|at| at <= self.now && at < self.hole)
            && self.to_client.is_empty()
        {
            self.end_at = None;
            self.engine.lost(testkit::sim::closed());
        }
        if let Some((id, _, Some((at, _)))) = &self.cancel
            && *at <= self.now
            && *at < self.hole
        {
            let id = *id;
            let (_, _, answer) = self.cancel.take().unwrap();
            self.engine.answer(id, answer.unwrap().1);
        }
        self.poll();
    }

    fn serve(&mut self) {
        self.server.step(self.now);
        if !self.server.out.is_empty() {
            let out = std::mem::take(&mut self.server.out);
            let mut at = self.now + self.latency;
            if self.trickle == 0 {
                self.to_client.push_back((at, out));
            } else {
                at = at.max(self.to_client.back().map_or(0, |(last, _)| *last));
                for byte in out {
                    at += self.trickle;
                    self.to_client.push_back((at, vec![byte]));
                }
            }
        }
        if self.server.closed && self.end_at.is_none() {
            self.end_at = Some(self.now + self.latency);
        }
    }

    /// A request to cancel has reached the server: nothing of what is wanted may be there to be hit by it.
    fn interrupt(&mut self) {
        self.asked += 1;
        let running = self.server.busy_with();
        let travelling = self.to_server.iter().flat_map(|(_, bytes)| bytes);
        let unread: Vec<u8> = self
            .server
            .heard
            .iter()
            .chain(travelling)
            .copied()
            .collect();
        for (operation, op) in &self.ops {
            let needle = format!("#{operation}. ");
            let reached = running == Some(*operation)
                || unread
                    .windows(needle.len())
                    .any(|part| part == needle.as_bytes());
            assert!(
                !reached
                    || op.done.is_some()
                    || self.doomed.contains(operation)
                    || self.is_doomed(op),
                "a cancel can hit {operation}: {}",
                self.place()
            );
        }
        self.hits.extend(self.server.interrupt());
    }

    /// Whether an operation may be stopped: its deadline has passed, or its whole group was abandoned.
    fn is_doomed(&self, op: &Op) -> bool {
        let given_up = |op: &Op| op.late || op.abandoned;
        let over = op.deadline.is_some_and(|deadline| deadline <= self.now);
        let others = self.ops.values().filter(|other| !other.is_sync);
        let mut group = others.filter(|other| other.group == op.group);
        given_up(op) && (over || group.all(|other| other.done.is_some() || given_up(other)))
    }

    pub(crate) fn ask(&mut self, id: AskId, ask: Ask) {
        match ask {
            Ask::Cancel { .. } => {
                assert!(self.cancel.is_none(), "one at a time: {}", self.place());
                let doomed = self.ops.iter().filter(|(_, op)| self.is_doomed(op));
                self.doomed = doomed.map(|(operation, _)| *operation).collect();
                let refused = LinkError {
                    kind: LinkErrorKind::Dial,
                    errno: 111,
                    text: String::from("Connection refused"),
                };
                let (arrives, ends) = match self.cancels {
                    Cancels::Arrive(there, back) => {
                        let end = self.now + there + back;
                        (Some(self.now + there), Some((end, Answer::Cancelled)))
                    }
                    Cancels::Refused(time) => {
                        (None, Some((self.now + time, Answer::Failed(refused))))
                    }
                    Cancels::Lost => (None, None),
                    Cancels::NeverEnd(there) => (Some(self.now + there), None),
                };
                self.cancel = Some((id, arrives, ends));
            }
            Ask::Hangup => self.cancel = None,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn send(&mut self) -> bool {
        let travelling: usize = self.to_server.iter().map(|(_, bytes)| bytes.len()).sum();
        // A server that is not at work reads what comes.
        let unread = self
            .server
            .busy_with()
            .map_or(0, |_| self.server.heard.len());
        let room = self.window.saturating_sub(travelling + unread);
        let output = self.engine.output();
        let count = room.min(output.len());
        if count == 0 {
            return false;
        }
        let bytes = output[..count].to_vec();
        self.to_server.push_back((self.now + self.latency, bytes));
        self.engine.sent(count);
        true
    }
}
