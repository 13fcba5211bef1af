//! Answers a server that asks for the client's certificate. Knows what there is to send, and tells that it was asked.

use std::cell::Cell;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

/// What the client sends. Whom the server would like it from is not looked at: libpq sends it whoever issued it.
#[derive(Debug)]
pub(super) struct ClientCertificate(pub(super) Option<Arc<CertifiedKey>>);

/// That a server has asked for a certificate, and whether one was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Requested {
    pub(super) was_sent: bool,
}

thread_local! {
    /// What the handshake that this thread is at was asked. Several connections share what answers, as only then rustls lets them
    /// resume each other's sessions, so it cannot be kept there.
    static REQUESTED: Cell<Option<Requested>> = const { Cell::new(None) };
}

/// What has been asked since the last call, on this thread.
pub(super) fn requested() -> Option<Requested> {
    REQUESTED.take()
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let fit = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        let key = self.0.as_ref().filter(fit);
        REQUESTED.set(Some(Requested {
            was_sent: key.is_some(),
        }));
        key.cloned()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}
