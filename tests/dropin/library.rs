//! The two libraries that programs are run with: the system's `libpq.so.5`, and ours in a folder of its own that every user can read.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

use testkit::built;

/// Which `libpq.so.5` a program gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Library {
    /// The one that the program was built for.
    System,
    /// Ours.
    Ours,
}

impl Library {
    /// The folder for `LD_LIBRARY_PATH`, if any is needed.
    pub(crate) fn folder(self) -> Option<&'static Path> {
        (self == Library::Ours).then(ours)
    }
}

/// The folder with our file alone: servers run as another user, who may not look into the folder of the sources.
fn ours() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = env::temp_dir().join("pgpoll-dropin");
        let made = fs::canonicalize(built::libraries().join("libpq.so.5")).unwrap();
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        // Moved into place whole: another process may be running on the one before.
        let new = folder.join(format!("new-{}", std::process::id()));
        fs::copy(made, &new).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, folder.join("libpq.so.5")).unwrap();
        folder
    })
}

/// What the dynamic loader is told so that it lists each library it takes, in files that begin with this path.
pub(crate) fn list_libraries(command: &mut Command, prefix: &Path) {
    command
        .env("LD_DEBUG", "libs")
        .env("LD_DEBUG_OUTPUT", prefix);
}

/// Whether the loader's lists say that the `libpq.so.5` of this folder was taken, and no other.
pub(crate) fn took(prefix: &Path, folder: &Path) -> bool {
    let ours = folder.join("libpq.so.5").display().to_string();
    let (mut taken, mut other) = (false, false);
    let name = prefix.file_name().unwrap().to_string_lossy().into_owned();
    for entry in fs::read_dir(prefix.parent().unwrap()).unwrap().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(&name) {
            continue;
        }
        let list = fs::read_to_string(entry.path()).unwrap_or_default();
        let _ = fs::remove_file(entry.path());
        for line in list.lines().filter(|line| line.contains("calling init:")) {
            if line.ends_with(&ours) {
                taken = true;
            } else if line.contains("/libpq.so") {
                other = true;
            }
        }
    }
    taken && !other
}
