//! Name constraints of an issuer (RFC 5280, section 4.2.1.10): whether what it issued stays within them. Knows names, and no trust.
//!
//! Of mail addresses and URIs it is only known that they are constrained: a certificate with one is refused then.

use crate::net::tls::asn1::{self, Malformed, Reader, tag};
use crate::net::tls::certificate::{Certificate, common_names};
use crate::net::tls::names::{self, kind};
use crate::net::tls::problem::Problem;

/// Checks what stands below an issuer in a path, the server's certificate first, against the issuer's constraints.
pub(super) fn check(constraints: &[u8], below: &[&Certificate<'_>]) -> Result<(), Problem> {
    let constraints = Constraints::read(constraints)
        .map_err(|Malformed| Problem::new("unsupported or invalid name constraint syntax"))?;
    for (depth, certificate) in below.iter().enumerate() {
        if depth > 0 && certificate.is_self_issued() {
            continue;
        }
        constraints
            .check(certificate, depth == 0)
            .map_err(|reason| Problem::of(reason, certificate))?;
    }
    Ok(())
}

struct Constraints<'a> {
    permitted: Vec<Base<'a>>,
    excluded: Vec<Base<'a>>,
}

/// A name that stands for a tree of names.
#[derive(Clone, Copy)]
struct Base<'a> {
    kind: u8,
    value: &'a [u8],
}

impl<'a> Constraints<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut inside = Reader::new(bytes);
        let permitted = bases(inside.optional(tag::nested(0))?.unwrap_or_default())?;
        let excluded = bases(inside.optional(tag::nested(1))?.unwrap_or_default())?;
        inside.end()?;
        Ok(Self {
            permitted,
            excluded,
        })
    }

    fn check(&self, certificate: &Certificate<'_>, is_server: bool) -> Result<(), &'static str> {
        if !certificate.subject.is_empty() {
            self.check_name(kind::DIRECTORY, certificate.subject)?;
        }
        let mut has_dns = false;
        let mut listed = Reader::new(certificate.extensions.names.unwrap_or_default());
        while !listed.is_empty() {
            let name = listed
                .element()
                .map_err(|Malformed| "unsupported or invalid name syntax")?;
            has_dns |= name.tag == kind::DNS;
            self.check_name(name.tag, inner(name.tag, name.value))?;
        }
        // The common name is a host's name where there is no other.
        if is_server && !has_dns {
            for name in common_names(certificate.subject).filter(|name| is_host_name(name)) {
                self.check_name(kind::DNS, name)?;
            }
        }
        Ok(())
    }

    fn check_name(&self, kind: u8, name: &[u8]) -> Result<(), &'static str> {
        let mut same = self
            .permitted
            .iter()
            .filter(|base| base.kind == kind)
            .peekable();
        let is_constrained =
            same.peek().is_some() || self.excluded.iter().any(|base| base.kind == kind);
        if is_constrained && !matches!(kind, kind::DNS | kind::ADDRESS | kind::DIRECTORY) {
            return Err("unsupported name constraint type");
        }
        if same.peek().is_some() && !same.any(|base| base.covers(name)) {
            return Err("permitted subtree violation");
        }
        let mut excluded = self.excluded.iter().filter(|base| base.kind == kind);
        if excluded.any(|base| base.covers(name)) {
            return Err("excluded subtree violation");
        }
        Ok(())
    }
}

impl Base<'_> {
    fn covers(&self, name: &[u8]) -> bool {
        match self.kind {
            kind::DNS => covers_host(self.value, name),
            kind::ADDRESS => covers_address(self.value, name),
            // A name is a run of elements: one that begins with all of another's is below it.
            _ => name.starts_with(self.value),
        }
    }
}

fn bases(list: &[u8]) -> Result<Vec<Base<'_>>, Malformed> {
    const MOST: usize = 1_024;

    let mut list = Reader::new(list);
    let mut bases = Vec::new();
    while !list.is_empty() {
        let mut subtree = list.sequence()?;
        let base = subtree.element()?;
        subtree.end()?; // no minimum or maximum: RFC 5280 forbids them
        if bases.len() == MOST {
            return Err(Malformed);
        }
        bases.push(Base {
            kind: base.tag,
            value: inner(base.tag, base.value),
        });
    }
    Ok(bases)
}

/// A directory name is EXPLICIT, for a Name is a choice: without the inner tag.
fn inner(kind: u8, value: &[u8]) -> &[u8] {
    match kind {
        kind::DIRECTORY => asn1::only(value, tag::SEQUENCE).unwrap_or(value),
        _ => value,
    }
}

fn covers_host(base: &[u8], name: &[u8]) -> bool {
    let Some(at) = name.len().checked_sub(base.len()) else {
        return false;
    };
    let (before, tail) = name.split_at(at);
    let is_whole_label =
        base.is_empty() || before.is_empty() || before.ends_with(b".") || base.starts_with(b".");
    tail.eq_ignore_ascii_case(base) && is_whole_label
}

/// An address, and a mask of the same length behind it.
fn covers_address(base: &[u8], address: &[u8]) -> bool {
    let (net, mask) = base.split_at(base.len() / 2);
    net.len() == address.len()
        && mask.len() == address.len()
        && std::iter::zip(net, mask)
            .zip(address)
            .all(|((net, mask), byte)| net & mask == byte & mask)
}

fn is_host_name(name: &[u8]) -> bool {
    name.contains(&b'.')
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        && !names::is_address(name)
}
