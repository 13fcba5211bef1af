//! Scripts of a server: what it waits for and what it says, in the wire codec's own types. Knows no sockets and no client.
//!
//! A [`Script`] is one connection of the server. [`Player`] plays it on bytes; `sim` couples that with an engine in memory,
//! [`Scripted`] with a real socket in a thread.

mod bearer;
mod expect;
mod messages;
mod player;
mod scram;
mod serve;
pub mod sessions;
mod wire;

use std::sync::Arc;

use pgpoll::link::{LinkError, TlsFacts};
use pgpoll::wire::{Backend, Frontend};

pub use bearer::{ISSUERS_DOCUMENT, bearer_challenge, bearer_dummy, bearer_shown};
pub use messages::*;
pub use player::{Ending, Player};
pub(crate) use scram::Exchange;
pub use scram::{Bound, Scram, Trick};
pub use serve::{Played, Scripted};

/// One step of a script.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A StartupMessage, whatever its parameters.
    Startup,
    /// An SSLRequest.
    SslRequest,
    /// A GSSENCRequest.
    GssencRequest,
    /// The TLS handshake, and what comes of it; what is said behind it is encrypted as far as anybody can see.
    Handshake(Result<TlsFacts, LinkError>),
    /// So many bytes of the server's first flight in that handshake.
    Flight(usize),
    /// A CancelRequest for this backend, with this key.
    CancelRequest(u32, Vec<u8>),
    /// This message and no other, as the client encodes it.
    Expect(Vec<u8>),
    /// Any message of this type.
    ExpectTag(u8),
    /// Any message.
    ExpectAny,
    /// CopyData, in messages of any size.
    CopyData(Vec<u8>),
    /// What belongs to a COPY is not heeded from here on.
    CopyOver,
    /// These bytes go to the client.
    Send(Vec<u8>),
    /// SASLInitialResponse comes, AuthenticationSASLContinue goes.
    Challenge(Scram),
    /// SASLResponse comes and must prove the password, AuthenticationSASLFinal goes.
    Conclude,
    /// Nothing more is said or heard until the server is told to go on.
    Halt,
    /// The connection ends in good order.
    Close,
    /// The connection is reset.
    Reset,
}

/// What a server does on one connection, step by step. After the last step it says nothing more and takes whatever comes.
#[derive(Debug, Clone, Default)]
pub struct Script {
    steps: Arc<Vec<Step>>,
}

impl Script {
    /// A server that says nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A server that lets everybody in and reports what a real one does, up to ReadyForQuery.
    pub fn trusting() -> Self {
        Self::new().startup().send(auth_ok()).settled()
    }

    /// The rest of a startup after AuthenticationOk: parameters, key, ReadyForQuery.
    pub fn settled(self) -> Self {
        self.settled_as("18.6", "off")
    }

    /// The same of a server of some version, in hot standby or not.
    pub fn settled_as(self, version: &str, in_hot_standby: &str) -> Self {
        self.send(parameter("application_name", ""))
            .send(parameter("client_encoding", "UTF8"))
            .send(parameter("default_transaction_read_only", "off"))
            .send(parameter("in_hot_standby", in_hot_standby))
            .send(parameter("integer_datetimes", "on"))
            .send(parameter("server_version", version))
            .send(parameter("standard_conforming_strings", "on"))
            .send(parameter("TimeZone", "Etc/UTC"))
            .send(backend_key(4711, b"KEY!"))
            .send(ready(b'I'))
    }

    /// Waits for the StartupMessage.
    pub fn startup(self) -> Self {
        self.then(Step::Startup)
    }

    /// Waits for the SSLRequest.
    pub fn ssl_request(self) -> Self {
        self.then(Step::SslRequest)
    }

    /// Waits for the GSSENCRequest.
    pub fn gssenc_request(self) -> Self {
        self.then(Step::GssencRequest)
    }

    /// Waits for the TLS handshake, which comes to this.
    pub fn handshake(self, outcome: Result<TlsFacts, LinkError>) -> Self {
        self.then(Step::Handshake(outcome))
    }

    /// Answers the ClientHello with so many bytes alone; the rest goes with [`handshake`](Self::handshake).
    pub fn flight(self, bytes: usize) -> Self {
        self.then(Step::Flight(bytes))
    }

    /// A server that does TLS, up to the end of the handshake.
    pub fn encrypted() -> Self {
        Self::new()
            .ssl_request()
            .send("S")
            .handshake(Ok(TlsFacts::default()))
    }

    /// Waits for the CancelRequest for this backend, with this key.
    pub fn cancel_request(self, pid: u32, key: &[u8]) -> Self {
        self.then(Step::CancelRequest(pid, key.to_vec()))
    }

    /// Waits for this message.
    pub fn expect(self, message: &Frontend<'_>) -> Self {
        let mut bytes = Vec::new();
        message.encode(&mut bytes).unwrap();
        self.then(Step::Expect(bytes))
    }

    /// Waits for any message of this type.
    pub fn expect_tag(self, tag: u8) -> Self {
        self.then(Step::ExpectTag(tag))
    }

    /// Waits for any message.
    pub fn expect_any(self) -> Self {
        self.then(Step::ExpectAny)
    }

    /// Waits for data of a COPY, however it is cut into messages.
    pub fn copied(self, data: &[u8]) -> Self {
        self.then(Step::CopyData(data.to_vec()))
    }

    /// From here on what belongs to a COPY is not heeded: it has failed, and the client may not know that yet.
    pub fn copy_over(self) -> Self {
        self.then(Step::CopyOver)
    }

    /// Waits for a simple query.
    pub fn query(self, sql: &str) -> Self {
        self.expect(&Frontend::Query(pgpoll::wire::Query {
            sql: sql.as_bytes(),
        }))
    }

    /// Says what one of the short forms of this module made, or any bytes.
    pub fn send(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    /// Says a message.
    pub fn say(self, message: &Backend<'_>) -> Self {
        self.send(encoded(message))
    }

    /// Goes through a SCRAM-SHA-256 exchange, or a bound one, with a client that has to know the password.
    pub fn scram(self, scram: Scram) -> Self {
        self.send(auth_sasl(scram.mechanisms()))
            .challenge(scram)
            .conclude()
    }

    /// The first half of that exchange alone, without the offer of mechanisms.
    pub fn challenge(self, scram: Scram) -> Self {
        self.then(Step::Challenge(scram))
    }

    /// The second half, which proves the password.
    pub fn conclude(self) -> Self {
        self.then(Step::Conclude)
    }

    /// Stands still: neither says nor reads anything until [`Player::go_on`] or [`Scripted::go_on`].
    pub fn halt(self) -> Self {
        self.then(Step::Halt)
    }

    /// What comes before the halt, and the halt: when told to go on, the server takes whatever comes.
    pub fn until_halt(mut self) -> Self {
        let halt = self
            .steps
            .iter()
            .position(|step| matches!(step, Step::Halt));
        if let Some(halt) = halt {
            Arc::make_mut(&mut self.steps).truncate(halt + 1);
        }
        self
    }

    /// Closes the connection.
    pub fn close(self) -> Self {
        self.then(Step::Close)
    }

    /// Resets the connection: what is under way to the server is answered with a reset.
    pub fn reset(self) -> Self {
        self.then(Step::Reset)
    }

    /// Goes on as another script does.
    pub fn and(mut self, more: &Script) -> Self {
        Arc::make_mut(&mut self.steps).extend(more.steps.iter().cloned());
        self
    }

    /// The same script with `bytes` said before and after each message of its own from the first ReadyForQuery on.
    pub fn with_interludes(&self, bytes: &[u8]) -> Self {
        let mut up = false;
        let mut steps = Vec::new();
        for step in self.steps.iter() {
            let Step::Send(said) = step else {
                steps.push(step.clone());
                continue;
            };
            if up {
                steps.push(Step::Send(bytes.to_vec()));
            }
            steps.push(step.clone());
            up |= said.first() == Some(&b'Z');
            if up {
                steps.push(Step::Send(bytes.to_vec()));
            }
        }
        Self {
            steps: Arc::new(steps),
        }
    }

    fn then(mut self, step: Step) -> Self {
        Arc::make_mut(&mut self.steps).push(step);
        self
    }
}
