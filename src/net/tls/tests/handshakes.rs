//! Whole handshakes in memory, with a server of rustls: what is accepted, what is told, what is kept for the next one.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{ClientConnection, HandshakeKind, RootCertStore, ServerConfig, ServerConnection};

use super::make::{Key, Made, Make, NOW, pem};
use crate::conninfo::Secret;
use crate::conninfo::tls::{CertificateMode, File, Identity, Roots, Tls, TlsVersion, Verify};
use crate::link::{LinkError, LinkErrorKind, TlsFacts};
use crate::net::tls::config::Setup;

/// Options that check nothing.
pub(crate) fn options() -> Tls {
    Tls::unverified()
}

pub(super) fn file(content: Vec<u8>) -> File {
    File {
        path: b"a file".to_vec(),
        content,
    }
}

fn trusting(root: &Made, verify: Verify) -> Tls {
    Tls {
        verify,
        roots: Roots::File(file(root.pem())),
        ..options()
    }
}

/// Valid today, whenever that is.
fn today(make: Make) -> Make {
    let now = std::time::SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap()
        .as_secs();
    let days = (i64::try_from(now).unwrap() - NOW) / 86_400;
    make.valid(days - 1, days + 2)
}

/// A root, and a server's certificate of version 1 by it.
fn root_and_leaf(host: &str) -> (Made, Made) {
    let root = today(Make::ca("root")).alone(&Key::new());
    let leaf = today(Make::v1(host)).by(&root);
    (root, leaf)
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn certified(chain: &[&Made]) -> Arc<CertifiedKey> {
    let ders = chain
        .iter()
        .map(|made| CertificateDer::from(made.der.clone()));
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(chain[0].key.pkcs8.clone());
    let key = rustls::crypto::ring::sign::any_supported_type(&key.into()).unwrap();
    Arc::new(CertifiedKey::new(ders.collect(), key))
}

fn server(chain: &[&Made]) -> ServerConfig {
    server_with(chain, rustls::DEFAULT_VERSIONS)
}

fn server_with(
    chain: &[&Made],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Always(certified(chain))));
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config
}

/// What came of a handshake: the facts, how it went, and the name the server was told.
struct Met {
    facts: TlsFacts,
    kind: HandshakeKind,
    name: Option<String>,
}

/// Shakes hands in memory.
fn meet(tls: &Arc<Tls>, host: &str, server: &Arc<ServerConfig>) -> Result<Met, LinkError> {
    let mut setup = Setup::new(tls, host.as_bytes())?;
    let mut client = ClientConnection::new(setup.config.clone(), setup.name.clone())
        .map_err(|error| setup.explain(error))?;
    let mut server = ServerConnection::new(server.clone()).unwrap();
    let mut wire = Vec::new();
    // More turns than it takes, so that tickets arrive as well.
    for _ in 0..10 {
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server
            .read_tls(&mut std::mem::take(&mut wire).as_slice())
            .unwrap();
        // What it says of it, it has said in an alert.
        let _ = server.process_new_packets();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client
            .read_tls(&mut std::mem::take(&mut wire).as_slice())
            .unwrap();
        let processed = client.process_new_packets();
        setup.note();
        processed.map_err(|error| setup.explain(error))?;
    }
    client.writer().write_all(b"question").unwrap();
    client.write_tls(&mut wire).unwrap();
    server.read_tls(&mut wire.as_slice()).unwrap();
    server.process_new_packets().unwrap();
    let mut question = [0; 8];
    server.reader().read_exact(&mut question).unwrap();
    assert_eq!(&question, b"question");
    Ok(Met {
        facts: setup.facts(&client),
        kind: client.handshake_kind().unwrap(),
        name: server.server_name().map(String::from),
    })
}

fn met(tls: Tls, host: &str, server: ServerConfig) -> Met {
    meet(&Arc::new(tls), host, &Arc::new(server)).unwrap_or_else(|error| panic!("{error}"))
}

fn failed(tls: Tls, host: &str, server: ServerConfig) -> String {
    match meet(&Arc::new(tls), host, &Arc::new(server)) {
        Ok(_) => panic!("it did not fail"),
        Err(error) => {
            assert_eq!(error.kind, LinkErrorKind::Tls);
            error.text
        }
    }
}

#[test]
fn the_issuer_and_the_host_are_checked_as_far_as_asked() {
    let (root, leaf) = root_and_leaf("db.test");
    let (other, _) = root_and_leaf("db.test");
    for host in ["db.test", "other.test", "", "192.0.2.1"] {
        met(options(), host, server(&[&leaf]));
        met(trusting(&root, Verify::Issuer), host, server(&[&leaf]));
    }
    met(trusting(&root, Verify::Host), "db.test", server(&[&leaf]));
    for verify in [Verify::Issuer, Verify::Host] {
        assert_eq!(
            failed(trusting(&other, verify), "db.test", server(&[&leaf])),
            "SSL error: certificate verify failed: certificate signature failure (certificate \"db.test\", issued by \"root\")"
        );
    }
    assert_eq!(
        failed(
            trusting(&root, Verify::Host),
            "other.test",
            server(&[&leaf])
        ),
        "server certificate for \"db.test\" does not match host name \"other.test\""
    );
    assert_eq!(
        failed(trusting(&root, Verify::Host), "", server(&[&leaf])),
        "host name must be specified for a verified SSL connection"
    );
    let over = Make::v1("db.test").by(&root);
    assert_eq!(
        failed(trusting(&root, Verify::Issuer), "db.test", server(&[&over])),
        "SSL error: certificate verify failed: certificate has expired (certificate \"db.test\", issued by \"root\")"
    );
}

/// Whatever is not checked: the server has the key of the certificate that it shows.
#[test]
fn a_server_without_the_key_is_refused() {
    let (root, leaf) = root_and_leaf("db.test");
    let mut thief = leaf.clone();
    thief.key = Key::new();
    for versions in [&[&rustls::version::TLS12], &[&rustls::version::TLS13]] {
        for tls in [options(), trusting(&root, Verify::Host)] {
            assert_eq!(
                failed(tls, "db.test", server_with(&[&thief], versions)),
                "SSL error: bad signature: the server does not have the key of its certificate"
            );
        }
    }
    let mut junk = leaf.clone();
    junk.der = b"junk".to_vec();
    for tls in [options(), trusting(&root, Verify::Issuer)] {
        assert_eq!(
            failed(tls, "db.test", server(&[&junk])),
            "SSL error: certificate verify failed: the certificate is malformed"
        );
    }
}

#[test]
fn what_it_came_to_is_told_by_openssls_names() {
    let (_, leaf) = root_and_leaf("db.test");
    let facts = met(options(), "db.test", server(&[&leaf])).facts;
    assert_eq!(facts.version, "TLSv1.3");
    assert_eq!(
        (facts.cipher, facts.key_bits),
        ("TLS_AES_256_GCM_SHA384", 256)
    );
    assert_eq!(facts.alpn.as_deref(), Some(&b"postgresql"[..]));
    assert_eq!(
        (facts.certificate_requested, facts.certificate_sent),
        (false, false)
    );
    let hash = facts.end_point.unwrap().unwrap();
    assert_eq!(
        hash,
        <sha2::Sha256 as sha2::Digest>::digest(&leaf.der).to_vec()
    );
    let mut old = server_with(&[&leaf], &[&rustls::version::TLS12]);
    old.alpn_protocols = Vec::new();
    let facts = met(options(), "db.test", old).facts;
    assert_eq!((facts.version, facts.alpn), ("TLSv1.2", None));
    assert_eq!(facts.cipher, "ECDHE-ECDSA-AES256-GCM-SHA384");
    let ed25519 = today(Make::v1("db.test")).alone(&Key::ed25519());
    let facts = met(options(), "db.test", server(&[&ed25519])).facts;
    let text = String::from("could not find digest for NID UNDEF");
    assert_eq!(facts.end_point, Some(Err(text)));
}

#[test]
fn versions_stay_within_the_options() {
    let (_, leaf) = root_and_leaf("db.test");
    let with = |min_version, max_version| Tls {
        min_version,
        max_version,
        ..options()
    };
    let (v1_1, v1_2, v1_3) = (
        Some(TlsVersion::V1_1),
        Some(TlsVersion::V1_2),
        Some(TlsVersion::V1_3),
    );
    for (tls, version) in [
        (with(None, None), "TLSv1.3"),
        (with(v1_1, v1_2), "TLSv1.2"),
        (with(v1_2, v1_2), "TLSv1.2"),
        (with(v1_2, v1_3), "TLSv1.3"),
        (with(v1_3, None), "TLSv1.3"),
    ] {
        assert_eq!(met(tls, "db.test", server(&[&leaf])).facts.version, version);
    }
    let old = || server_with(&[&leaf], &[&rustls::version::TLS12]);
    assert_eq!(
        failed(with(v1_3, None), "db.test", old()),
        "SSL error: tlsv1 alert protocol version\nThis may indicate that the server does not support any SSL protocol version between TLSv1.3 and TLSv1.3.\nVersions before TLSv1.2 are not supported here: let the server offer a later one."
    );
    let error = meet(&Arc::new(with(v1_1, v1_1)), "db.test", &Arc::new(old()));
    let error = error.err().unwrap();
    assert_eq!(error.kind, LinkErrorKind::TlsSetup);
    assert!(
        error
            .text
            .starts_with("could not set maximum SSL protocol version: ")
    );
}

#[test]
fn a_name_is_told_unless_it_is_an_address() {
    let (_, leaf) = root_and_leaf("db.test");
    let told = |tls, host: &str| met(tls, host, server(&[&leaf])).name;
    assert_eq!(told(options(), "db.test"), Some(String::from("db.test")));
    assert_eq!(
        told(options(), "my_db.test"),
        Some(String::from("my_db.test"))
    );
    for host in [
        "192.0.2.1",
        "192.000.002.001",
        "2001:db8::1",
        "",
        "2001:DB8::1/128",
        "no host",
        "ö.test",
    ] {
        assert_eq!(told(options(), host), None, "{host}");
    }
    let quiet = Tls {
        sni: false,
        ..options()
    };
    assert_eq!(told(quiet, "db.test"), None);
}

fn with_identity(made: &Made) -> Tls {
    Tls {
        identity: Some(Identity {
            certificate: file(made.pem()),
            key_path: b"client.key".to_vec(),
            key: Secret::new(pem("PRIVATE KEY", &made.key.pkcs8)),
            password: None,
        }),
        ..options()
    }
}

/// A server that wants certificates of this CA's.
fn asking(chain: &[&Made], ca: &Made, is_optional: bool) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ca.der.clone())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let verifier = match is_optional {
        true => verifier.allow_unauthenticated(),
        false => verifier,
    };
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_cert_resolver(Arc::new(Always(certified(chain))))
}

#[test]
fn the_clients_certificate_is_sent_when_it_is_asked_for() {
    let (ca, leaf) = root_and_leaf("db.test");
    let client = today(Make::server("client", &["dns:client"])).by(&ca);
    let sent = |tls, server| {
        let facts = met(tls, "db.test", server).facts;
        (facts.certificate_requested, facts.certificate_sent)
    };
    assert_eq!(
        sent(with_identity(&client), server(&[&leaf])),
        (false, false)
    );
    assert_eq!(
        sent(with_identity(&client), asking(&[&leaf], &ca, true)),
        (true, true)
    );
    assert_eq!(sent(options(), asking(&[&leaf], &ca, true)), (true, false));
    // An earlier connection with the same options was asked, this one was not; sslcertmode=require must know.
    let strict = || Tls {
        certificate_mode: CertificateMode::Require,
        ..options()
    };
    assert_eq!(sent(strict(), asking(&[&leaf], &ca, true)), (true, false));
    assert_eq!(sent(strict(), server(&[&leaf])), (false, false));
    assert_eq!(
        failed(options(), "db.test", asking(&[&leaf], &ca, false)),
        "SSL error: tlsv13 alert certificate required"
    );
    // Also one that the server has not asked for: it is the server that refuses it.
    let (other, _) = root_and_leaf("db.test");
    let stranger = today(Make::server("stranger", &["dns:client"])).by(&other);
    let text = failed(
        with_identity(&stranger),
        "db.test",
        asking(&[&leaf], &ca, true),
    );
    assert!(text.starts_with("SSL error: tlsv1 alert "), "{text}");
}

#[test]
fn a_server_that_wants_another_protocol_is_refused() {
    let (_, leaf) = root_and_leaf("db.test");
    let mut other = server(&[&leaf]);
    other.alpn_protocols = vec![b"h2".to_vec()];
    assert_eq!(
        failed(options(), "db.test", other),
        "SSL error: no application protocol"
    );
}

/// A server, as proxies are, that gives tickets.
fn with_tickets(chain: &[&Made]) -> Arc<ServerConfig> {
    let mut config = server(chain);
    config.ticketer = rustls::crypto::ring::Ticketer::new().unwrap();
    config.send_tls13_tickets = 2;
    Arc::new(config)
}

#[test]
fn a_quick_reconnect_resumes_where_the_server_lets_it() {
    let (root, leaf) = root_and_leaf("resume.test");
    let server = with_tickets(&[&leaf]);
    let tls = Arc::new(trusting(&root, Verify::Host));
    let first = meet(&tls, "resume.test", &server).unwrap();
    assert_eq!(first.kind, HandshakeKind::Full);
    // The options are read anew for each connection: what counts is what they say.
    let again = Arc::new(Tls::clone(&tls));
    let second = meet(&again, "resume.test", &server).unwrap();
    assert_eq!(second.kind, HandshakeKind::Resumed);
    assert_eq!(second.facts.end_point, first.facts.end_point);
    let plain = Arc::new(self::server(&[&leaf]));
    assert_eq!(
        meet(&tls, "resume.test", &plain).unwrap().kind,
        HandshakeKind::Full
    );
}

/// What is checked more strictly, or otherwise, does not take over what was not.
#[test]
fn nothing_is_resumed_under_other_options() {
    let (root, leaf) = root_and_leaf("strict.test");
    let server = with_tickets(&[&leaf]);
    let full = |tls: Tls, host: &str| {
        let met = meet(&Arc::new(tls), host, &server).unwrap();
        assert_eq!(met.kind, HandshakeKind::Full);
    };
    full(options(), "strict.test");
    full(trusting(&root, Verify::Issuer), "strict.test");
    full(trusting(&root, Verify::Issuer), "other.test");
    full(trusting(&root, Verify::Host), "strict.test");
    let mut revoking = trusting(&root, Verify::Host);
    revoking.check_revocation = true;
    let list = root.list(Vec::new(), -1, None, Vec::new());
    revoking.revocations = vec![file(list.clone())];
    full(revoking.clone(), "strict.test");
    // The same file, with something else in it now.
    let serial = super::make::der(2, &leaf.serial);
    let entry = super::make::sequence(&[&serial, &super::make::time(NOW)]);
    revoking.revocations = vec![file(root.list(vec![entry], -1, None, Vec::new()))];
    assert_eq!(
        meet(&Arc::new(revoking), "strict.test", &server)
            .err()
            .unwrap()
            .text,
        "SSL error: certificate verify failed: certificate revoked (certificate \"strict.test\", issued by \"root\")"
    );
    let client = today(Make::server("client", &["dns:client"])).by(&root);
    full(with_identity(&client), "strict.test");
    full(with_identity(&client), "strict.test");
}

#[test]
fn files_of_no_use_are_told_before_anything_is_sent() {
    let (root, _) = root_and_leaf("db.test");
    let refused = |tls: Tls| {
        let error = Setup::new(&Arc::new(tls), b"db.test").err().unwrap();
        assert_eq!(error.kind, LinkErrorKind::TlsSetup);
        error.text
    };
    let mut tls = trusting(&root, Verify::Issuer);
    tls.roots = Roots::File(file(b"nothing".to_vec()));
    assert_eq!(
        refused(tls.clone()),
        "could not read root certificate file \"a file\": no certificate or crl found"
    );
    tls.problem = Some(String::from("what conninfo found"));
    assert_eq!(refused(tls), "what conninfo found");
    let mut tls = trusting(&root, Verify::Issuer);
    tls.check_revocation = true;
    tls.revocations = vec![file(b"\x30\x01a".to_vec())];
    assert_eq!(
        refused(tls),
        "could not read certificate revocation list file \"a file\": a list in it is malformed"
    );
}

#[test]
fn secrets_are_logged_where_the_option_says() {
    use std::os::unix::fs::PermissionsExt as _;

    let (_, leaf) = root_and_leaf("db.test");
    let path = std::env::temp_dir().join(format!("pgpoll-keylog-{}", std::process::id()));
    let tls = || Tls {
        keylog: Some(path.as_os_str().as_encoded_bytes().to_vec()),
        ..options()
    };
    met(tls(), "db.test", server(&[&leaf]));
    met(
        tls(),
        "db.test",
        server_with(&[&leaf], &[&rustls::version::TLS12]),
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(mode & 0o777, 0o600);
    for label in [
        "CLIENT_TRAFFIC_SECRET_0 ",
        "SERVER_TRAFFIC_SECRET_0 ",
        "CLIENT_RANDOM ",
    ] {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(label))
            .unwrap();
        let (random, secret) = line.split_once(' ').unwrap();
        assert_eq!(random.len(), 64);
        assert!(secret.len() == 96 && secret.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    let nowhere = Tls {
        keylog: Some(b"/nonexistent/folder/key.txt".to_vec()),
        ..options()
    };
    met(nowhere, "db.test", server(&[&leaf]));
}
