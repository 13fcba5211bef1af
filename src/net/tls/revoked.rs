//! Certificate revocation lists (RFC 5280, section 5), as x509-parser reads them: looks certificates up. Knows no files.
//!
//! As with libpq, once there is a list every certificate of a path must be covered by one, up to and including the trusted end; and a list
//! may be of version 1, which `openssl ca` makes. Webpki does neither.

use x509_parser::extensions::{IssuingDistributionPoint, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::{CertificateRevocationList, RevokedCertificate};

use crate::net::tls::certificate::{Certificate, Malformed};
use crate::net::tls::problem::Problem;
use crate::net::tls::signature;

/// One list.
#[derive(Debug)]
pub(super) struct RevocationList<'a>(CertificateRevocationList<'a>);

impl<'a> RevocationList<'a> {
    /// Reads one; there must be nothing behind it.
    pub(super) fn read(der: &'a [u8]) -> Result<RevocationList<'a>, Malformed> {
        let (rest, list) = CertificateRevocationList::from_der(der).map_err(|_| Malformed)?;
        let is_sound = rest.is_empty()
            && list.signature_algorithm == list.tbs_cert_list.signature
            && list.tbs_cert_list.extensions_map().is_ok()
            && list
                .extensions()
                .iter()
                .all(|extension| extension.parsed_extension().error().is_none());
        is_sound.then_some(RevocationList(list)).ok_or(Malformed)
    }

    fn extensions(&self) -> impl Iterator<Item = &ParsedExtension<'_>> {
        let extensions = self.0.extensions().iter();
        extensions.map(|extension| extension.parsed_extension())
    }

    /// Whether it is about what this certificate is: a server, a CA.
    fn is_about(&self, certificate: &Certificate<'_>) -> bool {
        let is_ca = certificate.parts().is_ca();
        self.0.issuer().as_raw() == certificate.parts().issuer().as_raw()
            && self.extensions().all(|extension| match extension {
                ParsedExtension::IssuingDistributionPoint(point) => covers(point, is_ca),
                _ => true,
            })
    }

    fn may_be_signed_by(&self, issuer: &Certificate<'_>) -> bool {
        self.extensions().all(|extension| match extension {
            ParsedExtension::AuthorityKeyIdentifier(said) => said
                .key_identifier
                .as_ref()
                .is_none_or(|key| issuer.has_key_identifier(key.0)),
            _ => true,
        })
    }

    /// An extension that is critical and not understood: one of them tells of changes to another list only (deltas).
    fn has_unknown_critical(&self) -> bool {
        self.0.extensions().iter().any(|extension| {
            let known = matches!(
                extension.parsed_extension(),
                ParsedExtension::AuthorityKeyIdentifier(_)
                    | ParsedExtension::IssuingDistributionPoint(_)
                    | ParsedExtension::CRLNumber(_)
            );
            extension.critical && !known
        })
    }

    fn from(&self) -> i64 {
        self.0.last_update().timestamp()
    }

    fn until(&self) -> i64 {
        let until = self.0.next_update();
        until.map_or(i64::MAX, |until| until.timestamp())
    }

    fn is_current(&self, now: i64) -> bool {
        self.from() <= now && now <= self.until()
    }

    /// Whether a certificate of its issuer is on it.
    fn has(&self, certificate: &Certificate<'_>) -> Result<bool, Problem> {
        let serial = certificate.parts().raw_serial();
        let mut entries = self.0.iter_revoked_certificates();
        entries
            .find(|entry| entry.raw_serial() == serial)
            .map_or(Ok(false), |entry| is_revoked(entry, certificate))
    }
}

/// Checks each certificate of a path, whose issuer is the next one, and the last one's itself. Returns until when that stays true.
pub(super) fn check(
    path: &[&Certificate<'_>],
    lists: &[RevocationList<'_>],
    now: i64,
) -> Result<i64, Problem> {
    let mut until = i64::MAX;
    for (depth, certificate) in path.iter().enumerate() {
        let issuer = path.get(depth + 1).unwrap_or(certificate);
        let list = list_for(certificate, issuer, lists, now)?;
        if list.has(certificate)? {
            return Err(Problem::of("certificate revoked", certificate));
        }
        until = until.min(list.until());
    }
    Ok(until)
}

/// The newest list of an issuer that is about a certificate.
fn list_for<'l, 'a>(
    certificate: &Certificate<'_>,
    issuer: &Certificate<'_>,
    lists: &'l [RevocationList<'a>],
    now: i64,
) -> Result<&'l RevocationList<'a>, Problem> {
    let list = lists
        .iter()
        .filter(|list| list.is_about(certificate) && list.may_be_signed_by(issuer))
        .max_by_key(|list| (list.is_current(now), list.from()))
        .ok_or_else(|| Problem::of("unable to get certificate CRL", certificate))?;
    let may_sign = issuer.extensions().all(|extension| match extension {
        ParsedExtension::KeyUsage(uses) => uses.crl_sign(),
        _ => true,
    });
    let reason = if !may_sign {
        "key usage does not include CRL signing"
    } else if list.has_unknown_critical() {
        "unhandled critical CRL extension"
    } else if now < list.from() {
        "CRL is not yet valid"
    } else if !list.is_current(now) {
        "CRL has expired"
    } else if !is_signed_by(list, issuer) {
        "CRL signature failure"
    } else {
        return Ok(list);
    };
    Err(Problem::of(reason, certificate))
}

fn is_signed_by(list: &RevocationList<'_>, issuer: &Certificate<'_>) -> bool {
    signature::check(
        list.0.tbs_cert_list.as_ref(),
        &list.0.signature_algorithm,
        &list.0.signature_value.data,
        issuer.parts().public_key(),
    )
    .is_ok()
}

/// A list of some reasons, of some points of distribution, of attributes or of other issuers' certificates proves nothing.
fn covers(point: &IssuingDistributionPoint<'_>, is_ca: bool) -> bool {
    point.distribution_point.is_none()
        && point.only_some_reasons.is_none()
        && !point.indirect_crl
        && !point.only_contains_attribute_certs
        && !(point.only_contains_user_certs && is_ca)
        && (!point.only_contains_ca_certs || is_ca)
}

/// What an entry says: it may take one back that an earlier list has put on hold.
fn is_revoked(
    entry: &RevokedCertificate<'_>,
    certificate: &Certificate<'_>,
) -> Result<bool, Problem> {
    const REMOVED: u8 = 8;

    let mut is_revoked = true;
    for extension in entry.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::ReasonCode(reason) => is_revoked = reason.0 != REMOVED,
            ParsedExtension::InvalidityDate(_) => {}
            _ if extension.critical => {
                let reason = "unhandled critical CRL extension";
                return Err(Problem::of(reason, certificate));
            }
            _ => {}
        }
    }
    Ok(is_revoked)
}
