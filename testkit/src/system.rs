//! What a throw-away cluster needs of the system: a user, a folder, a port, a clean environment and a watchdog.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::BuildHasher;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Removes the server and its folder when the pipe on its standard input closes: the kernel closes it, however the test
/// process ends.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
while read -r _; do :; done
file=$1/$2
if read -r pid 2>/dev/null <"$file" && [ "$pid" -gt 1 ]; then
    kill -QUIT "$pid" 2>/dev/null
    tries=0
    while [ -e "$file" ] && kill -0 "$pid" 2>/dev/null && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
fi
rm -rf -- "$1"
"#;

/// Starts the watchdog of a folder, in which `lock` holds the process number of the server: in a process group of its own,
/// so that Ctrl-C does not reach it.
pub(crate) fn watchdog(folder: &Path, lock: &str) -> Child {
    Command::new("/bin/sh")
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(folder)
        .arg(lock)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap()
}

/// A command without the caller's `PG*` settings, language and preloaded libraries: a test of our own libpq must not
/// reach into the tools that check it.
pub(crate) fn quiet(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    command
        .env_remove("LD_PRELOAD")
        .env_remove("LD_LIBRARY_PATH")
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    command
}

/// A new folder under the temporary folder, or under /tmp where that is too long a path for a Unix socket.
pub(crate) fn new_folder(owner: Option<(u32, u32)>) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "pgpoll-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let mut parent = std::env::temp_dir();
    if parent.join(&name).as_os_str().len() + "/.s.PGSQL.65535.lock".len() > 100 {
        parent = PathBuf::from("/tmp");
    }
    let folder = parent.join(name);
    if let Err(error) = fs::create_dir(&folder) {
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
        // A process of the same number died before; its watchdog is gone too.
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    give(&folder, owner);
    folder
}

pub(crate) fn give(path: &Path, owner: Option<(u32, u32)>) {
    if let Some((uid, gid)) = owner {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// Who runs the server when we are root, which servers refuse: `postgres`, else the first ordinary user, else `nobody`.
/// None: we are an ordinary user ourselves.
pub(crate) fn ordinary_user() -> Option<(u32, u32)> {
    let ours = Command::new("id").arg("-u").output().unwrap();
    if ours.stdout != b"0\n" {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let users = users.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid: u32 = fields.nth(1)?.parse().ok()?;
        Some((name, uid, fields.next()?.parse::<u32>().ok()?))
    });
    let best = users.min_by_key(|(name, uid, _)| match (*name, *uid) {
        ("postgres", _) => (0, 0),
        (_, uid @ 1000..60000) => (1, uid),
        ("nobody", _) => (2, 0),
        (_, uid) => (if uid == 0 { 9 } else { 3 }, uid),
    });
    best.map(|(_, uid, gid)| (uid, gid))
}

/// A port below the ephemeral range, so that no outgoing connection takes it between this look and the start.
pub(crate) fn free_port(ipv6: bool) -> u16 {
    loop {
        let port = 10_000 + (RandomState::new().hash_one(0) % 20_000) as u16;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if free && (!ipv6 || TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok()) {
            return port;
        }
    }
}
