//! GSSAPI encryption as a filter of bytes above the raw transport (manual, "GSSAPI Session Encryption"): packets with their length in
//! front, at first the tokens of the handshake. Holds no buffer while nothing is under way.

use std::ffi::c_void;
use std::mem;

use super::{Exchange, Purpose, Spoken, failed};
use crate::link::{AskId, GssPeer, LinkError, LinkErrorKind};
use crate::net::buffer::Buffer;
use crate::net::raw::Raw;
use crate::net::room::Room;
use crate::net::{Alive, Interest, Received, Sent};
use crate::rows::OutOfMemory;

/// The length in front of a packet.
const HEAD: usize = 4;
/// The longest packet that either side sends, without its length.
const MOST: usize = 16 * 1024 - HEAD;
/// The same during the handshake: tickets may be long.
const MOST_TOKEN: usize = 64 * 1024 - HEAD;
/// Packets that are encrypted to be sent by one system call.
const AT_ONCE: usize = 4;
/// What may arrive without any data in it.
const MOST_FRUITLESS: usize = 1024 * 1024;

/// GSSAPI encryption on one connection.
#[derive(Debug)]
pub(in crate::net) struct Filter {
    /// Elsewhere while it takes a step.
    exchange: Option<Box<Exchange>>,
    stage: Stage,
    /// Whose handshake is under way.
    asked: Option<AskId>,
    /// So much plaintext fits into a packet.
    most_plain: usize,
    /// Packets received and not decrypted yet.
    input: Buffer,
    /// Plaintext that there was no room for, from `plain_at` on.
    plain: Vec<u8>,
    plain_at: usize,
    /// Packets not sent yet.
    output: Buffer,
    /// Bytes of the caller's in `output`: they count as sent when all of it is.
    owed: usize,
    /// The last look at the transport found as much as there was room for.
    more: bool,
    /// Bytes received since the last plaintext.
    fruitless: usize,
    /// Why nothing more is received.
    end: Option<LinkError>,
}

/// How far the handshake is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// We speak first.
    Begin,
    /// A token of ours was, or is to be, sent, and the peer's answer to it is to come.
    Answer,
    /// The last token is to be sent, if there is one.
    Complete,
}

/// What a handshake needs.
#[derive(Debug)]
pub(in crate::net) enum Handshake {
    /// The transport.
    Waits,
    /// A step, which a helper has to take: the exchange, and the peer's token.
    Steps(Box<Exchange>, Vec<u8>),
    /// Nothing more.
    Done,
    /// It cannot be gone on with.
    Failed(LinkError),
}

impl Filter {
    /// Begins a handshake.
    pub(in crate::net) fn begin(id: AskId, peer: GssPeer) -> Self {
        Self {
            exchange: Some(Exchange::new(peer, Purpose::Encryption)),
            stage: Stage::Begin,
            asked: Some(id),
            most_plain: 0,
            input: Buffer::default(),
            plain: Vec::new(),
            plain_at: 0,
            output: Buffer::default(),
            owed: 0,
            more: false,
            fruitless: 0,
            end: None,
        }
    }

    /// Whose handshake is under way.
    pub(in crate::net) fn asked(&self) -> Option<AskId> {
        self.asked
    }

    /// What the handshake waits for.
    pub(in crate::net) fn interest(&self) -> Interest {
        if self.has_unsent() {
            Interest::Write
        } else {
            Interest::Read
        }
    }

    /// Goes on with the handshake.
    pub(in crate::net) fn shake_hands(&mut self, raw: &mut Raw) -> Handshake {
        if let Some(end) = &self.end {
            return Handshake::Failed(end.clone());
        }
        match self.flush(raw) {
            Sent::Wait => return Handshake::Waits,
            Sent::Failed(error) => return Handshake::Failed(error),
            Sent::Bytes(_) => {}
        }
        let token = match self.stage {
            Stage::Begin => Vec::new(),
            Stage::Complete => {
                self.asked = None;
                return Handshake::Done;
            }
            Stage::Answer => loop {
                match self.token() {
                    Err(error) => return Handshake::Failed(error),
                    Ok(Some(token)) => break token,
                    Ok(None) if self.read(raw) => {}
                    Ok(None) => {
                        let end = self.end.clone();
                        return end.map_or(Handshake::Waits, Handshake::Failed);
                    }
                }
            },
        };
        match self.exchange.take() {
            Some(exchange) => Handshake::Steps(exchange, token),
            None => Handshake::Waits,
        }
    }

    /// The peer's token, once it is there.
    fn token(&mut self) -> Result<Option<Vec<u8>>, LinkError> {
        let received = self.input.filled();
        // A token is never so long that its length begins like this: it is an error message, of a server that has not proved to be one.
        if received.first() == Some(&b'E') {
            let text = "server sent an error response during GSS encryption exchange";
            return Err(failed(text.to_owned()));
        }
        let Some(packet) = packet(received, MOST_TOKEN)? else {
            return Ok(None);
        };
        let token = packet.to_vec();
        self.input.consume(HEAD + token.len());
        Ok(Some(token))
    }

    /// Takes what a step came to.
    pub(in crate::net) fn spoken(&mut self, (mut exchange, stepped): Spoken) {
        let ended = stepped.and_then(|step| {
            if !step.token.is_empty() {
                if step.token.len() > MOST_TOKEN {
                    return Err(too_long_to_send(step.token.len(), MOST_TOKEN));
                }
                self.put(&step.token)?;
            } else if !step.complete {
                let text =
                    "could not initiate GSSAPI security context: the exchange came to a standstill";
                return Err(failed(text.to_owned()));
            }
            self.stage = Stage::Answer;
            if step.complete {
                self.stage = Stage::Complete;
                self.most_plain = exchange.most_plain()?;
            }
            Ok(())
        });
        self.exchange = Some(exchange);
        self.end = ended.err();
    }

    /// Receives: plaintext that is there, else what one look at the transport brings.
    pub(in crate::net) fn receive(&mut self, raw: &mut Raw, mut room: Room<'_>) -> Received {
        if self.asked.is_some() {
            return Received::Wait;
        }
        loop {
            self.hand_out(&mut room);
            while room.left() > 0 && self.decrypt(&mut room) {}
            if room.taken() > 0 {
                return Received::Bytes(room.taken());
            }
            if !self.read(raw) {
                let end = self.end.clone();
                return end.map_or(Received::Wait, Received::Failed);
            }
        }
    }

    /// Decrypts the next packet, if it is there whole and well.
    fn decrypt(&mut self, room: &mut Room<'_>) -> bool {
        if self.end.is_some() {
            return false;
        }
        let (Some(exchange), plain) = (&mut self.exchange, &mut self.plain) else {
            return false;
        };
        let mut decrypt = || {
            let Some(packet) = packet(self.input.filled(), MOST)? else {
                return Ok(None);
            };
            exchange.unwrap(packet, |data| {
                let rest = data.get(room.put(data)..).unwrap_or_default();
                plain.try_reserve(rest.len()).map_err(|_| no_memory())?;
                plain.extend_from_slice(rest);
                Ok(Some((HEAD + packet.len(), data.is_empty())))
            })
        };
        match decrypt() {
            Ok(None) => return false,
            Ok(Some((length, is_empty))) => {
                self.input.consume(length);
                if !is_empty {
                    self.fruitless = 0;
                }
            }
            Err(error) => self.end = Some(error),
        }
        self.end.is_none()
    }

    /// Encrypts and sends. So many bytes count as sent when their packets have gone out whole: until then the same bytes come again.
    pub(in crate::net) fn send(&mut self, raw: &mut Raw, bytes: &[u8]) -> Sent {
        if self.asked.is_some() {
            return Sent::Wait;
        }
        if self.owed == 0 && !bytes.is_empty() {
            // There is nothing unsent: all that is sent now is the caller's.
            for part in bytes.chunks(self.most_plain.max(1)).take(AT_ONCE) {
                if let Err(error) = self.encrypt(part) {
                    self.output = Buffer::default();
                    self.owed = 0;
                    return Sent::Failed(error);
                }
                self.owed += part.len();
            }
        }
        match self.flush(raw) {
            Sent::Bytes(_) => Sent::Bytes(mem::take(&mut self.owed).min(bytes.len())),
            other => other,
        }
    }

    fn encrypt(&mut self, plain: &[u8]) -> Result<(), LinkError> {
        let Some(exchange) = &mut self.exchange else {
            return Err(no_memory());
        };
        let output = &mut self.output;
        exchange.wrap(plain, |packet| match packet.len() {
            length if length > MOST => Err(too_long_to_send(length, MOST)),
            _ => put(output, packet),
        })
    }

    fn put(&mut self, packet: &[u8]) -> Result<(), LinkError> {
        put(&mut self.output, packet)
    }

    /// Sends what is encrypted and not sent: all of it is gone at `Bytes`.
    pub(in crate::net) fn flush(&mut self, raw: &mut Raw) -> Sent {
        let mut sent = 0;
        while self.has_unsent() {
            match raw.send(self.output.filled()) {
                Sent::Bytes(count) => {
                    self.output.consume(count);
                    sent += count;
                }
                other => return other,
            }
        }
        Sent::Bytes(sent)
    }

    /// Bytes of the caller's that wait to be sent as packets.
    pub(in crate::net) fn owed(&self) -> usize {
        self.owed
    }

    /// Whether packets wait to be sent.
    pub(in crate::net) fn has_unsent(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether receiving gives something without a look at the transport.
    pub(in crate::net) fn has_input(&self) -> bool {
        self.end.is_some() || self.has_data()
    }

    fn has_data(&self) -> bool {
        let whole = || !matches!(packet(self.input.filled(), MOST), Ok(None));
        self.asked.is_none() && (!self.held().is_empty() || (self.end.is_none() && whole()))
    }

    /// Whether there is input, or the transport may have had more when it was looked at last.
    pub(in crate::net) fn has_more(&self) -> bool {
        self.more || self.has_input()
    }

    /// What is known without asking the peer.
    pub(in crate::net) fn look(&self, raw: &Raw) -> Alive {
        match &self.end {
            _ if self.has_data() => Alive::Data,
            Some(end) if end.kind == LinkErrorKind::Closed => Alive::Closed,
            Some(end) => Alive::Failed(end.clone()),
            None => raw.look(),
        }
    }

    /// `gss_ctx_id_t`; NULL while it takes a step.
    pub(in crate::net) fn pointer(&self) -> *mut c_void {
        let exchange = self.exchange.as_ref();
        exchange.map_or(std::ptr::null_mut(), |exchange| exchange.pointer())
    }

    /// Hands out plaintext that was held back.
    fn hand_out(&mut self, room: &mut Room<'_>) {
        if self.plain.is_empty() {
            return;
        }
        self.plain_at += room.put(self.held());
        if self.plain_at == self.plain.len() {
            self.plain = Vec::new();
            self.plain_at = 0;
        }
    }

    /// Plaintext that is held back.
    fn held(&self) -> &[u8] {
        self.plain.get(self.plain_at..).unwrap_or_default()
    }

    /// Looks at the transport once: whether something came. If not, and it is not just late, `end` says why.
    fn read(&mut self, raw: &mut Raw) -> bool {
        if self.end.is_some() {
            return false;
        }
        let wanted = match self.asked {
            Some(_) => HEAD + MOST_TOKEN,
            None => HEAD + MOST,
        };
        let received = match self.input.room(wanted) {
            Err(OutOfMemory) => Received::Failed(no_memory()),
            Ok(room) => {
                let received = raw.receive(room);
                self.more = received == Received::Bytes(room.len());
                received
            }
        };
        match received {
            Received::Bytes(count) => {
                self.input.add(count);
                self.fruitless += count;
                if self.fruitless > MOST_FRUITLESS {
                    let text = "the server sends GSSAPI packets without data";
                    self.end = Some(failed(text.to_owned()));
                }
                self.end.is_none()
            }
            Received::Wait => {
                self.input.add(0);
                false
            }
            Received::Failed(error) => {
                self.input.add(0);
                self.end = Some(error);
                false
            }
        }
    }
}

impl Exchange {
    fn most_plain(&mut self) -> Result<usize, LinkError> {
        let context = self.context.as_mut().ok_or_else(no_memory)?;
        match context.wrap_size_limit(MOST as u32) {
            Ok(0) => Err(failed(
                "GSSAPI size check error: nothing fits into a packet".to_owned(),
            )),
            Ok(most) => Ok(most),
            Err(words) => Err(failed(format!("GSSAPI size check error{words}"))),
        }
    }

    fn wrap<T>(
        &mut self,
        plain: &[u8],
        work: impl FnOnce(&[u8]) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let context = self.context.as_mut().ok_or_else(no_memory)?;
        match context.wrap(plain) {
            Ok((packet, true)) => work(packet.bytes()),
            Ok((_, false)) => {
                let text = "outgoing GSSAPI message would not use confidentiality";
                Err(failed(text.to_owned()))
            }
            Err(words) => Err(failed(format!("GSSAPI wrap error{words}"))),
        }
    }

    fn unwrap<T>(
        &mut self,
        packet: &[u8],
        work: impl FnOnce(&[u8]) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let context = self.context.as_mut().ok_or_else(no_memory)?;
        match context.unwrap(packet) {
            Ok((plain, true)) => work(plain.bytes()),
            Ok((_, false)) => {
                let text = "incoming GSSAPI message did not use confidentiality";
                Err(failed(text.to_owned()))
            }
            Err(words) => Err(failed(format!("GSSAPI unwrap error{words}"))),
        }
    }
}

/// The packet at the front of what was received, without its length, once it is there whole.
fn packet(received: &[u8], most: usize) -> Result<Option<&[u8]>, LinkError> {
    let Some((head, rest)) = received.split_first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*head) as usize;
    if length > most {
        let text = format!("oversize GSSAPI packet sent by the server ({length} > {most})");
        return Err(failed(text));
    }
    Ok(rest.get(..length))
}

/// Appends a packet with its length.
fn put(output: &mut Buffer, packet: &[u8]) -> Result<(), LinkError> {
    let head = (packet.len() as u32).to_be_bytes();
    let put = output.append(|room| {
        let (front, rest) = room.split_at_mut_checked(HEAD)?;
        front.copy_from_slice(&head);
        rest.get_mut(..packet.len())?.copy_from_slice(packet);
        Some(HEAD + packet.len())
    });
    put.ok_or_else(no_memory)
}

#[cold]
fn too_long_to_send(length: usize, most: usize) -> LinkError {
    failed(format!(
        "client tried to send oversize GSSAPI packet ({length} > {most})"
    ))
}

#[cold]
fn no_memory() -> LinkError {
    failed("out of memory".to_owned())
}
