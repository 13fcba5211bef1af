//! Password files, service files and environments.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpoll::conninfo::{OPTIONS, Options, Surroundings};

use crate::Random;
use crate::libpq::Libpq;

#[test]
fn the_password_file_is_read_alike() {
    let Some(libpq) = Libpq::load() else { return };
    let folder = Folder::new("password");
    let file = folder.0.join("pgpass");
    let pieces = [
        "/nonexistent",
        "\\/nonexistent",
        "localhost",
        "127.0.0.1",
        "*",
        "*",
        "*",
        "*",
        ":",
        ":",
        ":",
        ":",
        ":",
        "1",
        "1",
        "d",
        "d",
        "u",
        "u",
        "\\",
        "\n",
        "\n",
        "\r",
        "#",
        " ",
        "secret",
        "x\\:y",
        "\n*:*:*:*:",
        "\n*:1:d:u:",
        "\n/nonexistent:1:d:u:",
        "\n127.0.0.1:*:d:u:",
    ];
    let real = Surroundings::real();
    let mut random = Random(0x0123_4567_89ab_cdef);
    let mut found = 0;
    for _ in 0..2_000 {
        let content: String = (0..random.below(30))
            .map(|_| random.pick(&pieces))
            .collect();
        write(&file, &content);
        let host = random.pick(&[
            "host=/nonexistent",
            "hostaddr=127.0.0.1",
            "host=a hostaddr=127.0.0.1",
        ]);
        let conninfo = format!(
            "{host} port=1 dbname=d user=u passfile='{}'",
            file.display()
        );
        let (_, theirs) = libpq.start(conninfo.as_bytes());
        let mut options = Options::parse(conninfo.as_bytes()).unwrap();
        options.fill_defaults(&real).unwrap();
        let (plan, warnings) = options.plan(&real).unwrap();
        let ours = plan.hosts[0].password.as_ref();
        assert_eq!(
            ours.map_or(&b""[..], |secret| secret.expose()),
            theirs,
            "{host}: {content:?}"
        );
        assert!(warnings.is_empty());
        found += usize::from(ours.is_some());
    }
    eprintln!("{found} passwords found alike");
    assert!(found > 200);
}

/// Set where the environment is made for the comparison.
const FOLDER: &str = "PGPOLL_TEST_FOLDER";

#[test]
fn service_file_and_environment_are_read_alike() {
    let folder = Folder::new("service");
    let me = env::current_exe().unwrap();
    for variables in [
        &[
            ("PGSERVICE", "s"),
            ("PGUSER", "environment"),
            ("PGPORT", ""),
        ][..],
        &[
            ("PGSERVICE", ""),
            ("PGSSLROOTCERT", "system"),
            ("PGREQUIRESSL", "1"),
        ],
        &[
            ("PGSSLROOTCERT", "system"),
            ("PGCLIENTENCODING", "auto"),
            ("PGHOST", "/nonexistent"),
        ],
        &[
            ("PGSERVICE", "s"),
            ("PGSERVICEFILE", "/nonexistent/file"),
            ("PGSSLMODE", "allow"),
        ],
    ] {
        let run = Command::new(&me)
            .args(["--exact", "files::in_this_environment", "--nocapture"])
            .env(FOLDER, &folder.0)
            .env("HOME", &folder.0)
            .env("PGSYSCONFDIR", &folder.0)
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{variables:?}: {said}");
        let ran = said.contains("errors alike") || said.contains("SKIPPED");
        assert!(ran, "{variables:?}: {said}");
    }
}

/// Run by `service_file_and_environment_are_read_alike`, each time in another environment.
#[test]
fn in_this_environment() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let Some(libpq) = Libpq::load() else { return };
    let version = (libpq.version)() / 10000;
    let pieces = [
        "[s]",
        "[s]\n",
        "[s]\n",
        "[t]\n",
        "[]\n",
        "[s",
        "\n",
        "\n",
        "\n",
        "host=",
        "port=1\n",
        "user=u\n",
        " dbname=d \n",
        "service=s\n",
        "nonsense=1\n",
        "#",
        " ",
        "\t",
        "\r\n",
        "=",
        "/nonexistent",
        "application_name=a b\n",
        "options",
        "password=x=y\n",
    ];
    let real = Surroundings::real();
    let mut random = Random(0xfeed_beef_dead_cafe);
    let mut errors = 0;
    for round in 0..500 {
        let mut content: String = (0..random.below(16))
            .map(|_| random.pick(&pieces))
            .collect();
        if round % 50 == 0 {
            content += &format!("\n[s]\nuser={}\n", "u".repeat(1010 + round / 50));
        }
        write(
            &folder.join(random.pick(&[".pg_service.conf", "pg_service.conf"])),
            &content,
        );

        let ours = Options::defaults(&real).unwrap();
        for theirs in libpq.take((libpq.defaults)()) {
            let keyword = std::str::from_utf8(&theirs.keyword).unwrap();
            let value = ours.get(keyword);
            let compiled = OPTIONS
                .iter()
                .find(|option| option.keyword == keyword)
                .unwrap()
                .compiled;
            // Whether a build has GSSAPI decides over one, and old versions have other defaults.
            if value.is_some() && value == compiled.map(str::as_bytes) {
                continue;
            }
            if version >= 18 || theirs.value.is_some() && keyword != "sslmode" {
                assert_eq!(theirs.value.as_deref(), value, "{keyword}: {content}");
            }
        }

        let mut options = Options::parse(b"dbname=given").unwrap();
        if let Err(error) = options.fill_defaults(&real) {
            errors += 1;
            let (theirs, _) = libpq.start(b"dbname=given");
            assert_eq!(theirs, format!("{error}\n"), "{content}");
        }
    }
    eprintln!("{errors} errors alike");
}
/// A folder of its own for a test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("pgpoll-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes a file that nobody else can read. It is a new one each time: file systems write a truncated one out at once, which takes
/// them ten times as long.
fn write(path: &Path, content: &str) {
    let _ = fs::remove_file(path);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path).unwrap();
    file.write_all(content.as_bytes()).unwrap();
}
