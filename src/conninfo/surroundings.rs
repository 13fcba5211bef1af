//! Where options come from when the caller does not give them: environment, account, files. Knows no option.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::unistd::{User, geteuid};
use zeroize::Zeroizing;

use super::error::Error;

/// No file that options come from is read further than this.
const MAX_FILE: usize = 16 << 20;

/// What surrounds a connection string: environment variables, the operating system's account, the files that it may name.
///
/// [`Surroundings::real`] looks at the process and the machine each time it is asked. [`Surroundings::empty`] has nothing but what
/// is added to it, so that a test depends on no machine.
#[derive(Debug, Clone)]
pub struct Surroundings {
    source: Source,
    locale: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum Source {
    Real,
    Made(Box<Made>),
}

#[derive(Clone, Default)]
struct Made {
    variables: BTreeMap<Vec<u8>, Vec<u8>>,
    account: Option<Account>,
    files: BTreeMap<Vec<u8>, (u32, Vec<u8>)>,
    directories: Vec<Vec<u8>>,
}

/// An account of the operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// The login name.
    pub(crate) name: Vec<u8>,
    /// The home directory.
    pub(crate) home: Vec<u8>,
}

impl Surroundings {
    /// This process: its environment, its effective user, the file system.
    pub fn real() -> Self {
        Self {
            source: Source::Real,
            locale: None,
        }
    }

    /// Nothing: no variable, no account, no file.
    pub fn empty() -> Self {
        Self {
            source: Source::Made(Box::default()),
            locale: None,
        }
    }

    /// With an environment variable. Real surroundings stay as they are.
    pub fn with_variable(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.with(|made| {
            made.variables.insert(name.into(), value.as_ref().into());
        })
    }

    /// With an account: its name and its home directory. Real surroundings stay as they are.
    pub fn with_account(self, name: impl AsRef<[u8]>, home: impl AsRef<[u8]>) -> Self {
        self.with(|made| {
            made.account = Some(Account {
                name: name.as_ref().into(),
                home: home.as_ref().into(),
            });
        })
    }

    /// With a plain file of these permission bits. Real surroundings stay as they are.
    pub fn with_file(self, path: impl AsRef<[u8]>, mode: u32, content: impl AsRef<[u8]>) -> Self {
        self.with(|made| {
            made.files.insert(
                path.as_ref().into(),
                (mode & 0o7777, content.as_ref().into()),
            );
        })
    }

    /// With a directory. Real surroundings stay as they are.
    pub fn with_directory(self, path: impl AsRef<[u8]>) -> Self {
        self.with(|made| made.directories.push(path.as_ref().into()))
    }

    /// With the program's own `LC_CTYPE` locale (`setlocale`) and its character set (`nl_langinfo(CODESET)`), which
    /// `client_encoding=auto` goes by. Without, they are taken from the names in `LC_ALL`, `LC_CTYPE` and `LANG`.
    pub fn with_locale(mut self, name: impl AsRef<[u8]>, codeset: impl AsRef<[u8]>) -> Self {
        self.locale = Some((name.as_ref().into(), codeset.as_ref().into()));
        self
    }

    /// The value of an environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<Vec<u8>> {
        match &self.source {
            Source::Real => env::var_os(name).map(OsString::into_vec),
            Source::Made(made) => made.variables.get(name.as_bytes()).cloned(),
        }
    }

    /// The account that this process runs as (effective user).
    ///
    /// # Errors
    /// libpq's text for a user without an account.
    pub(crate) fn account(&self) -> Result<Account, Error> {
        match &self.source {
            Source::Real => real_account(),
            Source::Made(made) => made
                .account
                .clone()
                .ok_or_else(|| Error::of(&[b"local user with ID 0 does not exist"])),
        }
    }

    /// `HOME`, or else the account's home directory.
    pub(crate) fn home(&self) -> Option<Vec<u8>> {
        self.variable("HOME")
            .filter(|home| !home.is_empty())
            .or_else(|| self.account().ok().map(|account| account.home))
    }

    /// Where a local server has its socket: a constant of the build (`PGPOLL_SOCKET_DIR` in its environment), or else Debian's
    /// `/var/run/postgresql` if that is there, or else `/tmp`.
    pub(crate) fn socket_directory(&self) -> &'static [u8] {
        if let Some(directory) = option_env!("PGPOLL_SOCKET_DIR") {
            return directory.as_bytes();
        }
        if self.exists(b"/var/run/postgresql") {
            return b"/var/run/postgresql";
        }
        b"/tmp"
    }

    /// Where the machine's own service file is: `PGSYSCONFDIR`, or a constant of the build (`PGPOLL_SYSCONF_DIR` in its environment),
    /// or else Debian's `/etc/postgresql-common` if that is there, or else `/usr/local/pgsql/etc`.
    pub(crate) fn configuration_directory(&self) -> Vec<u8> {
        if let Some(directory) = self.variable("PGSYSCONFDIR") {
            return directory;
        }
        if let Some(directory) = option_env!("PGPOLL_SYSCONF_DIR") {
            return directory.into();
        }
        if self.exists(b"/etc/postgresql-common") {
            return b"/etc/postgresql-common".into();
        }
        b"/usr/local/pgsql/etc".into()
    }

    /// The locale for character types, and the name of its character set, empty when it cannot be known.
    pub(crate) fn locale(&self) -> (Vec<u8>, Vec<u8>) {
        if let Some(locale) = &self.locale {
            return locale.clone();
        }
        let name = ["LC_ALL", "LC_CTYPE", "LANG"]
            .iter()
            .filter_map(|variable| self.variable(variable))
            .find(|name| !name.is_empty())
            .unwrap_or_else(|| b"C".into());
        let codeset = name
            .split(|byte| *byte == b'@')
            .next()
            .and_then(|name| name.splitn(2, |byte| *byte == b'.').nth(1))
            .unwrap_or_default()
            .to_vec();
        (name, codeset)
    }

    /// Whether there is something at `path`.
    pub(crate) fn exists(&self, path: &[u8]) -> bool {
        match &self.source {
            Source::Real => fs::metadata(OsStr::from_bytes(path)).is_ok(),
            Source::Made(made) => {
                made.files.contains_key(path) || made.directories.iter().any(|known| known == path)
            }
        }
    }

    /// Opens `path` for reading. With `wait`, a named pipe is waited for, as a shell's `<(…)` needs it.
    pub(crate) fn open(&self, path: &[u8], wait: bool) -> Option<File> {
        match &self.source {
            Source::Real => {
                let file = fs::OpenOptions::new()
                    .read(true)
                    .custom_flags(if wait { 0 } else { libc::O_NONBLOCK })
                    .open(OsStr::from_bytes(path))
                    .ok()?;
                let facts = file.metadata().ok()?;
                Some(File {
                    regular: facts.is_file(),
                    mode: facts.mode() & 0o7777,
                    size: facts.len(),
                    content: Content::File(file),
                })
            }
            Source::Made(made) => {
                let regular = made.files.get(path);
                if regular.is_none() && !made.directories.iter().any(|known| known == path) {
                    return None;
                }
                let (mode, bytes) = regular.cloned().unwrap_or((0o755, Vec::new()));
                Some(File {
                    regular: regular.is_some(),
                    mode,
                    size: bytes.len() as u64,
                    content: Content::Bytes(bytes),
                })
            }
        }
    }

    fn with(mut self, add: impl FnOnce(&mut Made)) -> Self {
        if let Source::Made(made) = &mut self.source {
            add(made);
        }
        self
    }
}

/// An open file.
pub(crate) struct File {
    /// A plain file, not a directory, pipe or device.
    pub(crate) regular: bool,
    /// Permission bits.
    pub(crate) mode: u32,
    size: u64,
    content: Content,
}

enum Content {
    File(fs::File),
    Bytes(Vec<u8>),
}

impl File {
    /// What can be read of it, up to 16 MiB; not more than nothing if it cannot be read.
    pub(crate) fn read(self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut bytes = Zeroizing::new(Vec::new());
        // The byte more is for noticing the end without growing, which would leave secrets behind.
        let expected = usize::try_from(self.size).unwrap_or(MAX_FILE).min(MAX_FILE) + 1;
        bytes
            .try_reserve_exact(expected)
            .map_err(|_| Error::out_of_memory())?;
        match self.content {
            Content::File(file) => {
                // What was read before an error counts, as it does with fgets.
                let _ = file.take(MAX_FILE as u64).read_to_end(&mut bytes);
            }
            Content::Bytes(made) => bytes.extend(made.into_iter().take(MAX_FILE)),
        }
        Ok(bytes)
    }
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // PGPASSWORD and password files may be among them.
        f.debug_struct("Made").finish_non_exhaustive()
    }
}

fn real_account() -> Result<Account, Error> {
    let id = geteuid();
    match User::from_uid(id) {
        Ok(Some(user)) => Ok(Account {
            name: user.name.into_bytes(),
            home: user.dir.into_os_string().into_vec(),
        }),
        Ok(None) => Err(Error::from(format!(
            "local user with ID {id} does not exist"
        ))),
        Err(error) => Err(Error::from(format!(
            "could not look up local user ID {id}: {}",
            error.desc()
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_codeset_is_read_from_the_first_locale_variable_that_says_something() {
        let from = Surroundings::empty()
            .with_variable("LANG", "de_DE.ISO-8859-15@euro")
            .with_variable("LC_ALL", "");
        assert_eq!(
            from.locale(),
            (b"de_DE.ISO-8859-15@euro".to_vec(), b"ISO-8859-15".to_vec())
        );
        let from = from.with_variable("LC_CTYPE", "C");
        assert_eq!(from.locale(), (b"C".to_vec(), Vec::new()));
        let from = from.with_locale("fr_FR", "UTF-8");
        assert_eq!(from.locale(), (b"fr_FR".to_vec(), b"UTF-8".to_vec()));
    }

    #[test]
    fn the_real_surroundings_have_a_root_directory_and_an_account() {
        let real = Surroundings::real();
        assert!(real.exists(b"/"));
        assert!(!real.exists(b"/no/such/thing"));
        assert!(!real.open(b"/", true).unwrap().regular);
        assert!(real.open(b"/", true).unwrap().read().unwrap().is_empty());
        assert!(real.variable("PATH").is_some());
        assert!(!real.account().unwrap().name.is_empty());
    }

    #[test]
    fn debug_shows_no_variable_and_no_file() {
        let from = Surroundings::empty()
            .with_variable("PGPASSWORD", "hunter2")
            .with_file("/home/a/.pgpass", 0o600, "*:*:*:*:hunter2");
        assert!(!format!("{from:?}").contains("hunter2"));
    }
}
