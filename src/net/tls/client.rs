//! Answers a server that asks for the client's certificate. Knows what there is to send, and remembers that it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

/// What the client sends. Whom the server would like it from is not looked at: libpq sends it whoever issued it.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    key: Option<Arc<CertifiedKey>>,
    was_requested: AtomicBool,
    was_sent: AtomicBool,
}

impl ClientCertificate {
    pub(super) fn new(key: Option<Arc<CertifiedKey>>) -> ClientCertificate {
        ClientCertificate {
            key,
            was_requested: AtomicBool::new(false),
            was_sent: AtomicBool::new(false),
        }
    }

    /// A server has asked for it.
    pub(super) fn was_requested(&self) -> bool {
        self.was_requested.load(Ordering::Relaxed)
    }

    /// It was sent.
    pub(super) fn was_sent(&self) -> bool {
        self.was_sent.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(
        &self,
        _root_hint_subjects: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.was_requested.store(true, Ordering::Relaxed);
        let key = self.key.as_ref()?;
        key.key.choose_scheme(schemes)?; // without one nothing is sent
        self.was_sent.store(true, Ordering::Relaxed);
        Some(key.clone())
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}
