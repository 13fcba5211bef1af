//! A throw-away Kerberos realm: a KDC on a free port, principals, tickets. Knows MIT's programs, nothing of PostgreSQL.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::system::{free_port, give, new_folder, ordinary_user, quiet, watchdog};

/// The realm.
pub const REALM: &str = "EXAMPLE.COM";
/// The host in the principal of the service: it stands in no DNS.
pub const HOST: &str = "auth-test-localhost.postgresql.example.com";

/// How long the KDC may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running KDC with its realm. Dropping it stops the KDC and removes its folder; so does the end of the process.
#[derive(Debug)]
pub struct Kerberos {
    folder: PathBuf,
    kdc: Child,
    watchdog: Child,
}

impl Kerberos {
    /// Starts a KDC with the principal `postgres/HOST`. `None`, said loudly, where its programs are not installed.
    ///
    /// # Panics
    /// With the words of the program that fails.
    #[must_use]
    pub fn start() -> Option<Kerberos> {
        for name in ["krb5kdc", "kadmin.local", "kdb5_util", "kinit"] {
            if find(name).is_none() {
                crate::say!(
                    "SKIPPED: {name} is not installed: apt-get install krb5-kdc krb5-admin-server krb5-user"
                );
                return None;
            }
        }
        let owner = ordinary_user();
        let folder = new_folder(None);
        let watchdog = watchdog(&folder, "kdc.pid");
        let port = free_port(false);
        write_configuration(&folder, port);
        run(&folder, "kdb5_util", &["create", "-s", "-P", "secret0"], "");
        let service = format!("postgres/{HOST}");
        let keytab = folder.join("keytab");
        admin(&folder, &format!("addprinc -randkey {service}"));
        admin(&folder, &format!("ktadd -k {} {service}", keytab.display()));
        give(&keytab, owner);
        let pid = folder.join("kdc.pid");
        let kdc = command(&folder, "krb5kdc")
            .args(["-n", "-P"])
            .arg(&pid)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "the KDC does not start");
            sleep(Duration::from_millis(5));
        }
        Some(Kerberos {
            folder,
            kdc,
            watchdog,
        })
    }

    /// What libraries read instead of /etc/krb5.conf: `KRB5_CONFIG`.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.folder.join("krb5.conf")
    }

    /// The key of the service, for `krb_server_keyfile`.
    #[must_use]
    pub fn keytab(&self) -> PathBuf {
        self.folder.join("keytab")
    }

    /// A place for a ticket cache.
    #[must_use]
    pub fn cache(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Adds a user.
    pub fn add_user(&self, name: &str, password: &str) {
        admin(&self.folder, &format!("addprinc -pw {password} {name}"));
    }

    /// Gets a user's first ticket into a cache; `options` are kinit's.
    pub fn get_ticket(&self, name: &str, password: &str, cache: &Path, options: &[&str]) {
        let cache = cache.display().to_string();
        let arguments = [options, &["-c", &cache, name]].concat();
        run(&self.folder, "kinit", &arguments, &format!("{password}\n"));
    }

    /// The KDC answers nothing until [`go_on`](Self::go_on): it is stopped, and its port stays open.
    pub fn halt(&self) {
        self.signal("STOP");
    }

    /// The KDC goes on.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.kdc.id());
        let status = Command::new("/bin/sh").args(["-c", &command]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Kerberos {
    fn drop(&mut self) {
        let _ = self.kdc.kill();
        let _ = self.kdc.wait();
        let _ = fs::remove_file(self.folder.join("kdc.pid"));
        // Closing the pipe is the watchdog's sign to remove the folder.
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// No DNS is asked, nothing outside of the folder is read.
fn write_configuration(folder: &Path, port: u16) {
    let place = folder.display();
    let client = format!(
        "[logging]\ndefault = FILE:{place}/log\nkdc = FILE:{place}/log\n\
         [libdefaults]\ndns_lookup_realm = false\ndns_lookup_kdc = false\ndefault_realm = {REALM}\n\
         forwardable = false\nrdns = false\n\
         [realms]\n{REALM} = {{\n kdc = 127.0.0.1:{port}\n}}\n"
    );
    let kdc = format!(
        "[kdcdefaults]\nkdc_listen = 127.0.0.1:{port}\nkdc_tcp_listen = 127.0.0.1:{port}\n\
         [realms]\n{REALM} = {{\n database_name = {place}/principal\n\
         admin_keytab = FILE:{place}/kadm5.keytab\n acl_file = {place}/kadm5.acl\n\
         key_stash_file = {place}/stash\n}}\n"
    );
    fs::write(folder.join("krb5.conf"), client).unwrap();
    fs::write(folder.join("kdc.conf"), kdc).unwrap();
}

fn admin(folder: &Path, query: &str) {
    run(folder, "kadmin.local", &["-q", query], "");
}

fn run(folder: &Path, name: &str, arguments: &[&str], input: &str) {
    let mut child = command(folder, name)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let said = child.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{name} {arguments:?}: {words}");
}

fn command(folder: &Path, name: &str) -> Command {
    let mut command = quiet(&find(name).unwrap());
    command
        .env("KRB5_CONFIG", folder.join("krb5.conf"))
        .env("KRB5_KDC_PROFILE", folder.join("kdc.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let mut files = folders.map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}
