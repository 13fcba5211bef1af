//! The servers of these tests: one of each version, whose certificates are changed as the tests go. Knows who may come in how.

use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use testkit::{Cluster, ClusterOptions, Server, ServerTls, certificates};

/// A server for several tests, one at a time.
pub(crate) struct Shared {
    cluster: Cluster,
    tls: Mutex<String>,
}

/// A server that does TLS in a certain way for as long as this is held.
pub(crate) struct Held<'a> {
    cluster: &'a Cluster,
    _tls: MutexGuard<'a, String>,
}

impl Deref for Held<'_> {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        self.cluster
    }
}

impl Shared {
    /// The server, once it is nobody else's, doing TLS like this.
    pub(crate) fn with(&self, tls: &ServerTls) -> Held<'_> {
        let mut now = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = format!("{tls:?}");
        if *now != wanted {
            self.cluster.use_tls(tls);
            *now = wanted;
        }
        Held {
            cluster: &self.cluster,
            _tls: now,
        }
    }
}

/// A server of each version under test.
pub(crate) fn servers() -> &'static [Shared] {
    static SERVERS: OnceLock<Vec<Shared>> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let mut servers = Vec::new();
        for major in [15, 18] {
            if Server::of(major).is_none() {
                eprintln!("SKIPPED: PostgreSQL {major} is not installed");
                continue;
            }
            let tls = ServerTls::default();
            servers.push(Shared {
                cluster: Cluster::start(options().version(major).tls(tls.clone())),
                tls: Mutex::new(format!("{tls:?}")),
            });
        }
        assert!(!servers.is_empty(), "{}", testkit::servers::INSTALL);
        servers
    })
}

/// The newest server under test.
pub(crate) fn newest() -> &'static Shared {
    servers().last().unwrap()
}

/// How to connect to it: nothing of the user's own files, a user and a database, and then `what`, with names of files in braces.
pub(crate) fn conninfo(cluster: &Cluster, what: &str) -> String {
    let mut filled = String::new();
    for (number, part) in what.split(['{', '}']).enumerate() {
        match number % 2 {
            0 => filled += part,
            _ => filled += &certificates().path(part),
        }
    }
    let port = cluster.port();
    format!(
        "sslkey=invalid sslcert=invalid sslrootcert=invalid sslcrl=invalid sslcrldir=invalid user=ssltestuser dbname=trustdb \
         hostaddr=127.0.0.1 port={port} {filled}"
    )
}

fn options() -> ClusterOptions {
    let mut options = ClusterOptions::new()
        .setup("set client_min_messages = error; set password_encryption = 'scram-sha-256'; create role ssltestuser login password 'pass'")
        .setup("set client_min_messages = error; set password_encryption = 'md5'; create role md5testuser login password 'pass'")
        .setup("create role anotheruser login; create role yetanotheruser login")
        .setup("create role plainuser login; create role tlsuser login");
    for database in [
        "trustdb",
        "certdb",
        "certdb_dn",
        "certdb_dn_re",
        "certdb_cn",
        "verifydb",
        "scramdb",
        "scramverifydb",
    ] {
        options = options.setup(&format!("create database {database}"));
    }
    for line in [
        "hostnossl all plainuser 127.0.0.1/32 trust",
        "hostssl all tlsuser 127.0.0.1/32 trust",
        "hostssl trustdb all 127.0.0.1/32 trust",
        "hostssl scramdb md5testuser 127.0.0.1/32 md5",
        "hostssl scramdb all 127.0.0.1/32 scram-sha-256",
        "hostssl scramverifydb all 127.0.0.1/32 scram-sha-256 clientcert=verify-full",
        "hostssl verifydb ssltestuser 127.0.0.1/32 trust clientcert=verify-full",
        "hostssl verifydb anotheruser 127.0.0.1/32 trust clientcert=verify-full",
        "hostssl verifydb yetanotheruser 127.0.0.1/32 trust clientcert=verify-ca",
        "hostssl certdb all 127.0.0.1/32 cert",
        "hostssl certdb_dn all 127.0.0.1/32 cert clientname=DN map=dn",
        "hostssl certdb_dn_re all 127.0.0.1/32 cert clientname=DN map=dnre",
        "hostssl certdb_cn all 127.0.0.1/32 cert clientname=CN map=cn",
        "local all all trust",
    ] {
        options = options.hba(line);
    }
    for line in [
        "dn \"CN=ssltestuser-dn,OU=Testing,OU=Engineering,O=PGDG\" ssltestuser",
        "dnre \"/^.*OU=Testing,.*$\" ssltestuser",
        "cn ssltestuser-dn ssltestuser",
    ] {
        options = options.ident(line);
    }
    options
}
