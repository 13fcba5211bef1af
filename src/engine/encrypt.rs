//! Encryption (manual, "SSL Session Encryption"): which ways are tried on an address, and the negotiation on a fresh transport.
//! Knows no handshake.

use std::sync::Arc;

use super::connect::Miss;
use super::facts::Phase;
use super::gss;
use super::state::State;
use super::wait::{Stop, answer, byte, with};
use crate::conninfo::{GssEncMode, Plan, SslMode, Tls};
use crate::error::Error;
use crate::link::{Addr, Answer, Ask, GssPeer, LinkErrorKind, TlsFacts};
use crate::wire::SSLRequest;
use crate::wire::frame::{EncryptionAnswer, ssl_answer};

/// The protocol that a server of direct TLS has to select (ALPN, RFC 7301).
const ALPN: &[u8] = b"postgresql";

/// How a transport is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Gss,
    Tls,
    Plain,
}

/// The methods for one address: the one that is tried, and those that are left when it fails, in their order.
#[derive(Debug)]
pub(super) struct Methods {
    pub current: Method,
    spare: [Option<Method>; 2],
}

impl Methods {
    /// What `sslmode` and `gssencmode` allow, in their order. Unix sockets are never encrypted. `credentials`: there are some for GSSAPI.
    pub(super) fn of(plan: &Plan, addr: &Addr, credentials: bool) -> Self {
        let local = matches!(addr, Addr::Unix(_));
        let gss_only = plan.gssencmode == GssEncMode::Require;
        let gss = credentials && !local && plan.gssencmode != GssEncMode::Disable;
        let (first, second) = match plan.sslmode {
            _ if gss_only => (None, None),
            _ if local => (Some(Method::Plain), None),
            SslMode::Disable => (Some(Method::Plain), None),
            SslMode::Allow => (Some(Method::Plain), Some(Method::Tls)),
            SslMode::Prefer => (Some(Method::Tls), Some(Method::Plain)),
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => (Some(Method::Tls), None),
        };
        match first {
            Some(current) if !gss => Self {
                current,
                spare: [second, None],
            },
            _ => Self {
                current: Method::Gss,
                spare: [first, second],
            },
        }
    }

    /// What the other connection has, and no other.
    pub(super) fn only(means: &Means<'_>) -> Self {
        let current = match (means.gss, means.tls) {
            (Some(_), _) => Method::Gss,
            (None, Some(_)) => Method::Tls,
            (None, None) => Method::Plain,
        };
        let spare = [None, None];
        Self { current, spare }
    }

    /// The one after the current one.
    pub(super) fn next(&self) -> Option<Method> {
        self.spare[0]
    }

    /// Goes on to it; false when there is none.
    pub(super) fn advance(&mut self) -> bool {
        match self.spare {
            [Some(next), after] => {
                self.current = next;
                self.spare = [after, None];
                true
            }
            [None, _] => false,
        }
    }
}

/// What the methods work with.
#[derive(Debug)]
pub(super) struct Means<'a> {
    pub tls: Option<&'a Arc<Tls>>,
    pub gss: Option<&'a GssPeer>,
    /// The host as the user wrote it.
    pub host: &'a [u8],
}

/// Encrypts a fresh transport as far as the methods want it; a server that does without may be content with the next one.
pub(super) async fn encrypt(methods: &mut Methods, means: &Means<'_>) -> Result<(), Miss> {
    if methods.current == Method::Gss && gss::encrypt(methods, means).await? {
        return Ok(());
    }
    match methods.current {
        Method::Tls => encrypt_with_tls(methods, means).await,
        Method::Plain | Method::Gss => Ok(()),
    }
}

async fn encrypt_with_tls(methods: &mut Methods, means: &Means<'_>) -> Result<(), Miss> {
    let Some(tls) = means.tls else {
        return Err(Miss::Refused(Error::misuse(
            "TLS is wanted, but the plan does not say how it is done: give it `tls`, or `sslmode=disable`",
        )));
    };
    if !tls.direct && !request(methods).await? {
        return Ok(());
    }
    let facts = secure(tls, means.host).await?;
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
    let answered = with(|state| {
        state.trace_answer("SSLResponse", answered);
        ssl_answer(answered)
    });
    let refused = |text: &'static str| Err(Miss::Address(Error::transport(text)));
    match answered {
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

    pub(super) fn trace_answer(&mut self, request: &'static str, answered: u8) {
        if let Some(trace) = &mut self.trace
            && matches!(answered, b'S' | b'G' | b'N')
        {
            trace.answer(request, answered);
        }
    }
}
