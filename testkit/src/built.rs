//! The release libraries that C programs link to. Knows `make`, not what is in them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The root of the repository.
#[must_use]
pub fn root() -> &'static Path {
    let parent = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    parent.unwrap_or(Path::new("/"))
}

/// Where cargo writes: `target` in the repository, or what `CARGO_TARGET_DIR` says.
#[must_use]
pub fn target() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR");
    root().join(chosen.map_or_else(|| PathBuf::from("target"), PathBuf::from))
}

/// `make` in the root of the repository, as from a shell.
#[must_use]
pub fn make() -> Command {
    let mut make = from_a_shell(Command::new("make"));
    make.arg("-s");
    make
}

/// `cargo` in the root of the repository, as from a shell.
#[must_use]
pub fn cargo() -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    from_a_shell(Command::new(cargo))
}

fn from_a_shell(mut command: Command) -> Command {
    command.current_dir(root());
    // An outer make would hand down its flags and a job server that this process does not hold, and an outer cargo what
    // package it runs: build scripts that look at that would run anew, and all that stands on them with them.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let outer = [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_CRATE_",
            "CARGO_BIN_",
            "CARGO_PRIMARY_",
        ];
        if outer.iter().any(|prefix| name.starts_with(prefix))
            || ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "OUT_DIR"].contains(&&*name)
        {
            command.env_remove(&*name);
        }
    }
    command
}

/// The folder with `libpgpoll.so`, `libpgpoll.a`, `libpq.so` and `libpq.a`, made by `make lib`, once in a process.
///
/// # Panics
/// With what make and cargo say if the libraries cannot be built.
pub fn libraries() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let said = make().arg("lib").output().unwrap();
        if !said.status.success() {
            panic!(
                "make lib failed:\n{}",
                String::from_utf8_lossy(&said.stderr)
            );
        }
        target().join("lib")
    })
}
