//! Decides whether a server is the one that was meant. Knows certificates and libpq's rules for them, and no connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, PeerMisbehaved, SignatureScheme,
};

use crate::conninfo::tls::{Tls, Verify};
use crate::link::LinkError;
use crate::net::tls::certificate::Certificate;
use crate::net::tls::path::{self, Evidence};
use crate::net::tls::problem::Problem;
use crate::net::tls::revoked::RevocationList;
use crate::net::tls::signature::{self, Wrong};
use crate::net::tls::{names, trust};

/// The check of a server's certificate, as the options want it.
#[derive(Debug)]
pub(super) struct Verifier {
    verify: Verify,
    /// As the user wrote it.
    host: Vec<u8>,
    trusted: Vec<Vec<u8>>,
    revocations: Option<Vec<Vec<u8>>>,
    until: AtomicI64,
}

/// Why a server's certificate is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// It does not come from whom we trust, or should not be used: `certificate verify failed`.
    #[error("{0}")]
    Certificate(Problem),
    /// It is another host's; the text is whole.
    #[error("{0}")]
    Host(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(refusal))))
    }
}

impl Verifier {
    /// The check for `host` as the user wrote it.
    pub(super) fn new(tls: &Tls, host: &[u8]) -> Result<Verifier, LinkError> {
        let trusted = trust::roots(&tls.roots)?;
        Ok(Verifier {
            verify: tls.verify,
            host: host.to_vec(),
            revocations: trust::revocations(tls)?,
            trusted,
            until: AtomicI64::new(i64::MAX),
        })
    }

    /// Until when, in seconds since 1970, what was found of the servers so far stays true: a certificate or a revocation list ends then.
    pub(super) fn until(&self) -> i64 {
        self.until.load(Ordering::Relaxed)
    }

    fn check(
        &self,
        leaf: &[u8],
        sent: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refusal> {
        if self.verify == Verify::Nothing {
            return Ok(());
        }
        let malformed = |_| Refusal::Certificate(Problem::new("the certificate is malformed"));
        let leaf = Certificate::read(leaf).map_err(malformed)?;
        // What cannot be read cannot help, and does not harm.
        let read = |der| Certificate::read(der).ok();
        let trusted: Vec<_> = self.trusted.iter().filter_map(|der| read(der)).collect();
        let sent: Vec<_> = sent.iter().filter_map(|der| read(der)).collect();
        let lists: Option<Vec<_>> = self.revocations.as_ref().map(|lists| {
            let read = |der| RevocationList::read(der).ok();
            lists.iter().filter_map(|der| read(der)).collect()
        });
        let evidence = Evidence {
            trusted: &trusted,
            sent: &sent,
            revocations: lists.as_deref(),
            now: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
        };
        let until = path::check(&leaf, &evidence).map_err(Refusal::Certificate)?;
        if self.verify == Verify::Host {
            names::check(&leaf, &self.host).map_err(Refusal::Host)?;
        }
        self.until.fetch_min(until, Ordering::Relaxed);
        Ok(())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.check(end_entity, intermediates, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(refusal) => Err(refusal.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_handshake(message, cert, dss, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        check_handshake(message, cert, dss, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        signature::schemes()
    }
}

/// That the server has the key of its certificate: checked whatever else is not.
fn check_handshake(
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
    is_tls13: bool,
) -> Result<HandshakeSignatureValid, Error> {
    let certificate = Certificate::read(cert)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))?;
    match signature::check_handshake(
        message,
        certificate.parts().public_key(),
        dss.scheme,
        dss.signature(),
        is_tls13,
    ) {
        Ok(()) => Ok(HandshakeSignatureValid::assertion()),
        Err(Wrong::Bad) => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
        Err(Wrong::SmallKey) => {
            let problem = Problem::of("EE certificate key too weak", &certificate);
            Err(Refusal::Certificate(problem).into())
        }
        Err(Wrong::Unsupported | Wrong::Weak) => {
            Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into())
        }
    }
}
