//! A connection that is awaited with async-io, the reactor of smol and others: a pipeline of three queries, then one that is given up. On
//! the screen:
//!
//! ```text
//! 1, 4, 9
//! no answer in time
//! the connection is as good as before
//! ```
//!
//! Its argument is a connection string or URI; without one the `PG*` environment decides.

use std::future::Future;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::future;
use pgpoll::conn::{Awaited, Reactor};
use pgpoll::error::Error;

/// Everything that async-io has to do for a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsyncIo;

impl Reactor for AsyncIo {
    type Watch = Async<OwnedFd>;

    /// It wants a descriptor of its own.
    fn watch(&self, socket: BorrowedFd<'_>) -> io::Result<Async<OwnedFd>> {
        Async::new_nonblocking(socket.try_clone_to_owned()?)
    }

    fn readable(&self, watch: &Async<OwnedFd>) -> impl Future<Output = io::Result<()>> {
        watch.readable()
    }

    fn writable(&self, watch: &Async<OwnedFd>) -> impl Future<Output = io::Result<()>> {
        watch.writable()
    }

    async fn deadline(&self, left: Duration) {
        Timer::after(left).await;
    }

    fn pause(&self) -> impl Future<Output = ()> {
        future::yield_now()
    }
}

#[allow(dead_code)] // Where tests take it as a module.
fn main() -> Result<(), Error> {
    let conninfo = std::env::args().nth(1).unwrap_or_default();
    async_io::block_on(run(&conninfo))
}

pub(crate) async fn run(conninfo: &str) -> Result<(), Error> {
    let mut db = Awaited::connect(AsyncIo, conninfo).await?;
    // Three round trips in one.
    let mut started = Vec::new();
    for n in ["1", "2", "3"] {
        let params = [Some(n.as_bytes())];
        let connection = db.connection();
        started.push(connection.start_query_params("select $1::int * $1", &[], &params, 0)?);
    }
    let mut squares = Vec::new();
    for operation in started {
        squares.push(text(db.finish(operation).await?.value()));
    }
    println!("{}", squares.join(", "));
    // A future that is dropped gives its operation up: the server is asked to stop it.
    let late = async {
        Timer::after(Duration::from_millis(100)).await;
        None
    };
    match future::or(async { Some(db.query("select pg_sleep(600)").await) }, late).await {
        Some(answer) => println!("{answer:?}"),
        None => println!("no answer in time"),
    }
    let answer = db
        .query("select 'the connection is as good as before'")
        .await?;
    println!("{}", text(answer.value()));
    Ok(())
}

fn text(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or(b"NULL")).into_owned()
}
