//! Random operations, started some way ahead of the reading, on one connection: each yields just what is its own.
//! `PGPOLL_SEED=…` runs one sequence again.

use std::collections::VecDeque;

use pgpoll::engine::{Command, End, Reply};
use pgpoll::rows::Batch;
use pgpoll::wire::Parameters;

use crate::memory::Dice;
use crate::servers;
use crate::session::{FAILED, OK, Session, is_done, text};

const OPEN: &str = "done Ok Idle InTransaction";
const FAILED_OPEN: &str = "done Failed Idle InTransaction";
const SKIPPED: [&str; 2] = ["(skipped)", "done Skipped Idle InTransaction"];
const DIVISION: &str = "error 22012 division by zero";
const COPY: &str = "misuse: the statement is a copy, which this call cannot run";

/// An operation that was started, and what is to come of it.
type Expected = VecDeque<(u64, Vec<String>)>;

struct Mixer {
    session: Session,
    dice: Dice,
    expected: Expected,
    /// How many columns the prepared statement `s` has.
    width: usize,
}

impl Mixer {
    fn expect(&mut self, operation: u64, replies: &[&str]) {
        let replies = replies.iter().map(|&reply| reply.to_owned()).collect();
        self.expected.push_back((operation, replies));
    }

    fn query(&mut self, sql: &str, replies: &[&str]) {
        let operation = self.session.conn.start_query(sql).unwrap();
        self.expect(operation, replies);
    }

    fn extended(&mut self, sql: &str, max_rows: u32, end: End) -> u64 {
        let params: &dyn Parameters = &();
        let command = Command::Params {
            sql: sql.as_bytes(),
            types: &[],
            params,
            format: 0,
            max_rows,
        };
        self.session.conn.start(command, end).unwrap()
    }

    fn start(&mut self) {
        match self.dice.below(11) {
            0 | 1 => {
                let count = self.dice.below(300);
                let numbers: Vec<_> = (1..=count).map(|n| n.to_string()).collect();
                let rows = format!("n: {}", numbers.join(" / "));
                self.query(
                    &format!(
                        "select n from generate_series(1, {count}) n; select 'x' as t, null as z"
                    ),
                    &[
                        rows.trim_end(),
                        &format!("SELECT {count}"),
                        "t,z: x|NULL",
                        "SELECT 1",
                        OK,
                    ],
                );
            }
            2 => self.query(
                "select 1 as a; select 1/0; select 2",
                &["a: 1", "SELECT 1", DIVISION, FAILED],
            ),
            3 => {
                let value = vec![b'v'; self.dice.below(50_000)];
                let shown = format!("t: {}", String::from_utf8_lossy(&value));
                let values: [Option<&[u8]>; 1] = [Some(&value)];
                let conn = &mut self.session.conn;
                let operation = conn.start_query_params("select $1::text as t", &[], &values, 0);
                self.expect(operation.unwrap(), &[shown.trim_end(), "SELECT 1", OK]);
            }
            4 | 5 => {
                let operation = self.session.conn.start_prepared("s", &(), 0).unwrap();
                let names: Vec<_> = (0..self.width).map(|at| format!("c{at}")).collect();
                let values: Vec<_> = (0..self.width).map(|at| at.to_string()).collect();
                let rows = format!("{}: {}", names.join(","), values.join("|"));
                self.expect(operation, &[rows.trim_end(), "SELECT 1", OK]);
            }
            6 => self.prepare_anew(),
            7 => self.group(),
            8 => {
                let limit = 1 + self.dice.below(4);
                let operation = self.extended(
                    "select n from generate_series(1, 3) n",
                    limit as u32,
                    End::Sync,
                );
                let numbers = ["1", "2", "3"][..limit.min(3)].join(" / ");
                let end = if limit <= 3 {
                    "(suspended)"
                } else {
                    "SELECT 3"
                };
                self.expect(operation, &[&format!("n: {numbers}"), end, OPEN]);
                let operation = self.session.conn.sync().unwrap();
                self.expect(operation, &[OK]);
            }
            9 => self.query("do $$ begin raise notice 'n'; end $$", &["DO", OK]),
            _ => match self.dice.below(3) {
                0 => self.query("", &["(empty)", OK]),
                1 => self.query("copy (select 1) to stdout", &[COPY, FAILED]),
                _ => {
                    let operation = self.session.conn.start_prepared("nobody", &(), 0).unwrap();
                    let gone = "error 26000 prepared statement \"nobody\" does not exist";
                    self.expect(operation, &[gone, FAILED]);
                }
            },
        }
    }

    /// The statement `s` gets another number of columns.
    fn prepare_anew(&mut self) {
        self.width = self.dice.below(5);
        let columns: Vec<_> = (0..self.width).map(|at| format!("{at} as c{at}")).collect();
        let described: Vec<_> = (0..self.width).map(|at| format!("c{at}:23")).collect();
        let name = b"s";
        let close = Command::CloseStatement { name };
        let operation = self.session.conn.start(close, End::Sync).unwrap();
        self.expect(operation, &[OK]);
        let sql = format!("select {}", columns.join(","));
        let operation = self.session.conn.start_prepare("s", sql, &[]).unwrap();
        self.expect(
            operation,
            &[&format!("described [] Some({described:?})"), OK],
        );
    }

    /// Some operations and a Sync; one of them may fail.
    fn group(&mut self) {
        let count = 1 + self.dice.below(5);
        let bad = self.dice.below(2 * count);
        for at in 0..count {
            if at == bad {
                let operation = self.extended("select 1/0 as a", 0, End::More);
                self.expect(operation, &[DIVISION, FAILED_OPEN]);
            } else {
                let operation = self.extended("select 1 as a", 0, End::More);
                let well = ["a: 1", "SELECT 1", OPEN];
                self.expect(operation, if at < bad { &well } else { &SKIPPED });
            }
        }
        let operation = self.session.conn.sync().unwrap();
        self.expect(operation, &[OK]);
    }

    fn finish(&mut self) {
        let (operation, expected) = self.expected.pop_front().unwrap();
        let replies = self.session.until(operation, is_done);
        assert_eq!(whole(&replies), expected, "operation {operation}");
    }
}

/// The batches of a result, as one.
fn whole(replies: &[Reply]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    let mut before: Option<&Batch> = None;
    for reply in replies {
        let shown = text(reply);
        match (reply, before) {
            (Reply::Rows(batch), Some(_)) => {
                if batch.rows() > 0 {
                    let (_, rows) = shown.split_once(':').unwrap();
                    let all = texts.last_mut().unwrap();
                    all.push_str(if all.ends_with(':') { "" } else { " /" });
                    all.push_str(rows);
                }
            }
            _ => texts.push(shown),
        }
        before = match reply {
            Reply::Rows(batch) => Some(batch),
            _ => None,
        };
    }
    texts
}

#[test]
fn operations_in_any_order_keep_to_themselves() {
    let seeds = match std::env::var("PGPOLL_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (0..25).collect::<Vec<u64>>(),
    };
    for server in servers() {
        for &seed in &seeds {
            println!("PGPOLL_SEED={seed}"); // shown when it fails
            let mut session = Session::open(&server.conninfo());
            session.prepare("s", "select 0 as c0");
            let mut mixer = Mixer {
                session,
                dice: Dice(seed),
                expected: Expected::new(),
                width: 1,
            };
            let ahead = 1 + mixer.dice.below(40);
            for _ in 0..100 {
                if mixer.dice.once_in(10) {
                    let (rows, bytes) = (mixer.dice.below(20), mixer.dice.below(2000));
                    mixer.session.conn.set_batch(rows, bytes);
                }
                mixer.start();
                while mixer.expected.len() > mixer.dice.below(ahead) {
                    mixer.finish();
                }
            }
            while !mixer.expected.is_empty() {
                mixer.finish();
            }
            assert_eq!(mixer.session.conn.engine().queued(), 0);
        }
    }
}
