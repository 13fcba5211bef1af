//! The server's side of SCRAM-SHA-256 (RFC 5802, 3), honest or not. Knows no messages around its texts.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

type Key = [u8; 32];

/// How the server goes through the exchange.
#[derive(Debug, Clone)]
pub struct Scram {
    /// The password that it knows.
    pub password: String,
    /// How often it is hashed, as text: servers may write what they like.
    pub iterations: String,
    /// What it does wrong.
    pub trick: Trick,
    /// What it expects of channel binding.
    pub binding: Bound,
}

/// What a server expects of channel binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// The client cannot bind, or must not.
    No,
    /// It could have.
    Possible,
    /// It has, to the certificate with this hash.
    To(Vec<u8>),
}

impl Bound {
    fn header(&self) -> &'static str {
        match self {
            Self::No => "n,,",
            Self::Possible => "y,,",
            Self::To(_) => "p=tls-server-end-point,,",
        }
    }
}

/// What a dishonest server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trick {
    /// Nothing.
    None,
    /// Its nonce does not continue the client's.
    OtherNonce,
    /// Its signature is made without the password.
    WrongSignature,
}

impl Scram {
    /// An honest server that asks for a few iterations, so that thousands of replays cost nothing.
    pub fn new(password: &str) -> Self {
        Self {
            password: password.to_owned(),
            iterations: String::from("3"),
            trick: Trick::None,
            binding: Bound::No,
        }
    }

    /// The same, bound to the certificate with this hash: SCRAM-SHA-256-PLUS.
    pub fn bound(mut self, hash: &[u8]) -> Self {
        self.binding = Bound::To(hash.to_vec());
        self
    }

    /// The same with a client that could have bound it, had that been offered.
    pub fn bindable(mut self) -> Self {
        self.binding = Bound::Possible;
        self
    }

    /// The mechanisms that it offers.
    pub(crate) fn mechanisms(&self) -> &'static [&'static str] {
        match self.binding {
            Bound::To(_) => &["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"],
            _ => &["SCRAM-SHA-256"],
        }
    }

    /// The same with another count.
    pub fn iterations(mut self, iterations: &str) -> Self {
        self.iterations = iterations.to_owned();
        self
    }

    /// The same with a trick.
    pub fn trick(mut self, trick: Trick) -> Self {
        self.trick = trick;
        self
    }
}

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    scram: Scram,
    bare: String,
    first: String,
}

const SALT: &[u8] = b"0123456789abcdef";

impl Exchange {
    /// Takes client-first-message.
    pub(crate) fn new(scram: &Scram, client_first: &[u8]) -> Self {
        let client_first = std::str::from_utf8(client_first).unwrap();
        let header = scram.binding.header();
        let bare = client_first.strip_prefix(header);
        let bare = bare
            .unwrap_or_else(|| panic!("{header} was expected: {client_first}"))
            .to_owned();
        let nonce = bare.strip_prefix("n=,r=").unwrap();
        let (salt, count) = (STANDARD.encode(SALT), &scram.iterations);
        let first = match scram.trick {
            Trick::OtherNonce => format!("r=another{nonce},s={salt},i={count}"),
            _ => format!("r={nonce}theirs,s={salt},i={count}"),
        };
        Self {
            scram: scram.clone(),
            bare,
            first,
        }
    }

    /// server-first-message.
    pub(crate) fn first(&self) -> &str {
        &self.first
    }

    /// Takes client-final-message, whose proof must be right, and gives server-final-message.
    pub(crate) fn conclude(&self, client_final: &[u8]) -> String {
        let client_final = std::str::from_utf8(client_final).unwrap();
        let (without_proof, proof) = client_final.rsplit_once(",p=").unwrap();
        let header = self.scram.binding.header().as_bytes();
        let channel = match &self.scram.binding {
            Bound::To(hash) => [header, hash].concat(),
            _ => header.to_vec(),
        };
        let channel = format!("c={},", STANDARD.encode(channel));
        assert!(
            without_proof.starts_with(&channel),
            "the client is bound to another connection: {without_proof}"
        );
        let signed = format!("{},{},{without_proof}", self.bare, self.first);
        let salted = self.salted();
        let stored: Key = Sha256::digest(hmac(&salted, b"Client Key")).into();
        let mut client = hmac(&stored, signed.as_bytes());
        for (byte, proof) in client.iter_mut().zip(STANDARD.decode(proof).unwrap()) {
            *byte ^= proof;
        }
        assert_eq!(
            Sha256::digest(client)[..],
            stored,
            "the client's proof is wrong"
        );
        let mut signature = hmac(&hmac(&salted, b"Server Key"), signed.as_bytes());
        if self.scram.trick == Trick::WrongSignature {
            signature[0] ^= 1;
        }
        format!("v={}", STANDARD.encode(signature))
    }

    fn salted(&self) -> Key {
        let password = self.scram.password.as_bytes();
        let mut round = hmac(password, &[SALT, &[0, 0, 0, 1]].concat());
        let mut salted = round;
        let count: u32 = self.scram.iterations.parse().unwrap();
        for _ in 1..count {
            round = hmac(password, &round);
            for (byte, more) in salted.iter_mut().zip(round) {
                *byte ^= more;
            }
        }
        salted
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().into()
}
