//! What the engine asks of the outside world, and the answers: names, sockets, encryption, credentials.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::filter::{Filter, Shaken};
use super::gss::{self, Exchange, Purpose, Spoken};
use super::raw::Raw;
use super::tls::{self, Setup};
use super::work::{self, Work};
use super::{Net, forked, sys};
use crate::conninfo::Tls;
use crate::link::{Addr, Answer, Ask, AskId, GssPeer, LinkError, LinkErrorKind, Peer};

impl Net {
    /// Begins what is asked. What went before is over: an earlier ask with its answer, and the transport unless it is to be secured.
    ///
    /// What can be answered at once is answered by the next [`Net::answer`]: call that before waiting.
    pub fn ask(&mut self, id: AskId, ask: Ask) {
        if self.is_forked() && ask != Ask::Hangup {
            self.let_go();
            self.work = Some(Box::new(Work::answered(id, Answer::Failed(forked()))));
            return;
        }
        match ask {
            Ask::Secure { tls, host } => self.secure(id, &tls, &host),
            Ask::FindCredentials if self.raw.as_ref().is_some_and(Raw::is_given) => {
                self.work = match self.pump_mut() {
                    None => Work::begin(id, Ask::FindCredentials).map(Box::new),
                    Some(_) => Some(Box::new(Work::answered(id, Answer::Failed(unwatchable())))),
                };
                self.generation += 1;
            }
            Ask::FindCredentials if self.looks_at_once => {
                self.hangup();
                let found = gss::find_credentials();
                let answer = found.map_or_else(Answer::Failed, |()| Answer::CredentialsFound);
                self.work = Some(Box::new(Work::answered(id, answer)));
            }
            Ask::SecureWithGss { peer } => self.secure_with_gss(id, peer),
            Ask::GssToken { peer, token } => self.speak(id, peer, token),
            Ask::Dial {
                addr: Addr::Given,
                want_peer,
                ..
            } if self.raw.as_ref().is_some_and(Raw::is_given) => self.take_given(id, want_peer),
            ask => {
                self.hangup();
                self.work = Work::begin(id, ask).map(Box::new);
                self.generation += u64::from(self.fd().is_some());
            }
        }
    }

    /// Begins TLS on the connected transport.
    fn secure(&mut self, id: AskId, tls: &Arc<Tls>, host: &[u8]) {
        if self.raw.is_none() {
            self.work = Some(Box::new(Work::answered(id, work::unanswerable())));
            return;
        }
        match Setup::at_once(tls, host) {
            Some(setup) => self.begin_handshake(id, setup),
            // Over memory there is no descriptor that the caller's loop could watch meanwhile.
            None if self.pump_mut().is_some() => {
                self.begin_handshake(id, Setup::new(tls, host));
            }
            None => {
                self.work = Some(Box::new(Work::prepare(id, tls, host)));
                self.generation += 1;
            }
        }
    }

    fn begin_handshake(&mut self, id: AskId, setup: Result<Setup, LinkError>) {
        match setup.and_then(|setup| tls::Filter::begin(id, setup)) {
            Ok(filter) => {
                self.filter = Some(Filter::Tls(Box::new(filter)));
                self.holds = true;
            }
            Err(error) => {
                self.hangup();
                self.work = Some(Box::new(Work::answered(id, Answer::Failed(error))));
            }
        }
    }

    /// Begins GSSAPI encryption on the connected transport.
    fn secure_with_gss(&mut self, id: AskId, peer: GssPeer) {
        if self.raw.is_none() || self.pump_mut().is_some() {
            self.hangup();
            self.work = Some(Box::new(Work::answered(id, Answer::Failed(unwatchable()))));
            return;
        }
        let filter = gss::Filter::begin(id, peer);
        self.filter = Some(Filter::Gss(Box::new(filter)));
        self.holds = true;
    }

    /// Goes on with the exchange of an authentication, or begins one; the transport is left alone.
    fn speak(&mut self, id: AskId, peer: GssPeer, token: Vec<u8>) {
        let work = match self.pump_mut() {
            Some(_) => Work::answered(id, Answer::Failed(unwatchable())),
            None => {
                let exchange = self.gss.take();
                let begun =
                    exchange.unwrap_or_else(|| Exchange::new(peer, Purpose::Authentication));
                Work::speak(id, begun, token)
            }
        };
        self.work = Some(Box::new(work));
        self.generation += 1;
    }

    /// Takes what a step of an exchange came to, in a handshake or else in an authentication.
    fn spoken(&mut self, id: AskId, spoken: Result<Spoken, LinkError>) -> Option<(AskId, Answer)> {
        let handshake = self.filter.as_mut();
        let handshake = handshake.filter(|filter| filter.asked() == Some(id));
        match (spoken, handshake) {
            (Ok(spoken), Some(filter)) => {
                filter.spoken(spoken);
                self.shake_hands(id)
            }
            (Ok((exchange, Ok(step))), None) => {
                self.gss = Some(exchange);
                let (token, complete) = (step.token, step.complete);
                Some((id, Answer::GssToken { token, complete }))
            }
            (Ok((_, Err(error))) | Err(error), _) => {
                self.hangup();
                Some((id, Answer::Failed(error)))
            }
        }
    }

    /// The caller's transport, which is connected already, and is there once.
    fn take_given(&mut self, id: AskId, want_peer: bool) {
        let work = match self.raw.take().map(Raw::taken) {
            Some(Raw::Socket(socket)) if want_peer && sys::is_unix(socket.as_fd()) => {
                Work::name_peer(id, socket)
            }
            raw => {
                self.raw = raw;
                Work::answered(id, Answer::Dialled(Peer::default()))
            }
        };
        self.work = Some(Box::new(work));
    }

    /// Makes what progress there is, and gives the answer once it is there. A call too many does no harm.
    pub fn answer(&mut self) -> Option<(AskId, Answer)> {
        let before = self.fd();
        if let Some(id) = self.asked() {
            if self.is_forked() {
                self.let_go();
                return Some((id, Answer::Failed(forked())));
            }
            let work = self.work.as_mut();
            if let Some(setup) = work.and_then(|work| work.prepared(&mut self.retired)) {
                self.work = None;
                self.begin_handshake(id, setup);
                self.generation += u64::from(self.fd() != before);
            }
            let work = self.work.as_mut();
            if let Some(spoken) = work.and_then(|work| work.spoken(&mut self.retired)) {
                self.work = None;
                let answer = self.spoken(id, spoken);
                self.generation += u64::from(self.fd() != before);
                return answer;
            }
            if self.work.is_none() {
                let answer = self.shake_hands(id);
                self.generation += u64::from(self.fd() != before);
                return answer;
            }
        }
        let work = self.work.as_mut()?;
        let id = work.id();
        let done = work.advance(&mut self.retired).map(|(answer, socket)| {
            self.work = None;
            if let Some(socket) = socket {
                self.raw = Some(Raw::Socket(socket));
            }
            (id, answer)
        });
        self.generation += u64::from(self.fd() != before);
        done
    }

    /// Whose answer is to come.
    fn asked(&self) -> Option<AskId> {
        match (&self.work, &self.filter) {
            (Some(work), _) => Some(work.id()),
            (None, Some(filter)) => filter.asked(),
            (None, None) => None,
        }
    }

    fn shake_hands(&mut self, id: AskId) -> Option<(AskId, Answer)> {
        let (Some(raw), Some(filter)) = (&mut self.raw, &mut self.filter) else {
            return None;
        };
        match filter.shake_hands(raw) {
            Shaken::Waits => None,
            Shaken::Steps(exchange, token) => {
                self.work = Some(Box::new(Work::speak(id, exchange, token)));
                None
            }
            Shaken::Answered(answer) => {
                if let Answer::Failed(_) = answer {
                    self.hangup();
                }
                Some((id, answer))
            }
        }
    }
}

/// A step of GSSAPI is taken by a helper, and over memory there is no descriptor that the caller's loop could watch meanwhile.
#[cold]
fn unwatchable() -> LinkError {
    LinkError {
        kind: LinkErrorKind::GssMissing,
        errno: 0,
        text: String::from(
            "GSSAPI is not there for bytes that the caller carries: give a descriptor",
        ),
    }
}
