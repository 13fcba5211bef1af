//! GSSAPI: what talks to others and so runs on a thread of its own. Knows exchanges of tokens, no packets.
#![forbid(unsafe_code)]

mod filter;

use std::ffi::c_void;
use std::fmt;

pub(super) use filter::{Filter, Handshake};

use crate::link::{GssPeer, LinkError, LinkErrorKind};
use crate::net::gss_sys::{self, Context, Step, flags};

/// What an exchange is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Who we are is all that it says.
    Authentication,
    /// It ends with keys.
    Encryption,
}

impl Purpose {
    fn flags(self) -> u32 {
        match self {
            Purpose::Authentication => flags::MUTUAL,
            Purpose::Encryption => {
                flags::MUTUAL
                    | flags::REPLAY
                    | flags::SEQUENCE
                    | flags::CONFIDENTIALITY
                    | flags::INTEGRITY
            }
        }
    }

    /// libpq's words for what fails.
    fn failure(self) -> &'static str {
        match self {
            Purpose::Authentication => "GSSAPI continuation error",
            Purpose::Encryption => "could not initiate GSSAPI security context",
        }
    }
}

/// An exchange with one peer, and what it has established.
pub(super) struct Exchange {
    peer: GssPeer,
    purpose: Purpose,
    context: Option<Context>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("peer", &self.peer)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// An exchange after a step, and what that came to.
pub(super) type Spoken = (Box<Exchange>, Result<Step, LinkError>);

/// Whether there are credentials to begin an exchange with. **May wait for others.**
pub(super) fn find_credentials() -> Result<(), LinkError> {
    let library = gss_sys::library().map_err(missing)?;
    match library.has_credentials() {
        true => Ok(()),
        false => Err(failed("no credential cache".to_owned())),
    }
}

/// What is known without a thread: that there is no library.
pub(super) fn is_missing() -> Option<LinkError> {
    gss_sys::is_missing().map(missing)
}

impl Exchange {
    /// One that is about to begin.
    pub(super) fn new(peer: GssPeer, purpose: Purpose) -> Box<Self> {
        Box::new(Self {
            peer,
            purpose,
            context: None,
        })
    }

    /// The next step, with what the peer has said to the last one. **Waits for the KDC.**
    pub(super) fn step(mut self: Box<Self>, token: &[u8]) -> Spoken {
        let stepped = self.try_step(token);
        (self, stepped)
    }

    fn try_step(&mut self, token: &[u8]) -> Result<Step, LinkError> {
        let context = match &mut self.context {
            Some(context) => context,
            none => {
                let library = gss_sys::library().map_err(missing)?;
                let context = Context::new(library, &self.peer.name)
                    .map_err(|words| failed(format!("GSSAPI name import error{words}")))?;
                none.insert(context)
            }
        };
        let delegation = match self.peer.delegates {
            true => flags::DELEGATION,
            false => 0,
        };
        let purpose = self.purpose;
        context
            .step(purpose.flags() | delegation, token)
            .map_err(|words| failed(format!("{}{words}", purpose.failure())))
    }

    /// `gss_ctx_id_t`; NULL before the first step.
    pub(super) fn pointer(&self) -> *mut c_void {
        let context = self.context.as_ref();
        context.map_or(std::ptr::null_mut(), Context::pointer)
    }
}

#[cold]
fn missing(why: &str) -> LinkError {
    LinkError {
        kind: LinkErrorKind::GssMissing,
        errno: 0,
        text: why.to_owned(),
    }
}

#[cold]
fn failed(text: String) -> LinkError {
    LinkError {
        kind: LinkErrorKind::Gss,
        errno: 0,
        text,
    }
}
