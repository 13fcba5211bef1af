//! A caller's loop over epoll, level- or edge-triggered. Knows the poll contract, and no TLS.

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::Reply;

/// A loop; the mode is 0 or `EPOLLET`.
pub(crate) struct Loop {
    epoll: i32,
    mode: u32,
    registered: Option<(u64, u32)>,
}

impl Loop {
    pub(crate) fn new(mode: u32) -> Self {
        // SAFETY: takes an integer alone.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(epoll >= 0);
        Self {
            epoll,
            mode,
            registered: None,
        }
    }

    /// Polls, and sleeps where the poll says so, until `bits` or the end. Hands each item to `take`.
    pub(crate) fn run(
        &mut self,
        connection: &mut Connection,
        bits: u32,
        mut take: impl FnMut(&Reply),
    ) {
        loop {
            let ready = connection.poll();
            let mut taken = false;
            while let Some(item) = connection.take() {
                take(&item.reply);
                taken = true;
            }
            if !taken && (ready.has(bits) || ready.is_failed()) {
                return;
            }
            if !taken && !ready.is_runnable() {
                self.register(connection, ready);
                self.sleep(connection);
            }
        }
    }

    /// An edge-triggered loop registers a descriptor once, for everything; a level-triggered one for what is wanted.
    fn register(&mut self, connection: &Connection, ready: Readiness) {
        let (read, write) = (libc::EPOLLIN as u32, libc::EPOLLOUT as u32);
        let interests = match self.mode {
            0 => (u32::from(ready.wants_read()) * read) | (u32::from(ready.wants_write()) * write),
            mode => read | write | mode,
        };
        let wanted = (connection.socket_generation(), interests);
        if self.registered == Some(wanted) {
            return;
        }
        self.registered = Some(wanted);
        let Some(fd) = connection.socket() else {
            return;
        };
        let mut event = libc::epoll_event {
            events: interests,
            u64: 0,
        };
        // SAFETY: both descriptors are open, and `event` lives.
        unsafe {
            if libc::epoll_ctl(self.epoll, libc::EPOLL_CTL_MOD, fd, &raw mut event) != 0 {
                let added = libc::epoll_ctl(self.epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event);
                assert_eq!(added, 0, "{}", std::io::Error::last_os_error());
            }
        }
    }

    fn sleep(&mut self, connection: &Connection) {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event.
        let count = unsafe { libc::epoll_wait(self.epoll, &raw mut event, 1, 30_000) };
        assert_eq!(count, 1, "asleep: {}", connection.inspect());
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // SAFETY: it is ours, and used no more.
        unsafe { libc::close(self.epoll) };
    }
}
