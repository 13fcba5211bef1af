//! Invariant 5 on real sockets: level- and edge-triggered loops, and what ERR and HUP mean.

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::Reply;
use testkit::script::{Script, Scripted, columns, complete, error, notification, oid, ready, row};

/// A caller's loop over epoll.
struct Loop {
    epoll: i32,
    mode: u32,
    generation: u64,
    waits: usize,
}

impl Loop {
    fn new(mode: u32) -> Self {
        // SAFETY: takes an integer alone.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        assert!(epoll >= 0);
        Self {
            epoll,
            mode,
            generation: 0,
            waits: 0,
        }
    }

    /// Registers the descriptor again where it changed, and for other interests where the mode is level.
    fn register(&mut self, connection: &Connection, ready: Readiness) {
        let Some(fd) = connection.socket() else {
            return;
        };
        let interests = if self.mode == 0 {
            (if ready.wants_read() {
                libc::EPOLLIN as u32
            } else {
                0
            }) | (if ready.wants_write() {
                libc::EPOLLOUT as u32
            } else {
                0
            })
        } else {
            (libc::EPOLLIN | libc::EPOLLOUT) as u32 | self.mode
        };
        let mut event = libc::epoll_event {
            events: interests,
            u64: 0,
        };
        let fresh = connection.socket_generation() != self.generation;
        if !fresh && self.mode != 0 {
            return;
        }
        self.generation = connection.socket_generation();
        // SAFETY: both descriptors are open, and `event` lives.
        unsafe {
            if libc::epoll_ctl(self.epoll, libc::EPOLL_CTL_MOD, fd, &raw mut event) != 0 {
                let added = libc::epoll_ctl(self.epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event);
                assert_eq!(added, 0, "{}", std::io::Error::last_os_error());
            }
        }
    }

    fn sleep(&mut self, connection: &Connection) {
        self.waits += 1;
        assert!(self.waits < 100_000, "it spins: {}", connection.inspect());
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event.
        let count = unsafe { libc::epoll_wait(self.epoll, &raw mut event, 1, 30_000) };
        assert_eq!(count, 1, "asleep: {}", connection.inspect());
    }

    /// Polls, and sleeps where the poll says so, until `bits`. Hands each item to `take`.
    fn run(&mut self, connection: &mut Connection, bits: u32, mut take: impl FnMut(&Reply)) {
        loop {
            let ready = connection.poll();
            self.register(connection, ready);
            let mut taken = false;
            while let Some(item) = connection.take() {
                take(&item.reply);
                taken = true;
            }
            if ready.has(bits) && !taken {
                return;
            }
            if !taken && !ready.is_runnable() {
                self.sleep(connection);
            }
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // SAFETY: it is ours, and used no more.
        unsafe { libc::close(self.epoll) };
    }
}

/// Four megabytes of rows, then a small result.
fn large() -> Script {
    let wide = "w".repeat(4000);
    let mut rows = columns(&[("a", oid::TEXT)]);
    for _ in 0..1000 {
        rows.extend(row(&[Some(&wide)]));
    }
    Script::trusting()
        .query("TABLE wide")
        .send(rows)
        .send(complete("SELECT 1000"))
        .send(ready(b'I'))
}

/// A result of megabytes, in batches and whole, and then megabytes to the server, in both kinds of loops.
#[test]
fn invariant_5_level_and_edge_triggered_loops_both_work() {
    for mode in [0, libc::EPOLLET as u32] {
        for batch in [0, 10] {
            let script = large()
                .expect_tag(b'Q')
                .send(complete("X"))
                .send(ready(b'I'));
            let server = Scripted::tcp(&[script]);
            let mut connection = Connection::open(server.conninfo());
            connection.set_batch(batch, 0);
            let mut the_loop = Loop::new(mode);
            the_loop.run(&mut connection, Readiness::IDLE, |_| {});
            connection.start_query("TABLE wide").unwrap();
            let mut rows = 0;
            the_loop.run(&mut connection, Readiness::IDLE, |reply| {
                if let Reply::Rows(batch) = reply {
                    rows += batch.rows();
                }
            });
            assert_eq!(rows, 1000);
            connection.start_query("x".repeat(8 << 20)).unwrap();
            let mut done = 0;
            the_loop.run(&mut connection, Readiness::IDLE, |reply| {
                done += usize::from(matches!(reply, Reply::Done(_)));
            });
            assert_eq!(done, 1);
            println!(
                "mode {mode:#x}, batches of {batch}: {} waits",
                the_loop.waits
            );
        }
    }
}

/// Trap 17, POLLERR/HUP not mapped: whatever the kernel says of the descriptor, the next poll finds it out.
#[test]
fn trap_17_errors_and_hangups_of_the_descriptor_end_the_wait() {
    for mode in [0, libc::EPOLLET as u32] {
        let script = Script::trusting()
            .query("SELECT 1")
            .send(error("FATAL", "57P01", "gone"))
            .reset();
        let server = Scripted::tcp(&[script]);
        let mut connection = Connection::open(server.conninfo());
        let mut the_loop = Loop::new(mode);
        the_loop.run(&mut connection, Readiness::IDLE, |_| {});
        connection.start_query("SELECT 1").unwrap();
        the_loop.run(&mut connection, Readiness::FAILED, |_| {});
        assert_eq!(connection.error().unwrap().message(), "gone");
    }
}

/// What came since the last poll is seen by the next one, also when that has something to send: who is woken once for it is
/// not woken for it again.
#[test]
fn invariant_5_a_poll_that_sends_looks_at_what_has_arrived() {
    let script = Script::trusting()
        .expect_tag(b'H')
        .send(notification(7, "channel", "payload"))
        .expect_tag(b'Q')
        .send(complete("X"))
        .send(ready(b'I'));
    let server = Scripted::tcp(&[script]);
    let mut connection = Connection::open(server.conninfo());
    assert!(connection.wait_for(Readiness::IDLE, None).is_idle());
    // Nothing has arrived: this poll has seen it.
    assert!(!connection.poll().has(Readiness::NOTIFY));
    connection.engine_mut().flush_request().unwrap();
    assert!(connection.flush());
    pgpoll::net::wait(connection.socket(), true, false, None);
    connection.start_query("x").unwrap();
    assert!(connection.poll().has(Readiness::NOTIFY));
    while !connection.poll().has(Readiness::RESULT) {
        pgpoll::net::wait(connection.socket(), true, false, None);
    }
}
