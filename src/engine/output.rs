//! Bytes on their way to the server. Knows no messages.

use std::collections::TryReserveError;
use std::mem;

use zeroize::Zeroize;

use crate::rows::{CHUNK, give_empty, take_empty};

/// Queued output.
#[derive(Debug)]
pub(super) struct Output {
    bytes: Vec<u8>,
    sent: usize,
    /// A password or a proof lies in the buffer: it is wiped before it is given back.
    secret: bool,
    /// All bytes ever sent.
    pub total: u64,
    /// What comes after so many bytes is not to be sent yet; [`u64::MAX`]: everything may go.
    pub hold: u64,
    /// So many bytes cannot be called back any more, though they may not be sent yet.
    committed: u64,
    /// A buffer is kept, though nothing is in it, if it is no larger.
    keep: usize,
    /// All in the buffer is one operation's, and stays there when it is sent: it may have to be sent again.
    repeatable: bool,
}

/// The last message of the output, as long as more may be appended to it: where it begins and where it ends, both counted from the
/// first byte ever sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    from: u64,
    end: u64,
}

impl Default for Tail {
    /// None.
    fn default() -> Self {
        Self {
            from: 0,
            end: u64::MAX,
        }
    }
}

impl Tail {
    /// It has become so many bytes longer.
    #[inline]
    pub(super) fn grow(&mut self, bytes: usize) {
        self.end += bytes as u64;
    }
}

impl Default for Output {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            sent: 0,
            secret: false,
            total: 0,
            hold: u64::MAX,
            committed: 0,
            keep: 0,
            repeatable: false,
        }
    }
}

impl Output {
    /// Where the next message is encoded.
    #[inline(always)]
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.repeatable || self.bytes.capacity() == 0 {
            self.begin();
        }
        &mut self.bytes
    }

    #[inline(never)]
    fn begin(&mut self) {
        if self.repeatable {
            self.let_go();
        }
        if self.bytes.capacity() == 0 {
            self.bytes = take_empty();
        }
    }

    /// What was encoded behind the first `before` bytes of the buffer.
    pub(super) fn encoded(&self, before: usize) -> &[u8] {
        self.bytes.get(before..).unwrap_or_default()
    }

    /// What is in the buffer, of which nothing was sent, stays there until [`let_go`](Self::let_go) or the next message.
    #[inline]
    pub(super) fn make_repeatable(&mut self) {
        self.repeatable = true;
    }

    #[inline]
    pub(super) fn is_repeatable(&self) -> bool {
        self.repeatable
    }

    /// What has stayed there, once all of it is sent.
    pub(super) fn repeatable(&self) -> Option<&[u8]> {
        (self.repeatable && self.hold == u64::MAX && self.unsent() == 0).then_some(&self.bytes)
    }

    /// It need not stay any longer.
    #[inline]
    pub(super) fn let_go(&mut self) {
        self.repeatable = false;
        if self.unsent() == 0 {
            self.clear();
        }
    }

    /// Sends what has stayed there once more, behind `messages`.
    pub(super) fn repeat_behind(&mut self, messages: &[u8]) -> Result<(), TryReserveError> {
        self.bytes.try_reserve(messages.len())?;
        self.bytes.splice(..0, messages.iter().copied());
        self.sent = 0;
        self.repeatable = false;
        Ok(())
    }

    /// The same for a message with a secret in it.
    pub(super) fn secret_buffer(&mut self) -> &mut Vec<u8> {
        self.secret = true;
        self.buffer()
    }

    /// What is to be sent.
    #[inline]
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.sent..self.released()]
    }

    /// Whether nothing is to be sent now.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len() || (self.hold != u64::MAX && self.sent == self.released())
    }

    /// How much is queued, whether it may be sent or not.
    #[inline]
    pub(super) fn unsent(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Where what may be sent ends.
    #[inline]
    fn released(&self) -> usize {
        if self.hold == u64::MAX {
            self.bytes.len()
        } else {
            self.index(self.hold)
        }
    }

    /// How many bytes there will have been when everything queued is sent.
    #[inline]
    pub(super) fn end(&self) -> u64 {
        self.total + self.unsent() as u64
    }

    /// What is in the output behind the byte number `from`, as its tail.
    pub(super) fn tail(&self, from: u64) -> Tail {
        let end = self.end();
        Tail { from, end }
    }

    /// Where in the buffer the tail begins, if so much can be appended to it that it is no longer than `most`: nothing of it has
    /// left, and nothing was queued behind it.
    #[inline]
    pub(super) fn tail_start(&self, tail: Tail, more: usize, most: usize) -> Option<usize> {
        if tail.end != self.end() || tail.from < self.unstoppable() {
            return None;
        }
        let length = (tail.end - tail.from) as usize;
        if more > most.saturating_sub(length) {
            return None;
        }
        self.bytes.len().checked_sub(length)
    }

    /// Much will be written for a while: a buffer of up to so many bytes is worth keeping. 0: no longer.
    pub(super) fn keep_up_to(&mut self, bytes: usize) {
        self.keep = bytes;
        if self.bytes.is_empty() {
            self.clear();
        }
    }

    /// How many bytes have left, or will whatever comes.
    #[inline]
    pub(super) fn unstoppable(&self) -> u64 {
        self.total.max(self.committed)
    }

    /// Says that `count` bytes that are to be sent cannot be called back.
    pub(super) fn commit(&mut self, count: usize) {
        let count = count.min(self.pending().len());
        self.committed = self.total + count as u64;
    }

    /// Where a byte lies, of which so many bytes are before it since the beginning.
    #[cold]
    fn index(&self, at: u64) -> usize {
        let ahead = usize::try_from(at.saturating_sub(self.total)).unwrap_or(usize::MAX);
        self.sent.saturating_add(ahead).min(self.bytes.len())
    }

    /// Puts `bytes` before what is the byte number `at` now.
    pub(super) fn insert(&mut self, at: u64, bytes: &[u8]) -> Result<(), TryReserveError> {
        let place = self.index(at);
        self.bytes.try_reserve(bytes.len())?;
        self.bytes.splice(place..place, bytes.iter().copied());
        if self.hold != u64::MAX && self.hold >= at {
            self.hold += bytes.len() as u64;
        }
        Ok(())
    }

    /// Takes out what was not sent and need not be, from the byte number `from` up to the byte number `to`.
    pub(super) fn cut(&mut self, from: u64, to: u64) {
        let (start, end) = (self.index(from), self.index(to));
        if let Some(cut) = self.bytes.get_mut(start..end)
            && self.secret
        {
            cut.zeroize();
        }
        self.bytes.drain(start..end);
        if self.hold != u64::MAX {
            self.hold -= self.hold.clamp(from, to) - from;
        }
        if self.sent == self.bytes.len() {
            self.clear();
        }
    }

    /// Says that `count` bytes of it were sent.
    #[inline]
    pub(super) fn sent(&mut self, count: usize) {
        self.total += count as u64;
        self.sent = (self.sent + count).min(self.bytes.len());
        if self.repeatable {
            return;
        }
        if self.sent == self.bytes.len() {
            self.clear();
        } else if self.sent > self.bytes.len() / 2 && !self.secret {
            // Whoever always queues more never comes to the end; less is moved than was sent.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Drops what is queued.
    pub(super) fn clear(&mut self) {
        let mut bytes = mem::take(&mut self.bytes);
        self.sent = 0;
        self.repeatable = false;
        if self.secret {
            bytes.as_mut_slice().zeroize();
            self.secret = false;
        }
        if bytes.capacity() <= self.keep && bytes.capacity() > CHUNK {
            bytes.clear();
            self.bytes = bytes;
            return;
        }
        give_empty(bytes);
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_is_given_back_though_more_is_always_queued() {
        let mut output = Output::default();
        output.buffer().extend([0; 1000]);
        for round in 0..100_000_u32 {
            output.buffer().extend([round as u8; 1000]);
            output.sent(1000);
            assert_eq!(output.pending(), [round as u8; 1000]);
        }
        let held = output.bytes.capacity();
        assert!(held < 100 * 1024, "{held} bytes are held for 1000");
    }
}
