//! What the client brings along: certificates, keys in every form, the key log. Knows files, and what a server says to them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use testkit::certificates::{CLIENT_KEY_PASSWORD, SERVER_KEY_PASSWORD};
use testkit::{ServerTls, certificates};

use crate::relay::{Records, Relay};
use crate::servers::{conninfo, newest, servers};
use crate::session::Session;

const CERT_DB: &str = "dbname=certdb sslmode=verify-ca sslrootcert={root+server_ca.crt}";

#[test]
fn a_server_whose_key_has_a_password() {
    let passphrase = format!("echo {SERVER_KEY_PASSWORD}");
    let tls = ServerTls::new("server-cn-only")
        .key("server-password")
        .setting("ssl_passphrase_command", &passphrase);
    let server = newest().with(&tls);
    Session::open(&conninfo(&server, "sslmode=require"));
}

/// Each form that OpenSSL writes a key in.
#[test]
fn keys_of_every_form() {
    let server = newest().with(&ServerTls::new("server-cn-only"));
    for (certificate, key) in [
        ("client", "client.key"),
        ("client", "client-traditional.key"),
        ("client", "client-der.key"),
        ("client", "client-pkcs8-der.key"),
        ("client", "client-encrypted-pem.key"),
        ("client", "client-encrypted-aes256.key"),
        ("client", "client-encrypted-scrypt.key"),
        ("client", "client-encrypted-des3.key"),
        ("client", "client-encrypted-scrypt.key"),
        ("client", "client-encrypted-der.key"),
        ("client", "client-encrypted-traditional.key"),
        ("client", "client-encrypted-traditional-des3.key"),
        ("client-ecdsa", "client-ecdsa.key"),
        ("client-ecdsa", "client-ecdsa-sec1.key"),
        ("client-ecdsa", "client-ecdsa-sec1-der.key"),
        ("client-ecdsa", "client-encrypted-ecdsa-sec1.key"),
        ("client-ed25519", "client-ed25519.key"),
    ] {
        let common = format!("{CERT_DB} sslcert={{{certificate}.crt}} sslkey={{{key}}}");
        let open = |password: &str| {
            let more = format!("{common} sslpassword='{password}'");
            let opened = Session::try_open(&conninfo(&server, &more));
            opened.map(|mut session| session.query("select 1").len())
        };
        assert_eq!(open(CLIENT_KEY_PASSWORD), Ok(3), "{key}");
        if key.contains("encrypted") {
            for wrong in ["wrong", ""] {
                let error = open(wrong).unwrap_err();
                let said = error.message();
                assert!(
                    said.contains("could not load private key file \""),
                    "{key}: {said}"
                );
                assert!(!said.contains(CLIENT_KEY_PASSWORD), "{key}: {said}");
            }
        } else {
            assert_eq!(open("not needed"), Ok(3), "{key}");
        }
    }
}

#[test]
fn certificate_and_key_in_one_file() {
    let server = newest().with(&ServerTls::new("server-cn-only"));
    let file = Temporary::new("both.pem", &certificates().read("client+key.crt"), 0o600);
    let path = file.0.display();
    Session::open(&conninfo(
        &server,
        &format!("{CERT_DB} sslcert={path} sslkey={path}"),
    ));
}

#[test]
fn a_certificate_needs_its_own_key() {
    let server = newest().with(&ServerTls::new("server-cn-only"));
    let garbage = Temporary::new("garbage", b"not a key", 0o600);
    let garbage = garbage.0.display();
    let path = |name: &str| certificates().path(name);
    for (more, expected) in [
        (
            "sslcert={client.crt} sslkey={server-cn-only.key}".to_owned(),
            format!(
                "could not load private key file \"{}\": key values mismatch",
                path("server-cn-only.key")
            ),
        ),
        (
            "sslcert={client.crt}".to_owned(),
            "certificate present, but not private key file \"invalid\"".to_owned(),
        ),
        (
            format!("sslcert={{client.crt}} sslkey={garbage}"),
            format!("could not load private key file \"{garbage}\": "),
        ),
        (
            format!("sslcert={garbage} sslkey={{client.key}}"),
            format!("could not read certificate file \"{garbage}\": "),
        ),
        (
            format!("sslrootcert={garbage}"),
            format!("could not read root certificate file \"{garbage}\": "),
        ),
    ] {
        let Err(error) = Session::try_open(&conninfo(&server, &format!("{CERT_DB} {more}"))) else {
            panic!("{more}: connected");
        };
        assert!(error.message().contains(&expected), "{more}: {error}");
    }
}

/// What has to do with files is told when TLS is begun: where there is none, they do not matter.
#[test]
fn without_tls_no_file_matters() {
    let server = newest().with(&ServerTls::new("server-cn-only"));
    let socket = server.conninfo();
    Session::open(&format!("{socket} sslmode=verify-full sslrootcert=invalid"));
    let wrong = "sslcert={client.crt} sslkey={client_wrongperms.key}";
    Session::open(&conninfo(
        &server,
        &format!("user=plainuser sslmode=disable {wrong}"),
    ));
    // As with libpq, `prefer` does without TLS where its files are of no use; what needs TLS says why there is none.
    let weak = Session::open(&conninfo(
        &server,
        &format!("user=plainuser sslmode=prefer {wrong}"),
    ));
    assert!(weak.conn.facts().tls().is_none());
    let conninfo = conninfo(&server, &format!("user=plainuser sslmode=require {wrong}"));
    let Err(error) = Session::try_open(&conninfo) else {
        panic!("connected");
    };
    assert!(
        error.message().contains("has group or world access"),
        "{error}"
    );
}

#[test]
fn the_key_log_lets_others_decrypt() {
    let file = Temporary::new("keylog", b"", 0o600);
    fs::remove_file(&file.0).unwrap();
    let path = file.0.display();
    for server in servers() {
        for (version, labels) in [
            ("TLSv1.2", &["CLIENT_RANDOM"][..]),
            (
                "TLSv1.3",
                &[
                    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
                    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
                    "CLIENT_TRAFFIC_SECRET_0",
                    "SERVER_TRAFFIC_SECRET_0",
                ],
            ),
        ] {
            let server = server.with(&ServerTls::new("server-cn-only"));
            let relay = Relay::start(server.port(), Records::AsTheyAre);
            let more = format!(
                "port={} sslmode=require sslkeylogfile={path} ssl_min_protocol_version={version} ssl_max_protocol_version={version}",
                relay.port()
            );
            drop(Session::open(&conninfo(&server, &more)));
            let log = fs::read_to_string(&file.0).unwrap();
            assert_eq!(fs::metadata(&file.0).unwrap().mode() & 0o777, 0o600);
            // The random of ClientHello, which follows the heads of record and message and a version, behind SSLRequest.
            let sent = relay.heard();
            let random: String = sent[8 + 11..8 + 43]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            for label in labels {
                let begin = format!("{label} {random} ");
                let secret = log.lines().find_map(|line| line.strip_prefix(&begin));
                let secret = secret.unwrap_or_else(|| panic!("{begin}: {log}"));
                assert!(matches!(secret.len(), 64 | 96), "{secret}");
                assert!(
                    secret.bytes().all(|byte| byte.is_ascii_hexdigit()),
                    "{secret}"
                );
            }
            assert!(!log.contains("EXPORTER") || log.lines().count() > 2);
        }
    }
}

#[test]
fn a_key_log_that_cannot_be_written_is_done_without() {
    let server = newest().with(&ServerTls::new("server-cn-only"));
    let mut session = Session::open(&conninfo(
        &server,
        "sslmode=require sslkeylogfile=/no/such/folder/key.txt",
    ));
    assert_eq!(session.query("select 1").len(), 3);
}

/// A file of its own, removed at the end.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Temporary {
    pub(crate) fn new(name: &str, content: &[u8], mode: u32) -> Self {
        let path = std::env::temp_dir().join(format!("pgpoll-tls-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
