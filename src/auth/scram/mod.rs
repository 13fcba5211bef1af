//! SCRAM-SHA-256 (RFC 5802, RFC 7677), the client's side. Knows the exchange's texts and keys, not the messages that carry them.

mod derive;
mod message;
mod verifier;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use self::derive::{Key, SaltedPassword, hmac, sha256};
use self::message::ServerFirst;
use super::{Error, saslprep, wiping};

pub use self::verifier::build_verifier;

/// The highest iteration count that a server may ask for: 2 s of derivation with SHA instructions, 8 s without. PostgreSQL's
/// default is 4096.
pub const MAX_ITERATIONS: u32 = 16_777_216;

/// How many iterations to derive between two looks at the world. Measured in a release build: 0.25 ms with SHA instructions
/// (0.12 µs an iteration), 0.9 ms without (0.45 µs).
pub const SLICE: u32 = 2048;

/// What the client proves that it knows.
#[derive(Clone, Copy)]
pub enum Credentials<'a> {
    /// The password as it was given; it is prepared by [`saslprep`].
    Password(&'a [u8]),
    /// `scram_client_key` and `scram_server_key`, decoded: nothing is derived, and the server's salt and count do not matter.
    Keys {
        /// ClientKey of RFC 5802, 3.
        client_key: &'a [u8; 32],
        /// ServerKey of RFC 5802, 3.
        server_key: &'a [u8; 32],
    },
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(…)",
            Self::Keys { .. } => "Keys(…)",
        })
    }
}

/// Whether the exchange is bound to the TLS connection (RFC 5802, 6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// The client cannot bind, or must not: no TLS, or `channel_binding=disable`.
    None,
    /// The client can, but the server did not offer it; a server that did knows from this that somebody changed its offer.
    NotUsed,
    /// SCRAM-SHA-256-PLUS with the hash of the server's certificate (`tls-server-end-point`, RFC 5929).
    ServerEndPoint(Vec<u8>),
}

impl Binding {
    fn header(&self) -> &'static [u8] {
        match self {
            Self::None => b"n,,",
            Self::NotUsed => b"y,,",
            Self::ServerEndPoint(_) => b"p=tls-server-end-point,,",
        }
    }

    fn data(&self) -> &[u8] {
        match self {
            Self::None | Self::NotUsed => b"",
            Self::ServerEndPoint(hash) => hash,
        }
    }
}

/// One exchange, from the client's side: [`first`](Self::first), [`challenge`](Self::challenge), [`derive`](Self::derive) until
/// it is finished, [`last`](Self::last), [`finish`](Self::finish). A step out of turn is [`Error::OutOfTurn`]; after an error the
/// exchange is over. What is secret is wiped as soon as it is used.
pub struct Client {
    binding: Binding,
    /// Our part of the nonce.
    nonce: String,
    /// client-first-message.
    first: Vec<u8>,
    /// What both sides sign: client-first-message-bare, server-first-message and client-final-message-without-proof.
    signed: Vec<u8>,
    /// client-final-message: without the proof until it is derived.
    last: Zeroizing<Vec<u8>>,
    step: Step,
}

enum Step {
    /// The server has not answered yet.
    Begun(Secret),
    Deriving(Box<SaltedPassword>),
    Derived(Keys),
    /// The client's proof is out; this is the signature that the server must answer.
    Proved(Key),
    Verified,
    Failed,
}

enum Secret {
    Password(Zeroizing<Vec<u8>>),
    Keys(Keys),
}

struct Keys {
    client: Key,
    server: Key,
}

impl Client {
    /// Begins an exchange. `nonce` must be random and used once. The role's name is left empty: the server takes it from the
    /// startup packet.
    pub fn new(credentials: Credentials<'_>, nonce: [u8; 18], binding: Binding) -> Self {
        Self::with_nonce(credentials, "", STANDARD.encode(nonce), binding)
    }

    fn with_nonce(
        credentials: Credentials<'_>,
        user: &str,
        nonce: String,
        binding: Binding,
    ) -> Self {
        let secret = match credentials {
            Credentials::Password(password) => Secret::Password(saslprep(password)),
            Credentials::Keys {
                client_key,
                server_key,
            } => Secret::Keys(Keys {
                client: derive::key(client_key),
                server: derive::key(server_key),
            }),
        };
        let bare = format!("n={user},r={nonce}").into_bytes();
        Self {
            first: [binding.header(), &bare].concat(),
            signed: bare,
            last: Zeroizing::default(),
            step: Step::Begun(secret),
            nonce,
            binding,
        }
    }

    /// client-first-message, for SASLInitialResponse.
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// Takes server-first-message (AuthenticationSASLContinue).
    ///
    /// # Errors
    /// The message is malformed, its nonce does not continue ours, or its count is above [`MAX_ITERATIONS`].
    pub fn challenge(&mut self, server_first: &[u8]) -> Result<(), Error> {
        wiping(|| self.take_challenge(server_first))
    }

    fn take_challenge(&mut self, server_first: &[u8]) -> Result<(), Error> {
        let Step::Begun(secret) = self.next_step() else {
            return Err(Error::OutOfTurn);
        };
        let server = ServerFirst::parse(server_first, self.nonce.as_bytes())?;
        let channel = [self.binding.header(), self.binding.data()].concat();
        let channel = STANDARD.encode(channel);
        self.last = Zeroizing::new([b"c=", channel.as_bytes(), b",r=", server.nonce].concat());
        for part in [b",", server_first, b",", &*self.last] {
            self.signed.extend_from_slice(part);
        }
        self.step = match secret {
            Secret::Keys(keys) => Step::Derived(keys),
            Secret::Password(password) => Step::Deriving(Box::new(SaltedPassword::new(
                &password,
                &server.salt,
                server.iterations,
            ))),
        };
        Ok(())
    }

    /// Derives the keys for at most `iterations` iterations ([`SLICE`] fits an event loop); whether nothing is left to derive.
    pub fn derive(&mut self, iterations: u32) -> bool {
        let Step::Deriving(salted) = &mut self.step else {
            return true;
        };
        let keys = wiping(|| {
            salted.derive(iterations);
            salted.keys()
        });
        let Some((client, server)) = keys else {
            return false;
        };
        self.step = Step::Derived(Keys { client, server });
        true
    }

    /// client-final-message, for SASLResponse.
    ///
    /// # Errors
    /// [`Error::OutOfTurn`] before the keys are derived, or when it was taken before.
    pub fn last(&mut self) -> Result<&[u8], Error> {
        if !matches!(self.step, Step::Derived(_)) {
            return Err(Error::OutOfTurn);
        }
        wiping(|| self.prove())?;
        Ok(&self.last)
    }

    fn prove(&mut self) -> Result<(), Error> {
        let Step::Derived(keys) = self.next_step() else {
            return Err(Error::OutOfTurn);
        };
        let stored = sha256(&**keys.client);
        let mut proof = hmac(&**stored, &[&self.signed]);
        for (byte, key) in proof.iter_mut().zip(keys.client.iter()) {
            *byte ^= key;
        }
        let proof = Zeroizing::new(STANDARD.encode(**proof));
        self.last.reserve_exact(b",p=".len() + proof.len());
        self.last.extend_from_slice(b",p=");
        self.last.extend_from_slice(proof.as_bytes());
        self.step = Step::Proved(hmac(&**keys.server, &[&self.signed]));
        Ok(())
    }

    /// Takes server-final-message (AuthenticationSASLFinal): the server proves that it knows the password, too.
    ///
    /// # Errors
    /// The server refused, its signature is wrong, or the message is malformed.
    pub fn finish(&mut self, server_final: &[u8]) -> Result<(), Error> {
        let Step::Proved(expected) = self.next_step() else {
            return Err(Error::OutOfTurn);
        };
        let signature = message::server_final(server_final)?;
        if !bool::from(signature.ct_eq(&**expected)) {
            return Err(Error::Signature);
        }
        self.step = Step::Verified;
        Ok(())
    }

    /// Whether the server has proved itself. AuthenticationOk before that cuts the exchange short and must be refused.
    pub fn is_verified(&self) -> bool {
        matches!(self.step, Step::Verified)
    }

    /// Whether the server has proved itself to be the one at the other end of the TLS connection.
    pub fn is_bound(&self) -> bool {
        self.is_verified() && matches!(self.binding, Binding::ServerEndPoint(_))
    }

    /// Takes the step out, so that whoever fails to put the next one in has failed for good.
    fn next_step(&mut self) -> Step {
        std::mem::replace(&mut self.step, Step::Failed)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = match self.step {
            Step::Begun(_) => "begun",
            Step::Deriving(_) => "deriving",
            Step::Derived(_) => "derived",
            Step::Proved(_) => "proved",
            Step::Verified => "verified",
            Step::Failed => "failed",
        };
        f.debug_struct("Client")
            .field("binding", &self.binding)
            .field("step", &step)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
