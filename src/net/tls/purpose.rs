//! What a certificate may be used for, and when: a TLS server's, and those of its issuers, as OpenSSL looks at them. Knows one at a time.

use x509_parser::extensions::ParsedExtension;

use crate::net::tls::certificate::Certificate;
use crate::net::tls::problem::Problem;
use crate::net::tls::signature;

/// Whether it may be a TLS server's.
pub(super) fn check_server(leaf: &Certificate<'_>) -> Result<(), Problem> {
    let is_fit = leaf.extensions().all(|extension| match extension {
        ParsedExtension::ExtendedKeyUsage(uses) => uses.server_auth,
        ParsedExtension::KeyUsage(uses) => {
            uses.digital_signature() || uses.key_encipherment() || uses.key_agreement()
        }
        ParsedExtension::NSCertType(kinds) => kinds.ssl_server(),
        _ => true,
    });
    if leaf.has_unknown_critical() {
        Err(Problem::of("unhandled critical extension", leaf))
    } else if !is_fit {
        Err(Problem::of("unsuitable certificate purpose", leaf))
    } else if signature::is_small(leaf.parts().public_key()) {
        Err(Problem::of("EE certificate key too weak", leaf))
    } else {
        Ok(())
    }
}

/// Whether it may have issued a server's certificate, with so many CAs in between.
pub(super) fn check_issuer(issuer: &Certificate<'_>, below: u32) -> Result<(), Problem> {
    // Older than the extension that says so.
    let mut is_ca = issuer.is_old() && issuer.is_self_issued();
    let mut may_sign = true;
    let mut is_for_servers = true;
    let mut limit = None;
    for extension in issuer.extensions() {
        match extension {
            ParsedExtension::BasicConstraints(basic) => {
                (is_ca, limit) = (basic.ca, basic.path_len_constraint);
            }
            ParsedExtension::KeyUsage(uses) => may_sign = uses.key_cert_sign(),
            ParsedExtension::ExtendedKeyUsage(uses) => is_for_servers = uses.server_auth,
            _ => {}
        }
    }
    if issuer.has_unknown_critical() {
        Err(Problem::of("unhandled critical extension", issuer))
    } else if !may_sign || !is_ca {
        Err(Problem::of("invalid CA certificate", issuer))
    } else if !is_for_servers {
        Err(Problem::of("unsuitable certificate purpose", issuer))
    } else if limit.is_some_and(|limit| below > limit) {
        Err(Problem::of("path length constraint exceeded", issuer))
    } else {
        Ok(())
    }
}

pub(super) fn check_times(certificate: &Certificate<'_>, now: i64) -> Result<i64, Problem> {
    let validity = certificate.parts().validity();
    if now < validity.not_before.timestamp() {
        Err(Problem::of("certificate is not yet valid", certificate))
    } else if now > validity.not_after.timestamp() {
        Err(Problem::of("certificate has expired", certificate))
    } else {
        Ok(validity.not_after.timestamp())
    }
}
