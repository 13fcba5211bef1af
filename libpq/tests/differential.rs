//! The same C program on PostgreSQL's libpq 18 and on ours: what every call says is compared, line by line.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use testkit::{Cluster, ClusterOptions, Server, built};

/// Differences that are known and wanted: what libpq prints, what we print, and why.
const WANTED: &[(&str, &str, &str)] = &[
    (
        "the session that a child closed goes on for its parent: 0",
        "the session that a child closed goes on for its parent: 1",
        "closing is no use: a forked child that ends leaves its parent's session alone",
    ),
    (
        r#""% d", 6: len=0 maxlen=0 broken=1 sum=0 end=0 text=[]"#,
        r#""% d", 6: len=2 maxlen=256 broken=0 sum=1046 end=0 text=[ 6]"#,
        "PQExpBuffer formats as C's printf does: flags that libpq's own refuses work",
    ),
    (
        r##""%#x", 255u: len=0 maxlen=0 broken=1 sum=0 end=0 text=[]"##,
        r##""%#x", 255u: len=4 maxlen=256 broken=0 sum=1548552 end=0 text=[0xff]"##,
        "as above",
    ),
    (
        r#""%hd", 70000: len=5 maxlen=256 broken=0 sum=52271287 end=0 text=[70000]"#,
        r#""%hd", 70000: len=4 maxlen=256 broken=0 sum=1600830 end=0 text=[4464]"#,
        "a short is short, as in C",
    ),
    (
        r#""%f", -1.0 / 0.0: len=9 maxlen=256 broken=0 sum=506745205 end=0 text=[-Infinity]"#,
        r#""%f", -1.0 / 0.0: len=4 maxlen=256 broken=0 sum=1445012 end=0 text=[-inf]"#,
        "C's word for it",
    ),
];

/// Trap 33, a drop-in is more than PQ*: what it says is interface, too.
#[test]
fn every_call_says_what_libpq_says() {
    let prefix = testkit::postgres18();
    if !prefix.join("include/libpq-fe.h").exists() || Server::of(18).is_none() {
        testkit::say!("SKIPPED: no PostgreSQL 18 in {}", prefix.display());
        return;
    }
    let folder = env::temp_dir().join(format!("pgpoll-differential-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let cluster = Cluster::start(ClusterOptions::new().version(18));
    let mut lines = 0;
    for source in sources() {
        let program = compiled(&source, &folder, &prefix);
        let theirs = said(&program, &prefix.join("lib"), &cluster);
        let ours = said(&program, built::libraries(), &cluster);
        compare(&source, &theirs, &ours);
        lines += theirs.lines().count();
    }
    let _ = fs::remove_dir_all(&folder);
    assert!(lines > 400, "{lines} lines");
}

/// The programs, in the order of their names.
fn sources() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    let entries = fs::read_dir(folder).unwrap();
    let mut sources: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    sources
}

/// The program, linked to PostgreSQL's libpq.
fn compiled(source: &Path, folder: &Path, prefix: &Path) -> PathBuf {
    let program = folder.join(source.file_stem().unwrap());
    let made = Command::new("cc")
        .args(["-std=gnu99", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&program, source])
        .arg("-I")
        .arg(prefix.join("include"))
        .arg("-L")
        .arg(prefix.join("lib"))
        .arg("-lpq")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    program
}

fn compare(source: &Path, theirs: &str, ours: &str) {
    let wanted = |theirs, ours| {
        WANTED
            .iter()
            .any(|&(libpq, pgpoll, _)| (libpq, pgpoll) == (theirs, ours))
    };
    for (number, (line, our_line)) in theirs.lines().zip(ours.lines()).enumerate() {
        if line == our_line || wanted(line, our_line) {
            continue;
        }
        let first = number.saturating_sub(5);
        let before: Vec<&str> = theirs.lines().skip(first).take(number - first).collect();
        let before = before.join("\n");
        assert_eq!(line, our_line, "{}, after:\n{before}", source.display());
    }
    assert_eq!(theirs.lines().count(), ours.lines().count());
}

/// What the program prints with the libpq of `library`, without what differs from session to session.
fn said(program: &Path, library: &Path, cluster: &Cluster) -> String {
    let said = Command::new("timeout")
        .arg("60")
        .arg(program)
        .arg(cluster.conninfo())
        .env("LD_LIBRARY_PATH", library)
        .output()
        .unwrap();
    assert!(
        said.status.success(),
        "{}: {}",
        said.status,
        text(&said.stderr)
    );
    let mut masked = text(&said.stdout);
    for before in ["pg_temp_", "pg_terminate_backend("] {
        let mut parts = masked.split(before);
        let mut all = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            all += before;
            all += part.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        masked = all;
    }
    masked
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
