//! What a throw-away cluster should be like. Knows configuration lines, starts nothing.

use crate::ServerTls;

/// What a cluster should be like. The default: the newest server installed, and everybody is trusted.
#[derive(Clone, Debug, Default)]
pub struct ClusterOptions {
    pub(crate) hba: Vec<String>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) setup: Vec<String>,
    pub(crate) password: Option<String>,
    pub(crate) major: Option<u32>,
    pub(crate) ident: Vec<String>,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) small_wal: bool,
    pub(crate) environment: Vec<(String, String)>,
}

impl ClusterOptions {
    /// The newest server installed, everybody trusted.
    #[must_use]
    pub fn new() -> ClusterOptions {
        ClusterOptions::default()
    }

    /// Adds a line to `pg_hba.conf`, such as `host all all all scram-sha-256`. With none, all is trusted.
    #[must_use]
    pub fn hba(mut self, line: &str) -> ClusterOptions {
        self.hba.push(line.to_owned());
        self
    }

    /// Adds a line to `pg_ident.conf`: map name, system user name, database user name.
    #[must_use]
    pub fn ident(mut self, line: &str) -> ClusterOptions {
        self.ident.push(line.to_owned());
        self
    }

    /// Turns TLS on, beside plain connections: `hostssl` and `hostnossl` lines ([`hba`](Self::hba)) tell who may come how.
    #[must_use]
    pub fn tls(mut self, tls: ServerTls) -> ClusterOptions {
        self.tls = Some(tls);
        self
    }

    /// Adds the two lines that let `role` in by `method` (`trust`, `scram-sha-256`, `md5`, `password`, `reject`),
    /// through the Unix socket and TCP.
    #[must_use]
    pub fn method(self, role: &str, method: &str) -> ClusterOptions {
        self.hba(&format!("local all {role} {method}"))
            .hba(&format!("host all {role} all {method}"))
    }

    /// Adds a setting to `postgresql.conf`; the value is quoted here.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> ClusterOptions {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets a variable in the server's environment.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> ClusterOptions {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes what logical replication needs, in WAL segments of 1 MB, and gives its clients all the time they take.
    #[must_use]
    pub fn replicating(mut self) -> ClusterOptions {
        self.small_wal = true;
        self.setting("wal_level", "logical")
            .setting("wal_sender_timeout", "0")
            .setting("min_wal_size", "8MB")
    }

    /// Adds the settings and the environment of `more`; of two of one name the later one counts.
    pub(crate) fn settings_of(mut self, more: &ClusterOptions) -> ClusterOptions {
        self.settings.extend(more.settings.iter().cloned());
        self.environment.extend(more.environment.iter().cloned());
        self
    }

    /// Adds SQL that the superuser runs once, before the cluster is handed out.
    #[must_use]
    pub fn setup(mut self, sql: &str) -> ClusterOptions {
        self.setup.push(sql.to_owned());
        self
    }

    /// Gives the superuser `postgres` a password; combine it with [`method`](Self::method).
    #[must_use]
    pub fn superuser_password(mut self, password: &str) -> ClusterOptions {
        self.password = Some(password.to_owned());
        self
    }

    /// Asks for a major version; [`Server::of`](crate::Server::of) tells whether it is installed.
    #[must_use]
    pub fn version(mut self, major: u32) -> ClusterOptions {
        self.major = Some(major);
        self
    }
}
