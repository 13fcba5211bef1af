//! Which connections end up encrypted, and which come to nothing: `sslmode`, direct TLS, servers without TLS, servers that cheat.

use std::io::{Read, Write};
use std::net::TcpListener;

use testkit::{Cluster, ClusterOptions, Server, ServerTls};

use crate::servers::{conninfo, newest, servers};
use crate::session::Session;

/// `encrypted`, `plain`, or what is said instead.
fn opened(conninfo: &str) -> String {
    match Session::try_open(conninfo) {
        Ok(mut session) => {
            let sql = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
            let said = session.query(sql);
            let encrypted = session.conn.facts().tls().is_some();
            assert_eq!(said[0].ends_with('t'), encrypted, "{said:?}");
            String::from(if encrypted { "encrypted" } else { "plain" })
        }
        Err(error) => error.message().to_owned(),
    }
}

#[test]
fn weak_modes_fall_back_where_the_server_wants_it() {
    for server in servers() {
        let server = server.with(&ServerTls::new("server-cn-only"));
        // `plainuser` may come in clear alone, `tlsuser` with TLS alone.
        for (user, mode, expected) in [
            ("plainuser", "disable", "plain"),
            ("plainuser", "allow", "plain"),
            ("plainuser", "prefer", "plain"),
            (
                "plainuser",
                "require",
                "no pg_hba.conf entry for host \"127.0.0.1\", user \"plainuser\", database \"postgres\", SSL encryption",
            ),
            (
                "tlsuser",
                "disable",
                "no pg_hba.conf entry for host \"127.0.0.1\", user \"tlsuser\", database \"postgres\", no encryption",
            ),
            ("tlsuser", "allow", "encrypted"),
            ("tlsuser", "prefer", "encrypted"),
            ("tlsuser", "require", "encrypted"),
            (
                "nobody",
                "prefer",
                "user \"nobody\", database \"postgres\", no encryption",
            ),
            (
                "nobody",
                "allow",
                "user \"nobody\", database \"postgres\", SSL encryption",
            ),
        ] {
            let said = opened(&conninfo(
                &server,
                &format!("user={user} dbname=postgres sslmode={mode}"),
            ));
            assert!(said.contains(expected), "{user} {mode}: {said}");
        }
        // A server whose certificate is not trusted is worth no TLS, and `prefer` does without.
        let roots = "sslrootcert={client_ca.crt}";
        assert_eq!(
            opened(&conninfo(
                &server,
                &format!("user=plainuser dbname=postgres sslmode=prefer {roots}")
            )),
            "plain"
        );
        let said = opened(&conninfo(
            &server,
            &format!("user=tlsuser dbname=postgres sslmode=allow {roots}"),
        ));
        assert!(
            said.contains("no encryption") && said.contains("certificate verify failed"),
            "{said}"
        );
    }
}

#[test]
fn a_server_without_tls() {
    let cluster = Cluster::start(ClusterOptions::new());
    let tcp = cluster.conninfo_tcp();
    for mode in ["disable", "allow", "prefer"] {
        assert_eq!(opened(&format!("{tcp} sslmode={mode}")), "plain", "{mode}");
    }
    let said = opened(&format!("{tcp} sslmode=require"));
    assert!(
        said.ends_with("server does not support SSL, but SSL was required"),
        "{said}"
    );
    let said = opened(&format!("{tcp} sslmode=require sslnegotiation=direct"));
    assert!(said.contains("failed: "), "{said}");
    println!("direct TLS to a server without TLS: {said}");
    for mode in ["prefer", "require", "verify-full"] {
        assert_eq!(
            opened(&format!("{} sslmode={mode}", cluster.conninfo())),
            "plain",
            "a Unix socket"
        );
    }
}

#[test]
fn direct_tls() {
    for server in servers() {
        let server = server.with(&ServerTls::new("server-cn-only"));
        let direct = "host=common-name.pg-ssltest.test sslmode=verify-full sslrootcert={root+server_ca.crt} sslnegotiation=direct";
        let conninfo = conninfo(&server, direct);
        if server.server().major >= 17 {
            let mut session = Session::open(&conninfo);
            assert_eq!(session.query("select 1").len(), 3);
            let facts = session.conn.facts().tls().unwrap();
            assert_eq!(facts.alpn.as_deref(), Some(&b"postgresql"[..]));
        } else {
            let said = opened(&conninfo);
            println!(
                "direct TLS to a server of version {}: {said}",
                server.server().major
            );
            assert!(said.contains("failed: "), "{said}");
        }
    }
    if Server::of(18).is_none() {
        eprintln!("SKIPPED: direct TLS needs PostgreSQL 17 or later");
    }
}

/// A server that speaks nothing later than TLS 1.1 is told apart from one that is broken.
#[test]
fn versions_of_tls() {
    for server in servers() {
        let name =
            "host=common-name.pg-ssltest.test sslmode=verify-full sslrootcert={root+server_ca.crt}";
        let old = ServerTls::new("server-cn-only")
            .setting("ssl_min_protocol_version", "TLSv1")
            .setting("ssl_max_protocol_version", "TLSv1.1")
            .setting("ssl_ciphers", "ALL:@SECLEVEL=0");
        let held = server.with(&old);
        let said = opened(&conninfo(&held, name));
        assert!(
            said.contains("This may indicate that the server does not support any SSL protocol version between TLSv1.2 and TLSv1.3.")
                && said.contains("Versions before TLSv1.2 are not supported"),
            "{said}"
        );
        drop(held);
        let only = ServerTls::new("server-cn-only").setting("ssl_min_protocol_version", "TLSv1.3");
        let held = server.with(&only);
        assert_eq!(opened(&conninfo(&held, name)), "encrypted");
        let said = opened(&conninfo(
            &held,
            &format!("{name} ssl_max_protocol_version=TLSv1.2"),
        ));
        assert!(said.contains("between TLSv1.2 and TLSv1.2"), "{said}");
        drop(held);
        let only = ServerTls::new("server-cn-only").setting("ssl_max_protocol_version", "TLSv1.2");
        let held = server.with(&only);
        assert_eq!(opened(&conninfo(&held, name)), "encrypted");
        let said = opened(&conninfo(
            &held,
            &format!("{name} ssl_min_protocol_version=TLSv1.3"),
        ));
        assert!(said.contains("between TLSv1.3 and TLSv1.3"), "{said}");
    }
    let held = newest().with(&ServerTls::new("server-cn-only"));
    let none = "sslmode=require ssl_min_protocol_version=TLSv1 ssl_max_protocol_version=TLSv1.1";
    let said = opened(&conninfo(&held, none));
    assert!(said.contains("TLS 1.0 and 1.1 are not supported"), "{said}");
}

/// Whose key nobody here can check is refused with the reason, also where nothing is checked.
#[test]
fn a_key_that_is_not_supported() {
    for server in servers() {
        for version in ["TLSv1.2", "TLSv1.3"] {
            let held = server.with(&ServerTls::new("server-ecdsa-p521"));
            let said = opened(&conninfo(
                &held,
                &format!(
                    "sslmode=require ssl_min_protocol_version={version} ssl_max_protocol_version={version}"
                ),
            ));
            let expected = "ECDSA keys on P-256 or P-384, and Ed25519 keys are";
            assert!(
                said.contains("failed: SSL error: ") && said.contains(expected),
                "{said}"
            );
        }
    }
}

/// Trap 26: what comes between the server's answer and the handshake came in clear, and may be anybody's.
#[test]
fn trap_26_bytes_behind_the_answer_are_refused() {
    for (answer, expected) in [
        (&b"SE"[..], "received unencrypted data after SSL response"),
        (
            b"S\x16\x03\x03",
            "received unencrypted data after SSL response",
        ),
        (b"X", "received invalid response to SSL negotiation: X"),
        (b"", "server closed the connection unexpectedly"),
        (
            b"EFATAL: too many\n\0",
            "server sent an error response during SSL exchange",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 8];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(answer).unwrap();
        });
        let conninfo = format!("host=127.0.0.1 port={port} user=u dbname=d sslmode=require");
        let said = opened(&conninfo);
        assert!(said.contains(expected), "{answer:?}: {said}");
        server.join().unwrap();
    }
}

/// A server that says it does TLS and then speaks something else.
#[test]
fn garbage_instead_of_a_handshake_is_an_error() {
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x16\x03\x03\xff\xff",
        b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I",
        &[0; 300],
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 4096];
            stream.read_exact(&mut hello[..8]).unwrap();
            stream.write_all(b"S").unwrap();
            assert!(stream.read(&mut hello).unwrap() > 100);
            stream.write_all(garbage).unwrap();
        });
        let said = opened(&format!(
            "host=127.0.0.1 port={port} user=u dbname=d sslmode=require"
        ));
        assert!(said.contains("failed: SSL"), "{garbage:?}: {said}");
        server.join().unwrap();
    }
}
