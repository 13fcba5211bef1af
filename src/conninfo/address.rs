//! Numeric addresses, in every form that `getaddrinfo` reads without looking a name up. Knows no names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::plan::Target;

/// No operating system has an interface with a longer name.
const LONGEST_ZONE: usize = 64;

/// The target when `text` is a numeric address. One with a zone (`fe80::1%eth0`) is left to the resolver, which knows the
/// interfaces.
pub(super) fn numeric(text: &[u8]) -> Option<Target> {
    let text = std::str::from_utf8(text).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Target::Addr(address));
    }
    if let Some((address, zone)) = text.split_once('%') {
        let address = address.parse().ok()?;
        return may_have_zone(address, zone).then(|| Target::Name(text.into()));
    }
    old_style(text).map(|address| Target::Addr(address.into()))
}

/// Whether `zone` can be one of `address`: the number of an interface, or a name where the address means the link.
fn may_have_zone(address: Ipv6Addr, zone: &str) -> bool {
    let [first, ..] = address.segments();
    let link = first & 0xffc0 == 0xfe80 || first & 0xff0f == 0xff02;
    let number = zone.parse::<u32>().is_ok() && !zone.starts_with('+');
    number || link && (1..=LONGEST_ZONE).contains(&zone.len())
}

/// What `inet_aton` accepts besides four decimal numbers, as `getaddrinfo` does too: `127.1`, `0x7f000001`, `0177.0.0.1`.
fn old_style(text: &str) -> Option<Ipv4Addr> {
    let mut address = 0_u32;
    let mut left = 32_u32;
    let mut parts = text.split('.').peekable();
    while let Some(part) = parts.next() {
        let part = c_number(part)?;
        // Every part but the last is a byte; the last one fills what is left.
        let width = if parts.peek().is_some() { 8 } else { left };
        if width < 32 && part >> width != 0 {
            return None;
        }
        left = left.checked_sub(width)?;
        if left == 0 && parts.peek().is_some() {
            return None;
        }
        address |= part << left;
    }
    Some(Ipv4Addr::from(address))
}

/// A number as C writes it: decimal, `0x…` or `0…`.
fn c_number(text: &str) -> Option<u32> {
    let lower = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    let (digits, radix) = match (lower, text.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_old_programs_write_them() {
        for (text, address) in [
            ("127.1", Some([127, 0, 0, 1])),
            ("10.1.258", Some([10, 1, 1, 2])),
            ("2130706433", Some([127, 0, 0, 1])),
            ("0x7f.0.0.0x1", Some([127, 0, 0, 1])),
            ("0177.0.0.01", Some([127, 0, 0, 1])),
            ("0", Some([0, 0, 0, 0])),
            ("256.1", None),
            ("1.2.3.256", None),
            ("1.2.3.4.5", None),
            ("1.2.65536", None),
            ("4294967296", None),
            ("08.0.0.1", None),
            ("1..2", None),
            ("", None),
            (".", None),
            ("0x", None),
            ("+1", None),
            ("0x+1", None),
            ("a", None),
        ] {
            let expected = address.map(|bytes: [u8; 4]| Target::Addr(bytes.into()));
            assert_eq!(numeric(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn a_zone_is_left_to_the_resolver() {
        for text in ["fe80::1%eth0", "fe80::1%7", "ff02::1%eth0", "::1%1"] {
            assert_eq!(numeric(text.as_bytes()), Some(Target::Name(text.into())));
        }
        for text in ["::1%lo", "fe80::1%", "127.0.0.1%lo", "%lo", "::1%+1"] {
            assert_eq!(numeric(text.as_bytes()), None, "{text}");
        }
    }
}
