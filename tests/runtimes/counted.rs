//! Counts what a connection asks of its runtime. Knows nothing of either.

use std::future::Future;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pgpoll::conn::Reactor;

/// A runtime, and how often it was asked to wait.
#[derive(Debug, Clone)]
pub(crate) struct Counted<R> {
    reactor: R,
    waits: Arc<AtomicUsize>,
}

impl<R> Counted<R> {
    pub(crate) fn new(reactor: R) -> Self {
        let waits = Arc::default();
        Self { reactor, waits }
    }

    pub(crate) fn waits(&self) -> usize {
        self.waits.load(Ordering::Relaxed)
    }

    fn count(&self) {
        self.waits.fetch_add(1, Ordering::Relaxed);
    }
}

impl<R: Reactor> Reactor for Counted<R> {
    type Watch = R::Watch;

    fn watch(&self, socket: BorrowedFd<'_>) -> io::Result<R::Watch> {
        self.reactor.watch(socket)
    }

    fn readable(&self, watch: &R::Watch) -> impl Future<Output = io::Result<()>> {
        self.count();
        self.reactor.readable(watch)
    }

    fn writable(&self, watch: &R::Watch) -> impl Future<Output = io::Result<()>> {
        self.count();
        self.reactor.writable(watch)
    }

    fn deadline(&self, left: Duration) -> impl Future<Output = ()> {
        self.count();
        self.reactor.deadline(left)
    }

    fn pause(&self) -> impl Future<Output = ()> {
        self.count();
        self.reactor.pause()
    }
}
