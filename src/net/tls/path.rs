//! Finds the way from a server's certificate to one that is trusted, and checks it as OpenSSL does for a TLS server.
//! Knows certificates and time, and neither files nor names of hosts.
//!
//! What decides in OpenSSL decides here, and is told in its words. A path ends at a self-signed certificate of the trusted ones; those
//! among them that are not self-signed are links, no ends. So a server's certificate that is its own issuer is trusted when it is itself
//! in the file. Where OpenSSL takes the first path that it finds, here one good path is enough.

use crate::net::tls::asn1::Malformed;
use crate::net::tls::certificate::Certificate;
use crate::net::tls::constraints;
use crate::net::tls::problem::Problem;
use crate::net::tls::revoked::{self, RevocationList};
use crate::net::tls::signature::{self, Wrong};

/// How long a path may be. OpenSSL's own limit is 100; nobody has that many.
const MOST_CERTIFICATES: usize = 12;

/// How many signatures are looked at before giving up: certificates can be made so that there are countless paths.
const MOST_SIGNATURES: u32 = 48;

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
pub(super) fn check<'s>(
    leaf: &'s Certificate<'s>,
    evidence: &'s Evidence<'s>,
) -> Result<i64, Problem> {
    let mut search = Search {
        evidence,
        signatures_left: MOST_SIGNATURES,
        dead_end: None,
        refused: None,
    };
    let mut path = vec![leaf];
    match search.extend(&mut path) {
        Some(until) => Ok(until),
        // What is wrong with a whole path says more than where another one ended.
        None => Err(search
            .refused
            .or(search.dead_end)
            .unwrap_or_else(|| Problem::of("unable to get local issuer certificate", leaf))),
    }
}

struct Search<'s> {
    evidence: &'s Evidence<'s>,
    signatures_left: u32,
    dead_end: Option<Problem>,
    refused: Option<Problem>,
}

impl<'s> Search<'s> {
    /// Goes on from the last certificate of `path`, which is signed all the way.
    fn extend(&mut self, path: &mut Vec<&'s Certificate<'s>>) -> Option<i64> {
        let last = *path.last()?;
        let is_trusted = self.is_trusted(last);
        if last.is_self_signed() && is_trusted {
            return self.finish(path);
        }
        if last.is_self_signed() && path.len() > 1 {
            return self.stop("self-signed certificate in certificate chain", last);
        }
        if path.len() >= MOST_CERTIFICATES {
            return self.stop("certificate chain too long", last);
        }
        for issuer in self.evidence.trusted.iter().chain(self.evidence.sent) {
            let is_there = path.iter().any(|on_path| on_path.whole == issuer.whole);
            if is_there || !issuer.may_have_issued(last) {
                continue;
            }
            match self.check_signature(last, issuer) {
                Ok(()) => {}
                Err(problem) => {
                    self.dead_end.get_or_insert(problem);
                    continue;
                }
            }
            path.push(issuer);
            if let Some(until) = self.extend(path) {
                return Some(until);
            }
            path.pop();
        }
        self.stop(
            match is_trusted {
                _ if last.is_self_signed() => "self-signed certificate",
                true if path.len() > 1 => "unable to get issuer certificate",
                _ => "unable to get local issuer certificate",
            },
            last,
        )
    }

    fn stop(&mut self, reason: &'static str, at: &Certificate<'_>) -> Option<i64> {
        self.dead_end.get_or_insert_with(|| Problem::of(reason, at));
        None
    }

    fn is_trusted(&self, certificate: &Certificate<'_>) -> bool {
        self.evidence
            .trusted
            .iter()
            .any(|trusted| trusted.whole == certificate.whole)
    }

    fn check_signature(
        &mut self,
        of: &Certificate<'_>,
        by: &Certificate<'_>,
    ) -> Result<(), Problem> {
        let left = self.signatures_left.checked_sub(1);
        self.signatures_left = left.ok_or_else(|| Problem::of("certificate chain too long", of))?;
        signature::check(&of.signed, &by.key).map_err(|wrong| match wrong {
            Wrong::SmallKey => Problem::of("CA certificate key too weak", by),
            Wrong::Weak => Problem::of("CA signature digest algorithm too weak", of),
            Wrong::Unsupported => Problem::of("unsupported signature algorithm", of),
            Wrong::Bad => Problem::of("certificate signature failure", of),
        })
    }

    fn finish(&mut self, path: &[&Certificate<'_>]) -> Option<i64> {
        match self.examine(path) {
            Ok(until) => Some(until),
            Err(problem) => {
                self.refused.get_or_insert(problem);
                None
            }
        }
    }

    /// All but the signatures, which are checked.
    fn examine(&self, path: &[&Certificate<'_>]) -> Result<i64, Problem> {
        let (leaf, issuers) = path
            .split_first()
            .ok_or_else(|| Problem::new("unable to get certificate"))?;
        check_server(leaf)?;
        let mut below = 0; // certificates of CAs, not counting those a CA issued to itself
        for issuer in issuers {
            check_issuer(issuer, below)?;
            below += u32::from(!issuer.is_self_issued());
        }
        for (depth, issuer) in path.iter().enumerate().skip(1) {
            if let Some(constraints) = issuer.extensions.constraints {
                let below = path.get(..depth).unwrap_or_default();
                constraints::check(constraints, below)?;
            }
        }
        let mut until = i64::MAX;
        if let Some(lists) = self.evidence.revocations {
            until = until.min(revoked::check(path, lists, self.evidence.now)?);
        }
        for certificate in path.iter().rev() {
            until = until.min(check_times(certificate, self.evidence.now)?);
        }
        Ok(until)
    }
}

/// Whether it may be a TLS server's.
fn check_server(leaf: &Certificate<'_>) -> Result<(), Problem> {
    const NETSCAPE_SERVER: u8 = 1 << 1;

    let extensions = &leaf.extensions;
    let is_fit = extensions.for_servers.unwrap_or(true)
        && extensions.key_usage.is_none_or(|usage| usage.does_tls())
        && extensions
            .netscape
            .is_none_or(|kinds| kinds & NETSCAPE_SERVER != 0);
    if extensions.has_unknown_critical {
        Err(Problem::of("unhandled critical extension", leaf))
    } else if !is_fit {
        Err(Problem::of("unsuitable certificate purpose", leaf))
    } else if signature::is_small(&leaf.key) {
        Err(Problem::of("EE certificate key too weak", leaf))
    } else {
        Ok(())
    }
}

/// Whether it may have issued a server's certificate, with so many CAs in between.
fn check_issuer(issuer: &Certificate<'_>, below: u32) -> Result<(), Problem> {
    let extensions = &issuer.extensions;
    let may_sign = extensions
        .key_usage
        .is_none_or(|usage| usage.signs_certificates());
    let is_ca = match extensions.basic {
        Some(basic) => basic.is_ca,
        // Older than the extension, or tolerated for another that says the same.
        None => (issuer.version == 1 && issuer.is_self_issued()) || extensions.key_usage.is_some(),
    };
    let limit = extensions.basic.and_then(|basic| basic.path_length);
    if extensions.has_unknown_critical {
        Err(Problem::of("unhandled critical extension", issuer))
    } else if !may_sign || !is_ca {
        Err(Problem::of("invalid CA certificate", issuer))
    } else if extensions.for_servers == Some(false) {
        Err(Problem::of("unsuitable certificate purpose", issuer))
    } else if limit.is_some_and(|limit| below > limit) {
        Err(Problem::of("path length constraint exceeded", issuer))
    } else {
        Ok(())
    }
}

fn check_times(certificate: &Certificate<'_>, now: i64) -> Result<i64, Problem> {
    if now < certificate.from {
        Err(Problem::of("certificate is not yet valid", certificate))
    } else if now > certificate.until {
        Err(Problem::of("certificate has expired", certificate))
    } else {
        Ok(certificate.until)
    }
}

/// What cannot be read as a certificate.
impl From<Malformed> for Problem {
    fn from(_: Malformed) -> Problem {
        Problem::new("the certificate is malformed")
    }
}
