//! TLS up to PgBouncer, which is no TLS to the server: passwords, cancel requests, and sessions that are resumed.

use std::time::Duration;

use pgpoll::conn::Cancel;
use testkit::certificates::certificates;
use testkit::proxy::{Faults, Place, Proxy};
use testkit::{Bouncer, BouncerOptions};

use crate::session::{FAILED, OK, Session};
use crate::{LATE, QUOTED, options, until_busy, world};

/// One that takes nobody without TLS.
fn bouncer(more: &[(&str, &str)]) -> Option<Bouncer> {
    let certificates = certificates();
    let mut options: BouncerOptions = options()
        .setting("pool_mode", "transaction")
        .setting("client_tls_sslmode", "require")
        .setting("client_tls_cert_file", "%/tls.crt")
        .setting("client_tls_key_file", "%/tls.key")
        .file("tls.crt", &certificates.read("server-localhost.crt"))
        .file("tls.key", &certificates.read("server-localhost.key"));
    for (name, value) in more {
        options = options.setting(name, value);
    }
    Bouncer::start(&world().cluster, &options)
}

/// Sessions are kept by host: tests that count on them have one of their own.
fn verified(host: &str, port: u16) -> String {
    let root = certificates().path("root+server_ca.crt");
    format!(
        "host={host} hostaddr=127.0.0.1 port={port} user=user_scram dbname=postgres password={QUOTED} \
         sslmode=verify-full sslrootcert={root}"
    )
}

#[test]
fn a_verified_connection() {
    let Some(bouncer) = bouncer(&[]) else { return };
    let conninfo = verified("localhost", bouncer.port());
    let mut session = Session::open(&conninfo);
    let facts = session.conn.facts();
    assert_eq!(facts.tls().unwrap().version, "TLSv1.3");
    assert!(facts.password_used());
    assert_eq!(
        session.query("select current_user as u"),
        ["u: user_scram", "SELECT 1", OK]
    );
    let rows = session.rows("select repeat('x', 1000), n from generate_series(1, 20000) as n");
    assert_eq!(rows.rows(), 20_000);

    for _ in 0..3 {
        let mark = "-- over TLS";
        let sql = format!("select pg_sleep(600) {mark}");
        let operation = session.conn.start_query(&sql).unwrap();
        until_busy(&mut session, mark);
        Cancel::of(&session.conn).unwrap().wait().unwrap();
        assert_eq!(
            session.finish(operation),
            [
                "error 57014 canceling statement due to user request",
                FAILED
            ]
        );
        assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
    }
    session.conn.set_timeout(Some(Duration::from_millis(200)));
    assert_eq!(session.query("select pg_sleep(600)"), [LATE, FAILED]);
    session.conn.set_timeout(None);
    assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);

    let said = Session::try_open(&conninfo.replace("verify-full", "disable"));
    let said = said.err().unwrap().message().to_owned();
    assert!(said.ends_with("FATAL:  SSL required"), "{said}");
    let said = Session::try_open(&conninfo.replace("localhost", "elsewhere"));
    let said = said.err().unwrap().message().to_owned();
    assert!(said.contains("server certificate for"), "{said}");
}

/// The second handshake needs no certificate: so many bytes fewer come from the server.
#[test]
fn a_session_is_resumed() {
    for (protocol, host) in [("tlsv1.3", "127.0.0.1"), ("tlsv1.2", "::1")] {
        let Some(bouncer) = bouncer(&[("client_tls_protocols", protocol)]) else {
            return;
        };
        let place = Place::Tcp(([127, 0, 0, 1], bouncer.port()).into());
        let proxy = Proxy::start(place, |_| Faults::none());
        let conninfo = verified(host, proxy.port());
        let certificate = certificates().read("server-localhost.crt").len() as u64;
        let mut before = 0;
        let mut sizes = Vec::new();
        for _ in 0..3 {
            let mut session = Session::open(&conninfo);
            assert_eq!(session.query("select 1 as a"), ["a: 1", "SELECT 1", OK]);
            drop(session);
            while proxy.counts().open > 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
            let all = proxy.counts().to_client;
            sizes.push(all - before);
            before = all;
        }
        println!("{protocol}: {sizes:?} bytes; the certificate is one of {certificate} in PEM");
        let less = certificate / 2;
        assert!(
            sizes[1] + less < sizes[0] && sizes[2] + less < sizes[0],
            "{protocol}: {sizes:?}"
        );
    }
}
