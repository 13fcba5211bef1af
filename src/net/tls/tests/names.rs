//! Whose a certificate is, in the cases of PostgreSQL's src/test/ssl and in some that nobody should make.

use super::make::{Key, Make, alternatives, der, extension, name, names, oid};
use crate::net::tls::certificate::Certificate;
use crate::net::tls::names::check;

fn check_made(make: Make, host: &str) -> Result<(), String> {
    let made = make.alone(&Key::new());
    check(&Certificate::read(&made.der).unwrap(), host.as_bytes())
}

fn good(make: &Make, hosts: &[&str]) {
    for host in hosts {
        assert_eq!(check_made(make.clone(), host), Ok(()), "{host}");
    }
}

fn bad(make: &Make, host: &str, text: &str) {
    assert_eq!(check_made(make.clone(), host), Err(String::from(text)));
}

#[test]
fn a_common_name_counts_where_there_is_no_alternative() {
    let cn_only = Make::v1("common-name.pg-ssltest.test");
    good(
        &cn_only,
        &["common-name.pg-ssltest.test", "COMMON-name.PG-ssltest.test"],
    );
    bad(
        &cn_only,
        "wronghost.test",
        "server certificate for \"common-name.pg-ssltest.test\" does not match host name \"wronghost.test\"",
    );
    let with_names = Make::server(
        "common-name.pg-ssltest.test",
        &[
            "dns:dns1.alt-name.pg-ssltest.test",
            "dns:dns2.alt-name.pg-ssltest.test",
        ],
    );
    good(
        &with_names,
        &[
            "dns1.alt-name.pg-ssltest.test",
            "dns2.alt-name.pg-ssltest.test",
        ],
    );
    bad(
        &with_names,
        "common-name.pg-ssltest.test",
        "server certificate for \"dns1.alt-name.pg-ssltest.test\" (and 1 other name) does not match host name \"common-name.pg-ssltest.test\"",
    );
}

#[test]
fn an_address_may_be_a_common_name() {
    let ip_cn_only = Make::v1("192.0.2.1");
    good(&ip_cn_only, &["192.0.2.1"]);
    bad(
        &ip_cn_only,
        "192.000.002.001",
        "server certificate for \"192.0.2.1\" does not match host name \"192.000.002.001\"",
    );
    good(&Make::server("x", &["dns:192.0.2.1"]), &["192.0.2.1"]);
    // Names of hosts do not stand in the way of an address, nor addresses in that of a name.
    let dns_names = Make::server("192.0.2.1", &["dns:dns1.alt-name.pg-ssltest.test"]);
    good(&dns_names, &["192.0.2.1", "dns1.alt-name.pg-ssltest.test"]);
    let ip_names = Make::server(
        "common-name.pg-ssltest.test",
        &["ip:192.0.2.1", "ip:2001:db8::1"],
    );
    good(
        &ip_names,
        &["common-name.pg-ssltest.test", "192.0.2.1", "2001:db8::1"],
    );
    let other = Make::server("192.0.2.1", &["ip:192.0.2.2", "ip:2001:db8::1"]);
    good(&other, &["192.0.2.2", "2001:db8::1"]);
    bad(
        &other,
        "192.0.2.1",
        "server certificate for \"192.0.2.2\" (and 1 other name) does not match host name \"192.0.2.1\"",
    );
}

#[test]
fn several_names_and_a_wildcard() {
    let several = Make::server(
        "x",
        &[
            "dns:dns1.alt-name.pg-ssltest.test",
            "dns:dns2.alt-name.pg-ssltest.test",
            "dns:*.wildcard.pg-ssltest.test",
        ],
    );
    good(
        &several,
        &[
            "dns1.alt-name.pg-ssltest.test",
            "dns2.alt-name.pg-ssltest.test",
            "foo.wildcard.pg-ssltest.test",
            "FOO.Wildcard.pg-ssltest.test",
        ],
    );
    for host in [
        "wronghost.alt-name.pg-ssltest.test",
        "deep.subdomain.wildcard.pg-ssltest.test",
    ] {
        bad(
            &several,
            host,
            &format!(
                "server certificate for \"dns1.alt-name.pg-ssltest.test\" (and 2 other names) does not match host name \"{host}\""
            ),
        );
    }
    for (pattern, host) in [
        ("*.a", ".a"),
        ("*.a", "a"),
        ("*.a", "b.b.a"),
        ("*a.b", "xa.b"),
        ("a*.b", "ax.b"),
        ("*", "a"),
        ("*.", "a."),
        ("*.*.a", "b.b.a"),
        ("**.a", "b.a"),
        ("a.*.b", "a.x.b"),
    ] {
        let name = format!("dns:{pattern}");
        assert!(
            check_made(Make::server("x", &[&name]), host).is_err(),
            "{pattern} {host}"
        );
    }
}

#[test]
fn addresses_are_compared_as_addresses() {
    let mut addresses = Make::server("x", &["ip:192.0.2.1", "ip:2001:db8::1"]);
    addresses.subject = names(&[(&[0x55, 4, 11], b"PostgreSQL test suite")]);
    good(
        &addresses,
        &[
            "192.0.2.1",
            "192.000.002.001",
            "0xc0.0.2.1",
            "192.0.513",
            "3221225985",
            "192.0.2.1 ",
            "2001:DB8::1",
            "2001:db8:0:0:0:0:0:1",
            "2001:db8::0.0.0.1",
        ],
    );
    for host in [
        "192.0.2.2",
        "::1",
        "2001:DB8::1/128",
        "192.0.2.1.",
        "192.0.2",
        "192.0.2.257",
        "08.1.1.1",
        "4294967296",
        "1.2.3.4.5",
    ] {
        bad(
            &addresses,
            host,
            &format!(
                "server certificate for \"192.0.2.1\" (and 1 other name) does not match host name \"{host}\""
            ),
        );
    }
}

#[test]
fn a_certificate_may_have_no_name() {
    let mut nameless = Make::v1("");
    nameless.subject = names(&[(&[0x55, 4, 11], b"PostgreSQL test suite")]);
    bad(
        &nameless,
        "common-name.pg-ssltest.test",
        "could not get server's host name from server certificate",
    );
    bad(
        &nameless,
        "",
        "host name must be specified for a verified SSL connection",
    );
    // Other kinds of alternative names are no names, and do not stand in the way.
    let mail = Make::server("host", &["mail:me@host", "cn:host"]);
    good(&mail, &["host"]);
    bad(
        &mail,
        "other",
        "server certificate for \"host\" does not match host name \"other\"",
    );
    // The first common name is the one that counts.
    let mut two = Make::v1("");
    two.subject = names(&[(oid::COMMON_NAME, b"one"), (oid::COMMON_NAME, b"two")]);
    good(&two, &["one"]);
    bad(
        &two,
        "two",
        "server certificate for \"one\" does not match host name \"two\"",
    );
}

#[test]
fn names_that_lie_are_refused() {
    let with_null = "SSL certificate's name contains embedded null";
    let mut common = Make::v1("");
    common.subject = name(b"good.test\0.evil.test");
    bad(&common, "good.test", with_null);
    let alternative = Make::server("x", &["dns:good.test\0.evil.test"]);
    bad(&alternative, "good.test", with_null);
    // A name that matches before is enough, as it is for libpq.
    let first = Make::server("x", &["dns:good.test", "dns:\0"]);
    good(&first, &["good.test"]);
    let short = extension(
        oid::SUBJECT_ALT_NAME,
        false,
        &der(0x30, &der(0x87, &[1, 2, 3])),
    );
    bad(
        &Make::v1("x").with(short),
        "x",
        "certificate contains IP address with invalid length 3",
    );
    let control = Make::server("x", &["dns:a\nb\x1b[2J"]);
    bad(
        &control,
        "host",
        "server certificate for \"a\u{fffd}b\u{fffd}[2J\" does not match host name \"host\"",
    );
}

#[test]
fn thousands_of_names_are_looked_through() {
    let all: Vec<String> = (0..20_000).map(|n| format!("dns:host{n}.test")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let make = Make::v1("x").with(alternatives(&all));
    good(&make, &["host19999.test"]);
    bad(
        &make,
        "host20000.test",
        "server certificate for \"host0.test\" (and 19999 other names) does not match host name \"host20000.test\"",
    );
}

/// What is cut off or changed anywhere is refused or read as something, and is never the end of the process.
#[test]
fn damaged_certificates_do_no_harm() {
    let made = Make::server("host.test", &["dns:host.test", "ip:192.0.2.1"]).alone(&Key::new());
    for end in 0..made.der.len() {
        assert!(Certificate::read(&made.der[..end]).is_err());
    }
    let mut der = made.der.clone();
    for at in 0..der.len() {
        for bit in 0..8 {
            der[at] ^= 1 << bit;
            if let Ok(certificate) = Certificate::read(&der) {
                let _ = check(&certificate, b"host.test");
            }
            der[at] ^= 1 << bit;
        }
    }
}
