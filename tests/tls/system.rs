//! `sslrootcert=system`, and what the environment and the home directory say of it. Knows that both are read once per connection.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use testkit::{ServerTls, certificates};

use crate::servers::{conninfo, newest};
use crate::session::Session;
use crate::suite::with_chain;

const SYSTEM: &str = "sslrootcert=system host=common-name.pg-ssltest.test";
const CONNINFO: &str = "PGPOLL_TEST_CONNINFO";

/// What becomes of a connection that is opened by a process with these variables.
fn opened(conninfo: &str, variables: &[(&str, &str)]) -> String {
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "system::in_this_environment", "--nocapture"])
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR")
        .env(CONNINFO, conninfo)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8(run.stdout).unwrap();
    let said = said
        .split_once("RESULT: ")
        .map(|(_, rest)| rest.split_once("\nEND").unwrap().0);
    said.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&run.stderr)))
        .to_owned()
}

/// Run by the tests of this file in another environment.
#[test]
fn in_this_environment() {
    let Ok(conninfo) = std::env::var(CONNINFO) else {
        return;
    };
    let said = match Session::try_open(&conninfo) {
        Ok(_) => String::from("connected"),
        Err(error) => error.message().to_owned(),
    };
    println!("RESULT: {said}\nEND");
}

#[test]
fn a_private_authority_is_not_the_systems() {
    let server = newest().with(&with_chain());
    let conninfo = conninfo(&server, SYSTEM);
    let said = opened(&conninfo, &[]);
    assert!(
        said.contains("SSL error: certificate verify failed"),
        "{said}"
    );
    let nowhere = [
        ("SSL_CERT_FILE", "/no/such/file"),
        ("SSL_CERT_DIR", "/no/such/folder"),
    ];
    let said = opened(&conninfo, &nowhere);
    assert!(
        said.contains("could not load system root certificate paths: "),
        "{said}"
    );
}

#[test]
fn the_environment_says_where_the_systems_roots_are() {
    let server = newest().with(&with_chain());
    let root = certificates().path("root_ca.crt");
    let good = [("SSL_CERT_FILE", root.as_str())];
    assert_eq!(opened(&conninfo(&server, SYSTEM), &good), "connected");
    let bad = conninfo(
        &server,
        "sslrootcert=system host=common-name.pg-ssltest.test.bad",
    );
    let said = opened(&bad, &good);
    let expected = "server certificate for \"common-name.pg-ssltest.test\" does not match host name \"common-name.pg-ssltest.test.bad\"";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn files_below_the_home_directory_are_found() {
    let server = newest().with(&ServerTls::new("server-revoked"));
    let home = std::env::temp_dir().join(format!("pgpoll-home-{}", std::process::id()));
    let folder = home.join(".postgresql");
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&folder).unwrap();
    let put = |from: &str, name: &str, mode: u32| {
        let path = folder.join(name);
        fs::copy(certificates().path(from), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let open = || {
        let port = server.port();
        let conninfo = format!(
            "hostaddr=127.0.0.1 host=common-name.pg-ssltest.test port={port} user=ssltestuser dbname=certdb sslmode=require"
        );
        opened(&conninfo, &[("HOME", &home.display().to_string())])
    };
    assert!(open().contains("connection requires a valid client certificate"));
    put("client.crt", "postgresql.crt", 0o644);
    assert!(open().contains("certificate present, but not private key file"));
    put("client.key", "postgresql.key", 0o644);
    assert!(open().contains("has group or world access"));
    put("client.key", "postgresql.key", 0o600);
    assert_eq!(open(), "connected");
    put("root+server_ca.crt", "root.crt", 0o644);
    assert_eq!(open(), "connected");
    put("root+server.crl", "root.crl", 0o644);
    let said = open();
    assert!(said.contains("certificate verify failed"), "{said}");
    put("client_ca.crt", "root.crt", 0o644);
    fs::remove_file(folder.join("root.crl")).unwrap();
    assert!(
        open().contains("certificate verify failed"),
        "also with sslmode=require"
    );
    fs::remove_dir_all(Path::new(&home)).unwrap();
}
