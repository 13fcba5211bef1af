//! A transport in memory: what arrives is fed by the caller, what is sent is taken by the caller. Knows bytes alone.
#![forbid(unsafe_code)]

use std::mem;

use zeroize::Zeroize;

use crate::link::{LinkError, LinkErrorKind};
use crate::net::raw::closed;
use crate::net::{Alive, Received, Sent};
use crate::rows::{CHUNK, give_empty, take_empty};

/// Bytes on their way in either direction, at most a buffer of them in each.
#[derive(Debug, Default)]
pub(super) struct Pump {
    fed: Queue,
    /// The peer sends nothing any more.
    eof: bool,
    output: Queue,
    /// Somebody has asked for it.
    taken: bool,
    /// It is hung up: only its last words are still there.
    over: bool,
}

impl Pump {
    /// Takes what there is room for.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> usize {
        if self.eof || self.over {
            return 0;
        }
        self.fed.push(bytes)
    }

    /// After what was fed comes nothing any more.
    pub(super) fn feed_eof(&mut self) {
        self.eof = true;
    }

    /// What is to be carried to the peer.
    pub(super) fn output(&self) -> &[u8] {
        self.output.bytes()
    }

    /// So many bytes of it are on their way.
    pub(super) fn taken(&mut self, count: usize) {
        self.output.consume(count);
    }

    /// Whether there is something to be carried that has not been told by an end.
    pub(super) fn has_unsent(&self) -> bool {
        !self.over && !self.output().is_empty()
    }

    /// Whether nobody has asked for it.
    pub(super) fn is_given(&self) -> bool {
        !self.taken
    }

    pub(super) fn take(&mut self) {
        self.taken = true;
    }

    /// Hangs up.
    pub(super) fn end(&mut self) {
        self.over = true;
        self.fed = Queue::default();
    }

    /// Whether bytes were fed and not received yet, or their end was.
    pub(super) fn has_input(&self) -> bool {
        !self.over && (self.eof || !self.fed.bytes().is_empty())
    }

    pub(super) fn receive(&mut self, into: &mut [u8]) -> Received {
        let count = self.fed.bytes().len().min(into.len());
        into[..count].copy_from_slice(&self.fed.bytes()[..count]);
        self.received(count)
    }

    pub(super) fn receive_behind(&mut self, into: &mut Vec<u8>, most: usize) -> Received {
        let most = most.min(into.capacity() - into.len());
        let count = self.fed.bytes().len().min(most);
        into.extend_from_slice(&self.fed.bytes()[..count]);
        self.received(count)
    }

    fn received(&mut self, count: usize) -> Received {
        self.fed.consume(count);
        match count {
            0 if self.eof || self.over => Received::Failed(closed()),
            0 => Received::Wait,
            count => Received::Bytes(count),
        }
    }

    /// Keeps what there is room for until it is taken.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Sent {
        if self.over {
            return Sent::Failed(closed());
        }
        match self.output.push(bytes) {
            0 if self.output.is_full() => Sent::Wait,
            0 if !bytes.is_empty() => Sent::Failed(out_of_memory()),
            count => Sent::Bytes(count),
        }
    }

    pub(super) fn look(&self) -> Alive {
        match self.fed.bytes() {
            [] if self.eof || self.over => Alive::Closed,
            [] => Alive::Quiet,
            _ => Alive::Data,
        }
    }
}

/// Bytes in a pooled buffer, which is given back when there are none. There may be a password among them: what has gone is wiped.
#[derive(Debug, Default)]
struct Queue {
    buffer: Vec<u8>,
    at: usize,
}

impl Queue {
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    fn is_full(&self) -> bool {
        self.bytes().len() >= CHUNK
    }

    /// Appends what there is room for; 0 also without memory.
    fn push(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        if self.buffer.capacity() == 0 {
            self.buffer = take_empty();
        }
        if self.buffer.len() + bytes.len() > self.buffer.capacity() && self.at > 0 {
            let rest = self.bytes().len();
            self.buffer.copy_within(self.at.., 0);
            self.buffer[rest..].zeroize();
            self.buffer.truncate(rest);
            self.at = 0;
        }
        let count = bytes.len().min(self.buffer.capacity() - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        count
    }

    fn consume(&mut self, count: usize) {
        let end = (self.at + count).min(self.buffer.len());
        self.buffer[self.at..end].zeroize();
        self.at = end;
        if self.at == self.buffer.len() {
            self.at = 0;
            give_empty(mem::take(&mut self.buffer));
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.consume(usize::MAX - self.at);
    }
}

#[cold]
fn out_of_memory() -> LinkError {
    LinkError {
        kind: LinkErrorKind::Send,
        errno: libc::ENOMEM,
        text: String::from("out of memory"),
    }
}
