//! The client's own certificate and key: reads them in all the forms that libpq takes. Knows forms, and no handshake.

use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use rustls::sign::{CertifiedKey, SigningKey};
use zeroize::Zeroizing;

use crate::conninfo::tls::Identity;
use crate::link::LinkError;
use crate::net::tls::asn1::{Reader, tag};
use crate::net::tls::certificate::Certificate;
use crate::net::tls::config::setup_error;
use crate::net::tls::decrypt;
use crate::net::tls::pem;
use crate::net::tls::problem::printable;
use crate::net::tls::trust;

/// Reads both, and sees that they belong together.
pub(super) fn load(identity: &Identity) -> Result<Arc<CertifiedKey>, LinkError> {
    let chain = trust::certificates(&identity.certificate.content).map_err(|why| {
        let path = printable(&identity.certificate.path);
        // For a file without any, OpenSSL has other words here than for one of roots.
        let why = if why == trust::NO_CERTIFICATE {
            "no start line"
        } else {
            why
        };
        setup_error(format!("could not read certificate file \"{path}\": {why}"))
    })?;
    let path = printable(&identity.key_path);
    let password = identity.password.as_ref().map(|password| password.expose());
    let key = read(identity.key.expose(), password)
        .map_err(|why| setup_error(format!("could not load private key file \"{path}\": {why}")))?;
    if !is_pair(chain.first().map_or(&[], Vec::as_slice), &*key) {
        return Err(setup_error(format!(
            "could not load private key file \"{path}\": key values mismatch"
        )));
    }
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

/// Whether a certificate is for a key.
fn is_pair(certificate: &[u8], key: &dyn SigningKey) -> bool {
    let Ok(certificate) = Certificate::read(certificate) else {
        return false;
    };
    key.public_key()
        .is_some_and(|public| public.as_ref() == certificate.key.whole)
}

/// The forms of a key that is not encrypted.
#[derive(Clone, Copy)]
enum Form {
    Pkcs8,
    Pkcs1,
    Sec1,
}

/// Reads a key, PEM or DER.
pub(super) fn read(content: &[u8], password: Option<&[u8]>) -> Result<Arc<dyn SigningKey>, String> {
    if !pem::is_pem(content) {
        return read_der(content, password);
    }
    for block in pem::blocks(content) {
        let Ok(block) = block else {
            return Err(String::from("bad base64 decode"));
        };
        let bytes: &[u8] = &block.bytes;
        let old = |form| -> Result<Arc<dyn SigningKey>, String> {
            match block.encryption {
                None => sign(form, bytes),
                Some(how) => {
                    let plain = decrypt::old_pem(how, bytes, wanted(password)?)?;
                    sign(form, &plain).map_err(|_| String::from(BAD_DECRYPT))
                }
            }
        };
        match block.label {
            b"ENCRYPTED PRIVATE KEY" => return read_encrypted(bytes, password),
            b"PRIVATE KEY" => return sign(Form::Pkcs8, bytes),
            b"RSA PRIVATE KEY" => return old(Form::Pkcs1),
            b"EC PRIVATE KEY" => return old(Form::Sec1),
            b"DSA PRIVATE KEY" => return Err(String::from(UNSUPPORTED)),
            _ => {}
        }
    }
    Err(String::from("no start line: there is no private key in it"))
}

/// DER does not say what it is: each form begins in a way of its own.
fn read_der(content: &[u8], password: Option<&[u8]>) -> Result<Arc<dyn SigningKey>, String> {
    let form = || {
        let mut inside = Reader::new(content).sequence().ok()?;
        let first = inside.element().ok()?;
        let second = inside.element().ok()?;
        Some(((first.tag, first.value), second.tag))
    };
    match form() {
        Some(((tag::SEQUENCE, _), tag::OCTET_STRING)) => read_encrypted(content, password),
        Some(((tag::INTEGER, _), tag::SEQUENCE)) => sign(Form::Pkcs8, content),
        Some(((tag::INTEGER, [0]), tag::INTEGER)) => sign(Form::Pkcs1, content),
        Some(((tag::INTEGER, [1]), tag::OCTET_STRING)) => sign(Form::Sec1, content),
        _ => Err(String::from(
            "no start line: it is neither PEM nor a key in DER",
        )),
    }
}

fn read_encrypted(bytes: &[u8], password: Option<&[u8]>) -> Result<Arc<dyn SigningKey>, String> {
    let plain = decrypt::pkcs8(bytes, wanted(password)?)?;
    sign(Form::Pkcs8, &plain).map_err(|why| match Reader::new(&plain).sequence() {
        Ok(_) => why, // it is a key, of a kind that cannot be used
        Err(_) => String::from(BAD_DECRYPT),
    })
}

fn sign(form: Form, bytes: &[u8]) -> Result<Arc<dyn SigningKey>, String> {
    let der = match form {
        Form::Pkcs8 => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(bytes)),
        Form::Pkcs1 => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(bytes)),
        Form::Sec1 => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(bytes)),
    };
    any_supported_type(&der).map_err(|_| String::from(UNSUPPORTED))
}

fn wanted(password: Option<&[u8]>) -> Result<&[u8], String> {
    password.ok_or_else(|| {
        String::from("processing error: the key is encrypted; give its password as sslpassword")
    })
}

/// A key, wiped after use.
pub(super) type Plain = Zeroizing<Vec<u8>>;

/// What OpenSSL says of a wrong password.
pub(super) const BAD_DECRYPT: &str = "bad decrypt";

const UNSUPPORTED: &str = "unsupported: RSA keys of 2048 to 4096 bits, ECDSA keys on P-256 or P-384, and Ed25519 keys can be used";
