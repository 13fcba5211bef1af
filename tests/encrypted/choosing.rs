//! Each `sslmode` with each kind of role: the same connection, or the same words, as `psql` comes to.

use std::process::Command;

use testkit::{Cluster, Server, certificates};

use crate::servers;
use crate::session::Session;

const MODES: [&str; 6] = [
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
];

/// Whether the connection is encrypted, or why there is none.
type Came = Result<bool, String>;

const IS_ENCRYPTED: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";

fn ours(conninfo: &str) -> Came {
    match Session::try_open(conninfo) {
        Ok(mut session) => {
            let encrypted = session.query(IS_ENCRYPTED)[0] == "ssl: t";
            assert_eq!(session.conn.facts().tls().is_some(), encrypted);
            Ok(encrypted)
        }
        Err(error) => Err(error.message().to_owned()),
    }
}

fn psqls(conninfo: &str) -> Came {
    let psql = Server::of(18).unwrap_or_else(Server::any).program("psql");
    let said = Command::new(psql)
        .args(["-X", "-A", "-t", "-c", IS_ENCRYPTED, conninfo])
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    if said.status.success() {
        return Ok(said.stdout == b"t\n");
    }
    let text = String::from_utf8(said.stderr).unwrap();
    let text = text.strip_prefix("psql: error: ").unwrap();
    Err(text.trim_end().to_owned())
}

/// How a role connects to the server by this mode.
fn conninfo(server: &Cluster, role: &str, more: &str) -> String {
    let (port, root) = (server.port(), certificates().path("root+server_ca.crt"));
    format!(
        "host=localhost hostaddr=127.0.0.1 port={port} user={role} dbname=postgres sslrootcert={root} {more}"
    )
}

#[test]
fn each_mode_comes_to_what_psql_comes_to() {
    let mut cases = 0;
    for server in servers() {
        for mode in MODES {
            for role in ["encrypted", "plain", "nobody", "postgres"] {
                let conninfo = conninfo(server, role, &format!("sslmode={mode}"));
                assert_eq!(ours(&conninfo), psqls(&conninfo), "{conninfo}");
                cases += 1;
            }
        }
    }
    println!("sslmode: {cases} connections as psql has them");
}

/// Whoever does not need TLS does not need the files for it; who needs it is told what is wrong with them.
#[test]
fn a_client_certificate_that_cannot_be_used() {
    let certificate = certificates().path("client.crt");
    for server in servers() {
        for mode in MODES {
            for role in ["encrypted", "plain", "postgres"] {
                let files = format!("sslmode={mode} sslcert={certificate} sslkey=/no/such.key");
                let conninfo = conninfo(server, role, &files);
                assert_eq!(ours(&conninfo), psqls(&conninfo), "{conninfo}");
            }
            let required = format!("sslmode={mode} sslcertmode=require sslcert=/no/such.crt");
            let conninfo = conninfo(server, "postgres", &required);
            let (ours, psqls) = (ours(&conninfo), psqls(&conninfo));
            if psqls == Err("invalid connection option \"sslcertmode\"".to_owned()) {
                testkit::say!("SKIPPED: this psql is older than sslcertmode");
                assert!(ours.is_err(), "{conninfo}");
            } else {
                assert_eq!(ours, psqls, "{conninfo}");
            }
        }
    }
}

/// The fallback is the same, and so is the name of the database that does not exist: it is found out after authentication.
#[test]
fn what_goes_wrong_later_goes_wrong_once() {
    for server in servers() {
        for mode in MODES {
            let conninfo = conninfo(server, "postgres", &format!("sslmode={mode} dbname=none"));
            let said = ours(&conninfo).unwrap_err();
            assert_eq!(Err(said.clone()), psqls(&conninfo));
            assert_eq!(said.matches("connection to server").count(), 1, "{said}");
        }
    }
}

/// A server that is known by no certificate of ours: weak modes check it all the same where there is a root certificate, and
/// go on without TLS where they may.
#[test]
fn a_certificate_that_nobody_knows() {
    let stranger = certificates().path("root+client_ca.crt");
    for server in servers() {
        let port = server.port();
        for (mode, encrypted) in [
            ("disable", Some(false)),
            ("allow", Some(false)),
            ("prefer", Some(false)),
            ("require", None),
            ("verify-ca", None),
            ("verify-full", None),
        ] {
            let conninfo = format!(
                "host=localhost hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres sslmode={mode} sslrootcert={stranger}"
            );
            let came = ours(&conninfo);
            match encrypted {
                Some(encrypted) => assert_eq!(came, Ok(encrypted)),
                None => {
                    let text = came.unwrap_err();
                    assert!(text.contains("certificate verify failed"), "{text}");
                    assert_eq!(text.matches("connection to server").count(), 1, "{text}");
                }
            }
        }
    }
}

/// `sslnegotiation=direct` is understood since 17: older servers take the handshake for nonsense.
#[test]
fn direct_tls() {
    for server in servers() {
        let conninfo = conninfo(
            server,
            "encrypted",
            "sslmode=verify-full sslnegotiation=direct",
        );
        if server.server().major >= 17 {
            assert_eq!(ours(&conninfo), Ok(true));
            let session = Session::open(&conninfo);
            let alpn = session.conn.facts().tls().unwrap().alpn.clone();
            assert_eq!(alpn.as_deref(), Some(&b"postgresql"[..]));
        } else {
            let text = ours(&conninfo).unwrap_err();
            assert!(text.contains("SSL"), "{text}");
        }
    }
}

#[test]
fn unix_sockets_are_not_encrypted() {
    for server in servers() {
        let conninfo = format!("{} sslmode=require", server.conninfo());
        assert_eq!(ours(&conninfo), Ok(false));
    }
}
