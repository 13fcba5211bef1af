//! A connection that is awaited, in whatever asynchronous runtime: the caller's [`Reactor`] waits for it. Knows no runtime, and keeps
//! no waker.

use std::collections::VecDeque;
use std::future::{Future, pending, poll_fn};
use std::os::fd::BorrowedFd;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;
use std::{fmt, io};

use super::{Connection, Readiness};
use crate::engine::{CommandTag, Done, Item, Notification, Outcome, Reply};
use crate::error::Error;
use crate::rows::Batch;

/// What an asynchronous runtime does for a connection: it waits. A future that is dropped waits no more.
pub trait Reactor {
    /// A descriptor that the runtime watches, until this is dropped.
    type Watch;

    /// Begins to watch a descriptor for reading and writing. It stays open until the watch is dropped, and is not closed with it: where
    /// the runtime wants one of its own, it gets a duplicate.
    fn watch(&self, socket: BorrowedFd<'_>) -> io::Result<Self::Watch>;

    /// Waits until the descriptor is readable, its peer has hung up, or there is an error. In an edge-triggered runtime: until
    /// any of it has come about since it was last waited for. It may also return for no reason.
    fn readable(&self, watch: &Self::Watch) -> impl Future<Output = io::Result<()>>;

    /// The same for writing.
    fn writable(&self, watch: &Self::Watch) -> impl Future<Output = io::Result<()>>;

    /// Waits so long.
    fn deadline(&self, left: Duration) -> impl Future<Output = ()>;

    /// Lets other tasks run that can.
    fn pause(&self) -> impl Future<Output = ()>;
}

/// A [`Connection`] whose operations are awaited.
///
/// Start as many as you like by [`connection`](Awaited::connection), and [`finish`](Awaited::finish) them in the order in which they
/// were started. Every future here may be dropped at any moment: the connection stays good. It is driven only while one of
/// them is awaited.
pub struct Awaited<R: Reactor> {
    /// Before the connection, which closes the descriptor.
    watch: Option<R::Watch>,
    connection: Connection,
    reactor: R,
    /// Of the descriptor that is watched.
    generation: Option<u64>,
    /// The last poll gave way to other work.
    paused: bool,
    /// What came before its turn: errors of operations whose time was over before those before them were done.
    early: VecDeque<Item>,
}

/// What an operation has given.
#[derive(Debug)]
pub struct Answer {
    /// Its rows: one batch for each of its results, or several where [`Connection::set_batch`] says so.
    pub batches: Vec<Batch>,
    /// What its commands did.
    pub tags: Vec<CommandTag>,
    /// How it ended.
    pub done: Done,
}

impl Answer {
    /// The cell in the first row and column.
    pub fn value(&self) -> Option<&[u8]> {
        let batch = self.batches.iter().find(|batch| batch.rows() > 0)?;
        batch.value(0, 0)
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(Batch::rows).sum()
    }
}

impl<R: Reactor> fmt::Debug for Awaited<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Awaited").field(&self.connection).finish()
    }
}

impl<R: Reactor> Awaited<R> {
    /// A connection that is being connected, or is up. Nothing is done before something is awaited.
    pub fn new(reactor: R, connection: Connection) -> Self {
        Self {
            watch: None,
            connection,
            reactor,
            generation: None,
            paused: false,
            early: VecDeque::new(),
        }
    }

    /// Connects as a connection string or URI says.
    pub async fn connect(reactor: R, conninfo: impl AsRef<[u8]>) -> Result<Self, Error> {
        let mut awaited = Self::new(reactor, Connection::open(conninfo));
        awaited.until(Readiness::IDLE).await?;
        Ok(awaited)
    }

    /// The connection: to start operations, to set what can be set, to ask.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Runs a simple query of one or several statements. Dropped before it is done, it is abandoned, as with
    /// [`finish`](Awaited::finish).
    pub async fn query(&mut self, sql: impl AsRef<[u8]>) -> Result<Answer, Error> {
        let operation = self.connection.start_query(sql)?;
        self.finish(operation).await
    }

    /// Waits for the end of an operation that was started. Dropped before that, the operation is abandoned
    /// ([`Connection::abandon`]): who awaits something next is served when the server has stopped it.
    ///
    /// Operations are finished in their order: what those before it give, and nobody has taken, is dropped.
    pub async fn finish(&mut self, operation: u64) -> Result<Answer, Error> {
        let mut unfinished = Unfinished {
            awaited: self,
            operation: Some(operation),
        };
        let (mut batches, mut tags, mut error) = (Vec::new(), Vec::new(), None);
        loop {
            let item = unfinished.awaited.next_of(operation).await?;
            match item.reply {
                Reply::Rows(batch) | Reply::Called(batch) => push(&mut batches, batch)?,
                Reply::Complete(tag) => push(&mut tags, tag)?,
                Reply::Error(why) => error = error.or(Some(*why)),
                Reply::Copy(_) => {
                    return Err(Error::misuse(
                        "the operation is a COPY: take its items with next(), and its data from connection()",
                    ));
                }
                Reply::Done(done) => {
                    unfinished.operation = None;
                    let answer = Answer {
                        batches,
                        tags,
                        done,
                    };
                    return match error {
                        Some(error) => Err(error),
                        None if done.outcome == Outcome::Ok => Ok(answer),
                        None => Err(unfinished.awaited.undone(done.outcome)),
                    };
                }
                Reply::EmptyQuery | Reply::Suspended | Reply::Skipped | Reply::Described { .. } => {
                }
            }
        }
    }

    /// The next item of whatever operation. Nothing is lost when this is dropped.
    pub async fn next(&mut self) -> Result<Item, Error> {
        if let Some(item) = self.early.pop_front() {
            return Ok(item);
        }
        self.take_next().await
    }

    /// The next notification. What operations give that nobody has awaited is dropped meanwhile.
    pub async fn notification(&mut self) -> Result<Notification, Error> {
        loop {
            if let Some(notification) = self.connection.take_notification() {
                return Ok(notification);
            }
            self.until(Readiness::NOTIFY).await?;
            while self.connection.take().is_some() {}
        }
    }

    /// Drives the connection until a poll says one of `bits`, as [`Readiness`] names them, or that there is an item to be taken: what is
    /// not taken may be what holds up the rest. Fails when the connection is over.
    pub async fn until(&mut self, bits: u32) -> Result<Readiness, Error> {
        loop {
            if std::mem::take(&mut self.paused) {
                self.reactor.pause().await;
            }
            let ready = self.connection.poll();
            self.paused = ready.is_runnable();
            self.watch_socket()?;
            if ready.has(bits | Readiness::RESULT) {
                return Ok(ready);
            }
            if ready.has(Readiness::WANT_TOKEN) {
                self.connection.refuse_token(
                    "the server wants an OAuth bearer token: await Readiness::WANT_TOKEN, and give one",
                );
                continue;
            }
            if let Some(error) = self.connection.error() {
                return Err(error.clone());
            }
            if !self.paused {
                let left = self.connection.deadline_ms().map(Duration::from_millis);
                let waited = wait(&self.reactor, self.watch.as_ref(), ready, left);
                waited.await.map_err(unwatched)?;
            }
        }
    }

    /// Registers the descriptor if it is another one than before. The old one is open until the next poll.
    fn watch_socket(&mut self) -> Result<(), Error> {
        let generation = Some(self.connection.socket_generation());
        if self.generation != generation {
            self.watch = None;
            let socket = self.connection.borrow_socket();
            let watch = socket.map(|socket| self.reactor.watch(socket));
            self.watch = watch.transpose().map_err(unwatched)?;
            self.generation = generation;
        }
        Ok(())
    }

    async fn take_next(&mut self) -> Result<Item, Error> {
        loop {
            if let Some(item) = self.connection.take() {
                return Ok(item);
            }
            let ready = self.until(Readiness::IDLE).await?;
            if !ready.has_result() {
                return Err(Error::misuse(
                    "nothing is under way on the connection: start an operation, and await it once",
                ));
            }
        }
    }

    /// The next item of one operation.
    async fn next_of(&mut self, operation: u64) -> Result<Item, Error> {
        let early = |item: &Item| item.operation == operation;
        if let Some(at) = self.early.iter().position(early)
            && let Some(item) = self.early.remove(at)
        {
            return Ok(item);
        }
        loop {
            let item = self.take_next().await?;
            if item.operation == operation {
                return Ok(item);
            }
            if item.operation > operation {
                self.early.push_back(item);
            }
        }
    }

    /// Why an operation was not done that gave no error.
    fn undone(&self, outcome: Outcome) -> Error {
        match (self.connection.error(), outcome) {
            (Some(error), _) => error.clone(),
            (None, Outcome::Skipped) => {
                Error::misuse("not tried: an operation before it in its group has failed")
            }
            (None, _) => Error::misuse("the operation was abandoned"),
        }
    }
}

/// Waits for whatever comes first of what the poll named, and the deadline.
async fn wait<R: Reactor>(
    reactor: &R,
    watch: Option<&R::Watch>,
    ready: Readiness,
    left: Option<Duration>,
) -> io::Result<()> {
    let mut readable = pin!(async {
        match watch {
            Some(watch) if ready.wants_read() => reactor.readable(watch).await,
            _ => pending().await,
        }
    });
    let mut writable = pin!(async {
        match watch {
            Some(watch) if ready.wants_write() => reactor.writable(watch).await,
            _ => pending().await,
        }
    });
    let mut deadline = pin!(async {
        match left {
            Some(left) => reactor.deadline(left).await,
            None => pending().await,
        }
    });
    poll_fn(|context| {
        if let Poll::Ready(done) = readable.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        if let Poll::Ready(done) = writable.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        deadline.as_mut().poll(context).map(Ok)
    })
    .await
}

/// An operation that is abandoned if nobody waits for its end any more.
struct Unfinished<'a, R: Reactor> {
    awaited: &'a mut Awaited<R>,
    operation: Option<u64>,
}

impl<R: Reactor> Drop for Unfinished<'_, R> {
    fn drop(&mut self) {
        if let Some(operation) = self.operation {
            self.awaited.connection.abandon(operation);
            self.awaited.early.retain(|item| item.operation > operation);
        }
    }
}

fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), Error> {
    let room = list.try_reserve(1);
    room.map_err(|_| Error::out_of_memory("the results of an operation"))?;
    list.push(item);
    Ok(())
}

fn unwatched(error: io::Error) -> Error {
    let errno = error.raw_os_error().unwrap_or(0);
    Error::transport(format!(
        "the runtime does not watch the connection: {error}"
    ))
    .with_errno(errno)
}
