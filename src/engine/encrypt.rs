//! Encryption (manual, "SSL Session Encryption"): which ways are tried on an address, and the negotiation on a fresh transport.
//! Knows no handshake.

use std::sync::Arc;

use super::connect::Miss;
use super::facts::Phase;
use super::state::State;
use super::wait::{Stop, answer, byte, with};
use crate::conninfo::{Plan, SslMode, Tls};
use crate::error::Error;
use crate::link::{Addr, Answer, Ask, LinkErrorKind, TlsFacts};
use crate::wire::SSLRequest;
use crate::wire::frame::{EncryptionAnswer, ssl_answer};

/// The protocol that a server of direct TLS has to select (ALPN, RFC 7301).
const ALPN: &[u8] = b"postgresql";

/// Whether a transport is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Plain,
    Tls,
}

/// The methods for one address: the one that is tried, and the one that is left when it fails.
#[derive(Debug)]
pub(super) struct Methods {
    pub current: Method,
    spare: Option<Method>,
}

impl Methods {
    /// What `sslmode` allows, in its order. Unix sockets are never encrypted.
    pub(super) fn of(plan: &Plan, addr: &Addr) -> Self {
        let (current, spare) = match plan.sslmode {
            _ if matches!(addr, Addr::Unix(_)) => (Method::Plain, None),
            SslMode::Disable => (Method::Plain, None),
            SslMode::Allow => (Method::Plain, Some(Method::Tls)),
            SslMode::Prefer => (Method::Tls, Some(Method::Plain)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Method::Tls, None),
        };
        Self { current, spare }
    }

    /// One, and no other.
    pub(super) fn only(tls: bool) -> Self {
        let current = if tls { Method::Tls } else { Method::Plain };
        let spare = None;
        Self { current, spare }
    }

    /// Goes on to the next one; false when there is none.
    pub(super) fn advance(&mut self) -> bool {
        match self.spare.take() {
            Some(next) => {
                self.current = next;
                true
            }
            None => false,
        }
    }
}

/// Encrypts a fresh transport if that is the method, or finds that the server does without and that this will do, too.
pub(super) async fn encrypt(
    methods: &mut Methods,
    tls: Option<&Arc<Tls>>,
    host: &[u8],
) -> Result<(), Miss> {
    if methods.current == Method::Plain {
        return Ok(());
    }
    let Some(tls) = tls else {
        return Err(Miss::Refused(Error::misuse(
            "TLS is wanted, but the plan does not say how it is done: give it `tls`, or `sslmode=disable`",
        )));
    };
    if !tls.direct && !request(methods).await? {
        return Ok(());
    }
    let facts = secure(tls, host).await?;
    if tls.direct {
        check_protocol(&facts)?;
    }
    with(|state| {
        state.linked = true;
        state.facts.tls = Some(Box::new(facts));
    });
    Ok(())
}

/// Asks whether the server does TLS; false when it does not, and the same transport goes on without.
async fn request(methods: &mut Methods) -> Result<bool, Miss> {
    with(State::request_encryption)?;
    let answered = byte("the server's answer to SSLRequest").await?;
    with(|state| {
        if let Some(trace) = &mut state.trace
            && matches!(answered, b'S' | b'N')
        {
            trace.answer("SSLResponse", answered);
        }
    });
    let refused = |text: &'static str| Err(Miss::Address(Error::transport(text)));
    match ssl_answer(answered) {
        // What has come with the answer came in clear: it may be anybody's.
        Ok(EncryptionAnswer::Accepted) if with(|state| state.input.unread()) > 0 => {
            refused("received unencrypted data after SSL response")
        }
        Ok(EncryptionAnswer::Accepted) => Ok(true),
        Ok(EncryptionAnswer::Refused) if methods.advance() => Ok(false),
        Ok(EncryptionAnswer::Refused) => {
            refused("server does not support SSL, but SSL was required")
        }
        // Its words are not read: nobody knows yet whose they are.
        Ok(EncryptionAnswer::Error) => refused("server sent an error response during SSL exchange"),
        Err(error) => Err(Miss::Address(Error::transport(error.to_string()))),
    }
}

/// Has the handshake done.
async fn secure(tls: &Arc<Tls>, host: &[u8]) -> Result<TlsFacts, Miss> {
    if let Some(problem) = &tls.problem {
        return Err(Miss::Refused(Error::transport(problem.clone())));
    }
    with(|state| {
        state.enter(Phase::Securing);
        // The transport is the handshake's until that is over.
        state.linked = false;
        state.ask(Ask::Secure {
            tls: tls.clone(),
            host: host.to_vec(),
        });
    });
    match answer("the TLS handshake").await? {
        Answer::Secured(facts) => Ok(facts),
        Answer::Failed(error) => {
            let kind = error.kind;
            let error = Error::from(error);
            Err(match kind {
                LinkErrorKind::Forked => Miss::Final(error),
                LinkErrorKind::TlsSetup => Miss::Refused(error),
                _ => Miss::Unencrypted(error),
            })
        }
        _ => Err(Miss::Unencrypted(Error::transport(
            "internal error: the TLS handshake was not answered",
        ))),
    }
}

/// Without a request before it, the handshake itself has to show that the server speaks this protocol.
fn check_protocol(facts: &TlsFacts) -> Result<(), Miss> {
    let text = match &facts.alpn {
        Some(protocol) if protocol == ALPN => return Ok(()),
        Some(_) => "SSL connection was established with unexpected ALPN protocol",
        None => "direct SSL connection was established without ALPN protocol negotiation extension",
    };
    Err(Miss::Unencrypted(Error::transport(text)))
}

impl State {
    fn request_encryption(&mut self) -> Result<(), Stop> {
        self.enter(Phase::Negotiating);
        let before = self.output.buffer().len();
        SSLRequest.encode(self.output.buffer())?;
        self.trace_startup(before);
        Ok(())
    }
}
