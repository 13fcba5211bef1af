//! GSSAPI (manual, "GSSAPI Session Encryption" and "Start-up"): when it is tried, its negotiation on a fresh transport, and the
//! exchange of an authentication. The tokens are the net's business.

use super::connect::Miss;
use super::encrypt::{Means, Method, Methods};
use super::facts::Phase;
use super::state::State;
use super::wait::{Stop, answer, byte, with};
use crate::conninfo::{GssEncMode, Host, Plan};
use crate::error::Error;
use crate::link::{Addr, Answer, Ask, GssPeer, LinkError, LinkErrorKind};
use crate::wire::frame::{EncryptionAnswer, gss_answer};
use crate::wire::{GSSENCRequest, GSSResponse};

/// The methods of encryption for an address. Whether GSSAPI is one of them depends on whether there are credentials for it.
pub(super) async fn methods(plan: &Plan, addr: &Addr) -> Result<Methods, Miss> {
    let required = plan.gssencmode == GssEncMode::Require;
    let refused = |text: String| Err(Miss::Refused(Error::transport(text)));
    let credentials = match (plan.gssencmode, addr) {
        (GssEncMode::Disable, _) => false,
        (GssEncMode::Require, Addr::Unix(_)) => {
            return refused(
                "GSSAPI encryption required but it is not supported over a local socket".into(),
            );
        }
        // What was given cannot be dialled again when it fails: it is not put at risk for what is only preferred.
        (GssEncMode::Prefer, Addr::Unix(_) | Addr::Given) => false,
        _ => match find_credentials(addr).await? {
            Ok(()) => true,
            Err(error) if !required || error.kind == LinkErrorKind::Forked => false,
            Err(error) if error.kind == LinkErrorKind::GssMissing => {
                return refused(format!(
                    "gssencmode value \"require\" invalid when there is no GSSAPI support: {}",
                    error.text
                ));
            }
            Err(_) => {
                return refused("GSSAPI encryption required but no credential cache".into());
            }
        },
    };
    Ok(Methods::of(plan, addr, credentials))
}

async fn find_credentials(addr: &Addr) -> Result<Result<(), LinkError>, Miss> {
    with(|state| {
        state.begin_attempt(addr.clone(), Phase::Credentials);
        state.ask(Ask::FindCredentials);
    });
    match answer("credentials for GSSAPI").await? {
        Answer::CredentialsFound => Ok(Ok(())),
        Answer::Failed(error) => Ok(Err(error)),
        _ => Err(unanswered()),
    }
}

/// With whom GSSAPI is spoken: the service at `host`, else at `hostaddr`.
pub(super) fn peer(plan: &Plan, host: &Host) -> GssPeer {
    let place = match (&host.name[..], &host.hostaddr) {
        ([], Some(address)) => address,
        (name, _) => name,
    };
    GssPeer::new(&plan.krbsrvname, place, plan.gssdelegation)
}

/// Encrypts if the server does; false when it does not, and the same transport goes on with the next method.
pub(super) async fn encrypt(methods: &mut Methods, means: &Means<'_>) -> Result<bool, Miss> {
    with(State::request_gss_encryption)?;
    let answered = byte("the server's answer to GSSENCRequest").await?;
    let answered = with(|state| {
        state.trace_answer("GSSENCResponse", answered);
        gss_answer(answered)
    });
    let refused = |text: &'static str| Err(Miss::Address(Error::transport(text)));
    let unencrypted = |text: &'static str| Err(Miss::Unencrypted(Error::transport(text)));
    match answered {
        // What has come with the answer came in clear: it may be anybody's.
        Ok(EncryptionAnswer::Accepted) if with(|state| state.input.unread()) > 0 => {
            refused("received unencrypted data after GSSAPI encryption response")
        }
        Ok(EncryptionAnswer::Accepted) => {
            secure(means).await?;
            Ok(true)
        }
        Ok(EncryptionAnswer::Refused) => {
            // TLS that begins without a request needs a transport that nothing was said on.
            let direct = means.tls.is_some_and(|tls| tls.direct);
            match methods.next() {
                Some(Method::Tls) if direct => Err(Miss::Again),
                Some(_) => Ok(!methods.advance()),
                None => refused("server doesn't support GSSAPI encryption, but it was required"),
            }
        }
        // Its words are not read: nobody knows yet whose they are. It may be one of before version 12, which knows no such request.
        Ok(EncryptionAnswer::Error) => {
            unencrypted("server sent an error response during GSS encryption exchange")
        }
        Err(error) => Err(Miss::Address(Error::transport(error.to_string()))),
    }
}

/// Has the handshake done.
async fn secure(means: &Means<'_>) -> Result<(), Miss> {
    let Some(peer) = means.gss.filter(|peer| peer.has_host()) else {
        return Err(Miss::Unencrypted(no_host()));
    };
    with(|state| {
        state.enter(Phase::SecuringGss);
        // The transport is the handshake's until that is over.
        state.linked = false;
        state.ask(Ask::SecureWithGss { peer: peer.clone() });
    });
    match answer("the GSSAPI handshake").await? {
        Answer::GssSecured => {
            with(|state| {
                state.linked = true;
                state.facts.gss_encrypted = true;
                state.facts.gss_used = true;
            });
            Ok(())
        }
        Answer::Failed(error) if error.kind == LinkErrorKind::Forked => {
            Err(Miss::Final(error.into()))
        }
        Answer::Failed(error) => Err(Miss::Unencrypted(error.into())),
        _ => Err(unanswered()),
    }
}

/// How far the exchange of an authentication is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    #[default]
    NotBegun,
    Begun,
    /// The server has proved itself, too.
    Complete,
}

impl Exchange {
    /// Whether it was begun and is not over.
    pub(super) fn is_open(self) -> bool {
        self == Self::Begun
    }

    /// Takes the step that the server asks for: `token` is what it says to the one before, `None` if it wants the first one.
    pub(super) async fn step(
        &mut self,
        plan: &Plan,
        host: &Host,
        token: Option<Vec<u8>>,
    ) -> Result<(), Miss> {
        let encrypted = with(|state| state.facts.gss_encrypted);
        let problem = match (&token, *self) {
            (None, _) if host.name.is_empty() => Some(no_host()),
            (None, Self::NotBegun) if !encrypted => None,
            (None, _) => Some(Error::transport("duplicate GSS authentication request")),
            (Some(_), Self::NotBegun) => Some(Error::transport(
                "fe_sendauth: invalid authentication request from server: AUTH_REQ_GSS_CONT without AUTH_REQ_GSS",
            )),
            (Some(_), _) => None,
        };
        if let Some(problem) = problem {
            return Err(Miss::Final(problem));
        }
        with(|state| {
            state.linked = false;
            state.ask(Ask::GssToken {
                peer: peer(plan, host),
                token: token.unwrap_or_default(),
            });
        });
        match answer("a step of GSSAPI authentication").await? {
            Answer::GssToken { token, complete } => {
                *self = match complete {
                    true => Self::Complete,
                    false => Self::Begun,
                };
                with(|state| state.send_token(&token, complete))?;
                Ok(())
            }
            Answer::Failed(error) if error.kind == LinkErrorKind::GssMissing => {
                Err(Miss::Final(Error::transport(format!(
                    "GSSAPI authentication not supported: {}",
                    error.text
                ))))
            }
            Answer::Failed(error) => Err(Miss::Final(error.into())),
            _ => Err(unanswered()),
        }
    }
}

#[cold]
fn no_host() -> Error {
    Error::transport("host name must be specified")
}

#[cold]
fn unanswered() -> Miss {
    Miss::Address(Error::transport(
        "internal error: what was asked of GSSAPI was not answered",
    ))
}

impl State {
    fn request_gss_encryption(&mut self) -> Result<(), Stop> {
        self.enter(Phase::NegotiatingGss);
        let before = self.output.buffer().len();
        GSSENCRequest.encode(self.output.buffer())?;
        self.trace_startup(before);
        Ok(())
    }

    fn send_token(&mut self, token: &[u8], complete: bool) -> Result<(), Stop> {
        self.linked = true;
        self.facts.gss_used |= complete;
        if token.is_empty() {
            return Ok(());
        }
        let before = self.output.buffer().len();
        GSSResponse { data: token }.encode(self.output.secret_buffer())?;
        self.trace_authentication(before, "GSSResponse");
        Ok(())
    }
}
