//! A client's program and what it sees: the same program at any pace must see the same.

use std::collections::BTreeMap;
use std::fmt::Write;

use pgpoll::engine::{Command, Done, End, Engine, Item, Outcome, Reply, Room};
use pgpoll::error::{Error, Family, ServerError};
use pgpoll::rows::{Batch, Limits};

use super::{Bench, Pace, ROOM, Server};

/// An operation, with values of its own.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum What {
    Query(String),
    Params {
        sql: String,
        types: Vec<u32>,
        params: Vec<Option<Vec<u8>>>,
        format: i16,
        max_rows: u32,
    },
    Prepare {
        name: String,
        sql: String,
    },
    Prepared {
        name: String,
        params: Vec<Option<Vec<u8>>>,
        format: i16,
    },
    DescribeStatement(String),
    DescribePortal(String),
    CloseStatement(String),
    ClosePortal(String),
    Sync,
}

/// One thing that the client does.
#[derive(Debug, Clone)]
pub enum Act {
    /// Starts an operation that ends with its own Sync.
    Start(What),
    /// Starts one that more of the same group follow.
    More(What),
    /// Waits for the portal to be suspended and asks for so many rows more.
    Continue(u32),
    /// Takes everything until all operations are done.
    Wait,
    /// Cuts the rows of the operations that follow.
    Limits(Limits),
}

/// A client's program and the servers that it meets.
#[derive(Debug, Clone)]
pub struct Session {
    /// For the output of tests.
    pub name: String,
    /// How the client connects.
    pub conninfo: String,
    /// In the order of dialling.
    pub servers: Vec<Server>,
    /// What it does once it is connected.
    pub acts: Vec<Act>,
    /// What may be left untaken.
    pub room: Room,
}

/// What a client saw.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcript {
    /// The items, in words.
    pub items: Vec<String>,
    /// The notices' messages.
    pub notices: Vec<String>,
    /// The notifications, in words.
    pub notifications: Vec<String>,
    /// The parameters at the end.
    pub parameters: BTreeMap<String, String>,
    /// Why the connection was over, if it was.
    pub error: Option<Error>,
    /// The client went through its whole program.
    pub finished: bool,
    /// Where everything stood at the end.
    pub place: String,
    /// Bytes received from servers.
    pub received: usize,
    /// The same when the connection was up.
    pub received_until_ready: Option<usize>,
    /// Addresses dialled.
    pub dialled: usize,
    /// All that the servers said, where the pace says to keep it.
    pub stream: Vec<u8>,
}

impl Session {
    /// A client that talks to one server which is up.
    pub fn new(name: &str, script: crate::script::Script, acts: Vec<Act>) -> Self {
        Self {
            name: name.to_owned(),
            conninfo: String::from("host=127.0.0.1 user=tester dbname=scripted password=secret"),
            servers: vec![Server::Plays(script)],
            acts,
            room: ROOM,
        }
    }

    /// The bench that the session runs on.
    pub fn bench(&self, pace: Pace) -> Bench {
        Bench::with_room(&self.conninfo, self.servers.clone(), pace, self.room)
    }

    /// Runs the program at a pace.
    ///
    /// # Panics
    /// If the client is not served as the poll contract says.
    pub fn replay(&self, pace: Pace) -> Transcript {
        Run::new(self.bench(pace)).run(&self.acts)
    }
}

impl Transcript {
    /// The same without what depends on the pace.
    pub fn seen(&self) -> Self {
        Self {
            place: String::new(),
            received: 0,
            received_until_ready: None,
            dialled: 0,
            stream: Vec::new(),
            ..self.clone()
        }
    }
}

/// A session under way.
struct Run {
    bench: Bench,
    items: Vec<Item>,
    transcript: Transcript,
    started: Vec<u64>,
    suspended: usize,
}

impl Run {
    fn new(bench: Bench) -> Self {
        Self {
            bench,
            items: Vec::new(),
            transcript: Transcript::default(),
            started: Vec::new(),
            suspended: 0,
        }
    }

    fn run(mut self, acts: &[Act]) -> Transcript {
        let mut acts = acts.iter();
        let mut next = acts.next();
        self.poll();
        loop {
            let engine = &mut self.bench.engine;
            if engine.error().is_some() || !engine.facts().is_ready() {
                break;
            }
            self.transcript
                .received_until_ready
                .get_or_insert(self.bench.received);
            let Some(act) = next else {
                self.transcript.finished = true;
                break;
            };
            if self.act(act) {
                next = acts.next();
            } else {
                let before = (self.items.len(), self.bench.received, self.bench.sent);
                self.poll();
                if before == (self.items.len(), self.bench.received, self.bench.sent)
                    && !self.act(act)
                {
                    break; // it waits for what never comes
                }
            }
        }
        self.finish()
    }

    /// Does one thing; false while it has to wait.
    fn act(&mut self, act: &Act) -> bool {
        let engine = &mut self.bench.engine;
        let started = match act {
            Act::Start(what) => what.start(engine, End::Sync),
            Act::More(what) => what.start(engine, End::More),
            Act::Limits(limits) => {
                engine.set_limits(*limits);
                return true;
            }
            Act::Wait => return engine.queued() == 0 && engine.peek().is_none(),
            Act::Continue(rows) => {
                if self.suspended == 0 {
                    return false;
                }
                self.suspended -= 1;
                engine.continue_portal(*rows).unwrap();
                return true;
            }
        };
        self.started.push(started.unwrap());
        true
    }

    fn poll(&mut self) {
        self.bench.engine.flush_open_group().unwrap_or_default();
        loop {
            let (_, progress) = self.bench.turn();
            let taken = (!self.bench.pace.lazy || !progress) && self.take();
            if !progress && !taken {
                return;
            }
        }
    }

    /// Takes everything, or (lazy) one item.
    fn take(&mut self) -> bool {
        let mut some = false;
        let engine = &mut self.bench.engine;
        while let Some(item) = engine.take() {
            some = true;
            self.suspended += usize::from(matches!(item.reply, Reply::Suspended));
            self.items.push(item);
            if self.bench.pace.lazy {
                return true;
            }
        }
        while let Some(notice) = engine.notice() {
            some = true;
            let text = String::from_utf8_lossy(notice.message());
            self.transcript.notices.push(text.into_owned());
        }
        while let Some(notification) = engine.notification() {
            some = true;
            let (channel, payload) = (notification.channel(), notification.payload());
            self.transcript.notifications.push(format!(
                "{} {} {}",
                notification.pid,
                String::from_utf8_lossy(channel),
                String::from_utf8_lossy(payload)
            ));
        }
        some
    }

    /// Checks what holds for every session, however it ended.
    fn finish(mut self) -> Transcript {
        self.check_operations();
        self.check_sticky();
        let bench = &self.bench;
        let mut transcript = self.transcript;
        transcript.items = self.items.iter().map(shown).collect();
        transcript.error = bench.engine.error().cloned();
        transcript.place = bench.place();
        transcript.received = bench.received;
        transcript.dialled = bench.dialled;
        transcript.stream = bench.stream.clone();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let parameters = bench.engine.facts().parameters();
        transcript.parameters = parameters
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        transcript
    }

    /// Each operation that ended did so with exactly one done, as its last item; at most one error is the reason.
    fn check_operations(&self) {
        let over = self.bench.engine.error().is_some();
        let mut order = 0;
        let mut lost = 0;
        for &operation in &self.started {
            let own: Vec<&Item> = self
                .items
                .iter()
                .filter(|item| item.operation == operation)
                .collect();
            let place = || format!("operation {operation}: {own:?} {}", self.bench.place());
            let done: Vec<&Done> = own.iter().filter_map(|item| done(item)).collect();
            let errors: Vec<&Error> = own.iter().filter_map(|item| error(item)).collect();
            lost += errors
                .iter()
                .filter(|error| error.family() == Family::Transport)
                .count();
            if !over && done.is_empty() {
                continue; // it is under way
            }
            assert_eq!(done.len(), 1, "{}", place());
            assert!(done_is_last(&own), "{}", place());
            let failed = usize::from(done[0].outcome == Outcome::Failed);
            assert_eq!(errors.len(), failed, "{}", place());
        }
        assert!(
            lost <= 1,
            "one loss is reported once: {}",
            self.bench.place()
        );
        for item in &self.items {
            assert!(item.operation >= order, "out of order: {:?}", self.items);
            order = item.operation;
        }
    }

    /// Once over, everything says the same at once, and nothing can be started.
    fn check_sticky(&mut self) {
        let Some(error) = self.bench.engine.error().cloned() else {
            return;
        };
        for _ in 0..3 {
            self.bench.poll();
            assert!(self.bench.engine.peek().is_none(), "{}", self.bench.place());
            assert_eq!(self.bench.engine.error(), Some(&error));
            let what = What::Query(String::from("SELECT 1"));
            let refused = what.start(&mut self.bench.engine, End::Sync).unwrap_err();
            assert_eq!(refused.family(), Family::Misuse);
            assert!(refused.message().contains("the connection is over"));
            self.bench.now += 3_600_000_000_000;
        }
    }
}

fn done(item: &Item) -> Option<&Done> {
    match &item.reply {
        Reply::Done(done) => Some(done),
        _ => None,
    }
}

fn error(item: &Item) -> Option<&Error> {
    match &item.reply {
        Reply::Error(error) => Some(error),
        _ => None,
    }
}

fn done_is_last(items: &[&Item]) -> bool {
    items.last().is_some_and(|item| done(item).is_some())
}

impl What {
    /// Starts it.
    pub fn start(&self, engine: &mut Engine, end: End) -> Result<u64, Error> {
        match self {
            Self::Query(sql) => {
                let sql = sql.as_bytes();
                engine.start(Command::Query { sql }, end)
            }
            Self::Params {
                sql,
                types,
                params,
                format,
                max_rows,
            } => {
                let params = borrowed(params);
                let command = Command::Params {
                    sql: sql.as_bytes(),
                    types,
                    params: &&params[..],
                    format: *format,
                    max_rows: *max_rows,
                };
                engine.start(command, end)
            }
            Self::Prepare { name, sql } => {
                let command = Command::Prepare {
                    name: name.as_bytes(),
                    sql: sql.as_bytes(),
                    types: &[],
                    describe: true,
                };
                engine.start(command, end)
            }
            Self::Prepared {
                name,
                params,
                format,
            } => {
                let params = borrowed(params);
                let command = Command::Prepared {
                    name: name.as_bytes(),
                    params: &&params[..],
                    format: *format,
                    max_rows: 0,
                    describe: false,
                };
                engine.start(command, end)
            }
            Self::DescribeStatement(name) => {
                let name = name.as_bytes();
                engine.start(Command::DescribeStatement { name }, end)
            }
            Self::DescribePortal(name) => {
                let name = name.as_bytes();
                engine.start(Command::DescribePortal { name }, end)
            }
            Self::CloseStatement(name) => {
                let name = name.as_bytes();
                engine.start(Command::CloseStatement { name }, end)
            }
            Self::ClosePortal(name) => {
                let name = name.as_bytes();
                engine.start(Command::ClosePortal { name }, end)
            }
            Self::Sync => engine.start(Command::Sync, end),
        }
    }
}

fn borrowed(params: &[Option<Vec<u8>>]) -> Vec<Option<&[u8]>> {
    params.iter().map(Option::as_deref).collect()
}

/// An item in words. Rows are read here, after everything else has happened: what changed under them would be seen.
pub fn shown(item: &Item) -> String {
    let reply = match &item.reply {
        Reply::Rows(batch) => rows(batch),
        Reply::Complete(tag) => format!("complete {tag:?}"),
        Reply::EmptyQuery => String::from("empty query"),
        Reply::Suspended => String::from("suspended"),
        Reply::Error(error) => shown_error(error),
        Reply::Skipped => String::from("skipped"),
        Reply::Described {
            parameters,
            columns,
        } => {
            let columns = columns.as_ref().map(|columns| names(columns));
            format!("described {parameters:?} {columns:?}")
        }
        Reply::Done(done) => format!(
            "done {:?} {:?} {:?}",
            done.outcome, done.transaction, done.verdict
        ),
        #[allow(unreachable_patterns)]
        other => format!("{other:?}"),
    };
    format!("{} {reply}", item.operation)
}

fn shown_error(error: &Error) -> String {
    let server = error.server_error().map(ServerError::fields);
    let fields: Vec<String> = server
        .into_iter()
        .flatten()
        .map(|(code, value)| format!("{}={}", char::from(code), String::from_utf8_lossy(value)))
        .collect();
    let said = format!("error {:?} {:?} ", error.family(), error.message());
    (said + &fields.join(" ")).trim_end().to_owned()
}

fn names(columns: &pgpoll::rows::Columns) -> Vec<String> {
    let name = |index| String::from_utf8_lossy(columns.name(index).unwrap()).into_owned();
    (0..columns.len())
        .map(|index| format!("{}:{}", name(index), columns.get(index).unwrap().type_oid))
        .collect()
}

fn rows(batch: &Batch) -> String {
    let columns = batch.columns();
    let format = ["in text", "in binary"][batch.format(0) as usize];
    let mut line = format!("{} rows {format} {:?}", batch.rows(), names(columns));
    for row in 0..batch.rows() {
        line.push_str(" (");
        for column in 0..columns.len() {
            let value = batch.value(row, column);
            if let Some(value) = value {
                let with_nul = batch.value_with_nul(row, column).unwrap();
                assert_eq!(
                    with_nul.split_last(),
                    Some((&0, value)),
                    "no NUL at its end"
                );
            }
            let separator = if column > 0 { ", " } else { "" };
            let _ = write!(line, "{separator}{}", cell(value));
        }
        line.push(')');
    }
    line
}

fn cell(value: Option<&[u8]>) -> String {
    match value {
        None => String::from("NULL"),
        Some(short) if short.len() <= 40 => format!("\"{}\"", short.escape_ascii()),
        Some(long) => {
            let mut words = long.chunks_exact(8);
            let mut sum = 0xcbf2_9ce4_8422_2325_u64;
            let mut add =
                |word: u64| sum = (sum ^ word).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
            for word in &mut words {
                add(u64::from_le_bytes(*word.first_chunk().unwrap()));
            }
            for byte in words.remainder() {
                add(u64::from(*byte));
            }
            format!("{} bytes {sum:016x}", long.len())
        }
    }
}
