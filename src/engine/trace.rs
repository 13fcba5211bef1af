//! Message traces in the format of libpq's PQtrace, collected in a buffer. Knows names and layouts, not what they mean.

use super::state::State;
use crate::wire::{cursor::Cursor, frame};

/// Collects trace lines until the face writes them out.
#[derive(Debug, Default)]
pub struct Trace {
    lines: Vec<u8>,
}

impl Trace {
    /// The lines since the last call.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.lines)
    }

    fn line(&mut self, direction: u8, tag: u8, body: &[u8]) {
        self.lines.extend_from_slice(&[direction, b'\t']);
        self.lines
            .extend_from_slice((body.len() + 4).to_string().as_bytes());
        self.lines.extend_from_slice(&[b'\t', tag, b'\n']);
    }
}

impl State {
    /// Traces the messages encoded since the output was `before` bytes long.
    #[inline]
    pub(super) fn trace_frontend(&mut self, before: usize) {
        if self.trace.is_some() {
            self.trace_messages(before);
        }
    }

    #[cold]
    fn trace_messages(&mut self, before: usize) {
        let Some(trace) = &mut self.trace else { return };
        let mut rest = self.output.buffer().get(before..).unwrap_or_default();
        while let Ok(Some(head)) = frame::frontend_header(rest) {
            let Some(body) = rest.get(5..5 + head.len) else {
                return;
            };
            trace.line(b'F', head.tag, body);
            rest = &rest[5 + head.len..];
        }
    }

    /// Traces the startup packet, which has no type byte.
    pub(super) fn trace_startup(&mut self, before: usize) {
        let Some(trace) = &mut self.trace else { return };
        let packet = self.output.buffer().get(before..).unwrap_or_default();
        let body = packet.get(4..).unwrap_or_default();
        let _ = Cursor::new(body, "StartupMessage");
        trace.line(b'F', b' ', body);
    }

    /// Traces an answer to an authentication request, whose type byte does not tell which one it is.
    pub(super) fn trace_authentication(&mut self, before: usize, _name: &'static str) {
        self.trace_frontend(before);
    }

    /// Traces the message at the head of the input, before anything in it is changed.
    #[cold]
    pub(super) fn trace_backend(&mut self) {
        let Some(trace) = &mut self.trace else { return };
        if let Ok(Some(tag)) = self.input.message() {
            trace.line(b'B', tag, self.input.body());
        }
    }
}
