//! A throw-away PgBouncer before a cluster, gone when the test is over however it ends. Knows nothing of pgpoll.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Cluster;
use crate::system::{free_port, give, new_folder, ordinary_user, quiet, watchdog};

/// What to say where there is none.
const INSTALL: &str = "SKIPPED: PgBouncer is not installed: apt-get install pgbouncer";

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a PgBouncer should be like. The default: session pooling, everybody trusted.
#[derive(Clone, Debug, Default)]
pub struct BouncerOptions {
    settings: Vec<(String, String)>,
    users: Vec<(String, String)>,
    files: Vec<(String, Vec<u8>)>,
}

impl BouncerOptions {
    /// Session pooling, everybody trusted who is named by [`user`](Self::user).
    #[must_use]
    pub fn new() -> BouncerOptions {
        BouncerOptions::default()
    }

    /// Adds a setting to `pgbouncer.ini`, such as `pool_mode`, `transaction`. `%` in a value stands for the folder of its files.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> BouncerOptions {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets a role in, and tells its password, by which PgBouncer checks it and by which it connects to the server.
    #[must_use]
    pub fn user(mut self, role: &str, password: &str) -> BouncerOptions {
        self.users.push((role.to_owned(), password.to_owned()));
        self
    }

    /// Adds a file (a certificate, a key) to the folder of its files.
    #[must_use]
    pub fn file(mut self, name: &str, content: &[u8]) -> BouncerOptions {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }
}

/// A running PgBouncer whose every database is the one of the same name in its cluster. Dropping it stops it.
#[derive(Debug)]
pub struct Bouncer {
    child: Child,
    watchdog: Child,
    folder: PathBuf,
    port: u16,
    version: (u32, u32),
}

impl Bouncer {
    /// Starts one before a cluster, which it reaches by TCP. None, said loudly, where it is not installed.
    ///
    /// # Panics
    /// With its own words if it does not start.
    #[must_use]
    pub fn start(cluster: &Cluster, options: &BouncerOptions) -> Option<Bouncer> {
        let Some((program, version)) = installed() else {
            crate::say!("{INSTALL}");
            return None;
        };
        let owner = ordinary_user();
        let folder = new_folder(owner);
        let port = free_port(false);
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            fs::write(&path, bytes).unwrap();
            give(&path, owner);
        };
        write(
            "pgbouncer.ini",
            options.ini(cluster, &folder, port).as_bytes(),
        );
        write("users", options.userlist().as_bytes());
        for (name, bytes) in &options.files {
            write(name, bytes);
        }
        let watchdog = watchdog(&folder, "pid");
        let mut command = quiet(&program);
        command.arg("-q").arg(folder.join("pgbouncer.ini"));
        command.current_dir(&folder).env("HOME", &folder);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some((uid, gid)) = owner {
            command.uid(uid).gid(gid);
        }
        let child = command.process_group(0).spawn().unwrap();
        let mut bouncer = Bouncer {
            child,
            watchdog,
            folder,
            port,
            version,
        };
        bouncer.wait_until_up();
        Some(bouncer)
    }

    /// 1.18 is `(1, 18)`.
    #[must_use]
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// The TCP port, which is part of the Unix socket's name too.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the Unix socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.folder
    }

    /// How this role connects through TCP.
    #[must_use]
    pub fn conninfo_as(&self, role: &str) -> String {
        let port = self.port;
        format!("host=127.0.0.1 port={port} user={role} dbname=postgres")
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn wait_until_up(&mut self) {
        let begun = Instant::now();
        // A connection to try it out would count as a client.
        while !self.log().contains("process up") {
            let ended = !matches!(self.child.try_wait(), Ok(None));
            if ended || begun.elapsed() > PATIENCE {
                panic!("PgBouncer does not start:\n{}", self.log());
            }
            sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(self.folder.join("pid"));
        // Closing the pipe is the watchdog's sign to remove the folder.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

impl BouncerOptions {
    fn ini(&self, cluster: &Cluster, folder: &Path, port: u16) -> String {
        let here = folder.display().to_string();
        let mut text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\n",
            cluster.port()
        );
        let own = [
            ("listen_addr", "127.0.0.1"),
            ("listen_port", &port.to_string()),
            ("unix_socket_dir", "%"),
            ("auth_type", "trust"),
            ("auth_file", "%/users"),
            ("admin_users", "postgres"),
            ("logfile", "%/log"),
            ("pidfile", "%/pid"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        // Of two settings of one name the later one counts.
        for (name, value) in own.iter().chain(&self.settings) {
            text += &format!("{name} = {}\n", value.replace('%', &here));
        }
        text
    }

    fn userlist(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let lines = self.users.iter();
        lines
            .map(|(role, password)| format!("{} {}\n", quoted(role), quoted(password)))
            .collect()
    }
}

/// The version of the PgBouncer that is installed; 1.18 is `(1, 18)`.
#[must_use]
pub fn version() -> Option<(u32, u32)> {
    installed().map(|(_, version)| version)
}

/// The program and its version.
fn installed() -> Option<(PathBuf, (u32, u32))> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut programs = folders.map(|folder| folder.join("pgbouncer"));
    let program = programs.find(|path| path.is_file())?;
    let said = quiet(&program).arg("--version").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let mut numbers = said.split_whitespace().nth(1)?.split('.').map(str::parse);
    let version = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some((program, version))
}
