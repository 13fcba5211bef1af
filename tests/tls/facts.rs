//! What is known of an encrypted connection, here and at the server. Knows pg_stat_ssl and sslinfo.

use pgpoll::rows::Batch;
use testkit::ServerTls;

use crate::servers::{conninfo, servers};
use crate::session::Session;

const STAT: &str = "select ssl, version, cipher, bits, client_dn, issuer_dn from pg_stat_ssl where pid = pg_backend_pid()";

fn cell(batch: &Batch, column: usize) -> String {
    let value = batch.value(0, column);
    value.map_or(String::from("NULL"), |value| {
        String::from_utf8_lossy(value).into_owned()
    })
}

#[test]
fn the_server_says_the_same_of_the_connection() {
    for server in servers() {
        let server = server.with(&ServerTls::new("server-revoked"));
        for version in ["TLSv1.2", "TLSv1.3"] {
            for (more, subject, issuer) in [
                ("", "NULL", "NULL"),
                (
                    "sslcert={client.crt} sslkey={client.key} dbname=certdb",
                    "/CN=ssltestuser",
                    "/CN=Test CA for PostgreSQL SSL regression test client certs",
                ),
            ] {
                let more = format!(
                    "{more} sslmode=require ssl_min_protocol_version={version} ssl_max_protocol_version={version}"
                );
                let mut session = Session::open(&conninfo(&server, &more));
                let row = session.rows(STAT);
                let facts = session.conn.facts().tls().unwrap().clone();
                assert_eq!(cell(&row, 0), "t");
                assert_eq!(cell(&row, 1), facts.version);
                assert_eq!(facts.version, version);
                assert_eq!(cell(&row, 2), facts.cipher);
                assert_eq!(cell(&row, 3), facts.key_bits.to_string());
                assert_eq!(cell(&row, 4), subject);
                assert_eq!(cell(&row, 5), issuer);
                assert!(facts.certificate_requested);
                assert_eq!(facts.certificate_sent, subject != "NULL");
                let expected = (server.server().major >= 17).then_some(&b"postgresql"[..]);
                assert_eq!(facts.alpn.as_deref(), expected);
            }
        }
    }
}

#[test]
fn sslinfo_knows_the_certificate() {
    const CLIENT: &str = "sslmode=require host=localhost sslrootcert={root+server_ca.crt} sslcert={client_ext.crt} sslkey={client_ext.key}";
    for server in servers() {
        let server = server.with(&ServerTls::new("server-revoked"));
        let missing = "select count(*) = 0 from pg_available_extensions where name = 'sslinfo'";
        if server.psql(missing) == "t" {
            eprintln!(
                "SKIPPED: this PostgreSQL {} came without sslinfo",
                server.server().version
            );
            continue;
        }
        for database in ["certdb", "trustdb"] {
            server.psql(&format!("\\connect {database}\nset client_min_messages = error; create extension if not exists sslinfo"));
        }
        let ask = |more: &str, sql: &str| {
            let mut session = Session::open(&conninfo(&server, &format!("{CLIENT} {more}")));
            cell(&session.rows(sql), 0)
        };
        let certdb = |sql: &str| ask("dbname=certdb", sql);
        let same = |expression: &str| {
            let sql = format!("select {expression} from pg_stat_ssl where pid = pg_backend_pid()");
            assert_eq!(certdb(&sql), "t", "{expression}");
        };
        assert_eq!(certdb("select ssl_is_used()"), "t");
        let version =
            "dbname=certdb ssl_min_protocol_version=TLSv1.2 ssl_max_protocol_version=TLSv1.2";
        assert_eq!(ask(version, "select ssl_version()"), "TLSv1.2");
        same("ssl_cipher() = cipher");
        assert_eq!(certdb("select ssl_client_cert_present()"), "t");
        same("ssl_client_serial() = client_serial");
        same("'/CN=' || ssl_client_dn_field('commonName') = client_dn");
        same("ssl_issuer_dn() = issuer_dn");
        same("'/CN=' || ssl_issuer_field('commonName') = issuer_dn");
        let extension =
            "select value || critical from ssl_extension_info() where name = 'basicConstraints'";
        assert_eq!(certdb(extension), "CA:FALSEtrue");
        let mut session = Session::open(&conninfo(&server, &format!("{CLIENT} dbname=certdb")));
        let said = session.query("select ssl_client_dn_field('invalid')");
        assert!(said[0].starts_with("error 22023"), "{said:?}");
        assert_eq!(
            ask(
                "dbname=trustdb sslcert=invalid",
                "select ssl_client_dn_field('commonName')"
            ),
            "NULL"
        );
        for (more, present) in [
            ("sslcertmode=allow", "t"),
            ("sslcertmode=allow sslcert=invalid", "f"),
            ("sslcertmode=disable", "f"),
            ("sslcertmode=require", "t"),
        ] {
            let more = format!("dbname=trustdb {more}");
            assert_eq!(
                ask(&more, "select ssl_client_cert_present()"),
                present,
                "{more}"
            );
        }
    }
}
