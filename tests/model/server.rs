//! A server of the model's language: it reads the frontend's messages and answers as PostgreSQL does. Knows no client.

use std::collections::{BTreeMap, VecDeque};

use pgpoll::wire::{Frontend, TransactionStatus, frame::frontend_header};
use testkit::dice::Dice;
use testkit::script::{
    bind_complete, close_complete, columns, complete, copy_data, copy_done, copy_in, copy_out,
    empty_query, error, framed, no_data, notice, notification, oid, parameter, parameters,
    parse_complete, ready, row, suspended,
};

use crate::language::{Statement, value};

/// How far a portal is.
#[derive(Debug, Clone, Copy)]
struct Portal {
    statement: Option<Statement>,
    given: usize,
}

/// A COPY FROM STDIN that is under way, and what is left of its query string.
#[derive(Debug)]
struct CopyIn {
    left: Option<usize>,
    rest: VecDeque<Statement>,
}

#[derive(Debug)]
pub(crate) struct Server {
    dice: Dice,
    inbox: Vec<u8>,
    /// What was said and has not been carried to the client.
    pub said: VecDeque<u8>,
    status: TransactionStatus,
    skipping: bool,
    statements: BTreeMap<Vec<u8>, Option<Statement>>,
    portal: Option<Portal>,
    copying: Option<CopyIn>,
    /// Notifications sent so far: their payloads are their numbers.
    pub notified: u64,
    /// Bytes of COPY data that were received and used.
    pub copied: u64,
}

impl Server {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            inbox: Vec::new(),
            said: VecDeque::new(),
            status: TransactionStatus::Idle,
            skipping: false,
            statements: BTreeMap::new(),
            portal: None,
            copying: None,
            notified: 0,
            copied: 0,
        }
    }

    /// Hears some bytes and answers the messages that are whole.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
        let inbox = std::mem::take(&mut self.inbox);
        let mut rest = &inbox[..];
        while let Some(head) = frontend_header(rest).unwrap() {
            let Some(body) = rest.get(5..5 + head.len) else {
                break;
            };
            self.answer(&Frontend::decode(head.tag, body).unwrap());
            rest = &rest[5 + head.len..];
        }
        self.inbox = rest.to_vec();
    }

    fn say(&mut self, message: Vec<u8>) {
        // What a server sends of its own accord comes between any two messages.
        while self.dice.percent(3) {
            let own = match self.dice.below(3) {
                0 => notice("by the way"),
                1 => {
                    self.notified += 1;
                    notification(7, "model", &self.notified.to_string())
                }
                _ => parameter("application_name", &self.dice.below(9).to_string()),
            };
            self.said.extend(own);
        }
        self.said.extend(message);
    }

    fn refuse(&mut self, sqlstate: &str) {
        self.say(error("ERROR", sqlstate, "no"));
        if self.status == TransactionStatus::InTransaction {
            self.status = TransactionStatus::Failed;
        }
    }

    /// An error in the extended protocol: the rest of the group is skipped.
    fn refuse_group(&mut self, sqlstate: &str) {
        self.refuse(sqlstate);
        self.skipping = true;
    }

    fn ready(&mut self) {
        let status = match self.status {
            TransactionStatus::Idle => b'I',
            TransactionStatus::InTransaction => b'T',
            TransactionStatus::Failed => b'E',
        };
        self.say(ready(status));
    }

    /// Whether it may run at all.
    fn admits(&self, statement: Option<Statement>) -> bool {
        self.status != TransactionStatus::Failed || statement.is_none_or(Statement::ends_block)
    }

    fn complete(&mut self, statement: Statement) {
        let (tag, status) = statement.complete(self.status);
        self.status = status;
        self.say(complete(&tag));
    }

    fn answer(&mut self, message: &Frontend<'_>) {
        if self.copying.is_some() {
            return self.copy(message);
        }
        match message {
            Frontend::Query(query) => {
                let statements: VecDeque<Statement> = Statement::all(query.sql).into();
                if statements.is_empty() {
                    self.say(empty_query());
                    return self.ready();
                }
                self.portal = None;
                self.run(statements);
            }
            Frontend::Sync(_) => {
                self.skipping = false;
                self.portal = None;
                self.ready();
            }
            // Of a COPY that has failed before they came.
            Frontend::CopyData(_) | Frontend::CopyDone(_) | Frontend::CopyFail(_) => {}
            Frontend::Terminate(_) | Frontend::Flush(_) => {}
            Frontend::FunctionCall(call) => self.call(call.function_oid),
            _ if self.skipping => {}
            message => self.extended(message),
        }
    }

    /// A simple query, or the rest of one.
    fn run(&mut self, mut statements: VecDeque<Statement>) {
        while let Some(statement) = statements.pop_front() {
            if !self.admits(Some(statement)) {
                self.refuse("25P02");
                break;
            }
            match statement {
                Statement::Fail => {
                    self.refuse("22012");
                    break;
                }
                Statement::Rows(rows, width) => {
                    self.say(columns(&[("n", oid::TEXT)]));
                    self.rows(0..rows, width);
                }
                Statement::CopyIn(left) => {
                    self.say(copy_in(1));
                    self.copying = Some(CopyIn {
                        left,
                        rest: statements,
                    });
                    return;
                }
                Statement::CopyOut(rows, width, fails) => {
                    self.say(copy_out(1));
                    for number in 0..rows {
                        self.say(copy_data(format!("{}\n", value(number, width)).as_bytes()));
                    }
                    if fails {
                        self.refuse("22003");
                        break;
                    }
                    self.say(copy_done());
                }
                _ => {}
            }
            self.complete(statement);
        }
        self.ready();
    }

    fn rows(&mut self, rows: std::ops::Range<usize>, width: usize) {
        for number in rows {
            self.say(row(&[Some(&value(number, width))]));
        }
    }

    /// A message while COPY FROM STDIN is under way.
    fn copy(&mut self, message: &Frontend<'_>) {
        let Some(mut copying) = self.copying.take() else {
            return;
        };
        match message {
            Frontend::CopyData(data) => {
                self.copied += data.data.len() as u64;
                if let Some(left) = &mut copying.left {
                    *left = left.saturating_sub(data.data.len());
                    if *left == 0 {
                        self.refuse("22P04");
                        return self.ready();
                    }
                }
                self.copying = Some(copying);
            }
            Frontend::CopyDone(_) => {
                self.complete(Statement::CopyIn(None));
                self.run(copying.rest);
            }
            Frontend::CopyFail(_) => {
                self.refuse("57014");
                self.ready();
            }
            Frontend::Flush(_) | Frontend::Sync(_) => self.copying = Some(copying),
            other => unreachable!("{other:?} in a COPY kills a connection"),
        }
    }

    /// 1 gives a number, 2 NULL, 3 bytes, others fail.
    fn call(&mut self, function: u32) {
        if !self.admits(Some(Statement::Fail)) {
            self.refuse("25P02");
            return self.ready();
        }
        match function {
            1 => self.say(framed(b'V', &[0, 0, 0, 4, 0, 0, 0, 7])),
            2 => self.say(framed(b'V', &[0xFF; 4])),
            3 => self.say(framed(b'V', b"\0\0\0\x05bytes")),
            _ => self.refuse("42883"),
        }
        self.ready();
    }

    fn extended(&mut self, message: &Frontend<'_>) {
        match message {
            Frontend::Parse(parse) => {
                let statement = Statement::all(parse.sql).first().copied();
                let name = parse.statement.to_vec();
                if !self.admits(statement) {
                    self.refuse_group("25P02");
                } else if !name.is_empty() && self.statements.contains_key(&name) {
                    self.refuse_group("42P05");
                } else {
                    self.statements.insert(name, statement);
                    self.say(parse_complete());
                }
            }
            Frontend::Bind(bind) => match self.statements.get(bind.statement).copied() {
                None => self.refuse_group("26000"),
                Some(statement) if !self.admits(statement) => self.refuse_group("25P02"),
                Some(statement) => {
                    let given = 0;
                    self.portal = Some(Portal { statement, given });
                    self.say(bind_complete());
                }
            },
            Frontend::Describe(describe) if describe.kind == b'S' => {
                match self.statements.get(describe.name).copied() {
                    None => self.refuse_group("26000"),
                    Some(Some(Statement::Rows(..))) if self.status == TransactionStatus::Failed => {
                        self.refuse_group("25P02");
                    }
                    Some(statement) => {
                        self.say(parameters(&[]));
                        self.describe(statement);
                    }
                }
            }
            Frontend::Describe(_) => match self.portal {
                None => self.refuse_group("34000"),
                Some(portal) => self.describe(portal.statement),
            },
            Frontend::Execute(execute) => self.execute(execute.max_rows as usize),
            Frontend::Close(close) => {
                if close.kind == b'S' {
                    self.statements.remove(close.name);
                } else {
                    self.portal = None;
                }
                self.say(close_complete());
            }
            other => unreachable!("{other:?} is not of the extended protocol"),
        }
    }

    fn describe(&mut self, statement: Option<Statement>) {
        match statement {
            Some(Statement::Rows(..)) => self.say(columns(&[("n", oid::TEXT)])),
            _ => self.say(no_data()),
        }
    }

    fn execute(&mut self, most: usize) {
        let Some(mut portal) = self.portal else {
            return self.refuse_group("34000");
        };
        match portal.statement {
            None => self.say(empty_query()),
            Some(statement) if !self.admits(Some(statement)) => self.refuse_group("25P02"),
            Some(Statement::Fail) => self.refuse_group("22012"),
            Some(Statement::Rows(rows, width)) => {
                let end = match most {
                    0 => rows,
                    most => rows.min(portal.given + most),
                };
                self.rows(portal.given..end, width);
                let limited = most > 0 && end - portal.given == most;
                portal.given = end;
                self.portal = Some(portal);
                if limited {
                    self.say(suspended());
                } else {
                    self.complete(Statement::Rows(rows, width));
                }
            }
            Some(statement) => self.complete(statement),
        }
    }
}
