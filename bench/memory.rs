//! An engine on memory transport: what a server would say is appended to its input. Knows messages, no socket and no clock.

use pgpoll::conninfo::{Options, Surroundings};
use pgpoll::engine::{Command, End, Engine, Random, Reply, Room};
use pgpoll::link::{Answer, Peer};
use pgpoll::wire::{
    Authentication, BackendKeyData, BindComplete, CommandComplete, DataRow, Field, List,
    ParameterDescription, ParseComplete, ReadyForQuery, RowDescription, TransactionStatus,
};

/// The time, which stands still.
const NOW: u64 = 1;
const BUDGET: usize = 512 * 1024;
/// What both queries answer.
const VALUE: &[u8] = b"12345";

/// An engine that is connected, with what its server answers to a query.
pub(crate) struct Memory {
    engine: Engine,
    to_prepared: Vec<u8>,
    to_simple: Vec<u8>,
}

impl Memory {
    /// Connects without a password and prepares the statement `point`.
    pub(crate) fn connected() -> Self {
        let surroundings = Surroundings::empty();
        let mut options =
            Options::parse(b"host=127.0.0.1 user=u dbname=d sslmode=disable gssencmode=disable")
                .unwrap();
        options.fill_defaults(&surroundings).unwrap();
        let (plan, _) = options.plan(&surroundings).unwrap();
        let room = Room {
            items: 256,
            ahead: 0,
            bytes: 1024 * 1024,
            inbox: 1024 * 1024,
        };
        let mut memory = Self {
            engine: Engine::new(plan, Random::new([1; 32]), room),
            to_prepared: answer_to_prepared(),
            to_simple: answer_to_simple(),
        };
        memory.advance();
        let (id, _) = memory.engine.ask().unwrap();
        memory
            .engine
            .answer(id, Answer::Dialled(Peer { user: None }));
        let mut welcome = Vec::new();
        Authentication::Ok.encode(&mut welcome).unwrap();
        // A server's own: who names no process is taken for a pooler, and asked for the columns with each execution.
        BackendKeyData {
            process_id: 4711,
            secret_key: &[1, 2, 3, 4],
        }
        .encode(&mut welcome)
        .unwrap();
        ready(&mut welcome);
        memory.exchange(&welcome);
        assert!(memory.engine.facts().is_ready());
        let prepare = Command::Prepare {
            name: b"point",
            sql: b"select $1::int4",
            types: &[],
            describe: true,
        };
        memory.engine.start(prepare, End::Sync).unwrap();
        memory.exchange(&answer_to_prepare());
        assert_eq!(memory.take(), 0);
        memory
    }

    /// A prepared query of one parameter and one row: the bytes of its value.
    pub(crate) fn prepared(&mut self, value: &[u8]) -> usize {
        let command = Command::Prepared {
            name: b"point",
            params: &[Some(value)],
            format: 0,
            max_rows: 0,
            describe: false,
        };
        self.engine.start(command, End::Sync).unwrap();
        let answer = std::mem::take(&mut self.to_prepared);
        self.exchange(&answer);
        self.to_prepared = answer;
        self.take()
    }

    /// A simple query of one row: the bytes of its value.
    pub(crate) fn simple(&mut self, sql: &[u8]) -> usize {
        self.engine
            .start(Command::Query { sql }, End::Sync)
            .unwrap();
        let answer = std::mem::take(&mut self.to_simple);
        self.exchange(&answer);
        self.to_simple = answer;
        self.take()
    }

    /// Sends what is to be sent, and receives `answer`.
    fn exchange(&mut self, mut answer: &[u8]) {
        // As a connection does it: nothing is run for what was only started.
        if self.engine.has_news(NOW) {
            self.advance();
        }
        let sent = self.engine.output().len();
        self.engine.sent(sent);
        while !answer.is_empty() {
            let count = self.engine.feed(answer);
            answer = &answer[count..];
        }
        self.advance();
    }

    fn advance(&mut self) {
        self.engine.advance(NOW, BUDGET);
    }

    /// Takes all that is finished.
    fn take(&mut self) -> usize {
        let mut bytes = 0;
        while let Some(item) = self.engine.take() {
            match item.reply {
                Reply::Rows(batch) => bytes += batch.value(0, 0).unwrap().len(),
                Reply::Error(error) => panic!("{error}"),
                _ => {}
            }
        }
        bytes
    }
}

fn ready(out: &mut Vec<u8>) {
    let status = TransactionStatus::Idle;
    ReadyForQuery { status }.encode(out).unwrap();
}

fn columns(out: &mut Vec<u8>) {
    let field = Field {
        name: b"int4",
        table_oid: 0,
        column: 0,
        type_oid: 23,
        type_size: 4,
        type_modifier: -1,
        format: 0,
    };
    let fields = &[field];
    RowDescription {
        fields: List::from(&fields[..]),
    }
    .encode(out)
    .unwrap();
}

fn row(out: &mut Vec<u8>) {
    let values: &[Option<&[u8]>] = &[Some(VALUE)];
    DataRow {
        values: values.into(),
    }
    .encode(out)
    .unwrap();
    CommandComplete { tag: b"SELECT 1" }.encode(out).unwrap();
    ready(out);
}

fn answer_to_prepare() -> Vec<u8> {
    let mut out = Vec::new();
    ParseComplete.encode(&mut out).unwrap();
    let types: &[u32] = &[23];
    ParameterDescription {
        types: types.into(),
    }
    .encode(&mut out)
    .unwrap();
    columns(&mut out);
    ready(&mut out);
    out
}

fn answer_to_prepared() -> Vec<u8> {
    let mut out = Vec::new();
    BindComplete.encode(&mut out).unwrap();
    row(&mut out);
    out
}

fn answer_to_simple() -> Vec<u8> {
    let mut out = Vec::new();
    columns(&mut out);
    row(&mut out);
    out
}
