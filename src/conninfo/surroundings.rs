//! Where options come from when the caller does not give them: environment, account, files. Knows no option.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use nix::errno::Errno;
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
    files: BTreeMap<Vec<u8>, MadeFile>,
    directories: Vec<Vec<u8>>,
}

#[derive(Clone)]
struct MadeFile {
    owner: u32,
    mode: u32,
    content: Vec<u8>,
}

/// Who owns a made file, unless it is told.
const MADE_OWNER: u32 = 1000;

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

    /// With a plain file of these permission bits, which belongs to user 1000. Real surroundings stay as they are.
    pub fn with_file(self, path: impl AsRef<[u8]>, mode: u32, content: impl AsRef<[u8]>) -> Self {
        self.with_file_of(path, MADE_OWNER, mode, content)
    }

    /// With a plain file that belongs to the user of number `owner`. Real surroundings stay as they are.
    pub fn with_file_of(
        self,
        path: impl AsRef<[u8]>,
        owner: u32,
        mode: u32,
        content: impl AsRef<[u8]>,
    ) -> Self {
        self.with(|made| {
            let file = MadeFile {
                owner,
                mode: mode & 0o7777,
                content: content.as_ref().into(),
            };
            made.files.insert(path.as_ref().into(), file);
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
                let (mode, bytes) =
                    regular.map_or((0o755, &[][..]), |file| (file.mode, &file.content));
                Some(File {
                    regular: regular.is_some(),
                    mode,
                    size: bytes.len() as u64,
                    content: Content::Bytes(bytes.into()),
                })
            }
        }
    }

    /// What the system says of `path`, symbolic links followed.
    pub(crate) fn look(&self, path: &[u8]) -> Result<Facts, Errno> {
        let Source::Made(made) = &self.source else {
            let facts = fs::metadata(OsStr::from_bytes(path)).map_err(errno)?;
            return Ok(Facts {
                regular: facts.is_file(),
                mode: facts.mode() & 0o7777,
                owner: facts.uid(),
            });
        };
        if let Some(file) = made.files.get(path) {
            return Ok(Facts {
                regular: true,
                mode: file.mode,
                owner: file.owner,
            });
        }
        if made.directories.iter().any(|known| known == path) {
            return Ok(Facts {
                regular: false,
                mode: 0o755,
                owner: MADE_OWNER,
            });
        }
        let below = |file: &Vec<u8>| {
            path.strip_prefix(&file[..])
                .is_some_and(|rest| rest.starts_with(b"/"))
        };
        Err(if made.files.keys().any(below) {
            Errno::ENOTDIR
        } else {
            Errno::ENOENT
        })
    }

    /// All that is in the file at `path`, which may be a named pipe. One of more than 16 MiB is refused as too large. A made file
    /// that its owner may not read cannot be read.
    pub(crate) fn read(&self, path: &[u8]) -> Result<Zeroizing<Vec<u8>>, Errno> {
        let facts = self.look(path)?;
        match &self.source {
            Source::Real => {
                // Reading a regular file never waits; who names a pipe wants to be waited for.
                let mut file = fs::File::open(OsStr::from_bytes(path)).map_err(errno)?;
                let size = file.metadata().map_err(errno)?.len();
                read_wiping(&mut file, size)
            }
            Source::Made(_) if !facts.regular => Err(Errno::EISDIR),
            Source::Made(_) if facts.mode & 0o400 == 0 => Err(Errno::EACCES),
            Source::Made(made) => {
                let content = made.files.get(path).map_or(&[][..], |file| &file.content);
                read_wiping(&mut &content[..], content.len() as u64)
            }
        }
    }

    /// The names in the directory at `path` that `wanted` says yes to, in order, at most `limit` and one.
    pub(crate) fn names(
        &self,
        path: &[u8],
        limit: usize,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Vec<Vec<u8>> {
        let mut names: Vec<Vec<u8>> = match &self.source {
            Source::Real => fs::read_dir(OsStr::from_bytes(path))
                .into_iter()
                .flatten()
                .map_while(Result::ok)
                .map(|entry| entry.file_name().into_vec())
                .filter(|name| wanted(name))
                .take(limit + 1)
                .collect(),
            Source::Made(made) => made
                .files
                .keys()
                .filter_map(|file| file.strip_prefix(path)?.strip_prefix(b"/"))
                .filter(|name| wanted(name))
                .take(limit + 1)
                .map(<[u8]>::to_vec)
                .collect(),
        };
        names.sort_unstable();
        names
    }

    fn with(mut self, add: impl FnOnce(&mut Made)) -> Self {
        if let Source::Made(made) = &mut self.source {
            add(made);
        }
        self
    }
}

/// What the system says of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    /// A plain file, not a directory, pipe or device.
    pub(crate) regular: bool,
    /// Permission bits.
    pub(crate) mode: u32,
    /// The number of the user it belongs to.
    pub(crate) owner: u32,
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

/// Everything up to the end, without leaving a copy in memory when the buffer has to grow.
fn read_wiping(from: &mut impl Read, expected: u64) -> Result<Zeroizing<Vec<u8>>, Errno> {
    let expected = usize::try_from(expected).map_err(|_| Errno::EFBIG)?;
    if expected > MAX_FILE {
        return Err(Errno::EFBIG);
    }
    let mut bytes = room_for(expected + 1)?;
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            if filled > MAX_FILE {
                return Err(Errno::EFBIG);
            }
            let mut more = room_for(filled.saturating_mul(2).max(4096))?;
            more.iter_mut()
                .zip(bytes.iter())
                .for_each(|(new, old)| *new = *old);
            bytes = more;
        }
        match from.read(bytes.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(errno(error)),
        }
    }
    bytes.truncate(filled);
    if filled > MAX_FILE {
        return Err(Errno::EFBIG);
    }
    Ok(bytes)
}

fn room_for(size: usize) -> Result<Zeroizing<Vec<u8>>, Errno> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(size, 0);
    Ok(Zeroizing::new(bytes))
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
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
    fn a_file_is_read_whole_or_not_at_all() {
        let big = vec![b'x'; MAX_FILE];
        let from = Surroundings::empty()
            .with_file("/big", 0o600, &big)
            .with_file("/bigger", 0o600, [&big[..], b"y"].concat())
            .with_file("/closed", 0o200, "x")
            .with_directory("/d");
        assert_eq!(from.read(b"/big").unwrap().len(), MAX_FILE);
        assert_eq!(from.read(b"/bigger").unwrap_err(), Errno::EFBIG);
        assert_eq!(from.read(b"/closed").unwrap_err(), Errno::EACCES);
        assert_eq!(from.read(b"/d").unwrap_err(), Errno::EISDIR);
        assert_eq!(from.read(b"/none").unwrap_err(), Errno::ENOENT);
        assert_eq!(from.read(b"/big/none").unwrap_err(), Errno::ENOTDIR);
        let real = Surroundings::real();
        assert_eq!(real.read(b"/").unwrap_err(), Errno::EISDIR);
        assert_eq!(real.read(b"/dev/zero").unwrap_err(), Errno::EFBIG);
        assert!(real.read(b"/dev/null").unwrap().is_empty());
        assert_eq!(real.read(b"/no/such/thing").unwrap_err(), Errno::ENOENT);
        assert_eq!(real.look(b"/").unwrap().owner, 0);
    }

    #[test]
    fn what_is_longer_than_expected_is_read_too() {
        let content: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
        for expected in [0, 1, 4095, 99_999, 100_000, 200_000] {
            let read = read_wiping(&mut &content[..], expected).unwrap();
            assert_eq!(read[..], content[..], "{expected}");
        }
    }

    #[test]
    fn names_in_a_directory_are_bounded_and_in_order() {
        let from = Surroundings::empty()
            .with_file("/d/b", 0o600, "")
            .with_file("/d/a", 0o600, "")
            .with_file("/d/c", 0o600, "")
            .with_file("/da", 0o600, "");
        let all = from.names(b"/d", 10, |name| name != b"c");
        assert_eq!(all, [b"a", b"b"]);
        assert_eq!(from.names(b"/d", 1, |_| true).len(), 2);
        assert!(from.names(b"/none", 1, |_| true).is_empty());
        let real = Surroundings::real();
        assert!(real.names(b"/", 100, |name| name == b"usr") == [b"usr"]);
        assert!(real.names(b"/none", 1, |_| true).is_empty());
    }

    #[test]
    fn debug_shows_no_variable_and_no_file() {
        let from = Surroundings::empty()
            .with_variable("PGPASSWORD", "hunter2")
            .with_file("/home/a/.pgpass", 0o600, "*:*:*:*:hunter2");
        assert!(!format!("{from:?}").contains("hunter2"));
    }
}
