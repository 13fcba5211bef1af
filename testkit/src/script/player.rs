//! Plays a script on bytes: hears what the client sends, holds what the server says. Knows no transport.

use pgpoll::link::{LinkError, TlsFacts};
use pgpoll::wire::frame::{Header, frontend_header};
use pgpoll::wire::{
    CancelRequest, Frontend, GSSENCRequest, SASLInitialResponse, SSLRequest, Startup,
    StartupMessage,
};

use super::scram::Exchange;
use super::{Script, Step, auth_sasl_continue, auth_sasl_final};

/// How the server ended the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// In good order.
    Close,
    /// With a reset.
    Reset,
}

/// One connection of the server, under way.
#[derive(Debug)]
pub struct Player {
    script: Script,
    at: usize,
    heard: Vec<u8>,
    said: Vec<u8>,
    taken: usize,
    scram: Option<Exchange>,
    /// Of the COPY data that is waited for, what has come.
    copied: Vec<u8>,
    /// A COPY has failed: what belongs to it is not heeded.
    copy_over: bool,
    ending: Option<Ending>,
    startup: Vec<(Vec<u8>, Vec<u8>)>,
    total: usize,
}

impl Player {
    /// At the beginning of the script.
    pub fn new(script: &Script) -> Self {
        let mut player = Self {
            script: script.clone(),
            at: 0,
            heard: Vec::new(),
            said: Vec::new(),
            taken: 0,
            scram: None,
            copied: Vec::new(),
            copy_over: false,
            ending: None,
            startup: Vec::new(),
            total: 0,
        };
        player.play();
        player
    }

    /// Bytes of the client have arrived.
    ///
    /// # Panics
    /// If they are not what the script waits for.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.heard.extend_from_slice(bytes);
        self.play();
    }

    /// How much of the first flight of the TLS handshake is to be sent, if the script has come to that.
    pub fn flight(&mut self) -> Option<usize> {
        let Some(&Step::Flight(part)) = self.script.steps.get(self.at) else {
            return None;
        };
        self.at += 1;
        self.play();
        Some(part)
    }

    /// The client begins the TLS handshake: what comes of it, if the script has come to it; else the server is silent.
    pub fn handshake(&mut self) -> Option<Result<TlsFacts, LinkError>> {
        let Some(Step::Handshake(outcome)) = self.script.steps.get(self.at) else {
            return None;
        };
        let outcome = outcome.clone();
        self.at += 1;
        self.play();
        Some(outcome)
    }

    /// Bytes for the client; say how many were taken with [`Player::took`].
    pub fn said(&self) -> &[u8] {
        &self.said[self.taken..]
    }

    /// Says that `count` of them were taken.
    pub fn took(&mut self, count: usize) {
        self.total += count;
        self.taken += count;
        if self.taken == self.said.len() {
            self.said.clear();
            self.taken = 0;
        }
    }

    /// How many bytes the client has been given.
    pub fn total(&self) -> usize {
        self.total
    }

    /// How the connection ended, once the client has taken all that was said before.
    pub fn ending(&self) -> Option<Ending> {
        self.ending.filter(|_| self.said.is_empty())
    }

    /// Whether every step has been played.
    pub fn is_over(&self) -> bool {
        self.at == self.script.steps.len()
    }

    /// Whether the script stands still, and the client has taken all that was said before.
    pub fn is_halted(&self) -> bool {
        matches!(self.script.steps.get(self.at), Some(Step::Halt)) && self.said().is_empty()
    }

    /// Bytes of the client that nothing has been made of yet.
    pub fn unread(&self) -> usize {
        self.heard.len()
    }

    /// Ends a halt. What the client has sent meanwhile is heard now.
    pub fn go_on(&mut self) {
        if matches!(self.script.steps.get(self.at), Some(Step::Halt)) {
            self.at += 1;
            self.play();
        }
    }

    /// What the client's StartupMessage carried.
    pub fn startup(&self) -> &[(Vec<u8>, Vec<u8>)] {
        &self.startup
    }

    /// A line about where the script stands, for the message of a test that fails.
    pub fn place(&self) -> String {
        let next = self.script.steps.get(self.at).map_or_else(
            || String::from("its end"),
            |step| match step {
                Step::Expect(bytes) => format!("the expectation of {}", shown(bytes)),
                Step::Send(bytes) => format!("{} bytes to send", bytes.len()),
                step => format!("{step:?}"),
            },
        );
        format!("step {} of the script: {next}", self.at)
    }

    fn play(&mut self) {
        let script = self.script.clone();
        while self.ending.is_none()
            && let Some(step) = script.steps.get(self.at)
        {
            match step {
                Step::Send(bytes) => self.said.extend_from_slice(bytes),
                Step::CopyOver => self.copy_over = true,
                Step::CopyData(expected) => {
                    if !self.copies(expected) {
                        return;
                    }
                }
                Step::Close => self.ending = Some(Ending::Close),
                Step::Reset => self.ending = Some(Ending::Reset),
                Step::Halt | Step::Handshake(_) | Step::Flight(_) => return,
                Step::SslRequest => {
                    let Some(message) = self.untagged() else {
                        return;
                    };
                    assert_eq!(
                        Startup::decode(&message[4..]).unwrap(),
                        Startup::Ssl(SSLRequest),
                        "at step {} of the script",
                        self.at
                    );
                }
                Step::GssencRequest => {
                    let Some(message) = self.untagged() else {
                        return;
                    };
                    assert_eq!(
                        Startup::decode(&message[4..]).unwrap(),
                        Startup::Gssenc(GSSENCRequest),
                        "at step {} of the script",
                        self.at
                    );
                }
                Step::CancelRequest(pid, key) => {
                    let Some(message) = self.untagged() else {
                        return;
                    };
                    let expected = CancelRequest {
                        process_id: *pid as i32,
                        secret_key: key,
                    };
                    assert_eq!(
                        Startup::decode(&message[4..]).unwrap(),
                        Startup::Cancel(expected),
                        "at step {} of the script",
                        self.at
                    );
                }
                Step::Startup => {
                    let Some(message) = self.untagged() else {
                        return;
                    };
                    self.startup = startup_parameters(&message);
                }
                step => {
                    let Some(message) = self.message() else {
                        return;
                    };
                    self.heed(step, &message);
                }
            }
            self.at += 1;
        }
        if self.at == script.steps.len() || self.ending.is_some() {
            self.heard.clear();
        }
    }

    fn heed(&mut self, step: &Step, message: &[u8]) {
        let body = &message[Header::SIZE..];
        match step {
            Step::Expect(expected) => assert_eq!(
                shown(message),
                shown(expected),
                "at step {} of the script",
                self.at
            ),
            Step::ExpectTag(tag) => {
                let found = char::from(message[0]);
                assert_eq!(found, char::from(*tag), "at step {} of the script", self.at);
            }
            Step::Challenge(scram) => {
                let message = SASLInitialResponse::decode(body).unwrap();
                assert_eq!(message.mechanism, scram.mechanisms()[0].as_bytes());
                let exchange = Exchange::new(scram, message.response.unwrap());
                let first = auth_sasl_continue(exchange.first().as_bytes());
                self.said.extend_from_slice(&first);
                self.scram = Some(exchange);
            }
            Step::Conclude => {
                let last = self.scram.as_ref().unwrap().conclude(body);
                self.said
                    .extend_from_slice(&auth_sasl_final(last.as_bytes()));
            }
            _ => {}
        }
    }

    /// The next message with a tag, once it is whole.
    fn message(&mut self) -> Option<Vec<u8>> {
        loop {
            let head = frontend_header(&self.heard).unwrap()?;
            let message = self.take(Header::SIZE + head.len)?;
            if !(self.copy_over && matches!(head.tag, b'd' | b'c' | b'f')) {
                return Some(message);
            }
        }
    }

    /// Hears data of a COPY; false as long as there has not been enough.
    fn copies(&mut self, expected: &[u8]) -> bool {
        while self.copied.len() < expected.len() {
            let Some(message) = self.message() else {
                return false;
            };
            assert_eq!(
                char::from(message[0]),
                'd',
                "at step {} of the script",
                self.at
            );
            self.copied.extend_from_slice(&message[Header::SIZE..]);
        }
        let copied = std::mem::take(&mut self.copied);
        let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
        assert_eq!(
            shown(&copied),
            shown(expected),
            "at step {} of the script",
            self.at
        );
        true
    }

    /// The next message without a tag, once it is whole.
    fn untagged(&mut self) -> Option<Vec<u8>> {
        let length = u32::from_be_bytes(*self.heard.first_chunk()?);
        self.take(length as usize)
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        (self.heard.len() >= length).then(|| self.heard.drain(..length).collect())
    }
}

fn startup_parameters(message: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    match Startup::decode(&message[4..]).unwrap() {
        Startup::Startup(StartupMessage { parameters, .. }) => parameters
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect(),
        other => panic!("a StartupMessage was expected, not {other:?}"),
    }
}

/// A message of the client in words.
fn shown(message: &[u8]) -> String {
    match Frontend::decode(message[0], &message[Header::SIZE..]) {
        Ok(Frontend::Query(query)) => format!("Query {:?}", String::from_utf8_lossy(query.sql)),
        Ok(Frontend::AuthenticationResponse(answer)) => {
            format!("AuthenticationResponse {:?}", answer.body)
        }
        Ok(message) => format!("{message:?}"),
        Err(error) => format!("{error}: {message:?}"),
    }
}
