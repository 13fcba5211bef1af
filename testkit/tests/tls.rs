//! The certificates are what their names say, and a server takes them.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use testkit::{Cluster, ClusterOptions, ServerTls, certificates};

fn openssl(arguments: &[&str]) -> String {
    let said = Command::new("openssl")
        .args(arguments)
        .current_dir(certificates().folder())
        .output()
        .unwrap();
    assert!(said.status.success(), "{arguments:?}: {said:?}");
    String::from_utf8(said.stdout).unwrap()
}

fn described(name: &str) -> String {
    openssl(&["x509", "-noout", "-text", "-in", name])
}

#[test]
fn certificates_are_what_their_names_say() {
    for (name, parts) in [
        ("root_ca.crt", &["Version: 3", "CA:TRUE"][..]),
        (
            "server-cn-only.crt",
            &["Version: 1", "common-name.pg-ssltest.test"],
        ),
        (
            "server-ip-alt-names.crt",
            &["Version: 3", "IP Address:192.0.2.1"],
        ),
        (
            "server-expired.crt",
            &["Version: 1", "Not After : Jan  1 00:00:00 2011"],
        ),
        (
            "server-not-yet-valid.crt",
            &["Not Before: Jan  1 00:00:00 2048"],
        ),
        ("server-rsapss.crt", &["Version: 1", "rsassaPss"]),
        (
            "server-ecdsa.crt",
            &["id-ecPublicKey", "sha256WithRSAEncryption"],
        ),
        ("server-ed25519.crt", &["ED25519"]),
        ("server-sha384.crt", &["sha384WithRSAEncryption"]),
        ("server-self-signed-v1.crt", &["Version: 1"]),
        ("manual-server.crt", &["Version: 1", "root.yourdomain.com"]),
        ("client-revoked-utf8.crt", &["CE:9F"]),
    ] {
        let text = described(name);
        let text = text.replace("\\CE\\9F", "CE:9F");
        for part in parts {
            assert!(text.contains(part), "{name}: {part}: {text}");
        }
    }
    let list = openssl(&["crl", "-noout", "-text", "-in", "server.crl"]);
    assert_eq!(list.matches("Serial Number").count(), 1, "{list}");
    let verify = ["verify", "-CAfile", "root+server_ca.crt", "-crl_check_all"];
    let chain = [
        &verify[..],
        &["-CRLfile", "root+server.crl", "server-cn-only.crt"],
    ]
    .concat();
    openssl(&chain);
    for key in [
        "client-encrypted-der.key",
        "client-encrypted-traditional.key",
        "client-encrypted-scrypt.key",
    ] {
        openssl(&["pkey", "-noout", "-passin", "pass:dUmmyP^#+", "-in", key]);
    }
}

#[test]
fn the_folder_is_kept_and_its_keys_are_private() {
    use std::os::unix::fs::MetadataExt;
    let mode = |name: &str| {
        Path::new(&certificates().path(name))
            .metadata()
            .unwrap()
            .mode()
            & 0o777
    };
    assert_eq!(mode("client.key"), 0o600);
    assert_eq!(mode("client-der.key"), 0o600);
    assert_eq!(mode("client_wrongperms.key"), 0o644);
    assert!(certificates().read("client+key.crt").len() > 1000);
}

#[test]
fn a_cluster_serves_tls_and_changes_its_certificate() {
    let options = ClusterOptions::new()
        .tls(ServerTls::default())
        .hba("hostssl all all all trust");
    let cluster = Cluster::start(options);
    let psql = cluster.server().program("psql");
    let ask = |conninfo: &str| {
        let said = Command::new(&psql)
            .args([
                "-XAtc",
                "select version from pg_stat_ssl where pid = pg_backend_pid()",
                conninfo,
            ])
            .output()
            .unwrap();
        let (out, error) = (said.stdout, said.stderr);
        String::from_utf8([out, error].concat()).unwrap()
    };
    assert_eq!(ask(&cluster.conninfo_tls()), "TLSv1.3\n");
    assert!(
        ask(&format!("{} sslmode=disable", cluster.conninfo_tcp()))
            .contains("no pg_hba.conf entry")
    );
    cluster
        .use_tls(&ServerTls::new("server-cn-only").setting("ssl_max_protocol_version", "TLSv1.2"));
    assert!(ask(&cluster.conninfo_tls()).contains("does not match host name"));
    let other = cluster
        .conninfo_tls()
        .replace("localhost", "common-name.pg-ssltest.test");
    assert_eq!(ask(&other), "TLSv1.2\n");
    for name in [
        "server-rsapss",
        "server-ecdsa",
        "server-ecdsa-p384",
        "server-ed25519",
        "server-expired",
        "manual-server",
        "server-self-signed",
    ] {
        cluster.use_tls(&ServerTls::new(name));
        let anybody = format!(
            "{} sslmode=require sslrootcert=none",
            cluster.conninfo_tcp()
        );
        assert!(ask(&anybody).starts_with("TLSv1."), "{name}");
    }
}
