//! The little language that the model's statements are written in, and what a transaction block makes of them.

use std::fmt;

use pgpoll::wire::TransactionStatus;

/// One statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Statement {
    /// So many rows of one column, whose values are so long.
    Rows(usize, usize),
    /// No result, and a command tag with so many rows.
    Update(u64),
    /// Always fails.
    Fail,
    Begin,
    Commit,
    Rollback,
    /// COPY FROM STDIN, which fails when so many bytes have come.
    CopyIn(Option<usize>),
    /// COPY TO STDOUT: so many rows, so long, and whether it fails after them.
    CopyOut(usize, usize, bool),
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows, width) => write!(f, "rows {rows} {width}"),
            Self::Update(rows) => write!(f, "update {rows}"),
            Self::Fail => f.write_str("fail"),
            Self::Begin => f.write_str("begin"),
            Self::Commit => f.write_str("commit"),
            Self::Rollback => f.write_str("rollback"),
            Self::CopyIn(None) => f.write_str("copyin -"),
            Self::CopyIn(Some(bytes)) => write!(f, "copyin {bytes}"),
            Self::CopyOut(rows, width, fails) => {
                write!(f, "copyout {rows} {width} {}", u8::from(*fails))
            }
        }
    }
}

impl Statement {
    /// The statements of a query string.
    pub(crate) fn all(sql: &[u8]) -> Vec<Statement> {
        let sql = std::str::from_utf8(sql).unwrap();
        let parts = sql.split(';').map(str::trim);
        parts
            .filter(|part| !part.is_empty())
            .map(Self::one)
            .collect()
    }

    fn one(text: &str) -> Statement {
        let words: Vec<&str> = text.split(' ').collect();
        let number = |at: usize| words[at].parse::<usize>().unwrap();
        match words[0] {
            "rows" => Self::Rows(number(1), number(2)),
            "update" => Self::Update(number(1) as u64),
            "fail" => Self::Fail,
            "begin" => Self::Begin,
            "commit" => Self::Commit,
            "rollback" => Self::Rollback,
            "copyin" => Self::CopyIn(words[1].parse().ok()),
            "copyout" => Self::CopyOut(number(1), number(2), number(3) == 1),
            other => unreachable!("{other} is no statement"),
        }
    }

    /// Whether it runs in a transaction block that has failed.
    pub(crate) fn ends_block(self) -> bool {
        matches!(self, Self::Commit | Self::Rollback)
    }

    /// The tag with which it completes, and the status after it.
    pub(crate) fn complete(self, before: TransactionStatus) -> (String, TransactionStatus) {
        use TransactionStatus::{Failed, Idle, InTransaction};
        match self {
            Self::Rows(rows, _) => (format!("SELECT {rows}"), before),
            Self::Update(rows) => (format!("UPDATE {rows}"), before),
            Self::Begin => ("BEGIN".to_owned(), InTransaction),
            Self::Commit if before == Failed => ("ROLLBACK".to_owned(), Idle),
            Self::Commit => ("COMMIT".to_owned(), Idle),
            Self::Rollback => ("ROLLBACK".to_owned(), Idle),
            Self::CopyIn(_) => ("COPY 0".to_owned(), before),
            Self::CopyOut(rows, ..) => (format!("COPY {rows}"), before),
            Self::Fail => unreachable!("it never completes"),
        }
    }
}

/// The value in a row of a result.
pub(crate) fn value(row: usize, width: usize) -> String {
    let number = row.to_string();
    let mut value = number.repeat(width / number.len() + 1);
    value.truncate(width);
    value
}
