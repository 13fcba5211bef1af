//! The one thread of a proxy: waits for all its sockets, accepts, and lets each pair move its bytes. Knows no faults.

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::Socket;

use super::pair::Pair;
use super::{Counts, Faults, Place};

/// What the thread owns.
pub(super) struct Server {
    pub(super) listener: Socket,
    pub(super) woken: UnixStream,
    pub(super) shared: Arc<Mutex<Shared>>,
    pub(super) plan: Box<dyn FnMut(u64) -> Faults + Send>,
    pub(super) pairs: Vec<Pair>,
}

impl Server {
    pub(super) fn run(mut self) {
        loop {
            let frozen = {
                let mut shared = locked(&self.shared);
                if shared.over {
                    return;
                }
                if std::mem::take(&mut shared.reset_all) {
                    for pair in self.pairs.drain(..) {
                        pair.reset(&mut shared.counts);
                    }
                }
                if std::mem::take(&mut shared.unplugged) {
                    self.pairs.iter().for_each(Pair::unplug);
                }
                shared.heeded = shared.frozen;
                shared.frozen
            };
            let ready = self.wait(frozen);
            if !frozen {
                self.serve(&ready);
            }
            let mut pile = [0; 64];
            while matches!((&self.woken).read(&mut pile), Ok(64)) {}
            if !frozen {
                self.accept();
            }
        }
    }

    /// Waits for a socket or a time; says for each pair whether one of its sockets is ready.
    fn wait(&self, frozen: bool) -> Vec<bool> {
        let mut fds = vec![PollFd::new(self.woken.as_fd(), PollFlags::POLLIN)];
        let mut places = Vec::new();
        let mut until: Option<Instant> = None;
        if !frozen {
            fds.push(PollFd::new(self.listener.as_fd(), PollFlags::POLLIN));
            for (number, pair) in self.pairs.iter().enumerate() {
                for (socket, flags) in pair.interest() {
                    fds.push(PollFd::new(socket.as_fd(), flags));
                    places.push(number);
                }
                until = until.into_iter().chain(pair.due()).min();
            }
        }
        let timeout = until.map_or(PollTimeout::NONE, |until| {
            let left = until.saturating_duration_since(Instant::now());
            let left = left.as_micros().div_ceil(1000);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        // An interrupted wait is a spurious one.
        let _ = poll(&mut fds, timeout);
        let mut ready = vec![false; self.pairs.len()];
        for (fd, number) in fds.iter().skip(2).zip(places) {
            ready[number] |= fd.any().unwrap_or(true);
        }
        ready
    }

    fn serve(&mut self, ready: &[bool]) {
        let mut counts = locked(&self.shared).counts;
        let now = Instant::now();
        let mut ready = ready.iter();
        self.pairs.retain_mut(|pair| {
            let ready = ready.next() == Some(&true) || pair.due().is_some_and(|due| due <= now);
            let stays = !ready || pair.serve(now, &mut counts);
            if !stays {
                counts.open -= 1;
            }
            stays
        });
        locked(&self.shared).counts = counts;
    }

    fn accept(&mut self) {
        while let Ok((client, _)) = self.listener.accept() {
            let mut shared = locked(&self.shared);
            let number = shared.counts.connections;
            shared.counts.connections += 1;
            let faults = (self.plan)(number);
            if let Some(pair) = Pair::new(client, &shared.place.clone(), faults, &mut shared.counts)
            {
                shared.counts.open += 1;
                self.pairs.push(pair);
            }
        }
    }
}

/// What the thread and the owner share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) place: Place,
    pub(super) counts: Counts,
    pub(super) frozen: bool,
    /// What the thread goes by.
    pub(super) heeded: bool,
    /// To be unplugged.
    pub(super) unplugged: bool,
    pub(super) reset_all: bool,
    pub(super) over: bool,
}

pub(super) fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
