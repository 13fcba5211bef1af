//! Bytes on their way to the server. Knows no messages.

use std::mem;

use zeroize::Zeroize;

use crate::rows::{give_empty, take_empty};

/// Queued output.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    sent: usize,
    /// A password or a proof lies in the buffer: it is wiped before it is given back.
    secret: bool,
    /// All bytes ever sent.
    pub total: u64,
}

impl Output {
    /// Where the next message is encoded.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = take_empty();
        }
        &mut self.bytes
    }

    /// The same for a message with a secret in it.
    pub(super) fn secret_buffer(&mut self) -> &mut Vec<u8> {
        self.secret = true;
        self.buffer()
    }

    /// What is to be sent.
    #[inline]
    pub(super) fn pending(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Whether nothing is to be sent.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Says that `count` bytes of it were sent.
    #[inline]
    pub(super) fn sent(&mut self, count: usize) {
        self.total += count as u64;
        self.sent = (self.sent + count).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.clear();
        } else if self.sent > self.bytes.len() / 2 {
            // Whoever always queues more never comes to the end; less is moved than was sent.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Drops what is queued.
    pub(super) fn clear(&mut self) {
        let mut bytes = mem::take(&mut self.bytes);
        self.sent = 0;
        if self.secret {
            bytes.zeroize();
            self.secret = false;
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
