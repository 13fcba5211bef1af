//! A client, a server and the way between them, on a simulated clock; what a cancel hits is watched. Knows no test.

use std::collections::{BTreeMap, VecDeque};

use pgpoll::engine::{Command, Done, End, Engine, Item, Outcome, Reply};
use pgpoll::error::Error;
use pgpoll::link::{Answer, Ask, AskId, LinkError, LinkErrorKind};
use testkit::script::Script;
use testkit::sim::{Bench, START};

use crate::backend::{Backend, MS};

/// What becomes of requests to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancels {
    /// The server gets them after the first time, and the client sees its end after the second.
    Arrive(u64, u64),
    /// Nobody listens; known after this time.
    Refused(u64),
    /// They get lost, and nobody knows.
    Lost,
    /// The server gets them, but the client never sees an end.
    NeverEnd(u64),
}

/// What the client knows of an operation.
#[derive(Debug, Default)]
pub(crate) struct Op {
    pub started: u64,
    pub deadline: Option<u64>,
    pub group: u64,
    pub is_sync: bool,
    pub abandoned: bool,
    pub late: bool,
    pub errors: Vec<Error>,
    /// Items besides the done.
    pub items: usize,
    pub done: Option<(Done, u64)>,
}

/// A request to cancel on its way: when the server gets it, and when the client gets what answer.
type Request = (AskId, Option<u64>, Option<(u64, Answer)>);

pub(crate) struct World {
    pub engine: Engine,
    pub server: Backend,
    pub now: u64,
    pub ops: BTreeMap<u64, Op>,
    pub cancels: Cancels,
    /// Bytes that fit into the way to the server and its unread input.
    pub window: usize,
    /// How long bytes travel.
    pub latency: u64,
    /// What the server says travels byte by byte, so far apart.
    pub trickle: u64,
    /// From then on nothing passes, in either direction.
    pub hole: u64,
    /// The server got so many requests to cancel.
    pub asked: usize,
    pub hits: Vec<u64>,
    pub suspended: usize,
    /// What could be stopped when the last request to cancel was made.
    doomed: Vec<u64>,
    timeout: Option<u64>,
    group: u64,
    to_server: VecDeque<(u64, Vec<u8>)>,
    to_client: VecDeque<(u64, Vec<u8>)>,
    cancel: Option<Request>,
    end_at: Option<u64>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_script(&Script::trusting())
    }

    pub(crate) fn with_script(script: &Script) -> Self {
        Self {
            engine: Bench::connected(script).engine,
            server: Backend::default(),
            now: START,
            ops: BTreeMap::new(),
            cancels: Cancels::Arrive(2 * MS, 2 * MS),
            window: usize::MAX,
            latency: MS,
            trickle: 0,
            hole: u64::MAX,
            asked: 0,
            hits: Vec::new(),
            suspended: 0,
            doomed: Vec::new(),
            timeout: None,
            group: 0,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            cancel: None,
            end_at: None,
        }
    }

    /// Milliseconds; none: no limit.
    pub(crate) fn set_timeout(&mut self, timeout: Option<u64>) {
        self.timeout = timeout.map(|timeout| timeout * MS);
        let timeout = self.timeout.map(std::time::Duration::from_nanos);
        self.engine.set_timeout(timeout);
    }

    /// The number of the operation that is started next.
    pub(crate) fn next(&self) -> u64 {
        self.ops.len() as u64 + 1
    }

    pub(crate) fn query(&mut self, what: &str) -> u64 {
        let sql = format!("#{}. {what}", self.next());
        self.start(
            Command::Query {
                sql: sql.as_bytes(),
            },
            End::Sync,
        )
        .unwrap()
    }

    pub(crate) fn params(&mut self, what: &str, max_rows: u32, end: End) -> u64 {
        let sql = format!("#{}. {what}", self.next());
        let command = Command::Params {
            sql: sql.as_bytes(),
            types: &[],
            params: &&[][..] as &&[Option<&[u8]>],
            format: 0,
            max_rows,
        };
        self.start(command, end).unwrap()
    }

    pub(crate) fn sync(&mut self) -> u64 {
        self.start(Command::Sync, End::Sync).unwrap()
    }

    pub(crate) fn start(&mut self, command: Command<'_>, end: End) -> Result<u64, Error> {
        let is_sync = matches!(command, Command::Sync);
        let operation = self.engine.start(command, end)?;
        assert_eq!(operation, self.next());
        let op = Op {
            started: self.now,
            deadline: self.timeout.map(|timeout| self.now + timeout),
            group: self.group,
            is_sync,
            ..Op::default()
        };
        self.ops.insert(operation, op);
        if !self.engine.has_open_group() {
            self.group += 1;
        }
        self.poll();
        Ok(operation)
    }

    pub(crate) fn shutdown(&mut self, timeout: Option<u64>) -> u64 {
        let timeout = timeout.map(std::time::Duration::from_millis);
        let operation = self.engine.start_shutdown(timeout).unwrap();
        self.ops.insert(operation, Op::default());
        self.poll();
        operation
    }

    pub(crate) fn abandon(&mut self, operation: u64) {
        let found = self.engine.abandon(operation);
        for (&id, op) in &mut self.ops {
            if (operation == 0 || id == operation) && op.done.is_none() {
                assert!(found);
                op.abandoned = true;
            }
        }
        self.poll();
    }

    /// Runs until `time`.
    pub(crate) fn run_until(&mut self, time: u64) {
        while let Some(next) = self.next_event().filter(|next| *next <= time) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = self.now.max(time);
        self.step();
    }

    pub(crate) fn run_for(&mut self, milliseconds: u64) {
        self.run_until(self.now + milliseconds * MS);
    }

    /// Runs until everything is done, or nothing happens any more.
    pub(crate) fn run(&mut self) {
        for _ in 0..100_000 {
            if self.engine.queued() == 0 && !self.engine.is_rescuing() {
                return;
            }
            let Some(next) = self.next_event() else {
                return;
            };
            self.now = self.now.max(next);
            self.step();
        }
        panic!("no end: {}", self.place());
    }

    pub(crate) fn place(&self) -> String {
        format!(
            "{} at {} {:?} {:#?} cancel {:?} hits {:?}",
            self.engine.inspect(self.now),
            (self.now - START) / MS,
            self.server,
            self.ops,
            self.cancel,
            self.hits,
        )
    }

    fn next_event(&self) -> Option<u64> {
        let passes = |at: &u64| *at < self.hole;
        let travelling = [self.to_server.front(), self.to_client.front()];
        let travelling = travelling.into_iter().flatten().map(|(at, _)| *at);
        let mut events: Vec<u64> = travelling.chain(self.end_at).filter(passes).collect();
        events.extend(self.server.next().filter(|at| *at < u64::MAX));
        events.extend(self.engine.deadline());
        if let Some((_, arrives, ends)) = &self.cancel {
            events.extend(arrives.filter(passes));
            events.extend(ends.as_ref().map(|(at, _)| *at).filter(passes));
        }
        events.into_iter().min()
    }

    fn step(&mut self) {
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

    /// What a connection's poll does.
    pub(crate) fn poll(&mut self) {
        self.engine.flush_open_group().unwrap_or_default();
        loop {
            let news = self.engine.has_news(self.now) || self.engine.loss().is_some();
            let mut progress = self.engine.need().write && self.send();
            let before = self.standing();
            self.engine.advance(self.now, usize::MAX);
            let changed = self.standing() != before;
            assert!(
                news || !changed,
                "there was news after all: {}",
                self.place()
            );
            while let Some((id, ask)) = self.engine.ask() {
                progress = true;
                self.ask(id, ask);
            }
            progress |= self.take();
            if !progress && !changed {
                break;
            }
        }
        let need = self.engine.need();
        let waits = need.read || need.write || self.engine.deadline().is_some();
        assert!(waits || self.engine.error().is_some(), "{}", self.place());
    }

    /// What an advance without news must not change. What a rescue holds back it may hold back a little later.
    fn standing(&self) -> (usize, usize, bool) {
        let engine = &self.engine;
        let output = match engine.is_rescuing() {
            true => 0,
            false => engine.output().len(),
        };
        (engine.queued(), output, engine.error().is_some())
    }

    fn ask(&mut self, id: AskId, ask: Ask) {
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

    fn send(&mut self) -> bool {
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

    fn take(&mut self) -> bool {
        let mut some = false;
        while let Some(Item { operation, reply }) = self.engine.take() {
            some = true;
            let op = self.ops.get_mut(&operation).unwrap();
            assert!(op.done.is_none(), "after its done: {reply:?}");
            match reply {
                Reply::Done(done) => op.done = Some((done, self.now)),
                reply => {
                    assert!(!op.late && !op.abandoned, "{operation} gives {reply:?}");
                    op.items += 1;
                    if let Reply::Error(error) = reply {
                        op.late = error.is_timeout();
                        op.errors.push(*error);
                    } else if matches!(reply, Reply::Suspended) {
                        self.suspended += 1;
                    }
                }
            }
        }
        some
    }

    pub(crate) fn outcome(&self, operation: u64) -> Option<Outcome> {
        Some(self.ops[&operation].done?.0.outcome)
    }
}
