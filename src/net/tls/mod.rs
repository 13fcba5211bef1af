//! TLS as a filter of bytes above the raw transport. Knows no protocol but TLS, and holds no buffer while nothing is under way.
#![forbid(unsafe_code)]

mod cache;
mod certificate;
mod cipher;
mod client;
mod config;
mod end_point;
mod explain;
#[cfg(fuzzing)]
pub mod fuzz;
mod keylog;
mod keys;
mod names;
mod path;
mod problem;
mod purpose;
mod revoked;
mod session;
mod signature;
#[cfg(test)]
mod tests;
mod trust;
mod verify;

use std::fmt;

use crate::link::{AskId, LinkError, LinkErrorKind, TlsFacts};
use crate::net::buffer::{Buffer, MOST_PLAIN};
use crate::net::raw::Raw;
use crate::net::room::Room;
use crate::net::tls::session::{Session, Step};
use crate::net::{Alive, Interest, Received, Sent};
use crate::rows::OutOfMemory;

pub(crate) use cache::same;
pub(super) use config::Setup;

/// The head of a record: type, version, and the length of the rest.
const RECORD_HEAD: usize = 5;
/// The longest record, with what encryption may add to it (RFC 5246, 6.2.3).
const LONGEST_RECORD: usize = RECORD_HEAD + 16 * 1024 + 2048;
/// What may arrive without any data in it; a handshake takes some ten thousand bytes.
const MOST_FRUITLESS: usize = 1024 * 1024;

/// TLS on one connection.
pub(super) struct Filter {
    session: Session,
    setup: Setup,
    /// Whose handshake is under way.
    asked: Option<AskId>,
    /// Ciphertext received and not decrypted yet.
    input: Buffer,
    /// Plaintext that there was no room for, from `plain_at` on.
    plain: Vec<u8>,
    plain_at: usize,
    /// Ciphertext not sent yet.
    output: Buffer,
    /// Bytes of the caller's in `output`: they count as sent when all of it is.
    owed: usize,
    /// The last look at the transport found as much as there was room for.
    more: bool,
    /// There is no whole record in `input` that was not looked at.
    dry: bool,
    /// Bytes received since the last plaintext.
    fruitless: usize,
    /// Why nothing more is received.
    end: Option<LinkError>,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter")
            .field("handshaking", &self.asked.is_some())
            .field("input", &self.input.filled().len())
            .field("plain", &self.held().len())
            .field("output", &self.output.filled().len())
            .finish_non_exhaustive()
    }
}

impl Filter {
    /// Begins a handshake.
    pub(super) fn begin(id: AskId, setup: Setup) -> Result<Filter, LinkError> {
        let session = Session::new(&setup).map_err(|error| LinkError {
            kind: LinkErrorKind::TlsSetup,
            ..setup.explain(error)
        })?;
        Ok(Filter {
            session,
            setup,
            asked: Some(id),
            input: Buffer::default(),
            plain: Vec::new(),
            plain_at: 0,
            output: Buffer::default(),
            owed: 0,
            more: false,
            dry: true,
            fruitless: 0,
            end: None,
        })
    }

    /// Whose handshake is under way.
    pub(super) fn asked(&self) -> Option<AskId> {
        self.asked
    }

    /// What the handshake waits for.
    pub(super) fn interest(&self) -> Interest {
        if self.has_unsent() {
            Interest::Write
        } else {
            Interest::Read
        }
    }

    /// Goes on with the handshake: what came of it, once it is over.
    pub(super) fn shake_hands(&mut self, raw: &mut Raw) -> Option<Result<TlsFacts, LinkError>> {
        loop {
            let sent = match self.flush(raw) {
                Sent::Wait => return None,
                Sent::Failed(error) => return Some(Err(self.why_unsent(raw, error))),
                Sent::Bytes(count) => count,
            };
            self.work(&[], None);
            if self.end.is_none() {
                // Our last words may go with what is sent next.
                if !self.session.is_handshaking() && !self.output.is_half_full() {
                    self.asked = None;
                    return Some(Ok(self.setup.facts(self.session.connection())));
                }
                if self.has_unsent() {
                    continue;
                }
                // What has just been asked is not answered yet, and a descriptor shows when it is.
                if sent > 0 && raw.fd().is_some() {
                    return None;
                }
                if self.read(raw) {
                    continue;
                }
            }
            let end = self.end.clone()?;
            self.flush(raw); // the peer is told why, if that can be done at once
            return Some(Err(of_handshake(end)));
        }
    }

    /// Why the handshake cannot be gone on with: what the peer said before it went, if it said something.
    fn why_unsent(&mut self, raw: &mut Raw, error: LinkError) -> LinkError {
        self.output = Buffer::default();
        while self.end.is_none() && self.read(raw) {
            self.work(&[], None);
        }
        of_handshake(match self.end.take() {
            Some(end) if end.kind == LinkErrorKind::Tls => end,
            _ => error,
        })
    }

    /// Receives: plaintext that is there, else what one look at the transport brings.
    pub(super) fn receive(&mut self, raw: &mut Raw, mut room: Room<'_>) -> Received {
        if self.asked.is_some() {
            return Received::Wait;
        }
        loop {
            self.hand_out(&mut room);
            if room.left() > 0 && self.has_record() {
                self.work(&[], Some(&mut room));
                if self.has_unsent() {
                    self.flush(raw);
                }
            }
            if room.taken() > 0 {
                return Received::Bytes(room.taken());
            }
            if !self.read(raw) {
                let end = self.end.clone();
                return end.map_or(Received::Wait, Received::Failed);
            }
        }
    }

    /// Encrypts and sends. So many bytes count as sent when their ciphertext has gone out whole: until then the same bytes come again.
    pub(super) fn send(&mut self, raw: &mut Raw, bytes: &[u8]) -> Sent {
        if self.asked.is_some() {
            return Sent::Wait;
        }
        if self.owed == 0 && !bytes.is_empty() {
            if !self.has_room_for(bytes.len()) && self.flush(raw) == Sent::Wait {
                return Sent::Wait;
            }
            let part = bytes.get(..MOST_PLAIN).unwrap_or(bytes);
            self.work(part, None);
            if self.owed == 0 {
                let end = self.end.clone();
                return end.map_or(Sent::Wait, Sent::Failed);
            }
        }
        match self.flush(raw) {
            Sent::Bytes(_) => Sent::Bytes(std::mem::take(&mut self.owed).min(bytes.len())),
            other => other,
        }
    }

    /// Whether so much can be encrypted behind what is not sent yet.
    fn has_room_for(&self, count: usize) -> bool {
        !self.has_unsent() || (count <= MOST_PLAIN / 4 && !self.output.is_half_full())
    }

    /// Sends what is encrypted and not sent: all of it is gone at `Bytes`.
    pub(super) fn flush(&mut self, raw: &mut Raw) -> Sent {
        let mut sent = 0;
        while self.has_unsent() {
            match raw.send(self.output.filled()) {
                Sent::Bytes(count) => {
                    self.output.consume(count);
                    sent += count;
                }
                Sent::Wait => return Sent::Wait,
                Sent::Failed(error) => return Sent::Failed(in_words(error)),
            }
        }
        Sent::Bytes(sent)
    }

    /// Bytes of the caller's that wait to be sent as ciphertext.
    pub(super) fn owed(&self) -> usize {
        self.owed
    }

    /// Whether ciphertext waits to be sent.
    pub(super) fn has_unsent(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether receiving gives something without a look at the transport.
    pub(super) fn has_input(&self) -> bool {
        self.end.is_some() || !self.held().is_empty() || self.has_record()
    }

    /// Whether there is input, or the transport may have had more when it was looked at last.
    pub(super) fn has_more(&self) -> bool {
        self.more || self.has_input()
    }

    /// What is known without asking the peer.
    pub(super) fn look(&self, raw: &Raw) -> Alive {
        match &self.end {
            _ if !self.held().is_empty() || self.has_record() => Alive::Data,
            Some(end) if end.kind == LinkErrorKind::Closed => Alive::Closed,
            Some(end) => Alive::Failed(end.clone()),
            None => raw.look(),
        }
    }

    /// Says goodbye, if that can be done at once.
    pub(super) fn close(&mut self, raw: &mut Raw) {
        if self.asked.is_none() && self.end.is_none() {
            self.work(&[], None);
            self.session.close(&mut self.input, &mut self.output);
        }
        self.flush(raw);
    }

    /// Goes on with what has arrived until there is no room for more plaintext, and then encrypts `bytes`. Without a `room`, plaintext is
    /// held back.
    fn work(&mut self, bytes: &[u8], mut room: Option<&mut Room<'_>>) {
        while self.end.is_none() {
            let (plain, fruitless) = (&mut self.plain, &mut self.fruitless);
            let step = self
                .session
                .step(&mut self.input, &mut self.output, bytes, |data| {
                    *fruitless = 0;
                    let taken = room.as_mut().map_or(0, |room| room.put(data));
                    let rest = data.get(taken..).unwrap_or_default();
                    plain.try_reserve(rest.len())?;
                    plain.extend_from_slice(rest);
                    Ok(())
                });
            if self.asked.is_some() {
                self.setup.note();
            }
            match step {
                // The last flight of a handshake may be long: it is sent in parts.
                Step::Moved if self.asked.is_some() && self.output.is_half_full() => return,
                Step::Moved if room.as_ref().is_some_and(|room| room.left() == 0) => return,
                Step::Moved => {}
                Step::Dry => {
                    self.dry = true;
                    return;
                }
                Step::Encrypted(count) => {
                    self.dry = true;
                    self.owed = count;
                    return;
                }
                Step::Closed => {
                    self.end = Some(closed("SSL connection has been closed unexpectedly"))
                }
                Step::NoMemory => self.end = Some(failed("out of memory")),
                Step::Failed(error) => self.end = Some(self.setup.explain(error)),
            }
        }
    }

    /// Hands out plaintext that was held back.
    fn hand_out(&mut self, room: &mut Room<'_>) {
        if self.plain.is_empty() {
            return;
        }
        self.plain_at += room.put(&self.plain[self.plain_at..]);
        if self.plain_at == self.plain.len() {
            self.plain = Vec::new();
            self.plain_at = 0;
        }
    }

    /// Plaintext that is held back.
    fn held(&self) -> &[u8] {
        self.plain.get(self.plain_at..).unwrap_or_default()
    }

    /// Whether a whole record has arrived that was not looked at.
    fn has_record(&self) -> bool {
        if self.dry || self.end.is_some() {
            return false;
        }
        match *self.input.filled() {
            [_, _, _, high, low, ref rest @ ..] => {
                rest.len() >= usize::from(u16::from_be_bytes([high, low]))
            }
            _ => false,
        }
    }

    /// Looks at the transport once: whether something came. If not, and it is not just late, `end` says why.
    fn read(&mut self, raw: &mut Raw) -> bool {
        if self.end.is_some() {
            return false;
        }
        let received = match self.input.room(LONGEST_RECORD) {
            Err(OutOfMemory) => Received::Failed(failed("out of memory")),
            Ok([]) => Received::Failed(failed("SSL error: handshake message is too long")),
            Ok(room) => {
                let received = raw.receive(room);
                self.more = received == Received::Bytes(room.len());
                received
            }
        };
        match received {
            Received::Bytes(count) => {
                self.input.add(count);
                self.dry = false;
                self.fruitless += count;
                if self.fruitless > MOST_FRUITLESS {
                    self.end = Some(failed("SSL error: the server sends records without data"));
                }
                self.end.is_none()
            }
            Received::Wait => {
                self.input.add(0);
                false
            }
            Received::Failed(error) => {
                self.input.add(0);
                self.end = Some(in_words(error));
                false
            }
        }
    }
}

/// libpq's words for an error of the transport below TLS. A reset is told as it is without TLS.
fn in_words(error: LinkError) -> LinkError {
    match error.kind {
        LinkErrorKind::Closed => closed("SSL SYSCALL error: EOF detected"),
        LinkErrorKind::Receive | LinkErrorKind::Send if !is_reset(error.errno) => syscall(error),
        _ => error,
    }
}

/// The same for one that ends a handshake: the server may do without TLS, or another one with it.
fn of_handshake(error: LinkError) -> LinkError {
    match error.kind {
        LinkErrorKind::Closed => LinkError {
            kind: LinkErrorKind::Tls,
            ..error
        },
        LinkErrorKind::Receive | LinkErrorKind::Send => syscall(error),
        _ => error,
    }
}

fn syscall(error: LinkError) -> LinkError {
    LinkError {
        kind: LinkErrorKind::Tls,
        text: format!("SSL SYSCALL error: {}", error.text),
        ..error
    }
}

fn is_reset(errno: i32) -> bool {
    matches!(errno, libc::ECONNRESET | libc::EPIPE)
}

fn closed(text: &str) -> LinkError {
    LinkError {
        kind: LinkErrorKind::Closed,
        ..failed(text)
    }
}

fn failed(text: &str) -> LinkError {
    LinkError {
        kind: LinkErrorKind::Tls,
        errno: 0,
        text: String::from(text),
    }
}
