//! Connections in a bare mio loop: what awaits them is polled whenever mio has seen something. On the screen:
//!
//! ```text
//! 20 connections in one loop; the sum of their answers is 210
//! ```
//!
//! Its argument is a connection string or URI; without one the `PG*` environment decides.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Token};
use pgpoll::conn::{Awaited, Reactor};
use pgpoll::error::Error;

/// A loop, and what it has seen.
#[derive(Debug, Clone)]
pub(crate) struct Mio(Rc<Loop>);

#[derive(Debug)]
struct Loop {
    poll: RefCell<mio::Poll>,
    watched: RefCell<HashMap<Token, Rc<Seen>>>,
    next: Cell<usize>,
    /// When somebody wants to be polled at the latest.
    alarm: Cell<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Seen {
    readable: Cell<bool>,
    writable: Cell<bool>,
}

/// A descriptor in the loop.
#[derive(Debug)]
pub(crate) struct Watch {
    mio: Rc<Loop>,
    socket: RawFd,
    token: Token,
    seen: Rc<Seen>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let poll = self.mio.poll.borrow();
        let _ = poll.registry().deregister(&mut SourceFd(&self.socket));
        self.mio.watched.borrow_mut().remove(&self.token);
    }
}

impl Reactor for Mio {
    type Watch = Watch;

    fn watch(&self, socket: BorrowedFd<'_>) -> io::Result<Watch> {
        let (mio, socket) = (self.0.clone(), socket.as_raw_fd());
        let token = Token(mio.next.replace(mio.next.get() + 1));
        let both = Interest::READABLE | Interest::WRITABLE;
        let poll = mio.poll.borrow();
        poll.registry()
            .register(&mut SourceFd(&socket), token, both)?;
        drop(poll);
        let seen = Rc::new(Seen::default());
        mio.watched.borrow_mut().insert(token, seen.clone());
        Ok(Watch {
            mio,
            socket,
            token,
            seen,
        })
    }

    async fn readable(&self, watch: &Watch) -> io::Result<()> {
        until(|| watch.seen.readable.take()).await;
        Ok(())
    }

    async fn writable(&self, watch: &Watch) -> io::Result<()> {
        until(|| watch.seen.writable.take()).await;
        Ok(())
    }

    async fn deadline(&self, left: Duration) {
        let at = Instant::now() + left;
        until(|| {
            let alarm = self.0.alarm.get().map_or(at, |alarm| alarm.min(at));
            self.0.alarm.set(Some(alarm));
            Instant::now() >= at
        })
        .await;
    }

    async fn pause(&self) {
        self.0.alarm.set(Some(Instant::now()));
        let mut paused = false;
        until(|| std::mem::replace(&mut paused, true)).await;
    }
}

/// Looks whenever it is polled: after each turn of the loop.
async fn until(mut seen: impl FnMut() -> bool) {
    poll_fn(|_| match seen() {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

impl Mio {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Mio(Rc::new(Loop {
            poll: RefCell::new(mio::Poll::new()?),
            watched: RefCell::default(),
            next: Cell::new(0),
            alarm: Cell::new(None),
        })))
    }

    /// Turns the loop until the future is ready.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> io::Result<T> {
        let mut future = pin!(future);
        let mut events = Events::with_capacity(256);
        loop {
            self.0.alarm.set(None);
            let mut context = Context::from_waker(Waker::noop());
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return Ok(value);
            }
            let left = self
                .0
                .alarm
                .get()
                .map(|at| at.saturating_duration_since(Instant::now()));
            match self.0.poll.borrow_mut().poll(&mut events, left) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in &events {
                if let Some(seen) = self.0.watched.borrow().get(&event.token()) {
                    let over = event.is_error() || event.is_read_closed();
                    let (read, write) = (event.is_readable(), event.is_writable());
                    seen.readable.set(seen.readable.get() | read | over);
                    seen.writable.set(seen.writable.get() | write | over);
                }
            }
        }
    }
}

#[allow(dead_code)] // Where tests take it as a module.
fn main() -> Result<(), Error> {
    let conninfo = std::env::args().nth(1).unwrap_or_default();
    let failed = |error: io::Error| Error::transport(error.to_string());
    let mio = Mio::new().map_err(failed)?;
    mio.block_on(run(&mio, &conninfo)).map_err(failed)?
}

pub(crate) async fn run(mio: &Mio, conninfo: &str) -> Result<(), Error> {
    type Task<'a> = Pin<Box<dyn Future<Output = Result<i32, Error>> + 'a>>;
    let task = |n: i32| -> Task<'_> {
        Box::pin(async move {
            let mut db = Awaited::connect(mio.clone(), conninfo).await?;
            let answer = db.query(format!("select {n} from pg_sleep(0.1)")).await?;
            let text = String::from_utf8_lossy(answer.value().unwrap_or_default()).into_owned();
            text.parse().map_err(|_| Error::misuse(text))
        })
    };
    let mut tasks: Vec<Task<'_>> = (1..=20).map(task).collect();
    let mut sum = 0;
    while let Some(answer) = poll_fn(|context| first(&mut tasks, context)).await {
        sum += answer?;
    }
    println!("20 connections in one loop; the sum of their answers is {sum}");
    Ok(())
}

/// The answer of one of the tasks that are ready; `None` when there are no more tasks.
fn first<T>(
    tasks: &mut Vec<Pin<Box<dyn Future<Output = T> + '_>>>,
    context: &mut Context<'_>,
) -> Poll<Option<T>> {
    for index in 0..tasks.len() {
        if let Poll::Ready(value) = tasks[index].as_mut().poll(context) {
            drop(tasks.swap_remove(index));
            return Poll::Ready(Some(value));
        }
    }
    if tasks.is_empty() {
        Poll::Ready(None)
    } else {
        Poll::Pending
    }
}
