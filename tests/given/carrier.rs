//! Carries bytes between a connection without a descriptor and a server, as a program with a transport of its own does.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use pgpoll::conn::{Connection, Readiness};
use pgpoll::engine::{Outcome, Reply};

use crate::{conninfo, server};

/// No test takes that long to get on.
const LONG: Duration = Duration::from_secs(60);

pub(crate) struct Carrier {
    pub(crate) connection: Connection,
    socket: TcpStream,
    /// At most so many bytes are carried at a time.
    piece: usize,
    /// What the server has sent and the connection has not taken.
    inbox: Vec<u8>,
    ended: bool,
    /// After so many bytes of the server the transport ends.
    pub(crate) end_after: usize,
    /// Bytes of the server's that the connection has taken.
    pub(crate) fed: usize,
    /// Bytes that were carried to the server.
    pub(crate) carried: usize,
}

impl Carrier {
    /// A connection that has not begun, and a socket to the server.
    pub(crate) fn new(tls: bool, piece: usize) -> Carrier {
        Carrier::of(&conninfo(tls), piece)
    }

    /// The same, told otherwise how to connect.
    pub(crate) fn of(conninfo: &str, piece: usize) -> Carrier {
        Carrier::to(server().port(), conninfo, piece)
    }

    /// The same to another server.
    pub(crate) fn to(port: u16, conninfo: &str, piece: usize) -> Carrier {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket.set_nodelay(true).unwrap();
        Carrier {
            connection: Connection::open_stream(conninfo),
            socket,
            piece,
            inbox: Vec::new(),
            ended: false,
            end_after: usize::MAX,
            fed: 0,
            carried: 0,
        }
    }

    /// One that is up.
    pub(crate) fn up(tls: bool, piece: usize) -> Carrier {
        let mut carrier = Carrier::new(tls, piece);
        let ready = carrier.until(Readiness::IDLE | Readiness::FAILED);
        assert!(ready.is_idle(), "{:?}", carrier.connection.error());
        carrier
    }

    /// Polls and carries until a poll says one of `bits`.
    pub(crate) fn until(&mut self, bits: u32) -> Readiness {
        let begun = Instant::now();
        loop {
            let ready = self.connection.poll();
            assert_eq!(self.connection.socket(), None);
            if ready.has(bits) {
                return ready;
            }
            let moved = self.send() | self.receive();
            if !moved && !ready.is_runnable() {
                assert!(ready.wants_read() || ready.wants_write(), "{ready:?}");
                self.sleep();
            }
            assert!(begun.elapsed() < LONG, "{}", self.connection.inspect());
        }
    }

    /// Carries output to the server.
    fn send(&mut self) -> bool {
        let output = self.connection.output();
        let piece = &output[..output.len().min(self.piece)];
        if piece.is_empty() {
            return false;
        }
        match self.socket.write(piece) {
            Ok(count) => {
                self.connection.taken(count);
                self.carried += count;
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(_) => {
                // The server has closed: what it said before is still to be read.
                let count = piece.len();
                self.connection.taken(count);
                true
            }
        }
    }

    /// Carries what the server has sent to the connection.
    fn receive(&mut self) -> bool {
        let mut moved = false;
        if self.inbox.is_empty() && !self.ended {
            let mut room = [0; 65_536];
            match self.socket.read(&mut room) {
                Ok(count) if count > 0 => self.inbox.extend_from_slice(&room[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => {
                    self.ended = true;
                    self.connection.feed_eof();
                    moved = true;
                }
            }
        }
        let most = self.piece.min(self.end_after - self.fed);
        let piece = &self.inbox[..self.inbox.len().min(most)];
        let count = self.connection.feed(piece);
        assert!(count <= piece.len());
        self.inbox.drain(..count);
        self.fed += count;
        if self.fed == self.end_after && !self.ended {
            self.ended = true;
            self.inbox.clear();
            self.connection.feed_eof();
            moved = true;
        }
        moved || count > 0
    }

    /// Polls and carries until the connection wants no more before something is taken.
    pub(crate) fn fill(&mut self) {
        loop {
            let ready = self.connection.poll();
            if !ready.wants_read() && !ready.is_runnable() {
                return;
            }
            if !(self.send() | self.receive()) && !ready.is_runnable() {
                self.sleep();
            }
        }
    }

    /// Carries all output there is now.
    pub(crate) fn carry_out(&mut self) -> bool {
        while self.send() {}
        self.connection.output().is_empty()
    }

    fn sleep(&self) {
        let write = !self.connection.output().is_empty();
        pgpoll::net::wait(Some(self.socket.as_raw_fd()), true, write, Some(LONG));
    }

    /// Rows, bytes of the first column, and how the operation ended.
    pub(crate) fn finish(&mut self) -> (usize, usize, Outcome) {
        let (mut rows, mut bytes) = (0, 0);
        loop {
            self.until(Readiness::RESULT);
            while let Some(item) = self.connection.take() {
                match item.reply {
                    Reply::Rows(batch) => {
                        rows += batch.rows();
                        let values = (0..batch.rows()).map(|row| batch.value(row, 0));
                        bytes += values
                            .map(|value| value.map_or(0, <[u8]>::len))
                            .sum::<usize>();
                    }
                    Reply::Done(done) => return (rows, bytes, done.outcome),
                    _ => {}
                }
            }
        }
    }
}
