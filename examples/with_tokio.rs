//! A connection that is awaited in tokio, and two that are awaited at once. On the screen:
//!
//! ```text
//! 1 I
//! 2 II
//! 3 III
//! error 22012: division by zero
//! two connections: 4 and 9
//! ```
//!
//! Its argument is a connection string or URI; without one the `PG*` environment decides.

use std::future::Future;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use pgpoll::conn::{Awaited, Reactor};
use pgpoll::error::Error;
use tokio::io::unix::AsyncFd;

/// Everything that tokio has to do for a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokio;

impl Reactor for Tokio {
    type Watch = AsyncFd<OwnedFd>;

    fn watch(&self, socket: BorrowedFd<'_>) -> io::Result<AsyncFd<OwnedFd>> {
        let socket = socket.try_clone_to_owned()?;
        // SAFETY: it is an open descriptor, which nobody else has.
        let watch = unsafe { AsyncFd::register(socket) };
        Ok(watch?)
    }

    /// The poll that comes next takes all that has arrived: what tokio remembers is told once.
    async fn readable(&self, watch: &AsyncFd<OwnedFd>) -> io::Result<()> {
        watch.readable().await?.clear_ready();
        Ok(())
    }

    async fn writable(&self, watch: &AsyncFd<OwnedFd>) -> io::Result<()> {
        watch.writable().await?.clear_ready();
        Ok(())
    }

    fn deadline(&self, left: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(left)
    }

    fn pause(&self) -> impl Future<Output = ()> {
        tokio::task::yield_now()
    }
}

pub(crate) fn runtime() -> io::Result<tokio::runtime::Runtime> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()
}

#[allow(dead_code)] // Where tests take it as a module.
fn main() -> Result<(), Error> {
    let conninfo = std::env::args().nth(1).unwrap_or_default();
    let failed = |error: io::Error| Error::transport(error.to_string());
    runtime().map_err(failed)?.block_on(run(&conninfo))
}

pub(crate) async fn run(conninfo: &str) -> Result<(), Error> {
    let mut db = Awaited::connect(Tokio, conninfo).await?;
    let answer = db
        .query("select n, to_char(n, 'FMRN') from generate_series(1, 3) as n")
        .await?;
    for batch in &answer.batches {
        for row in 0..batch.rows() {
            println!(
                "{} {}",
                text(batch.value(row, 0)),
                text(batch.value(row, 1))
            );
        }
    }
    if let Err(error) = db.query("select 1 / 0").await {
        println!("error {}: {error}", text(error.sqlstate()));
    }
    // Tasks may move between threads, and connections with them.
    let square = |n: &'static str, conninfo: String| async move {
        let mut db = Awaited::connect(Tokio, conninfo).await?;
        let params = [Some(n.as_bytes())];
        let operation =
            db.connection()
                .start_query_params("select $1::int * $1", &[], &params, 0)?;
        let answer = db.finish(operation).await?;
        Ok::<String, Error>(text(answer.value()))
    };
    let one = tokio::spawn(square("2", conninfo.to_owned()));
    let other = tokio::spawn(square("3", conninfo.to_owned()));
    let joined = |error: tokio::task::JoinError| Error::misuse(error.to_string());
    let (one, other) = (one.await.map_err(joined)??, other.await.map_err(joined)??);
    println!("two connections: {one} and {other}");
    Ok(())
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or(b"NULL")).into_owned()
}
