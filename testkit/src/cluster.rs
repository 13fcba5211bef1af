//! Throw-away PostgreSQL clusters on free ports, gone when the test is over however it ends. Knows nothing of pgpoll.

use std::fs;
use std::io::Write;
use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::certificates::certificates;
use crate::options::ClusterOptions;
use crate::postmaster::Postmaster;
use crate::server_tls::ServerTls;
use crate::servers::{INSTALL, Server};
use crate::system::{free_port, give, new_folder, ordinary_user, quiet, watchdog};

/// The bootstrap superuser: trusted on the Unix socket whatever the test puts into `pg_hba.conf`.
pub(crate) const ADMIN: &str = "testkit_admin";

/// A running server of its own, with a superuser `postgres` and a database `postgres`. Dropping it stops the server and
/// removes its folder; so does the end of the process, even by SIGKILL.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    options: ClusterOptions,
    folder: PathBuf,
    port: u16,
    postmaster: Mutex<Option<Postmaster>>,
    watchdog: Child,
    owner: Option<(u32, u32)>,
    ipv6: bool,
}

impl Cluster {
    /// Starts a cluster.
    ///
    /// # Panics
    /// With the server's own words if it does not start, or with the line that installs one if there is none.
    #[must_use]
    pub fn start(options: ClusterOptions) -> Cluster {
        let server = match options.major {
            None => Server::any(),
            Some(major) => Server::of(major)
                .unwrap_or_else(|| panic!("PostgreSQL {major} is not installed; {INSTALL}")),
        };
        let mut cluster = Cluster::empty(server, options);
        cluster.init();
        cluster.start_on_free_port();
        cluster.set_up();
        cluster
    }

    /// A folder without data, and no server yet.
    pub(crate) fn empty(server: Server, options: ClusterOptions) -> Cluster {
        let owner = ordinary_user();
        let folder = new_folder(owner);
        let watchdog = watchdog(&folder, "data/postmaster.pid");
        Cluster {
            server,
            options,
            folder,
            port: 0,
            postmaster: Mutex::new(None),
            watchdog,
            owner,
            ipv6: TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok(),
        }
    }

    /// What it was made with.
    #[must_use]
    pub fn options(&self) -> &ClusterOptions {
        &self.options
    }

    /// The server's programs and version.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The TCP port, which is part of the Unix socket's name too.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket, short enough for `sockaddr_un`.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.folder
    }

    /// The data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Whether the server listens on ::1 too; it always listens on 127.0.0.1.
    #[must_use]
    pub fn has_ipv6(&self) -> bool {
        self.ipv6
    }

    /// How `postgres` connects through the Unix socket. Append `password=…` where the cluster asks for one.
    #[must_use]
    pub fn conninfo(&self) -> String {
        self.conninfo_as("postgres")
    }

    /// How `postgres` connects through TCP.
    #[must_use]
    pub fn conninfo_tcp(&self) -> String {
        self.conninfo_tcp_as("postgres")
    }

    /// How this role connects through the Unix socket.
    #[must_use]
    pub fn conninfo_as(&self, role: &str) -> String {
        let (host, port) = (self.folder.display(), self.port);
        format!("host={host} port={port} user={role} dbname=postgres")
    }

    /// How this role connects through TCP.
    #[must_use]
    pub fn conninfo_tcp_as(&self, role: &str) -> String {
        let port = self.port;
        format!("host=127.0.0.1 port={port} user={role} dbname=postgres")
    }

    /// How `postgres` connects through TCP and TLS to a cluster of [`ServerTls::default`]: `sslmode=verify-full`.
    #[must_use]
    pub fn conninfo_tls(&self) -> String {
        self.conninfo_tls_as("postgres")
    }

    /// How this role connects through TCP and TLS to a cluster of [`ServerTls::default`].
    #[must_use]
    pub fn conninfo_tls_as(&self, role: &str) -> String {
        let port = self.port;
        let root = certificates().path("root+server_ca.crt");
        format!(
            "host=localhost hostaddr=127.0.0.1 port={port} user={role} dbname=postgres sslmode=verify-full sslrootcert={root} sslcrl=none sslcert=none"
        )
    }

    /// Waits until the backend of this process ID is at work on a statement.
    pub fn until_busy(&self, pid: u32) {
        self.psql(&format!(
            "do $$ begin while not exists (select from pg_stat_activity where pid = {pid} and state = 'active') \
             loop perform pg_sleep(0.01); perform pg_stat_clear_snapshot(); end loop; end $$"
        ));
    }

    /// Waits until this SQL condition holds, at most a minute.
    ///
    /// # Panics
    /// If it does not hold then.
    pub fn until(&self, condition: &str) {
        self.psql(&format!(
            "do $$ begin for n in 1..6000 loop if ({condition}) then return; end if; \
             perform pg_sleep(0.01), pg_stat_clear_snapshot(); end loop; \
             raise exception 'not within a minute: %', $condition${condition}$condition$; end $$"
        ));
    }

    /// Whether this server, started with [`replicating`](ClusterOptions::replicating), can decode changes. Some packages come
    /// without the plugin, which is said loudly.
    #[must_use]
    pub fn decodes(&self) -> bool {
        let sql = "select pg_create_logical_replication_slot('a_try', 'pgoutput', true)";
        match self.try_psql(sql) {
            Ok(_) => true,
            Err(error) if error.contains("could not access file") => {
                crate::say!("SKIPPED: this server came without pgoutput");
                false
            }
            // Another test is trying at this moment.
            Err(error) => error.contains("already exists") || panic!("{error}"),
        }
    }

    /// Runs SQL as a superuser through the Unix socket, each statement its own transaction; returns what psql prints
    /// with `-At`, without the last newline.
    ///
    /// # Panics
    /// With psql's words if a statement fails.
    pub fn psql(&self, sql: &str) -> String {
        self.try_psql(sql).unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`psql`](Self::psql), but hands the error back.
    ///
    /// # Errors
    /// What psql wrote to its standard error.
    pub fn try_psql(&self, sql: &str) -> Result<String, String> {
        let mut psql = quiet(&self.server.program("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .arg(self.conninfo_as(ADMIN))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("psql does not run: {error}; {INSTALL}"))?;
        // psql may fail at the first statement and not read the rest: its own words are the better error.
        let _ = psql.stdin.take().unwrap().write_all(sql.as_bytes());
        let said = psql.wait_with_output().map_err(|error| error.to_string())?;
        if !said.status.success() {
            return Err(String::from_utf8_lossy(&said.stderr).into_owned());
        }
        let said = String::from_utf8_lossy(&said.stdout);
        Ok(said.strip_suffix('\n').unwrap_or(&said).to_owned())
    }

    /// Ends a session as an administrator does, with a FATAL (`pg_terminate_backend`); false if there is no such process.
    pub fn terminate_backend(&self, pid: u32) -> bool {
        self.psql(&format!("select pg_terminate_backend({pid})")) == "t"
    }

    /// Stops the server in fast mode: sessions get a FATAL. The folder, the port and the data stay.
    pub fn stop(&self) {
        self.stop_with("INT");
    }

    /// Stops the server in immediate mode, as close to a crash as it gets without losing the lock file.
    pub fn crash(&self) {
        self.stop_with("QUIT");
    }

    /// Starts the server again, on the same port, after [`stop`](Self::stop) or [`crash`](Self::crash).
    pub fn start_again(&self) {
        if let Err(error) = self.run_postmaster() {
            panic!("{error}");
        }
    }

    /// Stops the server in fast mode and starts it on the same port.
    pub fn restart(&self) {
        self.stop();
        self.start_again();
    }

    /// Restarts the server with other certificates or settings of TLS. It must have been started with some.
    pub fn use_tls(&self, tls: &ServerTls) {
        assert!(self.options.tls.is_some());
        self.write("data/tls.conf", &tls.lines());
        self.restart();
    }

    /// The server's log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn init(&self) {
        let mut initdb = self.as_owner(&self.server.bin.join("initdb"));
        initdb.arg("-D").arg(self.data_dir());
        initdb.args(["-U", ADMIN, "-A", "trust", "-E", "UTF8", "--no-locale"]);
        initdb.args(["--no-sync", "--no-instructions"]);
        if self.options.small_wal {
            initdb.arg("--wal-segsize=1");
        }
        let said = initdb.output().unwrap();
        if !said.status.success() {
            panic!("initdb failed: {}", String::from_utf8_lossy(&said.stderr));
        }
        let mut hba = format!("local all {ADMIN} trust\nlocal replication {ADMIN} trust\n");
        if self.options.hba.is_empty() {
            hba += "local all all trust\nhost all all all trust\n";
            hba += "local replication all trust\nhost replication all all trust\n";
        }
        for line in &self.options.hba {
            hba += &format!("{line}\n");
        }
        self.write("data/pg_hba.conf", &hba);
        self.write("data/pg_ident.conf", &self.options.ident.join("\n"));
    }

    pub(crate) fn start_on_free_port(&mut self) {
        if self.options.tls.is_some() {
            ServerTls::install(&self.folder.join("tls"), &|path| give(path, self.owner));
        }
        let mut failure = String::new();
        for _ in 0..20 {
            self.port = free_port(self.ipv6);
            self.configure();
            match self.run_postmaster() {
                // A port that was taken between the look and the start costs one address: try another.
                Ok(()) if !self.log().contains("could not bind") => return,
                Ok(()) => self.crash(),
                Err(error) if error.contains("could not bind") => failure = error,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("no port is free: {failure}");
    }

    fn configure(&self) {
        let listen = if self.ipv6 {
            "127.0.0.1,::1"
        } else {
            "127.0.0.1"
        };
        let (port, folder) = (self.port.to_string(), self.folder.display().to_string());
        let own = [
            ("port", port.as_str()),
            ("listen_addresses", listen),
            ("unix_socket_directories", &folder),
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("synchronous_commit", "off"),
            ("autovacuum", "off"),
            ("shared_buffers", "32MB"),
            // Room for the tests that open two hundred connections.
            ("max_connections", "260"),
            ("log_min_messages", "warning"),
            ("timezone", "UTC"),
            ("log_timezone", "UTC"),
        ];
        let chosen = self.options.settings.iter();
        let chosen = chosen.map(|(name, value)| (name.as_str(), value.as_str()));
        let lines = own.into_iter().chain(chosen);
        let lines =
            lines.map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")));
        let lines = lines.collect::<String>() + "include_if_exists = 'tls.conf'\n";
        self.write("data/postgresql.conf", &lines);
        if let Some(tls) = &self.options.tls {
            self.write("data/tls.conf", &tls.lines());
        }
    }

    fn set_up(&self) {
        let mut sql = "create role postgres superuser login replication".to_owned();
        if let Some(password) = &self.options.password {
            sql += &format!(" password '{}'", password.replace('\'', "''"));
        }
        sql += ";\n";
        for more in &self.options.setup {
            sql += &format!("{more};\n");
        }
        self.psql(&sql);
    }

    fn run_postmaster(&self) -> Result<(), String> {
        let mut command = self.as_owner(&self.server.bin.join("postgres"));
        command.arg("-D").arg(self.data_dir());
        let running = Postmaster::start(command, &self.data_dir(), &self.folder.join("log"))?;
        *self.postmaster() = Some(running);
        Ok(())
    }

    fn stop_with(&self, signal: &str) {
        if let Some(running) = self.postmaster().take() {
            running.stop(signal);
        }
    }

    fn postmaster(&self) -> MutexGuard<'_, Option<Postmaster>> {
        self.postmaster
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A command that runs as the server does.
    pub(crate) fn as_owner(&self, program: &Path) -> Command {
        let mut command = quiet(program);
        command.current_dir(&self.folder).env("HOME", &self.folder);
        let variables = self.options.environment.iter();
        command.envs(variables.map(|(name, value)| (name, value)));
        if let Some((uid, gid)) = self.owner {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        give(&path, self.owner);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.crash();
        // Closing the pipe is the watchdog's sign to remove the folder.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}
