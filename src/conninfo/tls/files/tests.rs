//! Every file that TLS may need: there, not there, not readable, not allowed.
#![allow(clippy::unwrap_used)]

use super::super::TlsVersion;
use super::*;
use crate::conninfo::encryption;

const LIST: &str = "-----BEGIN X509 CRL-----";
const HOME: &str = "/home/alice/.postgresql";
const PROVIDE: &str = "Either provide the file, use the system's trusted roots with sslrootcert=system, or change sslmode to disable server certificate verification.";

fn alice() -> Surroundings {
    Surroundings::empty().with_account("alice", "/home/alice")
}

fn with_pair(mode: u32) -> Surroundings {
    alice()
        .with_file("/c", 0o644, "certificate")
        .with_file("/k", mode, "key")
}

fn found(conninfo: &str, from: &Surroundings) -> Tls {
    let build = encryption::Build {
        tls: true,
        gssapi: false,
    };
    let mut options = Options::parse(conninfo.as_bytes()).unwrap();
    options.fill_defaults(from).unwrap();
    if options.get("sslmode") == Some(b"disable") {
        options.set("sslmode", b"prefer").unwrap();
    }
    let mode = encryption::sslmode(&options, build).unwrap();
    let versions = encryption::tls_versions(&options, mode).unwrap();
    let certificate_mode = encryption::certificate_mode(&options, build).unwrap();
    read(&options, mode, versions, certificate_mode, from)
}

fn good(conninfo: &str, from: &Surroundings) -> Tls {
    let tls = found(conninfo, from);
    assert_eq!(tls.problem, None, "{conninfo}");
    tls
}

fn problem(conninfo: &str, from: &Surroundings) -> String {
    found(conninfo, from).problem.unwrap()
}

fn root_path(tls: &Tls) -> Option<String> {
    match &tls.roots {
        Roots::File(file) => Some(String::from_utf8_lossy(&file.path).into_owned()),
        _ => None,
    }
}

#[test]
fn without_files_nothing_is_checked_and_nothing_sent() {
    for from in [alice(), Surroundings::empty()] {
        for mode in ["allow", "prefer", "require"] {
            let tls = good(&format!("sslmode={mode}"), &from);
            assert_eq!((tls.verify, &tls.roots), (Verify::Nothing, &Roots::None));
            assert!(!tls.check_revocation && tls.identity.is_none());
            assert_eq!(tls.certificate_mode, CertificateMode::Allow);
            assert!(tls.sni && !tls.direct && tls.keylog.is_none());
            let versions = (tls.min_version, tls.max_version);
            assert_eq!(versions, (Some(TlsVersion::V1_2), None));
        }
    }
}

#[test]
fn where_there_is_a_root_certificate_the_issuer_is_checked() {
    let default = format!("{HOME}/root.crt");
    let from = alice()
        .with_file(&default, 0o644, "roots")
        .with_file("/r", 0o644, "others");
    for (mode, verify) in [
        ("allow", Verify::Issuer),
        ("prefer", Verify::Issuer),
        ("require", Verify::Issuer),
        ("verify-ca", Verify::Issuer),
        ("verify-full", Verify::Host),
    ] {
        let tls = good(&format!("sslmode={mode}"), &from);
        assert_eq!(tls.verify, verify, "{mode}");
        assert_eq!(root_path(&tls).unwrap(), default);
        let tls = good(&format!("sslmode={mode} sslrootcert=/r"), &from);
        assert_eq!(tls.verify, verify, "{mode}");
        assert_eq!(root_path(&tls).unwrap(), "/r");
    }
    let from = from.with_variable("HOME", "/elsewhere");
    assert_eq!(good("sslmode=require", &from).roots, Roots::None);
}

#[test]
fn a_root_certificate_that_is_needed_must_be_there() {
    for mode in ["verify-ca", "verify-full"] {
        assert_eq!(
            problem(&format!("sslmode={mode}"), &alice()),
            format!("root certificate file \"{HOME}/root.crt\" does not exist\n{PROVIDE}")
        );
        assert_eq!(
            problem(&format!("sslmode={mode} sslrootcert=invalid"), &alice()),
            format!("root certificate file \"invalid\" does not exist\n{PROVIDE}")
        );
        assert_eq!(
            problem(&format!("sslmode={mode}"), &Surroundings::empty()),
            format!("could not get home directory to locate root certificate file\n{PROVIDE}")
        );
    }
    let tls = good("sslmode=require sslrootcert=invalid", &alice());
    assert_eq!(
        (tls.verify, tls.roots.clone()),
        (Verify::Nothing, Roots::None)
    );
}

#[test]
fn a_root_certificate_that_cannot_be_read_is_not_done_without() {
    let from = alice().with_file("/r", 0o000, "roots").with_directory("/d");
    assert_eq!(
        problem("sslmode=require sslrootcert=/r", &from),
        "could not read root certificate file \"/r\": Permission denied"
    );
    assert_eq!(
        problem("sslmode=verify-ca sslrootcert=/d", &from),
        "could not read root certificate file \"/d\": Is a directory"
    );
}

#[test]
fn the_systems_roots_need_no_file() {
    let tls = good(
        "sslrootcert=system sslmode=verify-full",
        &Surroundings::empty(),
    );
    assert_eq!((tls.verify, &tls.roots), (Verify::Host, &Roots::System));
    let from = alice().with_file(format!("{HOME}/root.crl"), 0o644, "list");
    let tls = good("sslrootcert=system sslmode=verify-full sslcrl=/l", &from);
    assert!(!tls.check_revocation && tls.revocations.is_empty());
}

#[test]
fn revocation_lists_count_when_there_are_roots() {
    let from = alice()
        .with_file("/r", 0o644, "roots")
        .with_file("/l", 0o644, LIST)
        .with_file("/no-list", 0o644, "# none yet\n")
        .with_file("/der", 0o644, [0x30, 0x82])
        .with_file(format!("{HOME}/root.crl"), 0o644, LIST)
        .with_file("/d/0123abcd.r0", 0o644, "first")
        .with_file("/d/0123abcd.r10", 0o644, "second")
        .with_file("/d/0123ABCD.r1", 0o000, "not readable")
        .with_file("/d/0123abcd.0", 0o644, "a certificate")
        .with_file("/d/0123abcd.r", 0o644, "no number")
        .with_file("/d/0123abcx.r0", 0o644, "no hash")
        .with_file("/d/root.crl", 0o644, "a name")
        .with_file("/e/ffffffff.r0", 0o644, "third")
        .with_directory("/empty");
    let lists = |more: &str| {
        let tls = good(&format!("sslmode=verify-ca sslrootcert=/r {more}"), &from);
        let contents: Vec<String> = tls
            .revocations
            .iter()
            .map(|list| String::from_utf8_lossy(&list.content).into_owned())
            .collect();
        (tls.check_revocation, contents.join(" "))
    };
    let yes = |contents: &str| (true, contents.to_owned());
    assert_eq!(lists(""), yes(LIST));
    assert_eq!(lists("sslcrl=/l"), yes(LIST));
    assert!(lists("sslcrl=/der").0);
    assert_eq!(lists("sslcrl=/no-list"), (false, String::new()));
    assert_eq!(lists("sslcrl=/none"), (false, String::new()));
    assert_eq!(lists("sslcrldir=/d"), yes("first second"));
    assert_eq!(lists("sslcrldir=/d:/e"), yes("first second third"));
    assert_eq!(
        lists("sslcrl=/l sslcrldir=/e"),
        yes(&format!("{LIST} third"))
    );
    assert_eq!(lists("sslcrl=/none sslcrldir=/e"), (false, String::new()));
    assert_eq!(lists("sslcrldir=/empty"), yes(""));
    assert_eq!(lists("sslcrldir=/none"), yes(""));
    let tls = good("sslmode=require sslrootcert=/none sslcrl=/l", &from);
    assert!(!tls.check_revocation && tls.revocations.is_empty());
}

#[test]
fn a_directory_of_lists_is_read_within_limits() {
    let mut from = alice().with_file("/r", 0o644, "roots");
    for number in 0..=MAX_LISTS {
        from = from.with_file(format!("/d/00000000.r{number}"), 0o644, "list");
    }
    assert_eq!(
        problem("sslmode=verify-ca sslrootcert=/r sslcrldir=/d", &from),
        "certificate revocation list directory \"/d\" has more than 1000 lists, or more than 64 MB of them: remove those of issuers that are not used here"
    );
}

#[test]
fn a_certificate_goes_with_its_key() {
    let from = with_pair(0o600)
        .with_file(format!("{HOME}/postgresql.crt"), 0o644, "own")
        .with_file(format!("{HOME}/postgresql.key"), 0o600, "own key");
    let tls = good("sslcert=/c sslkey=/k sslpassword=secret", &from);
    let identity = tls.identity.as_ref().unwrap();
    assert_eq!(identity.certificate.path, b"/c");
    assert_eq!(identity.certificate.content, b"certificate");
    assert_eq!(identity.key_path, b"/k");
    assert_eq!(identity.key.expose(), b"key");
    assert_eq!(identity.password.as_ref().unwrap().expose(), b"secret");
    let shown = format!("{tls:?}");
    assert!(
        !shown.contains("secret") && !shown.contains("107, 101, 121"),
        "{shown}"
    );

    let tls = good("sslpassword=''", &from);
    let identity = tls.identity.as_ref().unwrap();
    assert_eq!(identity.certificate.content, b"own");
    assert_eq!(identity.key.expose(), b"own key");
    assert!(identity.password.is_none());
    assert!(good("sslcertmode=disable", &from).identity.is_none());
    assert!(
        good("sslcert=/c sslkey=/k sslcertmode=disable", &from)
            .identity
            .is_none()
    );
    let tls = good("sslcert=/c sslkey=/k sslcertmode=require", &from);
    assert_eq!(tls.certificate_mode, CertificateMode::Require);
    assert!(tls.identity.is_some());
}

#[test]
fn a_certificate_that_is_not_there_is_none() {
    let from = with_pair(0o600);
    for missing in ["/none", "/c/none"] {
        assert!(
            good(&format!("sslcert={missing} sslkey=/k"), &from)
                .identity
                .is_none()
        );
    }
    let long = "x".repeat(300);
    assert_eq!(
        problem(&format!("sslcert=/{long}"), &Surroundings::real()),
        format!("could not open certificate file \"/{long}\": File name too long")
    );
    let from = from.with_directory("/d");
    assert_eq!(
        problem("sslcert=/d sslkey=/k", &from),
        "could not read certificate file \"/d\": Is a directory"
    );
}

#[test]
fn a_certificate_without_its_key_is_an_error() {
    let from = with_pair(0o600).with_directory("/d");
    for (more, text) in [
        (
            "",
            &format!("certificate present, but not private key file \"{HOME}/postgresql.key\"")[..],
        ),
        (
            "sslkey=/none",
            "certificate present, but not private key file \"/none\"",
        ),
        (
            "sslkey=/k/none",
            "could not stat private key file \"/k/none\": Not a directory",
        ),
        ("sslkey=/d", "private key file \"/d\" is not a regular file"),
        (
            "sslkey=pkcs11:slot",
            "could not load SSL engine \"pkcs11\": engines are not supported (set sslkey to the name of a file)",
        ),
    ] {
        assert_eq!(problem(&format!("sslcert=/c {more}"), &from), text);
    }
    let from = Surroundings::empty().with_file("/c", 0o644, "certificate");
    assert_eq!(
        problem("sslcert=/c", &from),
        "certificate does not match private key file \"\": no private key assigned"
    );
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let refusal = "private key file \"/k\" has group or world access; file must have permissions u=rw (0600) or less if owned by the current user, or permissions u=rw,g=r (0640) or less if owned by root";
    for (owner, modes, fine) in [
        (1000, &[0o600, 0o400, 0o700][..], true),
        (1000, &[0o640, 0o604, 0o610, 0o620, 0o601, 0o644], false),
        (0, &[0o600, 0o640, 0o400, 0o740], true),
        (0, &[0o660, 0o650, 0o644, 0o641, 0o642], false),
    ] {
        for mode in modes {
            let from = with_pair(0o600).with_file_of("/k", owner, *mode, "key");
            let found = found("sslcert=/c sslkey=/k", &from);
            let expected = (!fine).then_some(refusal);
            assert_eq!(found.problem.as_deref(), expected, "{owner} {mode:o}");
            assert_eq!(found.identity.is_some(), fine);
        }
    }
    let from = with_pair(0o200);
    assert_eq!(
        problem("sslcert=/c sslkey=/k", &from),
        "could not load private key file \"/k\": Permission denied"
    );
}

#[test]
fn the_root_is_complained_of_before_the_key() {
    let from = with_pair(0o644);
    let text = problem("sslmode=verify-ca sslcert=/c sslkey=/k", &from);
    assert!(text.starts_with("root certificate file"), "{text}");
}

#[test]
fn what_needs_no_file_is_taken_over() {
    let tls = good(
        "sslmode=require sslsni=0 sslkeylogfile=/l sslnegotiation=direct ssl_min_protocol_version=TLSv1 ssl_max_protocol_version=tlsv1.2",
        &alice(),
    );
    assert!(!tls.sni && tls.direct);
    assert_eq!(tls.keylog.as_deref(), Some(&b"/l"[..]));
    assert_eq!(tls.min_version, Some(TlsVersion::V1_0));
    assert_eq!(tls.max_version, Some(TlsVersion::V1_2));
    assert!(good("", &alice().with_variable("PGSSLSNI", "1")).sni);
    assert!(!good("", &alice().with_variable("PGSSLSNI", "0")).sni);
}
