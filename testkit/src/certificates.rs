//! Certificates, keys and revocation lists for tests of TLS, made by the `openssl` program. Knows no server and nothing of pgpoll.
//!
//! The names are those of PostgreSQL's own `src/test/ssl`, and so is what they stand for: `recipe.rs` has the whole list. Files end in
//! `.crt`, `.key`, `.crl`; folders of revocation lists in `-crldir`.

mod make;
mod recipe;

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::built::target;

/// The password of the encrypted keys named `client-encrypted-…`.
pub const CLIENT_KEY_PASSWORD: &str = "dUmmyP^#+";

/// The password of `server-password.key`.
pub const SERVER_KEY_PASSWORD: &str = "secret1";

/// The certificates, made by the first process that asks, in `target`, and kept there until the recipe changes.
///
/// # Panics
/// With openssl's words if it is not installed or refuses.
pub fn certificates() -> &'static Certificates {
    static MADE: OnceLock<Certificates> = OnceLock::new();
    MADE.get_or_init(|| {
        let mut recipe = DefaultHasher::new();
        include_str!("certificates/make.rs").hash(&mut recipe);
        include_str!("certificates/recipe.rs").hash(&mut recipe);
        let folder = target().join(format!("certificates-{:016x}", recipe.finish()));
        if !folder.is_dir() {
            let own = target().join(format!("certificates.{}", std::process::id()));
            let _ = fs::remove_dir_all(&own);
            make::all(&own);
            // Another process may have been as quick: its are as good.
            if fs::rename(&own, &folder).is_err() {
                fs::remove_dir_all(&own).unwrap();
            }
        }
        Certificates { folder }
    })
}

/// A folder of certificates, keys and revocation lists.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// The folder; nothing in it may be changed.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The whole name of a file or folder of lists, such as `root+server_ca.crt`, for a connection string.
    ///
    /// # Panics
    /// If there is no such file.
    #[must_use]
    pub fn path(&self, name: &str) -> String {
        let path = self.folder.join(name);
        assert!(path.exists(), "there is no {name} in the recipe");
        path.display().to_string()
    }

    /// What is in a file.
    ///
    /// # Panics
    /// If there is no such file.
    #[must_use]
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// `sslcert=… sslkey=…` of a client such as `client-dn`.
    ///
    /// # Panics
    /// If there is no such client.
    #[must_use]
    pub fn client(&self, name: &str) -> String {
        let (certificate, key) = (format!("{name}.crt"), format!("{name}.key"));
        format!(
            "sslcert={} sslkey={}",
            self.path(&certificate),
            self.path(&key)
        )
    }
}

/// Everything in `from`, folders included, as an owner's private files.
pub(crate) fn copy_private(from: &Path, to: &Path, give: &dyn Fn(&Path)) {
    fs::create_dir_all(to).unwrap();
    give(to);
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let copy = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy_private(&entry, &copy, give);
        } else {
            fs::copy(&entry, &copy).unwrap();
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).unwrap();
            give(&copy);
        }
    }
}
