//! Which certificates are accepted. Each case is also put before `openssl verify`, whose verdict must be the same.

use super::make::{
    Key, Made, Make, NOW, alternatives, authority_key, basic, constraints, der, extension, oid,
    pem, purposes, sequence, subject_key, tag, time, usage,
};
use super::openssl::Workshop;
use crate::net::tls::certificate::Certificate;
use crate::net::tls::path::{self, Evidence};
use crate::net::tls::revoked::RevocationList;

/// Client authentication, the purpose that servers do not have.
const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];

/// A chain, what it is checked with, and what is to come of it: nothing, or OpenSSL's words.
struct Case<'a> {
    what: &'a str,
    leaf: &'a Made,
    sent: Vec<&'a Made>,
    trusted: Vec<&'a Made>,
    lists: Option<Vec<Vec<u8>>>,
    verdict: Result<(), &'a str>,
    /// Where OpenSSL's words or its verdict are others, and why that is right.
    openssl: Option<Result<(), &'a str>>,
}

impl<'a> Case<'a> {
    fn new(what: &'a str, leaf: &'a Made, sent: &[&'a Made], trusted: &[&'a Made]) -> Case<'a> {
        Case {
            what,
            leaf,
            sent: sent.to_vec(),
            trusted: trusted.to_vec(),
            lists: None,
            verdict: Ok(()),
            openssl: None,
        }
    }

    fn with_lists(mut self, lists: Vec<Vec<u8>>) -> Self {
        self.lists = Some(lists);
        self
    }

    /// OpenSSL says it otherwise, or accepts what we do not.
    fn openssl(mut self, verdict: Result<(), &'a str>) -> Self {
        self.openssl = Some(verdict);
        self
    }

    fn good(self) {
        self.check(Ok(()));
    }

    fn bad(self, reason: &'a str) {
        self.check(Err(reason));
    }

    fn check(mut self, verdict: Result<(), &'a str>) {
        self.verdict = verdict;
        let ours = self.ours();
        assert_eq!(
            ours.as_ref().map_err(String::as_str).map(|_| ()),
            verdict,
            "{}",
            self.what
        );
        if let Some(openssl) = self.theirs() {
            match self.openssl.unwrap_or(verdict) {
                Ok(()) => assert!(openssl.is_ok(), "{}: openssl says {openssl:?}", self.what),
                Err(reason) => {
                    let text = openssl.expect_err(self.what);
                    assert!(text.contains(reason), "{}: openssl says {text}", self.what);
                }
            }
        }
    }

    fn ours(&self) -> Result<i64, String> {
        let read = |made: &&'a Made| Certificate::read(&made.der).unwrap();
        let trusted: Vec<_> = self.trusted.iter().map(read).collect();
        let sent: Vec<_> = self.sent.iter().map(read).collect();
        let lists: Option<Vec<_>> = self.lists.as_ref().map(|lists| {
            let read = |der| RevocationList::read(der).unwrap();
            lists.iter().map(|der| read(der)).collect()
        });
        let evidence = Evidence {
            trusted: &trusted,
            sent: &sent,
            revocations: lists.as_deref(),
            now: NOW,
        };
        path::check(&Certificate::read(&self.leaf.der).unwrap(), &evidence)
            .map_err(|problem| String::from(problem.reason()))
    }

    fn theirs(&self) -> Option<Result<String, String>> {
        let shop = Workshop::open()?;
        let concat = |all: &[&Made]| all.iter().flat_map(|made| made.pem()).collect::<Vec<u8>>();
        shop.write("leaf.pem", &self.leaf.pem());
        shop.write("sent.pem", &concat(&self.sent));
        shop.write("trusted.pem", &concat(&self.trusted));
        let time = NOW.to_string();
        let mut words = vec![
            "verify",
            "-purpose",
            "sslserver",
            "-attime",
            &time,
            "-auth_level",
            "2",
            "-no-CApath",
            "-no-CAstore",
        ];
        if self.trusted.is_empty() {
            words.push("-no-CAfile");
        } else {
            words.extend(["-CAfile", "trusted.pem"]);
        }
        if !self.sent.is_empty() {
            words.extend(["-untrusted", "sent.pem"]);
        }
        if let Some(lists) = &self.lists {
            words.push("-crl_check_all");
            if !lists.is_empty() {
                let lists: Vec<u8> = lists.iter().flat_map(|der| pem("X509 CRL", der)).collect();
                shop.write("lists.pem", &lists);
                words.extend(["-CRLfile", "lists.pem"]);
            }
        }
        words.push("leaf.pem");
        Some(shop.run(&words))
    }
}

fn root() -> Made {
    Make::ca("root").alone(&Key::new())
}

/// The manual's chapter "Creating Certificates": a certificate that is its own issuer, and one of version 1 by a root, or by an
/// intermediate that the server sends along.
#[test]
fn what_the_manual_tells_people_to_make() {
    let alone = Make::ca("dbhost.yourdomain.com").alone(&Key::new());
    Case::new(
        "self-signed, as openssl req -x509 makes it",
        &alone,
        &[],
        &[&alone],
    )
    .good();
    let old = Make::v1("dbhost.yourdomain.com").alone(&Key::new());
    Case::new("self-signed, of version 1", &old, &[], &[&old]).good();
    let root = root();
    let leaf = Make::v1("dbhost.yourdomain.com").by(&root);
    Case::new("version 1 by a root", &leaf, &[], &[&root]).good();
    let between = Make::ca("intermediate").by(&root);
    let leaf = Make::v1("dbhost.yourdomain.com").by(&between);
    Case::new("version 1 by an intermediate", &leaf, &[&between], &[&root]).good();
}

/// The files of PostgreSQL's src/test/ssl: what is trusted must reach a self-signed certificate.
#[test]
fn a_path_ends_at_a_self_signed_certificate() {
    let root = root();
    let server_ca = Make::ca("server ca").by(&root);
    let other_ca = Make::ca("client ca").by(&root);
    let leaf = Make::v1("common-name.pg-ssltest.test").by(&server_ca);
    Case::new("root+server_ca", &leaf, &[], &[&root, &server_ca]).good();
    Case::new("both-cas-1", &leaf, &[], &[&root, &other_ca, &server_ca]).good();
    Case::new("both-cas-2", &leaf, &[], &[&root, &server_ca, &other_ca]).good();
    Case::new("the server sends its CA", &leaf, &[&server_ca], &[&root]).good();
    Case::new(
        "the server sends everything",
        &leaf,
        &[&root, &server_ca],
        &[&root],
    )
    .good();
    Case::new("server_ca without root", &leaf, &[], &[&server_ca])
        .bad("unable to get issuer certificate");
    Case::new("client_ca", &leaf, &[], &[&other_ca]).bad("unable to get local issuer certificate");
    Case::new("root without server_ca", &leaf, &[], &[&root])
        .bad("unable to get local issuer certificate");
    Case::new("nothing", &leaf, &[], &[]).bad("unable to get local issuer certificate");
    Case::new(
        "the certificate itself, which has an issuer",
        &leaf,
        &[],
        &[&leaf],
    )
    .bad("unable to get local issuer certificate");
}

#[test]
fn self_signed_certificates_that_nobody_trusts() {
    let alone = Make::ca("host").alone(&Key::new());
    let namesake = Make::ca("host").alone(&Key::new());
    Case::new("alone", &alone, &[], &[]).bad("self-signed certificate");
    Case::new("one of the same name", &alone, &[], &[&namesake]).bad("self-signed certificate");
    let leaf = Make::v1("leaf").by(&alone);
    Case::new("sent along", &leaf, &[&alone], &[&root()])
        .bad("self-signed certificate in certificate chain");
}

#[test]
fn of_issuers_of_the_same_name_the_one_whose_key_it_is() {
    let right = root();
    let wrong = root();
    let leaf = Make::v1("leaf").by(&right);
    Case::new("wrong", &leaf, &[], &[&wrong]).bad("certificate signature failure");
    Case::new("right", &leaf, &[], &[&right]).good();
    let issuer = |id: &[u8]| Make::ca("root").with(subject_key(id)).alone(&Key::new());
    let (one, two) = (issuer(b"one"), issuer(b"two"));
    let leaf = Make::v1("leaf").with(authority_key(b"two")).by(&two);
    Case::new("by key identifier", &leaf, &[], &[&one, &two]).good();
    Case::new("no such key identifier", &leaf, &[], &[&one])
        .openssl(Err("unable to get local issuer certificate"))
        .bad("certificate signature failure");
    // A CA that was renewed: the same name and key, another certificate.
    let key = Key::new();
    let old = Make::ca("ca").valid(-9, -1).alone(&key);
    let new = Make::ca("ca").valid(-1, 9).alone(&key);
    let leaf = Make::v1("leaf").by(&new);
    Case::new(
        "the one that expired comes first",
        &leaf,
        &[],
        &[&old, &new],
    )
    .good();
}

#[test]
fn times_of_every_certificate_count() {
    let root = root();
    let over = Make::v1("leaf").valid(-2, -1).by(&root);
    Case::new("over", &over, &[], &[&root]).bad("certificate has expired");
    let early = Make::v1("leaf").valid(1, 2).by(&root);
    Case::new("early", &early, &[], &[&root]).bad("certificate is not yet valid");
    let long = Make::v1("leaf").valid(-20_240, 40_000).by(&root);
    Case::new("from 1970 until long after 2049", &long, &[], &[&root]).good();
    let over = Make::ca("root").valid(-9, -1).alone(&Key::new());
    let leaf = Make::v1("leaf").by(&over);
    Case::new("its root is over", &leaf, &[], &[&over]).bad("certificate has expired");
    let over = Make::ca("between").valid(-9, -1).by(&root);
    let leaf = Make::v1("leaf").by(&over);
    Case::new("its issuer is over", &leaf, &[&over], &[&root]).bad("certificate has expired");
    let alone = Make::ca("leaf").valid(-9, -1).alone(&Key::new());
    Case::new("trusted itself, and over", &alone, &[], &[&alone]).bad("certificate has expired");
}

#[test]
fn only_a_ca_issues() {
    let root = root();
    let server = Make::server("server", &["dns:server"])
        .with(basic(false, None))
        .by(&root);
    let leaf = Make::v1("leaf").by(&server);
    Case::new("a server as issuer", &leaf, &[&server], &[&root]).bad("invalid CA certificate");
    let plain = Make::server("server", &["dns:server"]).by(&root);
    let leaf = Make::v1("leaf").by(&plain);
    Case::new(
        "version 3 without the extension",
        &leaf,
        &[&plain],
        &[&root],
    )
    .bad("invalid CA certificate");
    let old = Make::v1("old root").alone(&Key::new());
    let leaf = Make::v1("leaf").by(&old);
    Case::new("a root of version 1", &leaf, &[], &[&old]).good();
    let between = Make::v1("old").by(&root);
    let leaf = Make::v1("leaf").by(&between);
    Case::new("an intermediate of version 1", &leaf, &[&between], &[&root])
        .bad("invalid CA certificate");
    let signs = Make::ca("ca").with(usage(0x06)).by(&root);
    let leaf = Make::v1("leaf").by(&signs);
    Case::new("may sign certificates", &leaf, &[&signs], &[&root]).good();
    let not = Make::ca("ca").with(usage(0x80)).by(&root);
    let leaf = Make::v1("leaf").by(&not);
    Case::new("may not", &leaf, &[&not], &[&root])
        .openssl(Err("error"))
        .bad("invalid CA certificate");
    let ca = Make::ca("leaf").by(&root);
    Case::new("a server that is a CA", &ca, &[], &[&root]).good();
}

#[test]
fn no_more_cas_below_than_allowed() {
    let key = Key::new();
    let strict = Make::v1("strict").with(basic(true, Some(0))).alone(&key);
    let leaf = Make::v1("leaf").by(&strict);
    Case::new("none", &leaf, &[], &[&strict]).good();
    let between = Make::ca("between").by(&strict);
    let leaf = Make::v1("leaf").by(&between);
    Case::new("one", &leaf, &[&between], &[&strict]).bad("path length constraint exceeded");
    let loose = Make::v1("loose").with(basic(true, Some(1))).alone(&key);
    let between = Make::ca("between").by(&loose);
    let leaf = Make::v1("leaf").by(&between);
    Case::new("one allowed", &leaf, &[&between], &[&loose]).good();
}

#[test]
fn a_servers_certificate_is_for_servers() {
    let root = root();
    for (what, extension, verdict) in [
        ("server", purposes(&[oid::SERVER_AUTH]), true),
        (
            "server and client",
            purposes(&[CLIENT_AUTH, oid::SERVER_AUTH]),
            true,
        ),
        ("client", purposes(&[CLIENT_AUTH]), false),
        ("any", purposes(&[&[0x55, 29, 37, 0]]), false),
        ("signature", usage(0x80), true),
        ("encipherment", usage(0x20), true),
        ("agreement", usage(0x08), true),
        ("certificates only", usage(0x04), false),
        (
            "Netscape's server",
            extension(
                oid::NETSCAPE_CERT_TYPE,
                false,
                &der(tag::BIT_STRING, &[6, 0x40]),
            ),
            true,
        ),
        (
            "Netscape's client",
            extension(
                oid::NETSCAPE_CERT_TYPE,
                false,
                &der(tag::BIT_STRING, &[7, 0x80]),
            ),
            false,
        ),
    ] {
        let leaf = Make::v1("leaf").with(extension).by(&root);
        let case = Case::new(what, &leaf, &[], &[&root]);
        match verdict {
            true => case.good(),
            false => case.bad("unsuitable certificate purpose"),
        }
    }
    let ca = Make::ca("ca").with(purposes(&[CLIENT_AUTH])).by(&root);
    let leaf = Make::v1("leaf").by(&ca);
    Case::new("a CA for clients", &leaf, &[&ca], &[&root]).bad("unsuitable certificate purpose");
    let ca = Make::ca("ca").with(purposes(&[oid::SERVER_AUTH])).by(&root);
    let leaf = Make::v1("leaf").by(&ca);
    Case::new("a CA for servers", &leaf, &[&ca], &[&root]).good();
}

#[test]
fn what_is_critical_must_be_understood() {
    let root = root();
    let unknown = |critical| extension(&[0x2a, 3, 4], critical, b"\x05\x00");
    let leaf = Make::v1("leaf").with(unknown(true)).by(&root);
    Case::new("leaf", &leaf, &[], &[&root]).bad("unhandled critical extension");
    let leaf = Make::v1("leaf").with(unknown(false)).by(&root);
    Case::new("not critical", &leaf, &[], &[&root]).good();
    let ca = Make::ca("ca").with(unknown(true)).by(&root);
    let leaf = Make::v1("leaf").by(&ca);
    Case::new("issuer", &leaf, &[&ca], &[&root]).bad("unhandled critical extension");
}

#[test]
fn names_stay_within_an_issuers_constraints() {
    let of = |permitted: &[&str], excluded: &[&str]| {
        Make::ca("ca")
            .with(constraints(permitted, excluded))
            .alone(&Key::new())
    };
    let not_permitted = Err("permitted subtree violation");
    let excluded = Err("excluded subtree violation");
    for (ca, names, verdict) in [
        (
            of(&["dns:example.com"], &[]),
            vec!["dns:db.example.com"],
            Ok(()),
        ),
        (
            of(&["dns:example.com"], &[]),
            vec!["dns:EXAMPLE.com"],
            Ok(()),
        ),
        (
            of(&["dns:example.com"], &[]),
            vec!["dns:badexample.com"],
            not_permitted,
        ),
        (
            of(&["dns:.example.com"], &[]),
            vec!["dns:a.example.com"],
            Ok(()),
        ),
        (
            of(&["dns:.example.com"], &[]),
            vec!["dns:example.com"],
            not_permitted,
        ),
        (
            of(&["dns:a.com", "dns:b.com"], &[]),
            vec!["dns:b.com", "dns:x.a.com"],
            Ok(()),
        ),
        (
            of(&["dns:a.com"], &[]),
            vec!["dns:a.com", "dns:b.com"],
            not_permitted,
        ),
        (of(&[], &["dns:a.com"]), vec!["dns:b.com"], Ok(())),
        (
            of(&[], &["dns:a.com"]),
            vec!["dns:b.com", "dns:x.a.com"],
            excluded,
        ),
        (
            of(&["dns:a.com"], &["dns:x.a.com"]),
            vec!["dns:x.a.com"],
            excluded,
        ),
        (
            of(&["net:10.0.0.0/255.0.0.0"], &[]),
            vec!["ip:10.1.2.3"],
            Ok(()),
        ),
        (
            of(&["net:10.0.0.0/255.0.0.0"], &[]),
            vec!["ip:11.1.2.3"],
            not_permitted,
        ),
        (
            of(&["net:10.0.0.0/255.0.0.0"], &[]),
            vec!["ip:2001:db8::1"],
            not_permitted,
        ),
        (
            of(&[], &["net:10.0.0.0/255.0.0.0"]),
            vec!["ip:10.1.2.3"],
            excluded,
        ),
        (of(&["cn:other"], &[]), vec!["dns:b.com"], not_permitted),
        (of(&[], &["cn:leaf.a.com"]), vec!["dns:b.com"], excluded),
    ] {
        let leaf = Make::server("leaf.a.com", &names).by(&ca);
        Case::new(&format!("{names:?}"), &leaf, &[], &[&ca])
            .openssl(verdict)
            .check(verdict.map_err(|_| "permitted or excluded subtree violation"));
    }
    let ca = of(&["dns:a.com"], &[]);
    let between = Make::ca("between").by(&ca);
    let leaf = Make::server("leaf", &["dns:b.com"]).by(&between);
    Case::new("from further above", &leaf, &[&between], &[&ca])
        .openssl(Err("permitted subtree violation"))
        .bad("permitted or excluded subtree violation");
    let by_subject = of(&["cn:leaf.a.com"], &[]);
    let leaf = Make::server("leaf.a.com", &["dns:b.com"]).by(&by_subject);
    Case::new("subjects are not compared", &leaf, &[], &[&by_subject])
        .openssl(Ok(()))
        .bad("permitted or excluded subtree violation");
    // A common name is no name that webpki holds against them, and so cannot be a host's here.
    let unknown = "unsupported name constraint type";
    let leaf = Make::v1("db.b.com").by(&ca);
    Case::new("a common name, without", &leaf, &[], &[&ca])
        .openssl(Err("permitted subtree violation"))
        .bad(unknown);
    let leaf = Make::v1("db.a.com").by(&ca);
    Case::new("a common name, within", &leaf, &[], &[&ca])
        .openssl(Ok(()))
        .bad(unknown);
    let leaf = Make::v1("db.b.com").with(basic(false, None)).by(&ca);
    Case::new("a common name in version 3", &leaf, &[], &[&ca])
        .openssl(Err("permitted subtree violation"))
        .bad(unknown);
    let leaf = Make::server("db.b.com", &["ip:192.0.2.1"]).by(&ca);
    Case::new("a common name beside an address", &leaf, &[], &[&ca])
        .openssl(Err("permitted subtree violation"))
        .bad(unknown);
    let leaf = Make::ca("x").with(alternatives(&["dns:b.com"])).by(&ca);
    Case::new("a CA as server", &leaf, &[], &[&ca])
        .openssl(Err("permitted subtree violation"))
        .bad(unknown);
}

#[test]
fn revoked_certificates_are_refused() {
    let root = root();
    let ca = Make::ca("server ca").by(&root);
    let good = Make::v1("good").by(&ca);
    let bad = Make::v1("bad").by(&ca);
    let of_root = root.revokes(&[], -1, 1);
    let of_ca = ca.revokes(&[&bad], -1, 1);
    let check = |what, leaf, lists: &[&Vec<u8>], verdict| {
        Case::new(what, leaf, &[], &[&root, &ca])
            .with_lists(lists.iter().map(|list| (*list).clone()).collect())
            .check(verdict);
    };
    let revoked = Err("certificate revoked");
    let missing = Err("unable to get certificate CRL");
    check("not on it", &good, &[&of_root, &of_ca], Ok(()));
    check("on it", &bad, &[&of_root, &of_ca], revoked);
    check("no list", &good, &[], missing);
    check("none of the root", &good, &[&of_ca], missing);
    check("none of the CA", &good, &[&of_root], missing);
    let other = Make::ca("client ca").by(&root).revokes(&[], -1, 1);
    check("another CA's", &good, &[&of_root, &other], missing);
    let of_root_revoking = root.revokes(&[&ca], -1, 1);
    check(
        "the CA itself",
        &good,
        &[&of_root_revoking, &of_ca],
        revoked,
    );
    let old = ca.revokes(&[], -9, -1);
    check("expired", &good, &[&of_root, &old], Err("CRL has expired"));
    check(
        "an expired one, too",
        &bad,
        &[&of_root, &old, &of_ca],
        revoked,
    );
    let early = ca.revokes(&[], 1, 2);
    check(
        "early",
        &good,
        &[&of_root, &early],
        Err("CRL is not yet valid"),
    );
    let endless = ca.list(Vec::new(), -1, None, Vec::new());
    check("without an end", &good, &[&of_root, &endless], Ok(()));
    let forged = Make::ca("server ca").alone(&Key::new());
    let forged = forged.revokes(&[], -1, 1);
    check(
        "forged",
        &bad,
        &[&of_root, &forged],
        Err("CRL signature failure"),
    );
    let number = extension(oid::CRL_NUMBER, false, &der(tag::INTEGER, &[1]));
    let unknown = extension(&[0x2a, 3, 4], true, b"\x05\x00");
    let list = ca.list(Vec::new(), -1, Some(1), vec![number.clone()]);
    check("version 2", &good, &[&of_root, &list], Ok(()));
    let list = ca.list(Vec::new(), -1, Some(1), vec![number, unknown]);
    let reason = Err("unhandled critical CRL extension");
    check("unknown", &good, &[&of_root, &list], reason);
    for (what, kind, verdict) in [
        ("servers", 1, Ok(())),
        ("authorities", 2, missing),
        ("attributes", 5, missing),
        ("indirect", 4, missing),
    ] {
        let point = sequence(&[&der(tag::simple(kind), &[0xff])]);
        let point = extension(oid::ISSUING_POINT, true, &point);
        let list = ca.list(Vec::new(), -1, Some(1), vec![point]);
        Case::new(what, &good, &[], &[&root, &ca])
            .with_lists(vec![of_root.clone(), list])
            .openssl(verdict.map_err(|_| "error"))
            .check(verdict);
    }
}

#[test]
fn an_entry_may_say_more() {
    let root = root();
    let leaf = Make::v1("leaf").by(&root);
    let entry = |extensions: &[Vec<u8>]| {
        let all: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
        let serial = der(tag::INTEGER, &leaf.serial);
        sequence(&[&serial, &time(NOW), &sequence(&all)])
    };
    let reason = |code| extension(oid::CRL_REASON, false, &der(tag::ENUMERATED, &[code]));
    let number = || vec![extension(oid::CRL_NUMBER, false, &der(tag::INTEGER, &[1]))];
    for (what, extensions, verdict) in [
        ("for a reason", vec![reason(1)], Err("certificate revoked")),
        ("taken back", vec![reason(8)], Ok(())),
        (
            "unknown",
            vec![extension(&[0x2a, 3, 4], true, b"\x05\x00")],
            Err("unhandled critical CRL extension"),
        ),
    ] {
        let list = root.list(vec![entry(&extensions)], -1, Some(1), number());
        Case::new(what, &leaf, &[], &[&root])
            .with_lists(vec![list])
            .check(verdict);
    }
}

#[test]
fn a_ca_that_may_not_sign_lists_has_none() {
    let root = Make::ca("root").with(usage(0x04)).alone(&Key::new());
    let leaf = Make::v1("leaf").by(&root);
    Case::new("key usage", &leaf, &[], &[&root])
        .with_lists(vec![root.revokes(&[], -1, 1)])
        .openssl(Err("error"))
        .bad("key usage does not include CRL signing");
}

#[test]
fn signatures_that_are_weak_or_unknown_are_refused() {
    let key = Key::new();
    let ed25519 = Key::ed25519();
    let root = Make::ca("root").alone(&ed25519);
    let leaf = Make::v1("leaf").by(&root);
    Case::new("Ed25519", &leaf, &[], &[&root]).good();
    for (what, algorithm, reason) in [
        (
            "SHA-1",
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1][..],
            "CA signature digest algorithm too weak",
        ),
        (
            "MD5",
            &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4],
            "CA signature digest algorithm too weak",
        ),
        ("nobody's", &[0x2a, 3, 4], "unsupported signature algorithm"),
    ] {
        let signer = key.claiming(sequence(&[&der(tag::OID, algorithm)]));
        let root = Make::ca("root").alone(&key);
        let leaf = Make::v1("leaf").make(&Key::new(), &root.name, &signer);
        Case::new(what, &leaf, &[], &[&root])
            .openssl(Err("error"))
            .bad(reason);
    }
}

/// The chain that a server sends is its to choose: there may be countless paths through it, and none may take long.
#[test]
fn a_maze_of_certificates_ends() {
    let keys: Vec<Key> = (0..3).map(|_| Key::new()).collect();
    let mut sent = Vec::new();
    for level in 0..10 {
        for key in &keys {
            for signer in &keys {
                let issuer = super::make::name(format!("ca {}", level + 1).as_bytes());
                sent.push(Make::ca(&format!("ca {level}")).make(key, &issuer, signer));
            }
        }
    }
    let issuer = super::make::name(b"ca 0");
    let leaf = Make::v1("leaf").make(&Key::new(), &issuer, &keys[0]);
    let root = root();
    let modern = Make::server("leaf", &["dns:leaf"]).make(&Key::new(), &issuer, &keys[0]);
    let begun = std::time::Instant::now();
    for leaf in [&leaf, &modern] {
        let mut case = Case::new("maze", leaf, &[], &[&root]);
        case.sent = sent.iter().collect();
        assert!(case.ours().is_err());
    }
    assert!(begun.elapsed().as_secs() < 5);
}

/// Until when a verdict holds: the earliest end of all that it rests on.
#[test]
fn a_verdict_ends_with_what_it_rests_on() {
    const DAY: i64 = 86_400;
    let root = root();
    let leaf = Make::v1("leaf").valid(-1, 5).by(&root);
    let case = Case::new("", &leaf, &[], &[&root]);
    assert_eq!(case.ours(), Ok(NOW + DAY));
    let root = Make::ca("root").valid(-1, 9).alone(&Key::new());
    let leaf = Make::v1("leaf").valid(-1, 5).by(&root);
    assert_eq!(
        Case::new("", &leaf, &[], &[&root]).ours(),
        Ok(NOW + 5 * DAY)
    );
    let lists = vec![root.revokes(&[], -1, 3)];
    let case = Case::new("", &leaf, &[], &[&root]).with_lists(lists);
    assert_eq!(case.ours(), Ok(NOW + 3 * DAY));
}

#[test]
fn extensions_that_are_there_twice_are_malformed() {
    let root = root();
    let leaf = Make::v1("leaf")
        .with(alternatives(&["dns:a"]))
        .with(alternatives(&["dns:b"]))
        .by(&root);
    assert!(Certificate::read(&leaf.der).is_err());
}
