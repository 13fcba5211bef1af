//! What the user trusts: root certificates and revocation lists, out of files that were read before. Knows their forms, not their use.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};

use crate::conninfo::tls::{Roots, Tls};
use crate::link::LinkError;
use crate::net::tls::certificate::Certificate;
use crate::net::tls::config::setup_error;
use crate::net::tls::problem::printable;
use crate::net::tls::revoked::RevocationList;

/// The root certificates, and others that the file has.
pub(super) fn roots(roots: &Roots) -> Result<Vec<Vec<u8>>, LinkError> {
    match roots {
        Roots::None => Ok(Vec::new()),
        Roots::System => system_roots(),
        Roots::File(file) => {
            let read = certificates(&file.content);
            read.map_err(|why| {
                setup_error(format!(
                    "could not read root certificate file \"{}\": {why}",
                    printable(&file.path)
                ))
            })
        }
    }
}

/// What the operating system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` say otherwise, as they do to OpenSSL.
fn system_roots() -> Result<Vec<Vec<u8>>, LinkError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map_or_else(
            || String::from("none were found; install them (ca-certificates), or name a file in sslrootcert"),
            ToString::to_string,
        );
        return Err(setup_error(format!(
            "could not load system root certificate paths: {why}"
        )));
    }
    let ders = found.certs.into_iter().map(|der| der.as_ref().to_vec());
    Ok(ders.filter(|der| Certificate::read(der).is_ok()).collect())
}

/// What OpenSSL says of a file without certificates.
pub(super) const NO_CERTIFICATE: &str = "no certificate or crl found";

/// The certificates of a file, PEM or one in DER. There is at least one.
pub(super) fn certificates(content: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let found = ders::<CertificateDer<'static>>(content).map_err(|_| "bad base64 decode")?;
    if found.is_empty() {
        return Err(NO_CERTIFICATE);
    }
    if found.iter().any(|der| Certificate::read(der).is_err()) {
        return Err("a certificate in it is malformed");
    }
    Ok(found)
}

/// The revocation lists, if certificates are checked for it: also those in the file of root certificates, as libpq has them.
pub(super) fn revocations(tls: &Tls) -> Result<Option<Vec<Vec<u8>>>, LinkError> {
    if !tls.check_revocation {
        return Ok(None);
    }
    let mut lists = Vec::new();
    if let Roots::File(file) = &tls.roots {
        lists = ders::<CertificateRevocationListDer<'static>>(&file.content).unwrap_or_default();
    }
    for file in &tls.revocations {
        let found = ders::<CertificateRevocationListDer<'static>>(&file.content);
        let found = found.unwrap_or_default();
        if found.iter().any(|der| RevocationList::read(der).is_err()) {
            return Err(setup_error(format!(
                "could not read certificate revocation list file \"{}\": a list in it is malformed",
                printable(&file.path)
            )));
        }
        lists.extend(found);
    }
    Ok(Some(lists))
}

/// What a PEM file has of a kind, or the whole file if it looks like DER.
fn ders<T: PemObject + AsRef<[u8]>>(content: &[u8]) -> Result<Vec<Vec<u8>>, pem::Error> {
    if content.first() == Some(&DER) {
        return Ok(vec![content.to_vec()]);
    }
    T::pem_slice_iter(content)
        .map(|found| Ok(found?.as_ref().to_vec()))
        .collect()
}

/// How every certificate, list and key begins.
const DER: u8 = 0x30;
