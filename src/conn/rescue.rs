//! Time limits of operations, and the requests to cancel that the connection makes of its own accord. While one is under
//! way, its descriptor is the one to wait for.

use std::os::fd::{BorrowedFd, RawFd};
use std::time::Duration;

use super::{Cancel, CancelPoll, Connection};
use crate::engine::Need;
use crate::error::Error;
use crate::link::{Answer, AskId, LinkError, LinkErrorKind};

/// A request to cancel that the engine has asked for.
#[derive(Debug)]
pub(super) struct Rescue {
    id: AskId,
    /// Kept when it is over, up to the next poll: the caller may still have its descriptor registered.
    cancel: Cancel,
    wants: CancelPoll,
    over: bool,
    /// It has been gone on with in this poll.
    polled: bool,
}

impl Connection {
    /// How long operations started from now on may take, counted from the [`poll`](Connection::poll) after their start;
    /// `None`: as long as they like. At its deadline an operation gives its error item at once, even if operations before
    /// it are still running; it is then cancelled, and its done says what became of it and of the connection.
    ///
    /// The server is only asked to stop what nobody wants: if something that is still wanted has been sent behind it, what
    /// comes of it is read and dropped. Of an operation of which nothing had been sent nothing is sent.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.engine.set_timeout(timeout);
    }

    /// How long the server has to end an operation, from the moment when it is first asked to (5 seconds if this is never
    /// called); then the connection is given up.
    pub fn set_cancel_timeout(&mut self, timeout: Duration) {
        self.engine.set_cancel_timeout(timeout);
    }

    /// Gives up an operation that was started, or (0) all of them: what they have given and is not taken is dropped, and of
    /// each only its done is still to come. They may still end in their own time: once it is its turn, one has 50 ms and
    /// 1 MB before the server is asked to stop it. False if the operation has no done to come.
    ///
    /// One of a group of operations ([`End::More`](crate::engine::End::More)) is not stopped while others of the group
    /// are wanted, since they would fail with it. A group that is open stays open.
    pub fn abandon(&mut self, operation: u64) -> bool {
        self.engine.abandon(operation)
    }

    /// Starts the end in good order: when everything queued is done the server is told goodbye; once it has closed the
    /// connection the operation is done, and the connection is over. When `timeout` has passed it is over anyhow. Nothing
    /// can be started behind it. [`close`](Connection::close) waits for nothing.
    pub fn start_shutdown(&mut self, timeout: Option<Duration>) -> Result<u64, Error> {
        self.engine.start_shutdown(timeout)
    }

    /// The engine wants the server asked to stop what it is doing; true when there is an answer already.
    #[cold]
    pub(super) fn begin_cancel(&mut self, id: AskId) -> bool {
        self.end_cancel();
        let timeout = self.engine.cancel_timeout();
        if self.given {
            let error = Error::transport("the transport was given: nothing else can be dialled");
            self.engine.answer(id, Answer::Failed(not_told(&error)));
            return true;
        }
        match Cancel::of(self) {
            Ok(cancel) => {
                let cancel = cancel.patient(timeout);
                self.rescue = Some(Box::new(Rescue {
                    id,
                    cancel,
                    wants: CancelPoll::WantRead,
                    over: false,
                    polled: false,
                }));
                self.switches += 1;
                self.go_on_cancelling()
            }
            Err(error) => {
                self.engine.answer(id, Answer::Failed(not_told(&error)));
                true
            }
        }
    }

    /// Goes on with the request, once in each poll; true when there is an answer to it.
    #[cold]
    pub(super) fn go_on_cancelling(&mut self) -> bool {
        let Some(rescue) = self.rescue.as_mut().filter(|rescue| !rescue.over) else {
            return false;
        };
        if std::mem::replace(&mut rescue.polled, true) {
            return false;
        }
        let before = rescue.cancel.socket();
        rescue.wants = rescue.cancel.poll();
        self.switches += u32::from(rescue.cancel.socket() != before);
        let answer = match rescue.wants {
            CancelPoll::Done => Answer::Cancelled,
            CancelPoll::Failed => {
                let error = rescue.cancel.error().cloned();
                let error = error.unwrap_or_else(|| Error::transport("the request failed"));
                Answer::Failed(not_told(&error))
            }
            // The operation has ended meanwhile, and the server has not been told anything.
            _ if !self.engine.needs_cancel() && !rescue.cancel.is_told() => {
                Answer::Failed(not_told(&Error::transport("not needed any more")))
            }
            _ => return false,
        };
        self.engine.answer(rescue.id, answer);
        self.end_cancel();
        true
    }

    /// The connection's own descriptor is the one to wait for again.
    pub(super) fn end_cancel(&mut self) {
        if let Some(rescue) = self.rescue.as_mut().filter(|rescue| !rescue.over) {
            rescue.over = true;
            self.switches += 1;
        }
    }

    /// The caller has had its turn with the descriptor of a request that is over.
    #[cold]
    pub(super) fn release_cancel(&mut self) {
        match &mut self.rescue {
            Some(rescue) if !rescue.over => rescue.polled = false,
            _ => self.rescue = None,
        }
    }

    /// The same with all that a connection that is begun anew takes over: its descriptor, its count and the time limits.
    pub(super) fn take_over_rescue(&mut self, old: &mut Self) {
        old.end_cancel();
        self.rescue = old.rescue.take();
        self.switches = old.switches;
        self.engine.set_timeout(old.engine.timeout());
        self.engine.set_cancel_timeout(old.engine.cancel_timeout());
    }

    /// The descriptor of the request that is under way.
    #[inline]
    pub(super) fn cancel_socket(&self) -> Option<RawFd> {
        match &self.rescue {
            Some(rescue) if !rescue.over => rescue.cancel.socket(),
            _ => None,
        }
    }

    /// The same, to be used before the next poll.
    pub(super) fn borrow_cancel_socket(&self) -> Option<BorrowedFd<'_>> {
        match &self.rescue {
            Some(rescue) if !rescue.over => rescue.cancel.borrow_socket(),
            _ => None,
        }
    }

    pub(super) fn cancel_deadline(&self) -> Option<u64> {
        match &self.rescue {
            Some(rescue) if !rescue.over => rescue.cancel.deadline_ns(),
            _ => None,
        }
    }

    /// What to wait for: on the descriptor of a request to cancel, what that needs.
    #[cold]
    pub(super) fn interest_of_cancel(&self, need: &mut Need) {
        if let Some(rescue) = self.rescue.as_ref().filter(|rescue| !rescue.over)
            && rescue.cancel.socket().is_some()
        {
            need.read = rescue.wants == CancelPoll::WantRead;
            need.write = rescue.wants == CancelPoll::WantWrite;
        }
    }
}

fn not_told(error: &Error) -> LinkError {
    LinkError {
        kind: LinkErrorKind::Dial,
        errno: error.errno(),
        text: error.message().to_owned(),
    }
}
