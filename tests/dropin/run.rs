//! Runs a program with either library in a database of its own, and compares what it prints. Knows no program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use testkit::{Cluster, ClusterOptions, PASSWORD, ServerTls, built};

use crate::library::{Library, list_libraries, took};

/// A difference that is known and wanted: what is printed with the system's library, with ours, and why.
pub(crate) struct Wanted {
    pub(crate) system: &'static str,
    pub(crate) ours: &'static str,
    /// Read by people.
    #[allow(dead_code)]
    pub(crate) reason: &'static str,
}

/// The server that programs of any version talk to, see [`options`].
pub(crate) fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(options()))
}

/// Trust on the Unix socket, and TLS with a password by TCP.
pub(crate) fn options() -> ClusterOptions {
    let password = PASSWORD.replace('\'', "''");
    let role = format!("create role user_scram login superuser password '{password}'");
    ClusterOptions::new()
        .tls(ServerTls::default())
        .hba("local all all trust")
        .hba("local replication all trust")
        .hba("hostssl all all 127.0.0.1/32 scram-sha-256")
        .replicating()
        .setup(&role)
}

/// Runs what `command` makes with either library, and fails where what is printed differs, but for what is wanted.
///
/// # Panics
/// With the first lines that differ, or with what the program says if it fails.
pub(crate) fn compare(
    name: &str,
    cluster: &Cluster,
    wanted: &[Wanted],
    command: impl Fn() -> Command,
) {
    let theirs = said(name, cluster, Library::System, &command);
    let ours = said(name, cluster, Library::Ours, &command);
    let mut before = "";
    for (theirs, ours) in theirs.lines().zip(ours.lines()) {
        let is_wanted = wanted
            .iter()
            .any(|wanted| theirs.contains(wanted.system) && ours.contains(wanted.ours));
        assert!(
            theirs == ours || is_wanted,
            "{name}, after {before:?}:\n  libpq: {theirs}\n  ours:  {ours}"
        );
        before = theirs;
    }
    assert_eq!(theirs.lines().count(), ours.lines().count(), "{name}");
    assert!(theirs.lines().count() > 5, "{name} prints nothing");
}

/// What the program prints to its standard output with this library, in a database that is as new.
fn said(name: &str, cluster: &Cluster, library: Library, command: &impl Fn() -> Command) -> String {
    new_database(cluster, name);
    let port = cluster.port().to_string();
    let password = PASSWORD.replace('\'', "\\'");
    let tls = format!(
        "{} password='{password}'",
        cluster.conninfo_tls_as("user_scram")
    )
    .replace("dbname=postgres", &format!("dbname={name}"));
    let made = command();
    let mut command = Command::new("timeout");
    command
        .arg("300")
        .arg(made.get_program())
        .args(made.get_args());
    for (name, value) in made.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
        .current_dir(built::root().join("tests/dropin"))
        .env("PGHOST", cluster.socket_dir())
        .env("PGPORT", port)
        .env("PGUSER", "postgres")
        .env("PGDATABASE", name)
        .env("DROPIN_TLS", tls)
        .env("LC_ALL", "C.UTF-8");
    let lists = std::env::temp_dir().join(format!("pgpoll-dropin-{}-{name}", std::process::id()));
    if let Some(folder) = library.folder() {
        command.env("LD_LIBRARY_PATH", folder);
        list_libraries(&mut command, &lists);
    }
    let said = command.output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(
        said.status.success(),
        "{name} with {library:?}: {}\n{text}{}",
        said.status,
        String::from_utf8_lossy(&said.stderr)
    );
    if let Some(folder) = library.folder() {
        assert!(took(&lists, folder), "{name} took another libpq.so.5");
    }
    text
}

fn new_database(cluster: &Cluster, name: &str) {
    cluster.psql(&format!(
        "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = '{name}'"
    ));
    cluster.psql(&format!("drop database if exists {name} with (force)"));
    cluster.psql(&format!("create database {name}"));
}

/// Whether this succeeds, as it does where what it asks for is installed.
pub(crate) fn works(mut program: Command, arguments: &[&str]) -> bool {
    program
        .args(arguments)
        .output()
        .is_ok_and(|said| said.status.success())
}

/// A folder below cargo's for what is built or installed for these tests.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = built::target().join("dropin").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A file beside this one.
pub(crate) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/dropin")
        .join(name)
}
