//! Connections over a transport that the caller has made: a connected descriptor, or bytes that the caller carries; and the requests
//! to cancel that are about them, whose bytes the caller carries, too. Knows no protocol.

use std::os::fd::OwnedFd;

use super::{Cancel, Connection, NATIVE_ROOM};
use crate::conninfo::{Options, Surroundings};
use crate::engine::Engine;
use crate::error::Error;
use crate::net::Net;

impl Connection {
    /// Begins to connect over a stream socket that is connected already: nothing is resolved and nothing dialled, all else is
    /// done as the connection string says, TLS included. The socket is closed with the connection and becomes close-on-exec;
    /// its blocking mode is left alone, and does not matter: no call waits for it.
    ///
    /// The string's one host is what the socket leads to: its name is that of the server's certificate (`verify-full`) and,
    /// with the port, what the password file is searched for. `connect_timeout` is for what comes after the connecting.
    pub fn open_fd(socket: OwnedFd, conninfo: impl AsRef<[u8]>) -> Self {
        match Net::adopt(socket) {
            Ok(net) => Self::open_given(net, conninfo.as_ref()),
            Err(error) => Self::failed(Error::misuse(format!(
                "the descriptor is of no use: {error}; it has to be a stream socket that is connected"
            ))),
        }
    }

    /// Begins to connect over bytes that the caller carries: [`feed`](Connection::feed) what has arrived from the server, carry
    /// [`output`](Connection::output) to it, and [`poll`](Connection::poll) after either. There is no descriptor:
    /// `WANT_READ` means that the poll can use what the server sends, `WANT_WRITE` that there is output.
    ///
    /// The connection string is used as by [`open_fd`](Connection::open_fd).
    pub fn open_stream(conninfo: impl AsRef<[u8]>) -> Self {
        Self::open_given(Net::pumped(), conninfo.as_ref())
    }

    fn open_given(net: Net, conninfo: &[u8]) -> Self {
        match Options::parse(conninfo) {
            Ok(options) => Self::open_over(
                options,
                NATIVE_ROOM,
                &Surroundings::real(),
                Some(net),
                false,
            ),
            Err(error) => {
                let mut connection = Self::failed(Error::misuse(error.to_string()));
                connection.net = net;
                connection
            }
        }
    }

    /// Brings what the server has sent: how many bytes were taken, the first ones. Fewer than all of them when there is no room
    /// before the next poll, or before what is finished is taken; bring the others again then. None once the connection is over, and
    /// on one that is not over such bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        self.quiet = false;
        self.net.feed(bytes)
    }

    /// Says that the server sends nothing any more, after what was fed.
    pub fn feed_eof(&mut self) {
        self.quiet = false;
        self.net.feed_eof();
    }

    /// What is to be carried to the server, or as much of it as has been prepared: after [`taken`](Connection::taken), the next
    /// poll may prepare more.
    pub fn output(&self) -> &[u8] {
        self.net.output()
    }

    /// Says that the first `count` bytes of the [`output`](Connection::output) are on their way; they are wiped.
    pub fn taken(&mut self, count: usize) {
        self.net.taken(count);
    }

    /// Whether the caller carries the bytes: then there is nothing to wait for in here.
    pub fn is_stream(&self) -> bool {
        self.net.is_pumped()
    }

    /// What is given cannot be had again.
    pub(super) fn refuse_reset(&mut self) {
        let error = "a connection over a given transport cannot be reset: open another one, over a new transport";
        self.say_goodbye();
        self.net.hangup();
        self.drop_token();
        self.engine = Engine::failed(Error::misuse(error), self.room);
    }
}

impl Cancel {
    /// Brings what the server has sent on the request's own transport: how many bytes were taken, the first ones, as
    /// [`Connection::feed`] does. None once the request is over, and on one that is not over such bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        match self.is_over() {
            true => 0,
            false => self.net.feed(bytes),
        }
    }

    /// Says that the server sends nothing any more, after what was fed: it has closed the request's own transport.
    pub fn feed_eof(&mut self) {
        self.net.feed_eof();
    }

    /// What is to be carried to the server over the request's own transport. Nothing once the request has failed: it must not reach
    /// the server after all, and stop what comes later.
    pub fn output(&self) -> &[u8] {
        match self.error() {
            Some(_) => &[],
            None => self.net.output(),
        }
    }

    /// Says that the first `count` bytes of the [`output`](Cancel::output) are on their way; they are wiped.
    pub fn taken(&mut self, count: usize) {
        self.net.taken(count);
    }

    /// Whether the caller carries the bytes: the connection that it is about is over a transport of the caller's.
    pub fn is_stream(&self) -> bool {
        self.net.is_pumped()
    }
}
