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

mod asks;
mod buffer;
pub mod clock;
mod dial;
pub mod file;
mod filter;
pub mod fork;
mod gss;
#[allow(unsafe_code)]
mod gss_sys;
mod helper;
mod many;
mod pump;
mod raw;
mod resolve;
mod room;
mod sink;
#[allow(unsafe_code)]
mod sys;
mod tls;
mod wait;
mod work;

use std::ffi::c_void;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

pub use many::{Many, Wants};
pub use sink::Sink;
#[cfg(fuzzing)]
pub use tls::fuzz;
pub(crate) use tls::same as same_tls;
pub use wait::{entropy, wait};

use crate::link::{LinkError, LinkErrorKind};
use crate::net::filter::Filter;
use crate::net::gss::Exchange;
use crate::net::pump::Pump;
use crate::net::raw::Raw;
use crate::net::room::Room;
use crate::net::work::Work;

/// The transport of one connection.
///
/// Connected, it is a descriptor and two numbers, and owns no heap. Every descriptor is nonblocking in effect, close-on-exec, and raises
/// no SIGPIPE. After a fork the child may only drop it: nothing else reaches the socket that the parent goes on using, unless it takes
/// it over.
#[derive(Debug)]
pub struct Net {
    raw: Option<Raw>,
    /// Encryption above it, once it was asked for.
    filter: Option<Filter>,
    /// What authentication has established.
    gss: Option<Box<Exchange>>,
    /// There is encryption or memory between us and the peer, which may hold bytes back.
    holds: bool,
    work: Option<Box<Work>>,
    /// See [`Net::look_for_credentials_at_once`].
    looks_at_once: bool,
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
            raw: None,
            filter: None,
            gss: None,
            holds: false,
            work: None,
            looks_at_once: false,
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
        net.raw = Some(Raw::Given(fd));
        net.generation = 1;
        Ok(net)
    }

    /// A net over memory: what arrives is fed, what is sent is taken. It has no descriptor.
    pub fn pumped() -> Net {
        let mut net = Net::new();
        net.raw = Some(Raw::Pump(Box::default()));
        net.holds = true;
        net
    }

    /// From now on no helper looks for credentials of GSSAPI, but [`Net::ask`] itself: it may wait for whoever has them.
    pub fn look_for_credentials_at_once(&mut self) {
        self.looks_at_once = true;
    }

    /// What the caller's loop watches now: the end of a helper, the socket that is being connected, the connected socket.
    #[inline]
    pub fn fd(&self) -> Option<RawFd> {
        self.borrow_fd().map(|fd| fd.as_raw_fd())
    }

    /// The same, to be used while the net is not.
    #[inline]
    pub fn borrow_fd(&self) -> Option<BorrowedFd<'_>> {
        let raw = || self.raw.as_ref().and_then(Raw::fd);
        match &self.work {
            None => raw(),
            Some(work) => work.fd().or_else(raw),
        }
    }

    /// Goes up whenever [`Net::fd`] changes: numbers of closed descriptors come back.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What the descriptor is watched for while an ask is under way; `None` without one, where the engine decides.
    pub fn pending(&self) -> Option<Interest> {
        match (&self.work, &self.filter) {
            (Some(work), _) => work.interest(),
            (None, Some(filter)) => filter.asked().map(|_| filter.interest()),
            (None, None) => None,
        }
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
        let Some((raw, filter)) = self.ready() else {
            return self.not_ready().map_or(Received::Wait, Received::Failed);
        };
        if into.is_empty() {
            return Received::Bytes(0); // or it would look like the end
        }
        match filter {
            None => raw.receive(into),
            Some(filter) => filter.receive(raw, Room::slice(into)),
        }
    }

    /// The same, at most `most` bytes, appended to `into` without making it grow: what there is room for.
    #[inline(always)]
    pub fn receive_behind(&mut self, into: &mut Vec<u8>, most: usize) -> Received {
        let Some((raw, filter)) = self.ready() else {
            return self.not_ready().map_or(Received::Wait, Received::Failed);
        };
        if most == 0 || into.len() == into.capacity() {
            return Received::Bytes(0); // or it would look like the end
        }
        match filter {
            None => raw.receive_behind(into, most),
            Some(filter) => filter.receive(raw, Room::behind(into, most)),
        }
    }

    /// Whether something can be received that the descriptor does not show: it is in memory already.
    #[inline]
    pub fn has_input(&self) -> bool {
        self.holds && self.holds_input()
    }

    #[cold]
    fn holds_input(&self) -> bool {
        self.filter
            .as_ref()
            .is_some_and(|filter| filter.has_input())
            || matches!(&self.raw, Some(Raw::Pump(pump)) if pump.has_input())
    }

    /// Whether more may have arrived although the last receiving did not fill its room. Without encryption never.
    #[inline]
    pub fn has_more(&self) -> bool {
        self.holds && self.filter.as_ref().is_some_and(|filter| filter.has_more())
    }

    /// Sends as much as the kernel takes, in one system call. Never raises SIGPIPE.
    ///
    /// Encrypted bytes count as sent when their ciphertext has gone out whole. Until then the next call has to come with the same bytes.
    #[inline(always)]
    pub fn send(&mut self, bytes: &[u8]) -> Sent {
        let Some((raw, filter)) = self.ready() else {
            return self.not_ready().map_or(Sent::Wait, Sent::Failed);
        };
        match filter {
            None => raw.send(bytes),
            Some(filter) => filter.send(raw, bytes),
        }
    }

    /// Whether something waits to be sent or carried that is not in the caller's hands any more: what TLS has to say for itself, what is
    /// encrypted, and what is in memory.
    #[inline]
    pub fn has_unsent(&self) -> bool {
        self.holds && self.holds_output()
    }

    #[cold]
    fn holds_output(&self) -> bool {
        self.filter
            .as_ref()
            .is_some_and(|filter| filter.has_unsent())
            || matches!(&self.raw, Some(Raw::Pump(pump)) if pump.has_unsent())
    }

    /// How many bytes of the last [`Net::send`] are encrypted already, and have to come again.
    pub fn committed(&self) -> usize {
        self.filter.as_ref().map_or(0, |filter| filter.owed())
    }

    /// Sends it, as far as that can be done now. An error is told by the next sending or receiving.
    pub fn send_unsent(&mut self) {
        if let Some((raw, Some(filter))) = self.ready() {
            filter.flush(raw);
        }
    }

    /// The context of GSSAPI (`gss_ctx_id_t`), be it of encryption or of authentication: it lives as long as the transport. NULL without
    /// one, and while it takes a step.
    pub fn gss_context(&self) -> *mut c_void {
        match (&self.filter, &self.gss) {
            (_, Some(exchange)) => exchange.pointer(),
            (Some(filter), None) => filter.gss_context(),
            (None, None) => std::ptr::null_mut(),
        }
    }

    /// Whether it is over memory.
    #[inline]
    pub fn is_pumped(&self) -> bool {
        matches!(self.raw, Some(Raw::Pump(_)))
    }

    /// Brings bytes of the peer to a net over memory: how many there was room for.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        self.pump_mut().map_or(0, |pump| pump.feed(bytes))
    }

    /// Says to a net over memory that the peer sends nothing any more.
    pub fn feed_eof(&mut self) {
        if let Some(pump) = self.pump_mut() {
            pump.feed_eof();
        }
    }

    /// What a net over memory has for the peer.
    pub fn output(&self) -> &[u8] {
        match &self.raw {
            Some(Raw::Pump(pump)) if !self.is_forked() => pump.output(),
            _ => &[],
        }
    }

    /// Says that `count` bytes of it are on their way.
    pub fn taken(&mut self, count: usize) {
        if let Some(pump) = self.pump_mut() {
            pump.taken(count);
        }
    }

    fn pump_mut(&mut self) -> Option<&mut Pump> {
        match &mut self.raw {
            Some(Raw::Pump(pump)) => Some(pump),
            _ => None,
        }
    }

    /// Looks whether the peer is still there, as far as this machine knows: no bytes are taken, none are sent.
    pub fn is_alive(&self) -> Alive {
        match (&self.raw, &self.filter) {
            _ if self.is_forked() => Alive::Failed(forked()),
            (Some(raw), Some(filter)) => filter.look(raw),
            (Some(raw), None) => raw.look(),
            (None, _) => self.not_ready().map_or(Alive::Quiet, Alive::Failed),
        }
    }

    /// Ends the connection or the ask under way. The peer sees it now; the descriptor is closed by [`Net::release_retired`].
    /// In a forked child the peer sees nothing, for the connection is the parent's; what is asked next is the child's own.
    pub fn hangup(&mut self) {
        self.say_goodbye();
        self.let_go();
        self.forks = fork::generation();
    }

    /// In a forked child: the connection is the child's from now on, and the parent uses it no more.
    #[inline]
    pub fn take_over(&mut self) {
        self.forks = fork::generation();
    }

    fn say_goodbye(&mut self) {
        if let Some((raw, filter)) = self.ready() {
            if let Some(filter) = filter {
                filter.close(raw);
            }
            raw.shut_down();
        }
    }

    /// Retires what there is, without a word to the peer.
    fn let_go(&mut self) {
        self.generation += u64::from(self.fd().is_some());
        self.filter = None;
        self.gss = None;
        self.holds = self.is_pumped();
        match self.raw.take() {
            Some(Raw::Socket(socket) | Raw::Given(socket)) => self.retired.push(socket),
            Some(Raw::Pump(mut pump)) => {
                pump.end();
                self.raw = Some(Raw::Pump(pump)); // its last words may still be carried
            }
            None => {}
        }
        if let Some(work) = self.work.take() {
            work.retire(&mut self.retired);
        }
    }

    #[inline]
    fn is_forked(&self) -> bool {
        self.forks != fork::generation()
    }

    /// The transport, if it is connected and ours, and the encryption above it.
    #[inline]
    fn ready(&mut self) -> Option<(&mut Raw, Option<&mut Filter>)> {
        if self.is_forked() {
            return None;
        }
        let raw = self.raw.as_mut()?;
        Some((raw, self.filter.as_mut()))
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
