//! Message traces in the format of libpq's PQtrace, collected in a buffer. Knows when, not how a message is printed, and
//! no clock: the time is a text that the face hands in.

mod line;
mod messages;

use super::state::State;
use crate::wire::frame;

/// Collects trace lines until the face writes them out.
///
/// One line a message: the time (unless it is suppressed), `F` from the frontend or `B` from the backend, the length
/// word, the message's name and its fields, between tabs; as `PQtrace` of libpq 18 prints it, byte for byte. But for
/// one thing: passwords, what authentication sends in their stead, and the cancel key are never shown.
#[derive(Debug, Default)]
pub struct Trace {
    flags: u32,
    time: Vec<u8>,
    lines: Vec<u8>,
}

impl Trace {
    /// Lines begin without a time (`PQTRACE_SUPPRESS_TIMESTAMPS`).
    pub const SUPPRESS_TIMESTAMPS: u32 = 1;
    /// What differs between runs of the same test is not printed: object IDs, and where in the server's source an error
    /// comes from (`PQTRACE_REGRESS_MODE`).
    pub const REGRESS_MODE: u32 = 2;

    /// A trace with these flags.
    pub fn new(flags: u32) -> Self {
        Self {
            flags,
            ..Self::default()
        }
    }

    /// Sets the flags for the lines to come.
    pub fn set_flags(&mut self, flags: u32) {
        self.flags = flags;
    }

    /// Whether lines begin with the time.
    pub fn wants_time(&self) -> bool {
        self.flags & Self::SUPPRESS_TIMESTAMPS == 0
    }

    /// Sets the text of the time that the lines to come begin with.
    pub fn set_time(&mut self, time: &[u8]) {
        self.time.clear();
        self.time.extend_from_slice(time);
    }

    /// The lines since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.lines)
    }

    /// The byte that answers an encryption request; `request`: `SSLResponse` or `GSSENCResponse`.
    pub fn answer(&mut self, request: &str, answer: u8) {
        self.begin();
        self.lines.extend_from_slice(b"B\t1\t");
        self.lines.extend_from_slice(request.as_bytes());
        self.lines.extend_from_slice(&[b'\t', b' ', answer, b'\n']);
    }

    fn messages(&mut self, mut rest: &[u8], response: &str) {
        while let Ok(Some(head)) = frame::frontend_header(rest) {
            let Some(body) = rest.get(5..5 + head.len) else {
                return;
            };
            self.frontend(head.tag, body, response);
            rest = &rest[5 + head.len..];
        }
    }

    fn begin(&mut self) {
        if self.wants_time() {
            self.lines.extend_from_slice(&self.time);
            self.lines.push(b'\t');
        }
    }

    /// Whether there is memory for the line of a message with a body of `len` bytes; without, the line is left out.
    fn has_memory(&mut self, len: usize) -> bool {
        let most = len.saturating_mul(4).saturating_add(256);
        self.lines.try_reserve(most).is_ok()
    }
}

impl State {
    /// Traces the messages encoded since the output was `before` bytes long.
    #[inline]
    pub(super) fn trace_frontend(&mut self, before: usize) {
        if self.trace.is_some() {
            self.trace_messages(before, "UnknownAuthenticationResponse");
        }
    }

    #[cold]
    fn trace_messages(&mut self, before: usize, response: &str) {
        let Some(trace) = &mut self.trace else { return };
        let messages = self.output.buffer().get(before..).unwrap_or_default();
        trace.messages(messages, response);
    }

    /// Traces messages that are put between others.
    pub(super) fn trace_bytes(&mut self, messages: &[u8]) {
        if let Some(trace) = &mut self.trace {
            trace.messages(messages, "UnknownAuthenticationResponse");
        }
    }

    /// Traces the startup packet, which has no type byte.
    pub(super) fn trace_startup(&mut self, before: usize) {
        let Some(trace) = &mut self.trace else { return };
        let packet = self.output.buffer().get(before..).unwrap_or_default();
        trace.packet(packet.get(4..).unwrap_or_default());
    }

    /// Traces an answer to an authentication request, whose type byte does not tell which one it is.
    pub(super) fn trace_authentication(&mut self, before: usize, name: &'static str) {
        if self.trace.is_some() {
            self.trace_messages(before, name);
        }
    }

    /// Traces the message at the head of the input, before anything in it is changed.
    #[cold]
    pub(super) fn trace_backend(&mut self) {
        let Some(trace) = &mut self.trace else { return };
        let tag = self.input.message();
        if tag != 0 {
            trace.backend(tag, self.input.body());
        }
    }
}

#[cfg(test)]
mod tests;
