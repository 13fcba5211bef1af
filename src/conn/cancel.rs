//! Cancel requests (manual, "Canceling Requests in Progress"): a connection of their own, to the same address, polled like
//! any other. Knows the packet and the net, no operation.

use std::fmt;
use std::os::fd::RawFd;
use std::time::Duration;

use zeroize::Zeroizing;

use super::Connection;
use crate::conninfo::TcpOptions;
use crate::error::Error;
use crate::link::{Addr, Answer, Ask, AskId, LinkError, LinkErrorKind};
use crate::net::{Interest, Net, Received, Sent, clock};
use crate::wire::CancelRequest;

/// A request to stop what a backend is doing.
///
/// [`poll`](Cancel::poll) until it is done: then the server has passed the request on. Whether anything was stopped is seen
/// on the connection itself: its operation fails with SQLSTATE 57014, or is done already.
pub struct Cancel {
    net: Net,
    addr: Addr,
    tcp: TcpOptions,
    timeout: Option<Duration>,
    packet: Zeroizing<Vec<u8>>,
    stage: Stage,
    asks: AskId,
    deadline: Option<u64>,
}

/// Without the packet, which carries the key.
impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("addr", &self.addr)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Stage {
    Fresh,
    Dialling,
    /// So many bytes of the packet are sent.
    Sending(usize),
    /// The server closes the connection when it has dealt with the request.
    Waiting,
    Done,
    Failed(Error),
}

/// What a poll of a cancel request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelPoll {
    /// Wait until the socket is readable.
    WantRead,
    /// Wait until the socket is writable.
    WantWrite,
    /// The server has the request.
    Done,
    /// It could not be told; [`Cancel::error`] says why.
    Failed,
}

impl Cancel {
    /// A request for the backend that serves `connection`, to be sent by polling. Fails when there is none, or when it
    /// sent no key to prove that the request is ours.
    pub fn of(connection: &Connection) -> Result<Self, Error> {
        let facts = connection.facts();
        let Some(addr) = facts.addr().filter(|_| facts.is_ready()) else {
            return Err(Error::misuse("connection not open"));
        };
        let Some(key) = facts.cancel_key() else {
            return Err(Error::misuse("no cancellation key received"));
        };
        let mut packet = Zeroizing::new(Vec::new());
        let request = CancelRequest {
            process_id: facts.backend_pid() as i32,
            secret_key: key.expose(),
        };
        request.encode(&mut packet)?;
        Ok(Self {
            net: Net::new(),
            addr: addr.clone(),
            tcp: connection.tcp.clone(),
            timeout: connection.connect_timeout,
            packet,
            stage: Stage::Fresh,
            asks: 0,
            deadline: None,
        })
    }

    /// The packet as it goes over the wire, for callers who carry it themselves.
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Where it goes.
    pub fn addr(&self) -> &Addr {
        &self.addr
    }

    /// Makes it as it was before the first poll.
    pub fn reset(&mut self) {
        self.net.hangup();
        self.stage = Stage::Fresh;
        self.deadline = None;
    }

    /// Whether it has been polled since it was made or reset.
    pub fn is_begun(&self) -> bool {
        !matches!(self.stage, Stage::Fresh)
    }

    /// Goes on; says what to wait for.
    pub fn poll(&mut self) -> CancelPoll {
        self.net.release_retired();
        loop {
            let now = clock::now_ns();
            if self.is_under_way() && self.deadline.is_some_and(|deadline| now >= deadline) {
                self.fail(Error::transport("timeout expired"));
            }
            match &self.stage {
                Stage::Fresh => self.dial(now),
                Stage::Dialling => match self.net.answer() {
                    Some((id, answer)) if id == self.asks => self.dialled(answer),
                    Some(_) => {}
                    None if self.net.pending() == Some(Interest::Write) => {
                        return CancelPoll::WantWrite;
                    }
                    None => return CancelPoll::WantRead,
                },
                &Stage::Sending(sent) => {
                    let rest = self.packet.get(sent..).unwrap_or_default();
                    if rest.is_empty() {
                        self.stage = Stage::Waiting;
                        continue;
                    }
                    match self.net.send(rest) {
                        Sent::Bytes(count) => self.stage = Stage::Sending(sent + count),
                        Sent::Wait => return CancelPoll::WantWrite,
                        Sent::Failed(error) => self.fail(error.into()),
                    }
                }
                Stage::Waiting => match self.net.receive(&mut [0]) {
                    Received::Wait => return CancelPoll::WantRead,
                    Received::Failed(LinkError {
                        kind: LinkErrorKind::Closed,
                        ..
                    }) => {
                        self.net.hangup();
                        self.stage = Stage::Done;
                    }
                    Received::Failed(error) => self.fail(error.into()),
                    Received::Bytes(_) => {
                        self.fail(Error::transport("unexpected response from server"));
                    }
                },
                Stage::Done => return CancelPoll::Done,
                Stage::Failed(_) => return CancelPoll::Failed,
            }
        }
    }

    /// Polls and waits until the server has the request. A call that waits.
    pub fn wait(&mut self) -> Result<(), Error> {
        loop {
            let wants = self.poll();
            match (&self.stage, wants) {
                (Stage::Failed(error), _) => return Err(error.clone()),
                (_, CancelPoll::Done) => return Ok(()),
                (_, wants) => {
                    let (read, write) = (
                        wants == CancelPoll::WantRead,
                        wants == CancelPoll::WantWrite,
                    );
                    let left = self
                        .deadline
                        .map(|deadline| deadline.saturating_sub(clock::now_ns()));
                    crate::net::wait(self.socket(), read, write, left.map(Duration::from_nanos));
                }
            }
        }
    }

    /// The descriptor to wait for; it may be another one after each poll.
    pub fn socket(&self) -> Option<RawFd> {
        self.net.fd()
    }

    /// When to poll at the latest: nanoseconds of CLOCK_MONOTONIC. It is `connect_timeout` for all of it.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.deadline
    }

    /// Why it failed.
    pub fn error(&self) -> Option<&Error> {
        match &self.stage {
            Stage::Failed(error) => Some(error),
            _ => None,
        }
    }

    fn is_under_way(&self) -> bool {
        matches!(
            self.stage,
            Stage::Dialling | Stage::Sending(_) | Stage::Waiting
        )
    }

    fn dial(&mut self, now: u64) {
        self.deadline = self
            .timeout
            .map(|timeout| now.saturating_add(timeout.as_nanos() as u64));
        self.asks += 1;
        let ask = Ask::Dial {
            addr: self.addr.clone(),
            tcp: self.tcp.clone(),
            want_peer: false,
        };
        self.net.ask(self.asks, ask);
        self.stage = Stage::Dialling;
    }

    fn dialled(&mut self, answer: Answer) {
        match answer {
            Answer::Failed(error) => self.fail(error.into()),
            _ => self.stage = Stage::Sending(0),
        }
    }

    fn fail(&mut self, error: Error) {
        self.net.hangup();
        self.stage = Stage::Failed(error);
    }
}

/// The packet carries the key.
impl Drop for Cancel {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.packet);
    }
}
