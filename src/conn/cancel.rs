//! Cancel requests as objects that are polled: the engine's coroutine for them, coupled with a net of its own. Knows no
//! operation and no protocol.

use std::fmt;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use zeroize::Zeroizing;

use super::Connection;
use crate::conninfo::Secret;
use crate::engine::{CancelPlan, Engine, Phase};
use crate::error::Error;
use crate::link::Addr;
use crate::net::{Interest, Net, Received, Sent, clock};
use crate::wire::CancelRequest;

/// How long all of a request may take where `connect_timeout` does not say.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of messages to work through in one call: nobody sends any.
const BUDGET: usize = 4096;

/// A request to stop what a backend is doing, on a connection of its own: to the same address, and encrypted, with the
/// server's certificate checked, if the connection that it is about is encrypted. Where that one is over a transport of the
/// caller's, nothing can be dialled: the caller carries the bytes of this one, as of a [stream](Connection::open_stream).
///
/// [`poll`](Cancel::poll) until it is done: then the server has passed the request on. Whether anything was stopped is seen
/// on the connection itself: its operation fails with SQLSTATE 57014, or is done already.
pub struct Cancel {
    plan: CancelPlan,
    pub(super) net: Net,
    /// `None` until it is polled.
    engine: Option<Engine>,
    /// So much of the output is in the net's hands and has not left them.
    leaving: usize,
}

/// Without the packet, which carries the key.
impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancel")
            .field("addr", &self.plan.addr)
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}

/// What a poll of a cancel request says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelPoll {
    /// Wait until the socket is readable, or for bytes to feed.
    WantRead,
    /// Wait until the socket is writable, or carry the output.
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
        let request = CancelRequest {
            process_id: facts.backend_pid() as i32,
            secret_key: key.expose(),
        };
        let mut packet = Zeroizing::new(Vec::with_capacity(16 + key.expose().len()));
        request.encode(&mut packet)?;
        let gss = facts.gss_encrypted().then(|| connection.gss_peer());
        let tls = match (facts.tls(), &connection.tls) {
            (None, _) => None,
            (Some(_), Some(tls)) => Some(tls.clone()),
            (Some(_), None) => {
                return Err(Error::misuse(
                    "internal error: it is not known how the connection is encrypted",
                ));
            }
        };
        let owned = |option: Option<&[u8]>| option.map(<[u8]>::to_vec);
        Ok(Self::new(CancelPlan {
            packet: Secret::new(std::mem::take(&mut *packet)),
            addr: addr.clone(),
            tcp: connection.tcp.clone(),
            requirepeer: owned(connection.options().get("requirepeer"))
                .filter(|user| !user.is_empty()),
            tls,
            gss,
            host: owned(connection.of_host("host")).unwrap_or_default(),
            hostaddr: owned(connection.of_host("hostaddr")),
            timeout: connection.connect_timeout.unwrap_or(TIMEOUT),
        }))
    }

    fn new(plan: CancelPlan) -> Self {
        Self {
            net: transport(&plan),
            plan,
            engine: None,
            leaving: 0,
        }
    }

    /// The same request with more time than somebody else gives it: its own time is not what ends it.
    pub(super) fn patient(mut self, time: Duration) -> Self {
        const MOST: Duration = Duration::from_secs(u32::MAX as u64);
        self.plan.timeout = time.min(MOST) + Duration::from_secs(1);
        self
    }

    /// Whether something of the packet may have reached the server.
    pub(super) fn is_told(&self) -> bool {
        let phase = self.engine.as_ref().map(|engine| engine.facts().phase());
        !matches!(
            phase,
            None | Some(
                Phase::Start
                    | Phase::Resolving
                    | Phase::Credentials
                    | Phase::Dialling
                    | Phase::NegotiatingGss
                    | Phase::SecuringGss
                    | Phase::Negotiating
                    | Phase::Securing
            )
        )
    }

    /// The packet as it goes over the wire, for callers who carry it themselves.
    pub fn packet(&self) -> &[u8] {
        self.plan.packet.expose()
    }

    /// Where it goes.
    pub fn addr(&self) -> &Addr {
        &self.plan.addr
    }

    /// Makes it as it was before the first poll. What the caller carries is for another transport then.
    pub fn reset(&mut self) {
        if self.is_stream() {
            self.net = transport(&self.plan);
        } else {
            self.net.hangup();
        }
        self.engine = None;
        self.leaving = 0;
    }

    /// Whether it has been polled since it was made or reset.
    pub fn is_begun(&self) -> bool {
        self.engine.is_some()
    }

    /// Goes on; says what to wait for. Never waits.
    pub fn poll(&mut self) -> CancelPoll {
        self.net.release_retired();
        let engine = self
            .engine
            .get_or_insert_with(|| Engine::cancel(self.plan.clone()));
        let now = clock::now_ns();
        loop {
            let need = engine.advance(now, BUDGET);
            let mut progress = need.runnable;
            while let Some((id, ask)) = engine.ask() {
                self.net.ask(id, ask);
                progress = true;
            }
            if let Some((id, answer)) = self.net.answer() {
                engine.answer(id, answer);
                progress = true;
            }
            self.net.send_unsent();
            if need.write && self.leaving == 0 {
                match self.net.send(engine.output()) {
                    Sent::Bytes(count) => self.leaving = count,
                    Sent::Wait => {}
                    Sent::Failed(error) => {
                        engine.lost(error);
                        progress = true;
                    }
                }
            }
            // What nobody has carried yet the server cannot have heeded, whatever it says.
            if self.leaving > 0 && !self.net.has_unsent() {
                engine.sent(std::mem::take(&mut self.leaving));
                progress = true;
            }
            if need.read {
                progress |= receive(&mut self.net, engine);
            }
            if engine.is_done() {
                return CancelPoll::Done;
            }
            if engine.error().is_some() {
                return CancelPoll::Failed;
            }
            if !progress {
                let writes = match self.net.pending() {
                    Some(interest) if !self.net.is_pumped() => interest == Interest::Write,
                    _ => engine.has_output() || self.net.has_unsent(),
                };
                return if writes {
                    CancelPoll::WantWrite
                } else {
                    CancelPoll::WantRead
                };
            }
        }
    }

    /// Polls and waits until the server has the request. A call that waits.
    pub fn wait(&mut self) -> Result<(), Error> {
        if self.is_stream() {
            return Err(Error::misuse(
                "nobody else carries the bytes of this request: poll it, feed it and carry its output",
            ));
        }
        loop {
            let wants = self.poll();
            if wants == CancelPoll::Done {
                return Ok(());
            }
            if let Some(error) = self.error() {
                return Err(error.clone());
            }
            let (read, write) = (
                wants == CancelPoll::WantRead,
                wants == CancelPoll::WantWrite,
            );
            let left = self
                .deadline_ns()
                .map(|deadline| deadline.saturating_sub(clock::now_ns()));
            crate::net::wait(self.socket(), read, write, left.map(Duration::from_nanos));
        }
    }

    /// The descriptor to wait for; it may be another one after each poll.
    pub fn socket(&self) -> Option<RawFd> {
        self.net.fd()
    }

    /// The same, to be used before the next poll.
    pub fn borrow_socket(&self) -> Option<BorrowedFd<'_>> {
        self.net.borrow_fd()
    }

    /// When to poll at the latest: nanoseconds of CLOCK_MONOTONIC; `None` before the first poll and after the last. It is
    /// `connect_timeout` for all of it, or 5 seconds without one.
    pub fn deadline_ns(&self) -> Option<u64> {
        self.engine.as_ref().and_then(Engine::deadline)
    }

    /// Whether nothing more becomes of it: the server has it, or could not be told.
    pub(super) fn is_over(&self) -> bool {
        let over = |engine: &Engine| engine.is_done() || engine.error().is_some();
        self.engine.as_ref().is_some_and(over)
    }

    /// Why it failed.
    pub fn error(&self) -> Option<&Error> {
        self.engine.as_ref().and_then(Engine::error)
    }
}

/// A net for a request that is not begun.
fn transport(plan: &CancelPlan) -> Net {
    match plan.addr {
        Addr::Given => Net::pumped(),
        Addr::Tcp(_) | Addr::Unix(_) => Net::new(),
    }
}

/// Receives what has arrived; true when there was something, if only the end.
fn receive(net: &mut Net, engine: &mut Engine) -> bool {
    let Some(room) = engine.room() else {
        return true;
    };
    let most = room.most;
    match net.receive_behind(room.chunk, most) {
        Received::Bytes(count) => {
            engine.received(count);
            count > 0
        }
        Received::Wait => false,
        Received::Failed(error) => {
            engine.lost(error);
            true
        }
    }
}
