//! Handshakes with OpenSSL, as PostgreSQL's servers are: keys, versions and tickets that rustls' own server does not have.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConnection, HandshakeKind};

use super::handshakes::{file, options};
use super::openssl::Workshop;
use crate::conninfo::tls::{Roots, Tls, Verify};
use crate::link::{LinkError, TlsFacts};
use crate::net::tls::config::Setup;

/// `openssl s_server`, on a port of its own choosing.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start(shop: &Workshop, options: &str) -> Server {
        let mut process = Command::new("openssl")
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-cert",
                "crt",
                "-key",
                "key",
            ])
            .args(["-alpn", "postgresql"])
            .args(options.split_ascii_whitespace())
            .current_dir(shop.path(""))
            .stdin(Stdio::piped()) // at the end of its input it would end
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines
            .find_map(|line| {
                line.unwrap()
                    .strip_prefix("ACCEPT ")?
                    .rsplit_once(':')?
                    .1
                    .parse()
                    .ok()
            })
            .unwrap();
        std::thread::spawn(move || lines.for_each(drop)); // or it would block
        Server { process, port }
    }

    fn meet(&self, tls: &Arc<Tls>, host: &str) -> Result<(TlsFacts, HandshakeKind), LinkError> {
        let mut setup = Setup::new(tls, host.as_bytes())?;
        let mut client = ClientConnection::new(setup.config.clone(), setup.name.clone())
            .map_err(|error| setup.explain(error))?;
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(150)))
            .unwrap();
        while client.is_handshaking() || client.wants_write() {
            while client.wants_write() {
                client.write_tls(&mut socket).unwrap();
            }
            if client.is_handshaking() {
                client.read_tls(&mut socket).unwrap();
                let processed = client.process_new_packets();
                setup.note();
                processed.map_err(|error| setup.explain(error))?;
            }
        }
        client.writer().write_all(b"hello\n").unwrap();
        client.write_tls(&mut socket).unwrap();
        // Tickets come behind.
        while client.read_tls(&mut socket).is_ok_and(|count| count > 0) {
            client
                .process_new_packets()
                .map_err(|error| setup.explain(error))?;
        }
        Ok((setup.facts(&client), client.handshake_kind().unwrap()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server's certificate that is its own issuer, in a shop.
fn shop_with(key: &str, request: &str) -> Option<Workshop> {
    let shop = Workshop::open()?;
    shop.must(&format!("genpkey {key} -out key"));
    shop.must(&format!(
        "req -new -x509 -key key -subj /CN=db.test -out crt {request}"
    ));
    Some(shop)
}

/// Trusting that certificate, and minding the name.
fn strict(shop: &Workshop) -> Arc<Tls> {
    Arc::new(Tls {
        verify: Verify::Host,
        roots: Roots::File(file(shop.read("crt"))),
        ..options()
    })
}

#[test]
fn keys_of_every_kind() {
    for (key, request, versions, hash) in [
        ("-algorithm RSA", "", "-tls1_3", Some(32)),
        ("-algorithm RSA", "-sha512", "-tls1_2", Some(64)),
        ("-algorithm RSA", "-sha1", "-tls1_3", Some(32)),
        (
            "-algorithm RSA",
            "-sigopt rsa_padding_mode:pss -sha384",
            "-tls1_3",
            Some(48),
        ),
        ("-algorithm RSA-PSS", "", "-tls1_3", Some(32)),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
            "-sha384",
            "-tls1_2",
            Some(48),
        ),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:P-384",
            "",
            "-tls1_3",
            Some(32),
        ),
        ("-algorithm ED25519", "", "-tls1_3", None),
    ] {
        let Some(shop) = shop_with(key, request) else {
            return;
        };
        let server = Server::start(&shop, versions);
        for tls in [strict(&shop), Arc::new(options())] {
            let (facts, _) = server
                .meet(&tls, "db.test")
                .unwrap_or_else(|error| panic!("{key} {request}: {error}"));
            let bytes = facts.end_point.unwrap().ok().map(|hash| hash.len());
            assert_eq!(bytes, hash, "{key} {request}");
            assert_eq!(facts.alpn.as_deref(), Some(&b"postgresql"[..]));
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_named() {
    for (key, text) in [
        (
            "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
            "EE certificate key too weak",
        ),
        (
            "-algorithm EC -pkeyopt ec_paramgen_curve:P-521",
            "SSL error: ssl/tls alert handshake failure",
        ),
        (
            "-algorithm ED448",
            "SSL error: ssl/tls alert handshake failure",
        ),
    ] {
        let Some(shop) = shop_with(key, "") else {
            return;
        };
        let server = Server::start(&shop, "-cipher ALL:@SECLEVEL=0");
        for tls in [strict(&shop), Arc::new(options())] {
            let error = server.meet(&tls, "db.test").unwrap_err();
            assert!(error.text.contains(text), "{key}: {error}");
        }
    }
}

#[test]
fn old_versions_are_refused_in_clear_words() {
    let Some(shop) = shop_with("-algorithm RSA", "") else {
        return;
    };
    for version in ["-tls1", "-tls1_1"] {
        let server = Server::start(&shop, &format!("{version} -cipher ALL:@SECLEVEL=0"));
        let error = server.meet(&strict(&shop), "db.test").unwrap_err();
        assert_eq!(
            error.text,
            "SSL error: tlsv1 alert protocol version\nThis may indicate that the server does not support any SSL protocol version between TLSv1.2 and TLSv1.3.\nVersions before TLSv1.2 are not supported here: let the server offer a later one."
        );
    }
}

#[test]
fn tickets_are_used_again() {
    let Some(shop) = shop_with("-algorithm RSA", "") else {
        return;
    };
    for version in ["-tls1_2", "-tls1_3"] {
        let server = Server::start(&shop, version);
        let tls = strict(&shop);
        let (first, kind) = server.meet(&tls, "db.test").unwrap();
        assert_eq!(kind, HandshakeKind::Full, "{version}");
        let (second, kind) = server.meet(&tls, "db.test").unwrap();
        assert_eq!(kind, HandshakeKind::Resumed, "{version}");
        assert_eq!(first, second);
    }
}
