//! What bytes travel on: a socket, or memory that the caller moves them from and to. Knows system calls, no TLS and no protocol.
#![forbid(unsafe_code)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::link::{LinkError, LinkErrorKind};
use crate::net::pump::Pump;
use crate::net::sys::{self, Errno};
use crate::net::{Alive, Received, Sent};

/// A transport without TLS.
#[derive(Debug)]
pub(super) enum Raw {
    /// A connected socket.
    Socket(OwnedFd),
    /// One that the caller has connected, and that nobody has asked for yet.
    Given(OwnedFd),
    /// Two buffers that the caller fills and empties.
    Pump(Box<Pump>),
}

impl Raw {
    /// Whether the caller has connected it, and nobody has asked for it yet.
    pub(super) fn is_given(&self) -> bool {
        match self {
            Raw::Socket(_) => false,
            Raw::Given(_) => true,
            Raw::Pump(pump) => pump.is_given(),
        }
    }

    /// The same, asked for.
    pub(super) fn taken(self) -> Raw {
        match self {
            Raw::Given(socket) => Raw::Socket(socket),
            Raw::Pump(mut pump) => {
                pump.take();
                Raw::Pump(pump)
            }
            socket => socket,
        }
    }

    /// What the caller's loop watches, if there is something to watch.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Raw::Socket(socket) | Raw::Given(socket) => Some(socket.as_fd()),
            Raw::Pump(_) => None,
        }
    }

    /// Receives what has arrived, in one system call. An empty `into` looks like the end.
    #[inline]
    pub(super) fn receive(&mut self, into: &mut [u8]) -> Received {
        match self {
            Raw::Socket(socket) | Raw::Given(socket) => {
                received(|| sys::recv(socket.as_fd(), into))
            }
            Raw::Pump(pump) => pump.receive(into),
        }
    }

    /// The same, appended to `into` without making it grow. No room looks like the end.
    #[inline(always)]
    pub(super) fn receive_behind(&mut self, into: &mut Vec<u8>, most: usize) -> Received {
        match self {
            Raw::Socket(socket) | Raw::Given(socket) => {
                received(|| sys::recv_behind(socket.as_fd(), into, most))
            }
            Raw::Pump(pump) => pump.receive_behind(into, most),
        }
    }

    /// Sends as much as is taken, in one system call.
    #[inline(always)]
    pub(super) fn send(&mut self, bytes: &[u8]) -> Sent {
        let socket = match self {
            Raw::Socket(socket) | Raw::Given(socket) => socket,
            Raw::Pump(pump) => return pump.send(bytes),
        };
        loop {
            match sys::send(socket.as_fd(), bytes) {
                Ok(n) => return Sent::Bytes(n),
                Err(libc::EAGAIN) => return Sent::Wait,
                Err(libc::EINTR) => {}
                Err(errno) => return Sent::Failed(failed(LinkErrorKind::Send, errno)),
            }
        }
    }

    /// Looks what has arrived, and takes nothing.
    pub(super) fn look(&self) -> Alive {
        let socket = match self {
            Raw::Socket(socket) | Raw::Given(socket) => socket,
            Raw::Pump(pump) => return pump.look(),
        };
        loop {
            match sys::peek(socket.as_fd(), &mut [0]) {
                Ok(0) => return Alive::Closed,
                Ok(_) => return Alive::Data,
                Err(libc::EAGAIN) => return Alive::Quiet,
                Err(libc::EINTR) => {}
                Err(errno) => return Alive::Failed(failed(LinkErrorKind::Receive, errno)),
            }
        }
    }

    /// Tells the peer that it is over.
    pub(super) fn shut_down(&self) {
        if let Some(socket) = self.fd() {
            sys::shutdown(socket);
        }
    }
}

#[inline]
fn received(mut receive: impl FnMut() -> Result<usize, Errno>) -> Received {
    loop {
        match receive() {
            Ok(0) => return Received::Failed(closed()),
            Ok(n) => return Received::Bytes(n),
            Err(libc::EAGAIN) => return Received::Wait,
            Err(libc::EINTR) => {}
            Err(errno) => return Received::Failed(failed(LinkErrorKind::Receive, errno)),
        }
    }
}

#[cold]
fn failed(kind: LinkErrorKind, errno: Errno) -> LinkError {
    LinkError {
        kind,
        errno,
        text: sys::strerror(errno),
    }
}

/// The end of the stream.
#[cold]
pub(super) fn closed() -> LinkError {
    LinkError {
        kind: LinkErrorKind::Closed,
        errno: 0,
        text: String::from("server closed the connection unexpectedly"),
    }
}
