//! A connection driven to the end of each operation, and what it yields as short texts. Knows only the Rust API.

use std::time::Duration;

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::{Done, Item, Notice, Notification, Reply};
use pgpoll::error::{Error, Family};
use pgpoll::rows::Batch;
use pgpoll::wire::frame::frontend_header;
use pgpoll::wire::{Parameters, TransactionStatus};

/// The done of an operation that went well outside of a transaction.
pub(crate) const OK: &str = "done Ok Idle Clean";
/// The done of one that failed there.
pub(crate) const FAILED: &str = "done Failed Idle Clean";

/// Nothing here takes longer, however slow the machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Session {
    pub(crate) conn: Connection,
    pub(crate) notices: Vec<Notice>,
    pub(crate) notifications: Vec<Notification>,
}

impl Session {
    /// A connection that is up.
    #[track_caller]
    pub(crate) fn open(conninfo: &str) -> Self {
        match Self::try_open(conninfo) {
            Ok(session) => session,
            Err(error) => panic!("{conninfo}: {error}"),
        }
    }

    #[track_caller]
    pub(crate) fn try_open(conninfo: &str) -> Result<Self, Error> {
        let mut session = Self {
            conn: Connection::open(conninfo),
            notices: Vec::new(),
            notifications: Vec::new(),
        };
        session.come_up()?;
        Ok(session)
    }

    /// Waits until the connection is up.
    #[track_caller]
    pub(crate) fn come_up(&mut self) -> Result<(), Error> {
        loop {
            let ready = self.step();
            if ready.is_failed() {
                return Err(self.conn.error().unwrap().clone());
            }
            if ready.is_idle() {
                return Ok(());
            }
        }
    }

    /// Waits for something, and puts the mail away.
    #[track_caller]
    pub(crate) fn step(&mut self) -> Readiness {
        let ready = self.conn.wait(Some(PATIENCE));
        assert!(ready.is_something(), "a hang: {}", self.conn.inspect());
        while let Some(notice) = self.conn.take_notice() {
            self.notices.push(notice);
        }
        while let Some(notification) = self.conn.take_notification() {
            self.notifications.push(notification);
        }
        ready
    }

    /// The next item; `None` when there will be none.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.conn.take() {
                return Some(item);
            }
            let ready = self.step();
            if !ready.has_result() && (ready.is_failed() || ready.is_idle()) {
                return None;
            }
        }
    }

    /// The replies up to one of the operation for which `last` is true.
    #[track_caller]
    pub(crate) fn until(&mut self, operation: u64, last: fn(&Reply) -> bool) -> Vec<Reply> {
        let mut replies = Vec::new();
        loop {
            let Some(item) = self.next() else {
                panic!("operation {operation} has no end: {}", self.conn.inspect());
            };
            assert_eq!(item.operation, operation, "{:?}", item.reply);
            replies.push(item.reply);
            if replies.last().is_some_and(last) {
                return replies;
            }
        }
    }

    /// What an operation yields up to its done, as texts.
    #[track_caller]
    pub(crate) fn finish(&mut self, operation: u64) -> Vec<String> {
        texts(&self.until(operation, is_done))
    }

    /// A simple query, to its end.
    #[track_caller]
    pub(crate) fn query(&mut self, sql: &str) -> Vec<String> {
        let operation = self.conn.start_query(sql).unwrap();
        self.finish(operation)
    }

    /// A statement with text parameters and text results, to its end.
    #[track_caller]
    pub(crate) fn params(&mut self, sql: &str, params: &dyn Parameters) -> Vec<String> {
        let operation = self.conn.start_query_params(sql, &[], params, 0).unwrap();
        self.finish(operation)
    }

    /// Executes a prepared statement, to its end.
    #[track_caller]
    pub(crate) fn prepared(&mut self, name: &str, params: &dyn Parameters) -> Vec<String> {
        let operation = self.conn.start_prepared(name, params, 0).unwrap();
        self.finish(operation)
    }

    #[track_caller]
    pub(crate) fn prepare(&mut self, name: &str, sql: &str) -> Vec<String> {
        let operation = self.conn.start_prepare(name, sql, &[]).unwrap();
        self.finish(operation)
    }

    /// The rows of a simple query that has one result.
    #[track_caller]
    pub(crate) fn rows(&mut self, sql: &str) -> Batch {
        let operation = self.conn.start_query(sql).unwrap();
        for reply in self.until(operation, is_done) {
            if let Reply::Rows(batch) = reply {
                return batch;
            }
        }
        panic!("{sql}: no rows");
    }

    /// The types of the messages that wait to be sent.
    pub(crate) fn queued_messages(&self) -> String {
        let mut rest = self.conn.engine().output();
        let mut tags = String::new();
        while let Ok(Some(head)) = frontend_header(rest) {
            tags.push(char::from(head.tag));
            rest = &rest[5 + head.len..];
        }
        tags
    }

    /// Waits for the end of an idle connection, as an event loop does: its error, with no item before it.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Error {
        while !self.conn.poll().is_failed() {
            if let Some(item) = self.conn.take() {
                panic!("{:?}", item.reply);
            }
            self.sleep();
        }
        self.conn.error().unwrap().clone()
    }

    /// Sleeps on the socket for a while.
    pub(crate) fn sleep(&self) {
        pgpoll::net::wait(
            self.conn.socket(),
            true,
            false,
            Some(Duration::from_secs(1)),
        );
    }
}

pub(crate) fn is_done(reply: &Reply) -> bool {
    matches!(reply, Reply::Done(_))
}

pub(crate) fn texts(replies: &[Reply]) -> Vec<String> {
    replies.iter().map(text).collect()
}

/// `name,name: cell|cell / cell|NULL` for rows, the command tag, `error SQLSTATE message`, `done outcome transaction verdict`.
pub(crate) fn text(reply: &Reply) -> String {
    match reply {
        Reply::Rows(batch) => rows(batch),
        Reply::Complete(tag) => String::from_utf8_lossy(tag.as_bytes()).into_owned(),
        Reply::EmptyQuery => String::from("(empty)"),
        Reply::Suspended => String::from("(suspended)"),
        Reply::Called(batch) => match (reply.number(), batch.value(0, 0)) {
            (Some(number), _) => format!("called {number}"),
            (None, Some(value)) => format!("called {} bytes", value.len()),
            (None, None) => String::from("called NULL"),
        },
        Reply::Skipped => String::from("(skipped)"),
        Reply::Error(error) => match error.family() {
            Family::Server => {
                let code = String::from_utf8_lossy(error.sqlstate().unwrap()).into_owned();
                format!("error {code} {}", error.message())
            }
            family => format!("{family:?}: {}", error.message()).to_lowercase(),
        },
        Reply::Described {
            parameters,
            columns,
        } => {
            let columns = columns.as_ref().map(|columns| {
                let shown = (0..columns.len()).map(|at| {
                    let name = String::from_utf8_lossy(columns.name(at).unwrap());
                    format!("{name}:{}", columns.get(at).unwrap().type_oid)
                });
                shown.collect::<Vec<_>>()
            });
            format!("described {parameters:?} {columns:?}")
        }
        Reply::Done(Done {
            outcome,
            transaction,
            verdict,
        }) => {
            format!("done {outcome:?} {transaction:?} {verdict:?}")
        }
        #[allow(unreachable_patterns)]
        other => format!("{other:?}"),
    }
}

fn rows(batch: &Batch) -> String {
    let names = (0..batch.columns().len()).map(|at| {
        assert_eq!(
            batch.columns().name_with_nul(at).unwrap().last(),
            Some(&0),
            "column names end with NUL"
        );
        String::from_utf8_lossy(batch.columns().name(at).unwrap()).into_owned()
    });
    let names = names.collect::<Vec<_>>().join(",");
    let rows = (0..batch.rows()).map(|row| {
        let cells = (0..batch.columns().len()).map(|column| {
            let Some(value) = batch.value(row, column) else {
                return String::from("NULL");
            };
            let with_nul = batch.value_with_nul(row, column).unwrap();
            assert_eq!(
                with_nul.split_last(),
                Some((&0, value)),
                "values end with NUL"
            );
            String::from_utf8_lossy(value).into_owned()
        });
        cells.collect::<Vec<_>>().join("|")
    });
    let rows = rows.collect::<Vec<_>>().join(" / ");
    format!("{names}: {rows}").trim_end().to_owned()
}

/// The transaction status that the server told last.
pub(crate) fn transaction(session: &Session) -> Option<TransactionStatus> {
    session.conn.facts().transaction()
}
