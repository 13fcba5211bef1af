//! Whether a server's certificate is trusted, as OpenSSL decides it for a TLS server. Knows certificates and time, no files or hosts.
//!
//! A path ends at a self-signed certificate of the user's file; those in it that are not self-signed are links, no ends. Paths are
//! found and checked by webpki. Three kinds of certificates that it refuses for their form are what PostgreSQL's manual tells people to
//! make, and libpq takes: one that is its own issuer and is in the file, one of version 1, one that is marked as a CA's. Their path is
//! walked here. What OpenSSL looks at and webpki does not, is looked at in both cases: the time of the end, what keys are for,
//! revocation of every certificate.

use std::cell::RefCell;

use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath, anchor_from_trusted_cert};
use x509_parser::extensions::{GeneralName, ParsedExtension};

use crate::net::tls::certificate::{Certificate, Malformed};
use crate::net::tls::problem::Problem;
use crate::net::tls::purpose::{check_issuer, check_server, check_times};
use crate::net::tls::revoked::{self, RevocationList};
use crate::net::tls::signature::{self, Wrong};

/// How long a path may be that is walked here. OpenSSL's own limit is 100; nobody has that many.
const MOST_CERTIFICATES: usize = 12;

/// How many of the certificates that a server sends are looked at: webpki bounds its search, and still it takes seconds where there are
/// a hundred that may all have issued each other.
const MOST_SENT: usize = 24;

/// How many signatures are looked at before giving up: a server may send many certificates of one name.
const MOST_SIGNATURES: usize = 48;

/// What a server's certificate is checked with.
#[derive(Debug)]
pub(super) struct Evidence<'s> {
    /// The certificates of the user's file.
    pub(super) trusted: &'s [Certificate<'s>],
    /// Those that the server sent along.
    pub(super) sent: &'s [Certificate<'s>],
    /// If given, each certificate of the path must be on the books of one of these, and not revoked.
    pub(super) revocations: Option<&'s [RevocationList<'s>]>,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// Checks a server's certificate: until when what was found stays true, in seconds since 1970.
pub(super) fn check(leaf: &Certificate<'_>, evidence: &Evidence<'_>) -> Result<i64, Problem> {
    if leaf.is_self_signed() {
        return match evidence.is_trusted(leaf) {
            true => evidence.examine(&[leaf]),
            false => Err(Problem::of("self-signed certificate", leaf)),
        };
    }
    if leaf.is_old() || leaf.parts().is_ca() {
        return evidence.walk(leaf);
    }
    evidence.ask_webpki(leaf)
}

impl Evidence<'_> {
    fn is_trusted(&self, certificate: &Certificate<'_>) -> bool {
        let mut trusted = self.trusted.iter();
        trusted.any(|trusted| trusted.as_der() == certificate.as_der())
    }

    /// Where paths end.
    fn ends(&self) -> impl Iterator<Item = &Certificate<'_>> {
        self.trusted
            .iter()
            .filter(|trusted| trusted.is_self_signed())
    }

    /// What may stand between.
    fn links(&self) -> impl Iterator<Item = &Certificate<'_>> {
        let trusted = self.trusted.iter();
        let trusted = trusted.filter(|trusted| !trusted.is_self_signed());
        trusted.chain(self.sent.iter().take(MOST_SENT))
    }

    fn ask_webpki(&self, leaf: &Certificate<'_>) -> Result<i64, Problem> {
        let der = CertificateDer::from(leaf.as_der());
        let entity = EndEntityCert::try_from(&der)
            .map_err(|error| Problem::of(in_openssls_words(&error), leaf))?;
        let ends: Vec<(CertificateDer<'_>, &Certificate<'_>)> = self
            .ends()
            .map(|end| (CertificateDer::from(end.as_der()), end))
            .collect();
        let (anchors, ends): (Vec<TrustAnchor<'_>>, Vec<&Certificate<'_>>) = ends
            .iter()
            .filter_map(|(der, end)| Some((anchor_from_trusted_cert(der).ok()?, *end)))
            .unzip();
        let links: Vec<CertificateDer<'_>> = self
            .links()
            .map(|link| CertificateDer::from(link.as_der()))
            .collect();
        let found = RefCell::new(Err(None));
        let examine = |path: &VerifiedPath<'_>| {
            let end = anchors
                .iter()
                .zip(&ends)
                .find(|(anchor, _)| std::ptr::eq(*anchor, path.anchor()))
                .ok_or(webpki::Error::UnknownIssuer)?;
            let between: Vec<CertificateDer<'_>> = path
                .intermediate_certificates()
                .map(|link| link.der())
                .collect();
            let between: Vec<Certificate<'_>> = between
                .iter()
                .map(|der| Certificate::read(der))
                .collect::<Result<_, _>>()
                .map_err(|Malformed| webpki::Error::BadDer)?;
            let whole: Vec<&Certificate<'_>> = std::iter::once(leaf)
                .chain(&between)
                .chain([*end.1])
                .collect();
            let examined = self.examine(&whole);
            let is_good = examined.is_ok();
            *found.borrow_mut() = examined.map_err(Some);
            is_good.then_some(()).ok_or(webpki::Error::UnknownIssuer)
        };
        let now = u64::try_from(self.now).unwrap_or(0);
        let verified = entity.verify_for_usage(
            rustls::crypto::ring::default_provider()
                .signature_verification_algorithms
                .all,
            &anchors,
            &links,
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(now)),
            KeyUsage::server_auth(),
            None,
            Some(&examine),
        );
        match (verified.map(|_| ()), found.into_inner()) {
            (Ok(()), Ok(until)) => Ok(until),
            // What is wrong with a whole path says more than where another one ended.
            (_, Err(Some(problem))) => Err(problem),
            (Err(webpki::Error::UnknownIssuer), _) => Err(self.missing_issuer(leaf)),
            (Err(webpki::Error::UnsupportedSignatureAlgorithmContext(_)), _)
                if std::iter::once(leaf)
                    .chain(self.links())
                    .any(is_weakly_signed) =>
            {
                Err(Problem::of("CA signature digest algorithm too weak", leaf))
            }
            (Err(error), _) => Err(Problem::of(in_openssls_words(&error), leaf)),
            (Ok(()), Err(None)) => Err(self.missing_issuer(leaf)),
        }
    }

    /// Walks from issuer to issuer. Nothing is tried twice: of several issuers of the name that is wanted the first whose key has
    /// signed is taken, and of these one whose time is now.
    fn walk(&self, leaf: &Certificate<'_>) -> Result<i64, Problem> {
        let mut path = vec![leaf];
        let mut signatures = 0;
        loop {
            let last = *path.last().unwrap_or(&leaf);
            if path.len() > 1 && last.is_self_signed() && self.is_trusted(last) {
                let constrained = path.iter().find(|on_path| has_constraints(on_path));
                return match constrained {
                    Some(issuer) => Err(Problem::of("unsupported name constraint type", issuer)),
                    None => self.examine(&path),
                };
            }
            if path.len() >= MOST_CERTIFICATES {
                return Err(Problem::of("certificate chain too long", last));
            }
            let mut chosen: Option<&Certificate<'_>> = None;
            let mut refused = None;
            for issuer in self.ends().chain(self.links()) {
                let is_there = path
                    .iter()
                    .any(|on_path| on_path.as_der() == issuer.as_der());
                if is_there || !issuer.may_have_issued(last) || signatures >= MOST_SIGNATURES {
                    continue;
                }
                signatures += 1;
                match check_signature(last, issuer) {
                    Ok(()) if check_times(issuer, self.now).is_ok() => {
                        chosen = Some(issuer);
                        break;
                    }
                    Ok(()) => chosen = chosen.or(Some(issuer)),
                    Err(problem) => refused = refused.or(Some(problem)),
                }
            }
            let problem = || refused.unwrap_or_else(|| self.missing_issuer(leaf));
            path.push(chosen.ok_or_else(problem)?);
        }
    }

    /// What OpenSSL says when the issuer of the last certificate is not there.
    fn missing_issuer(&self, leaf: &Certificate<'_>) -> Problem {
        let mut path = vec![leaf];
        while let Some(&last) = path.last()
            && path.len() < MOST_CERTIFICATES
            && let Some(issuer) = self.links().find(|link| {
                let is_there = path.iter().any(|on_path| on_path.as_der() == link.as_der());
                link.may_have_issued(last) && !is_there
            })
        {
            path.push(issuer);
        }
        let last = *path.last().unwrap_or(&leaf);
        let reason = if path.len() > 1 && last.is_self_signed() {
            "self-signed certificate in certificate chain"
        } else if path.len() > 1 && self.is_trusted(last) {
            "unable to get issuer certificate"
        } else {
            "unable to get local issuer certificate"
        };
        Problem::of(reason, last)
    }

    /// All but the signatures, which are checked: for some of it webpki has looked, too.
    fn examine(&self, path: &[&Certificate<'_>]) -> Result<i64, Problem> {
        let Some((leaf, issuers)) = path.split_first() else {
            return Err(Problem::new("unable to get certificate"));
        };
        check_server(leaf)?;
        let mut below = 0; // certificates of CAs, not counting those a CA issued to itself
        for issuer in issuers {
            check_issuer(issuer, below)?;
            below += u32::from(!issuer.is_self_issued());
        }
        if issuers.iter().any(|issuer| constrains_hosts(issuer)) && is_named_by_common_name(leaf) {
            // Webpki does not hold common names against constraints, and libpq takes them for a host's.
            return Err(Problem::of("unsupported name constraint type", leaf));
        }
        let mut until = i64::MAX;
        if let Some(lists) = self.revocations {
            until = until.min(revoked::check(path, lists, self.now)?);
        }
        for certificate in path.iter().rev() {
            until = until.min(check_times(certificate, self.now)?);
        }
        Ok(until)
    }
}

fn check_signature(of: &Certificate<'_>, by: &Certificate<'_>) -> Result<(), Problem> {
    let certificate = of.parts();
    signature::check(
        certificate.tbs_certificate.as_ref(),
        &certificate.signature_algorithm,
        &certificate.signature_value.data,
        by.parts().public_key(),
    )
    .map_err(|wrong| match wrong {
        Wrong::SmallKey => Problem::of("CA certificate key too weak", by),
        Wrong::Weak => Problem::of("CA signature digest algorithm too weak", of),
        Wrong::Unsupported => Problem::of("unsupported signature algorithm", of),
        Wrong::Bad => Problem::of("certificate signature failure", of),
    })
}

fn is_weakly_signed(certificate: &Certificate<'_>) -> bool {
    let algorithm = &certificate.parts().signature_algorithm.algorithm;
    signature::is_weak(&algorithm.to_id_string())
}

/// Whether its issuer must keep within names; for what is walked here nobody would look.
fn has_constraints(certificate: &Certificate<'_>) -> bool {
    certificate
        .extensions()
        .any(|extension| matches!(extension, ParsedExtension::NameConstraints(_)))
}

/// The same, and it says something of hosts' names.
fn constrains_hosts(certificate: &Certificate<'_>) -> bool {
    certificate.extensions().any(|extension| match extension {
        ParsedExtension::NameConstraints(constraints) => {
            let permitted = constraints.permitted_subtrees.iter().flatten();
            let mut trees = permitted.chain(constraints.excluded_subtrees.iter().flatten());
            trees.any(|tree| {
                matches!(
                    tree.base,
                    GeneralName::DNSName(_) | GeneralName::Invalid(..)
                )
            })
        }
        _ => false,
    })
}

fn is_named_by_common_name(leaf: &Certificate<'_>) -> bool {
    let mut names = leaf.alternative_names().iter();
    !names.any(|name| matches!(name, GeneralName::DNSName(_))) && leaf.common_name().is_some()
}

fn in_openssls_words(error: &webpki::Error) -> &'static str {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } => "certificate has expired",
        Error::CertNotValidYet { .. } => "certificate is not yet valid",
        Error::EndEntityUsedAsCa => "invalid CA certificate",
        Error::InvalidSignatureForPublicKey => "certificate signature failure",
        Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumSignatureChecksExceeded => "certificate chain too long",
        Error::NameConstraintViolation => "permitted or excluded subtree violation",
        Error::MalformedNameConstraint | Error::InvalidNetworkMaskConstraint => {
            "unsupported or invalid name constraint syntax"
        }
        Error::PathLenConstraintViolated => "path length constraint exceeded",
        Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => {
            "unsuitable certificate purpose"
        }
        Error::UnsupportedCriticalExtension => "unhandled critical extension",
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "unsupported signature algorithm"
        }
        _ => "the certificate is malformed",
    }
}

/// What cannot be read as a certificate.
impl From<Malformed> for Problem {
    fn from(Malformed: Malformed) -> Problem {
        Problem::new("the certificate is malformed")
    }
}
