//! Items in words, for transcripts that are compared and read.

use std::fmt::Write;

use pgpoll::engine::{Item, Reply};
use pgpoll::error::{Error, ServerError};
use pgpoll::rows::Batch;

/// An item in words. Rows are read here, after everything else has happened: what changed under them would be seen.
pub fn shown(item: &Item) -> String {
    let reply = match &item.reply {
        Reply::Rows(batch) => rows(batch),
        Reply::Complete(tag) => format!("complete {tag:?}"),
        Reply::EmptyQuery => String::from("empty query"),
        Reply::Suspended => String::from("suspended"),
        Reply::Called(batch) => format!("called {:?} {}", item.reply.number(), rows(batch)),
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
