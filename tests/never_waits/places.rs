//! A cluster, and how to reach it in every way.

use std::net::TcpStream;
use std::os::fd::OwnedFd;

use testkit::certificates::CLIENT_KEY_PASSWORD;
use testkit::{Cluster, ClusterOptions, PASSWORD, ServerTls};

/// Where the child connects to.
pub(crate) struct Places {
    pub(crate) by_name: String,
    pub(crate) slow_scram: String,
    pub(crate) wrong: String,
    pub(crate) peer: String,
    pub(crate) nobody: String,
    /// Connected, and blocking.
    pub(crate) given: [OwnedFd; 3],
    pub(crate) tls: String,
    pub(crate) system: String,
    pub(crate) encrypted_key: String,
    pub(crate) direct: Option<String>,
}

impl Places {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let port = cluster.port();
        let quoted = PASSWORD.replace('\'', r"\'");
        let role = |role: &str, password: &str| {
            format!("host=localhost port={port} user={role} dbname=postgres password='{password}'")
        };
        let certificates = testkit::certificates();
        // What a careful client has: its own certificate, and the server's checked against a root.
        let tls = format!(
            "{} {} sslmode=verify-full sslrootcert={}",
            role("ssltestuser", "none"),
            certificates.client("client"),
            certificates.path("root+server_ca.crt")
        );
        Self {
            by_name: role("fast", &quoted) + " sslmode=disable",
            slow_scram: role("slow", &quoted) + " sslmode=disable",
            wrong: role("fast", "wrong"),
            peer: format!("{} requirepeer={}", cluster.conninfo(), owner(cluster)),
            given: [(); 3].map(|()| TcpStream::connect(("127.0.0.1", port)).unwrap().into()),
            nobody: String::from("host=localhost port=1 user=nobody"),
            tls: tls.clone(),
            encrypted_key: format!(
                "{tls} sslkey={} sslpassword='{CLIENT_KEY_PASSWORD}'",
                certificates.path("client-encrypted-aes256.key")
            ),
            system: role("fast", &quoted) + " sslmode=verify-full sslrootcert=system",
            direct: (testkit::Server::any().major >= 17)
                .then(|| format!("{tls} sslnegotiation=direct")),
        }
    }
}

/// The account that the server runs as.
fn owner(cluster: &Cluster) -> String {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata(cluster.data_dir()).unwrap().uid();
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let user = users
        .lines()
        .find(|line| line.split(':').nth(2) == Some(&uid.to_string()));
    user.unwrap().split(':').next().unwrap().to_owned()
}

pub(crate) fn cluster() -> Cluster {
    let password = PASSWORD.replace('\'', "''");
    let options = ClusterOptions::new()
        .tls(ServerTls::default())
        // The descriptors that are given are open from the beginning and speak last.
        .setting("authentication_timeout", "600s")
        .hba("hostssl all ssltestuser all cert")
        .setup("create role ssltestuser login")
        .method("fast", "scram-sha-256")
        .method("slow", "scram-sha-256")
        .method("all", "trust")
        .setup(&format!("create role fast login password '{password}'"));
    // Iterations can be set since 16.
    let iterations = if testkit::Server::any().major >= 16 {
        "set scram_iterations = 200000; "
    } else {
        ""
    };
    let slow = format!("{iterations}create role slow login password '{password}'");
    Cluster::start(options.setup(&slow))
}
