//! A client, a server and the way between them, on a simulated clock; what a cancel hits is watched. Knows no test.

use std::collections::{BTreeMap, VecDeque};

use pgpoll::engine::{Command, Done, End, Engine, FileTurn, Item, Outcome, Reply};
use pgpoll::error::Error;
use pgpoll::link::{Answer, AskId};
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
pub(crate) type Request = (AskId, Option<u64>, Option<(u64, Answer)>);

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
    /// Messages of data that were taken.
    pub copied: usize,
    /// What could be stopped when the last request to cancel was made.
    pub doomed: Vec<u64>,
    timeout: Option<u64>,
    group: u64,
    pub to_server: VecDeque<(u64, Vec<u8>)>,
    pub to_client: VecDeque<(u64, Vec<u8>)>,
    pub cancel: Option<Request>,
    pub end_at: Option<u64>,
    /// So much of a file was read.
    pieces: usize,
    moved: bool,
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
            copied: 0,
            doomed: Vec::new(),
            timeout: None,
            group: 0,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            cancel: None,
            end_at: None,
            pieces: 0,
            moved: false,
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

    /// A COPY, or what is none.
    pub(crate) fn copy(&mut self, what: &str) -> u64 {
        let sql = format!("#{}. {what}", self.next());
        self.start(
            Command::Copy {
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

    /// What a connection's poll does.
    pub(crate) fn poll(&mut self) {
        self.engine.flush_open_group().unwrap_or_default();
        loop {
            let moved = std::mem::take(&mut self.moved);
            let news = moved || self.engine.has_news(self.now) || self.engine.loss().is_some();
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
            progress |= self.take() | self.move_file();
            if !progress && !changed {
                break;
            }
        }
        let need = self.engine.need();
        let waits = need.read || need.write || self.engine.deadline().is_some();
        assert!(waits || self.engine.error().is_some(), "{}", self.place());
    }

    /// Of a file that is imported there are three pieces.
    fn move_file(&mut self) -> bool {
        match self.engine.file_turn() {
            FileTurn::Over | FileTurn::Wait => return false,
            FileTurn::Read => {
                self.pieces += 1;
                let piece: &[u8] = if self.pieces > 3 { b"" } else { b"a piece" };
                self.engine.file_read(Ok(piece));
            }
            FileTurn::Write(_) => self.engine.file_written(Ok(())),
        }
        self.moved = true;
        true
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

    pub(crate) fn take(&mut self) -> bool {
        let mut some = false;
        while self.engine.has_copy_data() {
            some = true;
            self.copied += self.engine.copy_get(3).count();
        }
        while let Some(Item {
            operation, reply, ..
        }) = self.engine.take()
        {
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
