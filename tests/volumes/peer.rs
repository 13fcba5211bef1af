//! A server in memory that echoes, with buffers as small as a socket's. Knows one statement.

use pgpoll::wire::Frontend;
use pgpoll::wire::frame::frontend_header;
use testkit::script::{
    bind_complete, columns, complete, error, oid, parameters, parse_complete, ready, row_of,
};

/// What either buffer holds, but for one message that is larger.
const BUFFER: usize = 32 * 1024;

#[derive(Default)]
pub(crate) struct Peer {
    inbox: Vec<u8>,
    /// What is before it has been worked through.
    at: usize,
    outbox: Vec<u8>,
    sent: usize,
    /// The answer to the Execute that follows the Bind.
    answer: Vec<u8>,
    /// An error was said: everything up to the Sync is skipped.
    failed: bool,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (unread, unsent) = (self.inbox.len() - self.at, self.outbox.len() - self.sent);
        write!(f, "{unread} bytes unread, {unsent} bytes unsent")
    }
}

impl Peer {
    /// Takes some of `bytes`: how many.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> usize {
        let unread = self.inbox.len() - self.at;
        let room = match self.next() {
            None => BUFFER,
            Some(_) => BUFFER.saturating_sub(unread),
        };
        let count = bytes.len().min(room);
        self.inbox.extend_from_slice(&bytes[..count]);
        count
    }

    /// The length of the next message, once it is whole.
    fn next(&self) -> Option<usize> {
        let rest = &self.inbox[self.at..];
        let head = frontend_header(rest).unwrap()?;
        (rest.len() >= 5 + head.len).then_some(5 + head.len)
    }

    /// Answers as much as there is room for what it says.
    pub(crate) fn work(&mut self) {
        while let Some(len) = self.next() {
            if self.outbox.len() - self.sent >= BUFFER {
                return;
            }
            let message = &self.inbox[self.at..self.at + len];
            self.at += len;
            let message = Frontend::decode(message[0], &message[5..]).unwrap();
            match message {
                Frontend::Sync(_) => {
                    self.failed = false;
                    self.outbox.extend(ready(b'I'));
                }
                Frontend::Flush(_) => {}
                _ if self.failed => {}
                Frontend::Parse(_) => self.outbox.extend(parse_complete()),
                Frontend::Describe(_) => {
                    self.outbox.extend(parameters(&[oid::TEXT, oid::INT4]));
                    self.outbox
                        .extend(columns(&[("t", oid::TEXT), ("n", oid::INT4)]));
                }
                Frontend::Bind(bind) => {
                    self.outbox.extend(bind_complete());
                    let values: Vec<_> = bind.values.iter().collect();
                    self.answer = match values[1] {
                        Some(b"0") => error("ERROR", "22012", "division by zero"),
                        _ => [row_of(&[values[0], Some(b"20")]), complete("SELECT 1")].concat(),
                    };
                    self.failed = false;
                }
                Frontend::Execute(_) => {
                    self.failed = self.answer[0] == b'E';
                    self.outbox.append(&mut self.answer);
                }
                other => panic!("{other:?}"),
            }
        }
        self.inbox.drain(..self.at);
        self.at = 0;
    }

    pub(crate) fn output(&self) -> &[u8] {
        &self.outbox[self.sent..]
    }

    pub(crate) fn sent(&mut self, count: usize) {
        self.sent += count;
        if self.sent == self.outbox.len() {
            self.outbox.clear();
            self.sent = 0;
        }
    }
}
