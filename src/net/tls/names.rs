//! Whether a certificate is a host's, by libpq's rules and in its words. Knows names, and no trust.

use std::net::{Ipv4Addr, Ipv6Addr};

use x509_parser::extensions::GeneralName;

use crate::net::tls::certificate::Certificate;
use crate::net::tls::problem::printable;

/// Checks that `certificate` is for `host`, as the user wrote it.
///
/// Alternative names are looked at first, of whatever kind. The common name counts unless there is an alternative name of the host's
/// own kind, which is a name or an address.
pub(super) fn check(certificate: &Certificate<'_>, host: &[u8]) -> Result<(), String> {
    if host.is_empty() {
        return Err(String::from(
            "host name must be specified for a verified SSL connection",
        ));
    }
    let is_address = is_address(host);
    let mut seen = Seen::default();
    let mut may_be_common = true;
    for name in certificate.alternative_names() {
        let is_match = match name {
            GeneralName::DNSName(name) => {
                may_be_common &= is_address;
                seen.name(name.as_bytes(), host)?
            }
            GeneralName::IPAddress(address) => {
                may_be_common &= !is_address;
                seen.address(address, host)?
            }
            GeneralName::Invalid(..) => {
                return Err(String::from("SSL certificate's name entry is malformed"));
            }
            _ => false,
        };
        if is_match {
            return Ok(());
        }
    }
    if may_be_common
        && let Some(name) = certificate.common_name()
        && seen.name(name, host)?
    {
        return Ok(());
    }
    Err(seen.mismatch(host))
}

/// The names looked at.
#[derive(Default)]
struct Seen {
    first: Option<String>,
    count: usize,
}

impl Seen {
    fn name(&mut self, name: &[u8], host: &[u8]) -> Result<bool, String> {
        if name.contains(&0) {
            return Err(String::from(
                "SSL certificate's name contains embedded null",
            ));
        }
        self.remember(|| printable(name));
        Ok(name.eq_ignore_ascii_case(host) || covers(name, host))
    }

    fn address(&mut self, address: &[u8], host: &[u8]) -> Result<bool, String> {
        if let Ok(bytes) = <[u8; 4]>::try_from(address) {
            let address = Ipv4Addr::from(bytes);
            self.remember(|| address.to_string());
            Ok(ipv4(host) == Some(address))
        } else if let Ok(bytes) = <[u8; 16]>::try_from(address) {
            let address = Ipv6Addr::from(bytes);
            self.remember(|| address.to_string());
            Ok(ipv6(host) == Some(address))
        } else {
            Err(format!(
                "certificate contains IP address with invalid length {}",
                address.len()
            ))
        }
    }

    fn remember(&mut self, name: impl FnOnce() -> String) {
        self.first.get_or_insert_with(name);
        self.count += 1;
    }

    fn mismatch(self, host: &[u8]) -> String {
        let Some(first) = self.first else {
            return String::from("could not get server's host name from server certificate");
        };
        let others = match self.count - 1 {
            0 => String::new(),
            1 => String::from(" (and 1 other name)"),
            n => format!(" (and {n} other names)"),
        };
        format!(
            "server certificate for \"{first}\"{others} does not match host name \"{}\"",
            printable(host)
        )
    }
}

/// Whether a pattern `*.name` covers a host: one label, the first, and no other.
fn covers(pattern: &[u8], host: &[u8]) -> bool {
    let Some(tail @ [b'.', _, ..]) = pattern.strip_prefix(b"*") else {
        return false;
    };
    let Some((label, rest)) = host
        .len()
        .checked_sub(tail.len())
        .and_then(|at| host.split_at_checked(at))
    else {
        return false;
    };
    !label.is_empty() && !label.contains(&b'.') && rest.eq_ignore_ascii_case(tail)
}

/// An address in one of the notations that libpq takes.
pub(super) fn is_address(host: &[u8]) -> bool {
    ipv4(host).is_some() || ipv6(host).is_some()
}

fn ipv6(host: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(host).ok()?.parse().ok()
}

/// As inet_aton(3) reads it: one to four numbers, decimal, octal (0…) or hexadecimal (0x…), the last one for all bytes that are left.
fn ipv4(host: &[u8]) -> Option<Ipv4Addr> {
    let text = std::str::from_utf8(host).ok()?;
    let text = text
        .split_ascii_whitespace()
        .next()
        .filter(|_| !text.starts_with(|c: char| c.is_ascii_whitespace()))?;
    let parts: Vec<u32> = text.split('.').map(part).collect::<Option<_>>()?;
    let (&last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|byte| *byte > 0xff) {
        return None;
    }
    let left = 8 * (4 - u32::try_from(leading.len()).ok()?);
    if u64::from(last) >= 1 << left {
        return None;
    }
    let high = leading
        .iter()
        .enumerate()
        .fold(0, |address, (at, byte)| address | byte << (24 - 8 * at));
    Some(Ipv4Addr::from(high | last))
}

fn part(text: &str) -> Option<u32> {
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    is_digits(digits)
        .then(|| u32::from_str_radix(digits, radix).ok())
        .flatten()
}
