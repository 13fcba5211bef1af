//! Certificate revocation lists (RFC 5280, section 5): reads them, and looks certificates up. Knows no files.
//!
//! As with libpq, once there is a list every certificate of a path must be covered by one, up to and including the trusted end.

use crate::net::tls::asn1::{self, Malformed, Reader, tag};
use crate::net::tls::certificate::{self, Certificate, Signed, each_extension, oid, trimmed};
use crate::net::tls::problem::Problem;
use crate::net::tls::signature;

/// One list.
#[derive(Debug, Clone)]
pub(super) struct RevocationList<'a> {
    issuer: &'a [u8],
    from: i64,
    until: Option<i64>,
    /// Its entries, one after the other.
    entries: &'a [u8],
    authority_key: Option<&'a [u8]>,
    scope: Scope,
    has_unknown_critical: bool,
    signed: Signed<'a>,
}

/// Which of its issuer's certificates a list is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    Servers,
    Authorities,
    /// Less than that: some reasons, some points of distribution, attributes, other issuers' certificates. It proves nothing.
    Partial,
}

impl<'a> RevocationList<'a> {
    /// Reads one; there must be nothing behind it.
    pub(super) fn read(whole: &'a [u8]) -> Result<RevocationList<'a>, Malformed> {
        let (body, signed) = certificate::signed(whole)?;
        let mut body = Reader::new(body);
        body.optional(tag::INTEGER)?;
        if body.value(tag::SEQUENCE)? != signed.algorithm {
            return Err(Malformed);
        }
        let issuer = certificate::name(&mut body)?;
        let from = body.time()?;
        let mut rest = body;
        let until = match rest.time() {
            Ok(until) => {
                body = rest;
                Some(until)
            }
            Err(Malformed) => None,
        };
        let entries = body.optional(tag::SEQUENCE)?.unwrap_or_default();
        let extensions = body.optional(tag::nested(0))?;
        body.end()?;
        let mut list = RevocationList {
            issuer,
            from,
            until,
            entries,
            authority_key: None,
            scope: Scope::All,
            has_unknown_critical: false,
            signed,
        };
        if let Some(extensions) = extensions {
            list.take_extensions(asn1::only(extensions, tag::SEQUENCE)?)?;
        }
        Ok(list)
    }

    fn take_extensions(&mut self, list: &'a [u8]) -> Result<(), Malformed> {
        each_extension(list, |oid, critical, value| {
            match oid {
                oid::AUTHORITY_KEY => {
                    let mut inside = Reader::new(asn1::only(value, tag::SEQUENCE)?);
                    self.authority_key = inside.optional(tag::simple(0))?;
                }
                oid::ISSUING_POINT => self.scope = scope(value)?,
                oid::CRL_NUMBER => {}
                // One of them tells of changes to another list only (deltas).
                _ => self.has_unknown_critical |= critical,
            }
            Ok(())
        })
    }

    fn is_about(&self, certificate: &Certificate<'_>) -> bool {
        let is_ca = certificate
            .extensions
            .basic
            .is_some_and(|basic| basic.is_ca);
        self.issuer == certificate.issuer
            && match self.scope {
                Scope::All => true,
                Scope::Servers => !is_ca,
                Scope::Authorities => is_ca,
                Scope::Partial => false,
            }
    }

    fn is_current(&self, now: i64) -> bool {
        self.from <= now && self.until.is_none_or(|until| now <= until)
    }

    /// Whether a serial number is on it.
    fn has(&self, serial: &[u8]) -> Result<bool, Problem> {
        let malformed = |_| Problem::new("the certificate revocation list is malformed");
        let mut entries = Reader::new(self.entries);
        while !entries.is_empty() {
            let mut entry = entries.sequence().map_err(malformed)?;
            let its = entry.value(tag::INTEGER).and_then(trimmed);
            if its.map_err(malformed)? == serial {
                return is_revoked(entry).map_err(malformed)?;
            }
        }
        Ok(false)
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
        if list.has(certificate.serial)? {
            return Err(Problem::of("certificate revoked", certificate));
        }
        until = until.min(list.until.unwrap_or(i64::MAX));
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
    let is_key = |said: Option<&[u8]>| {
        said.zip(issuer.extensions.subject_key)
            .is_none_or(|(said, is)| said == is)
    };
    let list = lists
        .iter()
        .filter(|list| list.is_about(certificate) && is_key(list.authority_key))
        .max_by_key(|list| (list.is_current(now), list.from))
        .ok_or_else(|| Problem::of("unable to get certificate CRL", certificate))?;
    let may_sign = issuer
        .extensions
        .key_usage
        .is_none_or(|usage| usage.signs_revocations());
    let reason = if !may_sign {
        "key usage does not include CRL signing"
    } else if list.has_unknown_critical {
        "unhandled critical CRL extension"
    } else if now < list.from {
        "CRL is not yet valid"
    } else if !list.is_current(now) {
        "CRL has expired"
    } else if signature::check(&list.signed, &issuer.key).is_err() {
        "CRL signature failure"
    } else {
        return Ok(list);
    };
    Err(Problem::of(reason, certificate))
}

/// What an entry, behind its serial number, says.
fn is_revoked(mut entry: Reader<'_>) -> Result<Result<bool, Problem>, Malformed> {
    const REMOVED: [u8; 1] = [8];

    entry.time()?;
    let mut is_revoked = true;
    let mut has_unknown_critical = false;
    if let Some(extensions) = entry.optional(tag::SEQUENCE)? {
        each_extension(extensions, |oid, critical, value| {
            match oid {
                oid::CRL_REASON => is_revoked = asn1::only(value, tag::ENUMERATED)? != REMOVED,
                oid::INVALIDITY_DATE => {}
                _ => has_unknown_critical |= critical,
            }
            Ok(())
        })?;
    }
    entry.end()?;
    if has_unknown_critical {
        return Ok(Err(Problem::new("unhandled critical CRL extension")));
    }
    Ok(Ok(is_revoked))
}

/// IssuingDistributionPoint (section 5.2.5).
fn scope(value: &[u8]) -> Result<Scope, Malformed> {
    let mut inside = Reader::new(asn1::only(value, tag::SEQUENCE)?);
    let mut scope = Scope::All;
    while !inside.is_empty() {
        let element = inside.element()?;
        let is_true = element.value != [0];
        scope = match (element.tag, scope) {
            (kind, _) if kind & 0x20 == 0 && !is_true => scope,
            (kind, Scope::All) if kind == tag::simple(1) => Scope::Servers,
            (kind, Scope::All) if kind == tag::simple(2) => Scope::Authorities,
            _ => Scope::Partial,
        };
    }
    Ok(scope)
}
