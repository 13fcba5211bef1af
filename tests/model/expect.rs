//! What each operation of the language has to yield, by PostgreSQL's rules. Knows neither messages nor bytes.

use std::collections::{BTreeMap, VecDeque};

use pgpoll::engine::{CopyWay, Outcome};
use pgpoll::wire::TransactionStatus;

use crate::language::Statement;

/// One item, or a result's batches together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// The numbers of the first row and behind the last, and how long the values are.
    Rows(usize, usize, usize),
    Complete(String),
    Empty,
    Suspended,
    Error(&'static str),
    Skipped,
    /// Whether there are columns.
    Described(bool),
    /// After so many bytes the server refuses it.
    Copy(CopyWay, Option<usize>),
    Called(Option<Vec<u8>>),
    /// How it ended, and the status where its own ReadyForQuery says it.
    Done(Outcome, Option<TransactionStatus>),
}

/// An operation, as the client starts it.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Query(Vec<Statement>),
    /// The same with COPYs in it, of which one from the client at most: its data is the driver's business.
    Copy(Vec<Statement>),
    Params(Option<Statement>, usize),
    Prepare(String, Option<Statement>),
    Prepared(String),
    Describe(String),
    Close(String),
    Call(u32),
    Sync,
}

/// What the session is like behind all that was started.
#[derive(Debug)]
pub(crate) struct Model {
    status: TransactionStatus,
    /// An operation of the open group has failed.
    failed: bool,
    statements: BTreeMap<String, Option<Statement>>,
    /// The portal with a row limit: its statement, rows given, rows asked for.
    portal: Option<(Statement, usize)>,
    /// What follows the COPY from the client that is under way.
    copying: Option<Vec<Statement>>,
    /// Rows of COPYs to the client that are to come, and how long they are.
    pub copies: VecDeque<(usize, usize)>,
    /// Items to come, in order.
    pub expected: VecDeque<(u64, Seen)>,
}

type Step = Result<(), &'static str>;

impl Model {
    pub(crate) fn new() -> Self {
        Self {
            status: TransactionStatus::Idle,
            failed: false,
            statements: BTreeMap::new(),
            portal: None,
            copying: None,
            copies: VecDeque::new(),
            expected: VecDeque::new(),
        }
    }

    /// An operation was started; `more`: without a Sync of its own.
    pub(crate) fn start(&mut self, id: u64, op: &Op, more: bool) {
        let limited = matches!(op, Op::Params(_, most) if *most > 0);
        if matches!(op, Op::Sync) {
            self.failed = false;
            self.portal = None;
            return self.done(id, Outcome::Ok, true);
        }
        if self.failed {
            self.expect(id, Seen::Skipped);
            self.done(id, Outcome::Skipped, !more && !limited);
            self.failed = more || limited;
            return;
        }
        let outcome = match self.run(id, op) {
            Ok(()) => Outcome::Ok,
            Err(sqlstate) => {
                self.refused(id, sqlstate);
                self.failed = more || limited;
                Outcome::Failed
            }
        };
        // One that is suspended goes on, and so does a COPY from the client.
        if self.portal.is_none() && self.copying.is_none() {
            self.done(id, outcome, !more && !limited);
        }
    }

    /// The suspended portal is asked for so many more rows.
    pub(crate) fn go_on(&mut self, id: u64, most: usize) {
        if let Some((statement, given)) = self.portal.take() {
            self.give(id, statement, given, most);
            if self.portal.is_none() {
                self.done(id, Outcome::Ok, false);
            }
        }
    }

    /// The suspended portal is not asked for more: a sync follows.
    pub(crate) fn leave(&mut self, id: u64) {
        if self.portal.take().is_some() {
            self.done(id, Outcome::Ok, false);
        }
    }

    pub(crate) fn is_copying(&self) -> bool {
        self.copying.is_some()
    }

    pub(crate) fn is_suspended(&self) -> bool {
        self.portal.is_some()
    }

    /// A COPY FROM STDIN ends in this way, with this error if any; the rest of its string follows.
    pub(crate) fn copied(&mut self, id: u64, error: Option<&'static str>) {
        let rest = self.copying.take().unwrap_or_default();
        let result = match error {
            None => {
                self.complete(id, Statement::CopyIn(None));
                self.statements_of(id, &rest)
            }
            Some(sqlstate) => Err(sqlstate),
        };
        let outcome = match result {
            Ok(()) => Outcome::Ok,
            Err(sqlstate) => {
                self.refused(id, sqlstate);
                Outcome::Failed
            }
        };
        self.done(id, outcome, true);
    }

    fn refused(&mut self, id: u64, sqlstate: &'static str) {
        self.expect(id, Seen::Error(sqlstate));
        if self.status == TransactionStatus::InTransaction {
            self.status = TransactionStatus::Failed;
        }
    }

    fn expect(&mut self, id: u64, seen: Seen) {
        self.expected.push_back((id, seen));
    }

    fn done(&mut self, id: u64, outcome: Outcome, sync: bool) {
        let status = sync.then_some(self.status);
        self.expect(id, Seen::Done(outcome, status));
    }

    fn admits(&self, statement: Option<Statement>) -> Step {
        let refused = self.status == TransactionStatus::Failed
            && statement.is_some_and(|statement| !statement.ends_block());
        if refused { Err("25P02") } else { Ok(()) }
    }

    fn complete(&mut self, id: u64, statement: Statement) {
        let (tag, status) = statement.complete(self.status);
        self.status = status;
        self.expect(id, Seen::Complete(tag));
    }

    fn run(&mut self, id: u64, op: &Op) -> Step {
        match op {
            Op::Query(statements) | Op::Copy(statements) if statements.is_empty() => {
                self.expect(id, Seen::Empty);
                Ok(())
            }
            Op::Query(statements) | Op::Copy(statements) => self.statements_of(id, statements),
            Op::Params(statement, most) => {
                self.admits(*statement)?;
                self.execute(id, *statement, *most)
            }
            Op::Prepare(name, statement) => {
                self.admits(*statement)?;
                if self.statements.contains_key(name) {
                    return Err("42P05");
                }
                self.statements.insert(name.clone(), *statement);
                self.describe(id, *statement)
            }
            Op::Prepared(name) => {
                let statement = *self.statements.get(name).ok_or("26000")?;
                self.admits(statement)?;
                self.execute(id, statement, 0)
            }
            Op::Describe(name) => {
                let statement = *self.statements.get(name).ok_or("26000")?;
                self.describe(id, statement)
            }
            Op::Close(name) => {
                self.statements.remove(name);
                Ok(())
            }
            Op::Call(function) => {
                self.admits(Some(Statement::Fail))?;
                let value = match function {
                    1 => Some(vec![0, 0, 0, 7]),
                    2 => None,
                    3 => Some(b"bytes".to_vec()),
                    _ => return Err("42883"),
                };
                self.expect(id, Seen::Called(value));
                Ok(())
            }
            Op::Sync => Ok(()),
        }
    }

    /// Up to a COPY from the client, whose end the client decides.
    fn statements_of(&mut self, id: u64, statements: &[Statement]) -> Step {
        for (at, &statement) in statements.iter().enumerate() {
            self.admits(Some(statement))?;
            match statement {
                Statement::CopyIn(fails_after) => {
                    self.expect(id, Seen::Copy(CopyWay::In, fails_after));
                    self.copying = Some(statements[at + 1..].to_vec());
                    return Ok(());
                }
                Statement::Fail => return Err("22012"),
                Statement::Rows(rows, width) => self.expect(id, Seen::Rows(0, rows, width)),
                Statement::CopyOut(rows, width, fails) => {
                    self.expect(id, Seen::Copy(CopyWay::Out, None));
                    self.copies.push_back((rows, width));
                    if fails {
                        return Err("22003");
                    }
                }
                _ => {}
            }
            self.complete(id, statement);
        }
        Ok(())
    }

    fn describe(&mut self, id: u64, statement: Option<Statement>) -> Step {
        let columns = matches!(statement, Some(Statement::Rows(..)));
        if columns && self.status == TransactionStatus::Failed {
            return Err("25P02");
        }
        self.expect(id, Seen::Described(columns));
        Ok(())
    }

    fn execute(&mut self, id: u64, statement: Option<Statement>, most: usize) -> Step {
        match statement {
            None => self.expect(id, Seen::Empty),
            Some(Statement::Fail) => return Err("22012"),
            Some(statement @ Statement::Rows(..)) => self.give(id, statement, 0, most),
            Some(statement) => self.complete(id, statement),
        }
        Ok(())
    }

    fn give(&mut self, id: u64, statement: Statement, given: usize, most: usize) {
        let Statement::Rows(rows, width) = statement else {
            return;
        };
        let end = if most == 0 {
            rows
        } else {
            rows.min(given + most)
        };
        self.expect(id, Seen::Rows(given, end, width));
        if most > 0 && end - given == most {
            self.portal = Some((statement, end));
            self.expect(id, Seen::Suspended);
        } else {
            self.complete(id, statement);
        }
    }
}
