//! Message traces in the format of libpq's PQtrace, collected in a buffer. Knows when, not how a message is printed, and
//! no clock: whoever begins the trace hands one in.

mod line;
mod messages;

use super::state::State;
use crate::wire::frame;

/// Collects trace lines until the face writes them out.
///
/// One line a message: the time (unless it is suppressed), `F` from the frontend or `B` from the backend, the length
/// word, the message's name and its fields, between tabs; as `PQtrace` of libpq 18 prints it, byte for byte. But for
/// one thing: passwords, what authentication sends in their stead, and the cancel key are never shown.
#[derive(Debug)]
pub struct Trace {
    flags: u32,
    clock: Clock,
    lines: Vec<u8>,
    /// How much of them was written.
    written: usize,
    /// Whoever writes the lines says that there are too many.
    full: bool,
    /// Messages without a line since the last one that has one.
    missing: u64,
}

/// Appends the text of the time that it is.
pub type Clock = fn(&mut Vec<u8>);

impl Trace {
    /// Lines begin without a time (`PQTRACE_SUPPRESS_TIMESTAMPS`).
    pub const SUPPRESS_TIMESTAMPS: u32 = 1;
    /// What differs between runs of the same test is not printed: object IDs, and where in the server's source an error
    /// comes from (`PQTRACE_REGRESS_MODE`).
    pub const REGRESS_MODE: u32 = 2;

    /// A trace with these flags, whose lines begin with what `clock` says.
    pub fn new(flags: u32, clock: Clock) -> Self {
        Self {
            flags,
            clock,
            lines: Vec::new(),
            written: 0,
            full: false,
            missing: 0,
        }
    }

    /// Sets the flags for the lines to come.
    pub fn set_flags(&mut self, flags: u32) {
        self.flags = flags;
    }

    /// The lines that were not written yet; say how much of them was with [`wrote`](Trace::wrote).
    pub fn lines(&self) -> &[u8] {
        self.lines.get(self.written..).unwrap_or_default()
    }

    /// Says that `count` bytes of the lines were written.
    pub fn wrote(&mut self, count: usize) {
        self.written += count;
        if self.written >= self.lines.len() {
            self.lines = Vec::new();
            self.written = 0;
        } else if self.written > self.lines.len() / 2 {
            self.lines.drain(..self.written);
            self.written = 0;
        }
    }

    /// While it is full messages get no line. The next line after that says how many did not.
    pub fn set_full(&mut self, full: bool) {
        self.full = full;
        if !full && self.missing > 0 && self.lines.try_reserve(LINE).is_ok() {
            self.tell_missing();
        }
    }

    /// The byte that answers an encryption request; `request`: `SSLResponse` or `GSSENCResponse`.
    pub fn answer(&mut self, request: &str, answer: u8) {
        if !self.has_room(1) {
            return;
        }
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
        if self.flags & Self::SUPPRESS_TIMESTAMPS == 0 {
            (self.clock)(&mut self.lines);
            self.lines.push(b'\t');
        }
    }

    /// Whether there is room for the line of a message with a body of `len` bytes; without, the line is left out.
    fn has_room(&mut self, len: usize) -> bool {
        let most = len.saturating_mul(4).saturating_add(2 * LINE);
        if self.full || self.lines.try_reserve(most).is_err() {
            self.missing += 1;
            return false;
        }
        if self.missing > 0 {
            self.tell_missing();
        }
        true
    }

    #[cold]
    fn tell_missing(&mut self) {
        self.begin();
        let missing = std::mem::take(&mut self.missing);
        let line = format!("!\t{missing}\tmessages are missing here: the trace was full\n");
        self.lines.extend_from_slice(line.as_bytes());
    }
}

/// What a line has at most beside the bytes of its message.
const LINE: usize = 256;

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
        let messages = self.output.encoded(before);
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
