//! An edge-triggered event loop: it is woken once for what arrives, so a poll must leave nothing behind that it does not tell of.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::Reply;

use crate::{QUOTED, servers};

/// epoll, with every descriptor registered edge-triggered for reading and writing, whatever the connection wants.
struct Loop {
    epoll: OwnedFd,
    registered: Option<RawFd>,
}

impl Loop {
    fn new() -> Self {
        // SAFETY: a fresh descriptor, owned by nobody else.
        let epoll = unsafe { OwnedFd::from_raw_fd(libc::epoll_create1(libc::EPOLL_CLOEXEC)) };
        Self {
            epoll,
            registered: None,
        }
    }

    /// Registers the socket where the connection says that it is another one.
    fn heed(&mut self, conn: &Connection, ready: Readiness) {
        if !ready.has(Readiness::SOCKET_CHANGED) {
            return;
        }
        if let Some(old) = self.registered.take() {
            self.control(libc::EPOLL_CTL_DEL, old);
        }
        if let Some(fd) = conn.socket() {
            assert_eq!(
                self.control(libc::EPOLL_CTL_ADD, fd),
                0,
                "{}",
                io::Error::last_os_error()
            );
            self.registered = Some(fd);
        }
    }

    fn control(&self, how: libc::c_int, fd: RawFd) -> libc::c_int {
        let mut event = libc::epoll_event {
            events: (libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLET) as u32,
            u64: 0,
        };
        // SAFETY: the event outlives the call.
        unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), how, fd, &raw mut event) }
    }

    fn sleep(&self, conn: &Connection) {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        let limit = conn.deadline_ms().unwrap_or(60_000) as i32;
        let epoll = self.epoll.as_raw_fd();
        // SAFETY: room for one event.
        let events = unsafe { libc::epoll_wait(epoll, &raw mut event, 1, limit) };
        assert!(
            events != 0 || limit < 60_000,
            "nothing more comes: {}",
            conn.inspect()
        );
    }

    /// Polls, takes, and sleeps only when there is nothing left to do, until `end` says so.
    fn run(
        &mut self,
        conn: &mut Connection,
        mut end: impl FnMut(Readiness, Option<Reply>) -> bool,
    ) {
        loop {
            let ready = conn.poll();
            self.heed(conn, ready);
            assert!(!ready.is_failed(), "{:?}", conn.error());
            if end(ready, None) {
                return;
            }
            let mut taken = false;
            while let Some(item) = conn.take() {
                taken = true;
                if end(ready, Some(item.reply)) {
                    return;
                }
            }
            assert_eq!(
                taken,
                ready.has_result(),
                "a result is told of by the poll that read it"
            );
            if !taken && !ready.is_runnable() {
                self.sleep(conn);
            }
        }
    }
}

#[test]
fn one_wake_for_what_arrives_is_enough() {
    for server in servers() {
        let conninfo = format!(
            "host=localhost port={} user=user_scram dbname=postgres password={QUOTED}",
            server.port()
        );
        let mut conn = Connection::open(&conninfo);
        let mut events = Loop::new();
        events.run(&mut conn, |ready, _| ready.is_idle());

        let rows = |reply: &Reply| match reply {
            Reply::Rows(batch) => batch.rows(),
            _ => 0,
        };
        let sql = "select repeat('x', 100) from generate_series(1, 200000)";
        for (batch_rows, batch_bytes) in [(0, 0), (1000, 0), (0, 50_000)] {
            conn.set_batch(batch_rows, batch_bytes);
            conn.start_query(sql).unwrap();
            let mut count = 0;
            events.run(&mut conn, |_, reply| {
                count += reply.as_ref().map_or(0, rows);
                matches!(reply, Some(Reply::Done(_)))
            });
            assert_eq!(count, 200_000);
        }

        // More both ways than the sockets hold.
        conn.set_batch(0, 0);
        let large = vec![b'l'; 200_000];
        let value: [Option<&[u8]>; 1] = [Some(&large)];
        for _ in 0..60 {
            conn.start_query_params("select $1::text", &[], &value, 0)
                .unwrap();
        }
        let mut done = 0;
        events.run(&mut conn, |_, reply| {
            done += usize::from(matches!(reply, Some(Reply::Done(_))));
            done == 60
        });

        // The descriptor is another one for a while, again and again.
        for _ in 0..5 {
            conn.set_timeout(Some(std::time::Duration::from_millis(50)));
            conn.start_query("select pg_sleep(600)").unwrap();
            conn.set_timeout(None);
            events.run(&mut conn, |_, reply| matches!(reply, Some(Reply::Done(_))));
            conn.start_query("select 1").unwrap();
            events.run(&mut conn, |_, reply| matches!(reply, Some(Reply::Done(_))));
        }

        // Single round trips.
        for _ in 0..200 {
            conn.start_query("select 1").unwrap();
            events.run(&mut conn, |_, reply| matches!(reply, Some(Reply::Done(_))));
        }
    }
}
