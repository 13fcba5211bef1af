//! What stands between the caller's bytes and the raw transport: TLS or GSSAPI. Knows neither.
#![forbid(unsafe_code)]

use std::ffi::c_void;

use crate::link::{Answer, AskId};
use crate::net::gss::{self, Handshake};
use crate::net::raw::Raw;
use crate::net::room::Room;
use crate::net::{Alive, Interest, Received, Sent, tls};

/// A filter of bytes: encrypted below, plain above.
#[derive(Debug)]
pub(super) enum Filter {
    Tls(Box<tls::Filter>),
    Gss(Box<gss::Filter>),
}

/// Does the same to either.
macro_rules! either {
    ($filter:expr, $name:ident => $what:expr) => {
        match $filter {
            Filter::Tls($name) => $what,
            Filter::Gss($name) => $what,
        }
    };
}

/// What a handshake came to.
pub(super) enum Shaken {
    /// It waits for the transport.
    Waits,
    /// A helper has to take a step of it.
    Steps(Box<gss::Exchange>, Vec<u8>),
    /// It is over.
    Answered(Answer),
}

impl Filter {
    /// Whose handshake is under way.
    pub(super) fn asked(&self) -> Option<AskId> {
        either!(self, filter => filter.asked())
    }

    /// What the handshake waits for.
    pub(super) fn interest(&self) -> Interest {
        either!(self, filter => filter.interest())
    }

    /// Goes on with the handshake.
    pub(super) fn shake_hands(&mut self, raw: &mut Raw) -> Shaken {
        match self {
            Filter::Tls(filter) => match filter.shake_hands(raw) {
                None => Shaken::Waits,
                Some(Ok(facts)) => Shaken::Answered(Answer::Secured(facts)),
                Some(Err(error)) => Shaken::Answered(Answer::Failed(error)),
            },
            Filter::Gss(filter) => match filter.shake_hands(raw) {
                Handshake::Waits => Shaken::Waits,
                Handshake::Steps(exchange, token) => Shaken::Steps(exchange, token),
                Handshake::Done => Shaken::Answered(Answer::GssSecured),
                Handshake::Failed(error) => Shaken::Answered(Answer::Failed(error)),
            },
        }
    }

    /// Takes what the helper's step came to.
    pub(super) fn spoken(&mut self, spoken: gss::Spoken) {
        if let Filter::Gss(filter) = self {
            filter.spoken(spoken);
        }
    }

    /// Receives plaintext.
    pub(super) fn receive(&mut self, raw: &mut Raw, room: Room<'_>) -> Received {
        either!(self, filter => filter.receive(raw, room))
    }

    /// Encrypts and sends. So many bytes count as sent when they have gone out whole: until then the same bytes come again.
    pub(super) fn send(&mut self, raw: &mut Raw, bytes: &[u8]) -> Sent {
        either!(self, filter => filter.send(raw, bytes))
    }

    /// Sends what is encrypted and not sent: all of it is gone at `Bytes`.
    pub(super) fn flush(&mut self, raw: &mut Raw) -> Sent {
        either!(self, filter => filter.flush(raw))
    }

    /// Bytes of the caller's that wait to be sent encrypted.
    pub(super) fn owed(&self) -> usize {
        either!(self, filter => filter.owed())
    }

    /// Whether something encrypted waits to be sent.
    pub(super) fn has_unsent(&self) -> bool {
        either!(self, filter => filter.has_unsent())
    }

    /// Whether receiving gives something without a look at the transport.
    pub(super) fn has_input(&self) -> bool {
        either!(self, filter => filter.has_input())
    }

    /// Whether there is input, or the transport may have had more when it was looked at last.
    pub(super) fn has_more(&self) -> bool {
        either!(self, filter => filter.has_more())
    }

    /// What is known without asking the peer.
    pub(super) fn look(&self, raw: &Raw) -> Alive {
        either!(self, filter => filter.look(raw))
    }

    /// Says goodbye, if that can be done at once.
    pub(super) fn close(&mut self, raw: &mut Raw) {
        match self {
            Filter::Tls(filter) => filter.close(raw),
            Filter::Gss(filter) => {
                filter.flush(raw);
            }
        }
    }

    /// `gss_ctx_id_t`, or NULL.
    pub(super) fn gss_context(&self) -> *mut c_void {
        match self {
            Filter::Tls(_) => std::ptr::null_mut(),
            Filter::Gss(filter) => filter.pointer(),
        }
    }
}
