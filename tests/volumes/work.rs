//! What is started and what has to come of it. Knows no loop.

use pgpoll::conn::Connection;
use pgpoll::engine::{Command, End, Outcome, Reply};

/// Operations of a group.
const GROUP: usize = 10;
/// One in so many has a large value, and gives it back in a large row.
const LARGE: usize = 500;
const MB: usize = 1 << 20;

pub(crate) const SQL: &str = "select $1::text as t, 100 / $2::int4 as n";

/// Operations by their numbers, from 0: so many were started, and of so many the done has come.
#[derive(Debug)]
pub(crate) struct Work {
    count: usize,
    started: usize,
    done: usize,
    /// Its items so far.
    items: usize,
    refused: usize,
    failed: usize,
    skipped: usize,
    large: usize,
    /// The operation before the first.
    before: u64,
    /// Nobody has said that more would be refused.
    pub(crate) room: bool,
}

/// The value of an operation.
fn value(number: usize) -> Vec<u8> {
    let mut value = format!("{number:08}").into_bytes();
    if number % LARGE == LARGE / 2 {
        value.resize(MB, b'x');
    }
    value
}

/// In one group of 97 the fifth fails, and those behind it are skipped.
fn outcome(number: usize) -> Outcome {
    match (number / GROUP % 97, number % GROUP) {
        (3, 4) => Outcome::Failed,
        (3, 5..) => Outcome::Skipped,
        _ => Outcome::Ok,
    }
}

impl Work {
    pub(crate) fn new(count: usize) -> Work {
        Work {
            count: count / GROUP * GROUP,
            started: 0,
            done: 0,
            items: 0,
            refused: 0,
            failed: 0,
            skipped: 0,
            large: 0,
            before: 0,
            room: true,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done == self.count
    }

    /// Whether what was meant to happen has.
    pub(crate) fn check_end(&self) {
        assert!(self.is_done());
        if self.count >= 20_000 {
            assert!(self.refused > 0 && self.large > 30, "{self:?}");
            assert!(
                self.failed > 10 && self.skipped == 5 * self.failed,
                "{self:?}"
            );
        }
    }

    /// Starts as much as there is room for.
    pub(crate) fn start(&mut self, conn: &mut Connection) {
        while self.room && self.started < self.count {
            let number = self.started;
            let divisor: &[u8] = match outcome(number) {
                Outcome::Failed => b"0",
                _ => b"5",
            };
            let value = value(number);
            let params: [Option<&[u8]>; 2] = [Some(&value), Some(divisor)];
            let command = Command::Prepared {
                name: b"echo",
                params: &params,
                format: 0,
                max_rows: 0,
                describe: false,
            };
            let end = match number % GROUP {
                9 => End::Sync,
                _ => End::More,
            };
            match conn.start(command, end) {
                Ok(operation) => {
                    if number == 0 {
                        self.before = operation;
                    }
                    assert_eq!(operation, self.before + number as u64);
                    self.started += 1;
                }
                Err(error) => {
                    assert!(error.is_would_block(), "{error}");
                    self.refused += 1;
                    self.room = false;
                }
            }
        }
    }

    /// Takes what has come; whether there was something.
    pub(crate) fn take(&mut self, conn: &mut Connection) -> bool {
        let mut taken = false;
        while let Some(item) = conn.take() {
            taken = true;
            let number = self.done;
            assert_eq!(item.operation, self.before + number as u64);
            let expected = outcome(number);
            match (item.reply, self.items, expected) {
                (Reply::Rows(batch), 0, Outcome::Ok) => {
                    let value = value(number);
                    assert!(batch.value(0, 0) == Some(&value), "operation {number}");
                    assert_eq!(batch.value(0, 1), Some(&b"20"[..]));
                    self.large += usize::from(value.len() == MB);
                }
                (Reply::Complete(tag), 1, Outcome::Ok) => assert_eq!(tag.rows(), Some(1)),
                (Reply::Error(error), 0, Outcome::Failed) => {
                    assert_eq!(error.sqlstate(), Some(&b"22012"[..]));
                    self.failed += 1;
                }
                (Reply::Skipped, 0, Outcome::Skipped) => self.skipped += 1,
                (Reply::Done(done), 1 | 2, expected) => {
                    assert_eq!(done.outcome, expected);
                    self.done += 1;
                    self.items = 0;
                    continue;
                }
                (other, items, _) => panic!("operation {number}, item {items}: {other:?}"),
            }
            self.items += 1;
        }
        taken
    }
}
