//! The safe Rust API in a plain poll loop. On the screen:
//!
//! ```text
//! connected to PostgreSQL 15.13
//! number=1 roman=I
//! number=2 roman=II
//! number=3 roman=III
//! SELECT 3
//! ```
//!
//! Its argument is a connection string or URI; without one the `PG*` environment decides.

use std::time::Duration;

use pgpoll::conn::Connection;
use pgpoll::engine::{Item, Reply};
use pgpoll::error::Error;
use pgpoll::net;
use pgpoll::rows::Batch;

const SQL: &str = "select n as number, to_char(n, 'FMRN') as roman from generate_series(1, 3) as n";

fn main() -> Result<(), Error> {
    let conninfo = std::env::args().nth(1).unwrap_or_default();
    let mut connection = Connection::open(conninfo);
    let mut started = false;
    loop {
        let ready = connection.poll();
        while let Some(item) = connection.take() {
            show(item)?;
        }
        if let Some(error) = connection.error() {
            return Err(error.clone());
        }
        if ready.is_idle() {
            if started {
                return Ok(());
            }
            let version = connection.facts().parameter(b"server_version");
            println!("connected to PostgreSQL {}", text(version));
            connection.start_query(SQL)?;
            started = true;
        } else if !ready.has_result() && !ready.is_runnable() {
            // What was taken made room, so after a result comes a poll. An event loop of your own waits here instead.
            let limit = connection.deadline_ms().map(Duration::from_millis);
            let (read, write) = (ready.wants_read(), ready.wants_write());
            net::wait(connection.socket(), read, write, limit);
        }
    }
}

fn show(item: Item) -> Result<(), Error> {
    match item.reply {
        Reply::Rows(batch) => print_rows(&batch),
        Reply::Complete(tag) => println!("{}", text(Some(tag.as_bytes()))),
        Reply::Error(error) => return Err(*error),
        _ => {}
    }
    Ok(())
}

fn print_rows(batch: &Batch) {
    let columns = batch.columns();
    for row in 0..batch.rows() {
        let cells = (0..columns.len()).map(|column| {
            let name = text(columns.name(column));
            format!("{name}={}", text(batch.value(row, column)))
        });
        println!("{}", cells.collect::<Vec<_>>().join(" "));
    }
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or("NULL".to_owned(), |bytes| {
        String::from_utf8_lossy(bytes).into_owned()
    })
}
