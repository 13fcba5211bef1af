//! Does what the engine asks: names, sockets, time. Knows no protocol.
//!
//! No call waits. What would block (resolving, looking up a user) runs on a thread of its own, whose end is seen on a descriptor.
//!
//! One turn of whoever drives it:
//!
//! 1. [`Net::release_retired`]: the caller has had its turn with the old descriptor.
//! 2. [`Net::ask`] with each new ask, and [`Net::answer`] until it has none.
//! 3. Connected: [`Net::send`] and [`Net::receive`] until both wait.
//! 4. Sleep on [`Net::fd`], for [`Net::pending`] if it says so; [`Net::generation`] tells a new descriptor from one that only has the same number.
#![deny(unsafe_code)]

pub mod clock;
mod dial;
pub mod fork;
mod helper;
mod resolve;
#[allow(unsafe_code)]
mod sys;
#[allow(dead_code, reason = "nothing secures a transport yet")]
mod tls;
mod wait;
mod work;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

pub use wait::{entropy, wait};

use crate::link::{Answer, Ask, AskId, LinkError, LinkErrorKind};
use crate::net::sys::Errno;
use crate::net::work::Work;

/// The transport of one connection.
///
/// Connected, it is a descriptor and two numbers, and owns no heap. Every descriptor is nonblocking in effect, close-on-exec, and raises
/// no SIGPIPE. After a fork the child may only drop it: nothing else reaches the socket that the parent goes on using.
#[derive(Debug)]
pub struct Net {
    socket: Option<OwnedFd>,
    work: Option<Box<Work>>,
    retired: Vec<OwnedFd>,
    generation: u64,
    forks: u64,
}

/// What the caller's loop watches the descriptor for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Readable.
    Read,
    /// Writable.
    Write,
}

/// What came of receiving.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// So many bytes, at the beginning of the buffer; 0 only for an empty buffer.
    Bytes(usize),
    /// Nothing now.
    Wait,
    /// Nothing any more. The end of the stream is of the kind `Closed`.
    Failed(LinkError),
}

/// What came of sending.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// So many of the bytes went to the kernel, perhaps not all.
    Bytes(usize),
    /// None now.
    Wait,
    /// None any more.
    Failed(LinkError),
}

/// What a look at an idle connection shows, without asking the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Alive {
    /// Nothing has arrived.
    Quiet,
    /// Bytes have arrived.
    Data,
    /// The peer has closed it.
    Closed,
    /// It is broken, or not open.
    Failed(LinkError),
}

impl Default for Net {
    fn default() -> Self {
        Self::new()
    }
}

impl Net {
    /// A net without a socket.
    pub fn new() -> Net {
        fork::watch();
        Net {
            socket: None,
            work: None,
            retired: Vec::new(),
            generation: 0,
            forks: fork::generation(),
        }
    }

    /// A net over a connected stream socket of the caller's, which is closed with it and becomes close-on-exec. Its blocking mode is left alone.
    ///
    /// # Errors
    /// `InvalidInput` if it is no stream socket, `NotConnected` if it has no peer.
    pub fn adopt(fd: OwnedFd) -> io::Result<Net> {
        let kind = sys::option(fd.as_fd(), libc::SO_TYPE).map_err(io::Error::from_raw_os_error)?;
        if kind != libc::SOCK_STREAM {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a stream socket",
            ));
        }
        if !sys::has_peer(fd.as_fd()) {
            return Err(io::Error::from_raw_os_error(libc::ENOTCONN));
        }
        sys::prepare(&fd).map_err(io::Error::from_raw_os_error)?;
        let mut net = Net::new();
        net.socket = Some(fd);
        net.generation = 1;
        Ok(net)
    }

    /// Begins what is asked. What went before is over: an earlier ask with its answer, and the socket.
    ///
    /// What can be answered at once is answered by the next [`Net::answer`]: call that before waiting.
    pub fn ask(&mut self, id: AskId, ask: Ask) {
        if self.is_forked() && ask != Ask::Hangup {
            self.let_go();
            self.work = Some(Box::new(Work::answered(id, Answer::Failed(forked()))));
            return;
        }
        self.hangup();
        self.work = Work::begin(id, ask).map(Box::new);
        self.generation += u64::from(self.fd().is_some());
    }

    /// Makes what progress there is, and gives the answer once it is there. A call too many does no harm.
    pub fn answer(&mut self) -> Option<(AskId, Answer)> {
        let before = self.fd();
        let work = self.work.as_mut()?;
        let id = work.id();
        if self.forks != fork::generation() {
            self.let_go();
            return Some((id, Answer::Failed(forked())));
        }
        let done = work.advance(&mut self.retired).map(|(answer, socket)| {
            self.work = None;
            self.socket = socket;
            (id, answer)
        });
        self.generation += u64::from(self.fd() != before);
        done
    }

    /// What the caller's loop watches now: the end of a helper, the socket that is being connected, the connected socket.
    pub fn fd(&self) -> Option<RawFd> {
        match (&self.work, &self.socket) {
            (Some(work), _) => work.fd().map(|fd| fd.as_raw_fd()),
            (None, socket) => socket.as_ref().map(AsRawFd::as_raw_fd),
        }
    }

    /// Goes up whenever [`Net::fd`] changes: numbers of closed descriptors come back.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What the descriptor is watched for while an ask is under way; `None` without one, where the engine decides.
    pub fn pending(&self) -> Option<Interest> {
        self.work.as_ref().and_then(|work| work.interest())
    }

    /// Closes the descriptors that were replaced. To be called at the beginning of the next poll: until then the caller's loop may still
    /// have them registered, and their numbers must not come back as something else.
    pub fn release_retired(&mut self) {
        if !self.retired.is_empty() {
            self.retired = Vec::new();
        }
    }

    /// Receives what has arrived, in one system call.
    #[inline]
    pub fn receive(&mut self, into: &mut [u8]) -> Received {
        let Some(socket) = self.ready() else {
            return self.not_ready().map_or(Received::Wait, Received::Failed);
        };
        if into.is_empty() {
            return Received::Bytes(0); // or it would look like the end
        }
        received(|| sys::recv(socket.as_fd(), into))
    }

    /// The same, at most `most` bytes, appended to `into` without making it grow: what there is room for.
    #[inline]
    pub fn receive_behind(&mut self, into: &mut Vec<u8>, most: usize) -> Received {
        let Some(socket) = self.ready() else {
            return self.not_ready().map_or(Received::Wait, Received::Failed);
        };
        if most == 0 || into.len() == into.capacity() {
            return Received::Bytes(0); // or it would look like the end
        }
        received(|| sys::recv_behind(socket.as_fd(), into, most))
    }

    /// Sends as much as the kernel takes, in one system call. Never raises SIGPIPE.
    #[inline]
    pub fn send(&mut self, bytes: &[u8]) -> Sent {
        let Some(socket) = self.ready() else {
            return self.not_ready().map_or(Sent::Wait, Sent::Failed);
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

    /// Looks whether the peer is still there, as far as this machine knows: no bytes are taken, none are sent.
    pub fn is_alive(&self) -> Alive {
        let Some(socket) = self.ready() else {
            return self.not_ready().map_or(Alive::Quiet, Alive::Failed);
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

    /// Ends the connection or the ask under way. The peer sees it now; the descriptor is closed by [`Net::release_retired`].
    /// In a forked child the peer sees nothing, for the connection is the parent's; what is asked next is the child's own.
    pub fn hangup(&mut self) {
        self.say_goodbye();
        self.let_go();
        self.forks = fork::generation();
    }

    fn say_goodbye(&self) {
        if let Some(socket) = self.ready() {
            sys::shutdown(socket.as_fd());
        }
    }

    /// Retires what there is, without a word to the peer.
    fn let_go(&mut self) {
        self.generation += u64::from(self.fd().is_some());
        self.retired.extend(self.socket.take());
        if let Some(work) = self.work.take() {
            work.retire(&mut self.retired);
        }
    }

    #[inline]
    fn is_forked(&self) -> bool {
        self.forks != fork::generation()
    }

    /// The socket, if it is connected and ours.
    #[inline]
    fn ready(&self) -> Option<&OwnedFd> {
        self.socket.as_ref().filter(|_| !self.is_forked())
    }

    /// Why it is not: `None` while it is being connected.
    #[cold]
    fn not_ready(&self) -> Option<LinkError> {
        if self.is_forked() {
            Some(forked())
        } else if self.work.is_some() {
            None
        } else {
            Some(LinkError {
                kind: LinkErrorKind::Closed,
                errno: libc::ENOTCONN,
                text: String::from("connection not open"),
            })
        }
    }
}

impl Drop for Net {
    /// A close alone would not reach the peer while a forked child holds a copy.
    fn drop(&mut self) {
        self.say_goodbye();
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

#[cold]
fn closed() -> LinkError {
    LinkError {
        kind: LinkErrorKind::Closed,
        errno: 0,
        text: String::from("server closed the connection unexpectedly"),
    }
}

#[cold]
fn forked() -> LinkError {
    LinkError {
        kind: LinkErrorKind::Forked,
        errno: 0,
        text: String::from(
            "the process has forked: the connection belongs to the parent; close it here and open another",
        ),
    }
}
