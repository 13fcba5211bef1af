//! The layers: imports point downward only, the engine has neither socket nor clock, unsafe code stays at the border.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module of the engine's package may name, itself aside.
const LAYERS: &[(&str, &[&str])] = &[
    ("wire", BOTTOM),
    ("auth", BOTTOM),
    ("conninfo", BOTTOM),
    ("encoding", BOTTOM),
    ("rows", BOTTOM),
    ("arrow", &["rows"]),
    ("link", BOTTOM),
    ("error", &["link", "wire"]),
    (
        "engine",
        &[
            "error", "link", "wire", "auth", "conninfo", "encoding", "rows",
        ],
    ),
    ("net", &["link", "wire", "auth", "conninfo", "rows"]),
    (
        "conn",
        &[
            "engine", "net", "error", "link", "wire", "auth", "conninfo", "rows",
        ],
    ),
];
const BOTTOM: &[&str] = &["wire", "auth", "conninfo", "encoding", "rows"];

/// The modules to which time, randomness, files and sockets are arguments.
const PURE: &[&str] = &[
    "wire", "auth", "encoding", "rows", "arrow", "link", "error", "engine",
];
const IMPURE: &[&str] = &[
    "Instant::now",
    "SystemTime",
    "std::fs",
    "std::env",
    "std::process",
    "TcpStream",
    "UnixStream",
    "thread::spawn",
    "libc::",
];

/// The only files in which unsafe code may stand; a folder stands for all in it.
const UNSAFE: &[&str] = &[
    "capi/",
    "libpq/",
    "src/net/gss_sys.rs",
    "src/net/sys/",
    "testkit/src/alloc.rs",
    "testkit/src/process.rs",
];

#[test]
fn imports_point_downward() {
    let mut seen = BTreeSet::new();
    for file in sources(&["src"]) {
        let module = file.module();
        if module == "lib" {
            continue;
        }
        let layer = LAYERS.iter().find(|(name, _)| *name == module);
        let (_, below) = layer.unwrap_or_else(|| panic_unknown(&file.name, &module));
        seen.insert(module.clone());
        for name in names_after(&file.code, "crate::") {
            let known = LAYERS.iter().any(|(module, _)| *module == name);
            let down = name == module || below.contains(&name.as_str());
            assert!(down || !known, "{} imports crate::{name}", file.name);
        }
    }
    assert!(seen.contains("wire") && seen.contains("net"), "{seen:?}");
}

#[test]
fn faces_do_not_use_each_other() {
    for (face, other) in [
        ("capi", &["pq", "libpq"][..]),
        ("libpq", &["pgpoll_capi", "capi"][..]),
    ] {
        let files = sources(&[face]);
        assert!(!files.is_empty());
        for file in files {
            for other in other {
                let used = file.code.contains(&format!("{other}::"))
                    && !file.code.contains(&format!("crate::{other}::"));
                assert!(!used, "{} uses {other}", file.name);
            }
        }
        let manifest = fs::read_to_string(root().join(face).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split_once("[dependencies]").unwrap().1;
        for line in dependencies.lines() {
            let name = line.split(['=', '.', ' ']).next().unwrap();
            assert!(
                !["libpq", "pgpoll-capi", "pgpoll_capi"].contains(&name),
                "{face}: {line}"
            );
        }
    }
}

#[test]
fn below_the_connection_time_and_files_are_arguments() {
    for file in sources(&["src"]) {
        if !PURE.contains(&file.module().as_str()) {
            continue;
        }
        for name in IMPURE {
            assert!(!file.code.contains(name), "{} names {name}", file.name);
        }
    }
}

#[test]
fn unsafe_code_stays_at_the_border() {
    for file in sources(&["src", "capi", "libpq", "testkit", "build/border/src"]) {
        if UNSAFE.iter().any(|place| file.name.starts_with(place)) {
            continue;
        }
        for (at, _) in file.code.match_indices("unsafe") {
            let after = file.code[at + 6..].trim_start();
            let opens = ["{", "fn", "impl", "extern", "trait", "("];
            let found = opens.iter().any(|word| after.starts_with(word));
            assert!(!found, "{} has unsafe code", file.name);
        }
    }
}

/// Trap 6, wakers handed to C, and trap 7, a waker that is used from another thread: there is none. The coroutine is polled in
/// one place and its rescue in another, with the waker that does nothing, and neither leaf nor header knows one.
#[test]
fn trap_6_and_trap_7_no_waker_leaves_the_one_poll() {
    let mut polls = 0;
    for file in sources(&["src", "capi", "libpq"]) {
        for sign in [".waker()", ".wake(", "wake_by_ref", "RawWaker", "impl Wake"] {
            assert!(!file.code.contains(sign), "{} has {sign}", file.name);
        }
        let contexts = file.code.matches("Context::from_waker(").count();
        let noops = file.code.matches("from_waker(Waker::noop())").count();
        assert_eq!(contexts, noops, "{} polls with a waker", file.name);
        polls += noops;
    }
    assert_eq!(polls, 2);
    let header = fs::read_to_string(root().join("include/pgpoll.h")).unwrap();
    assert!(!header.to_lowercase().contains("waker"));
}

#[test]
fn c_functions_are_exported_by_the_faces_only() {
    for file in sources(&["src", "testkit", "build/border/src"]) {
        for name in ["no_mangle", "export_name"] {
            let attribute = [format!("unsafe({name}"), format!("#[{name}")];
            let found = attribute
                .iter()
                .any(|attribute| file.code.contains(attribute.as_str()));
            assert!(!found, "{} exports a C name", file.name);
        }
    }
}

#[test]
fn every_file_says_first_what_it_knows() {
    for file in sources(&[
        "src", "capi", "libpq", "testkit", "build", "benches", "tests",
    ]) {
        assert!(
            file.text.starts_with("//! "),
            "{} opens with no //! sentence",
            file.name
        );
    }
}

struct File {
    /// Its path from the root of the repository.
    name: String,
    text: String,
    /// The text without comments and without the unit tests at its foot.
    code: String,
}

impl File {
    /// The first folder, or the file, below `src`.
    fn module(&self) -> String {
        let below = self.name.strip_prefix("src/").unwrap();
        below.split(['/', '.']).next().unwrap().to_owned()
    }
}

/// All Rust files in these folders but those of unit tests; folders that are not there yet count as empty.
fn sources(folders: &[&str]) -> Vec<File> {
    let mut files = Vec::new();
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                files.push(read(&path));
            }
        }
    }
    files
}

fn read(path: &Path) -> File {
    let text = fs::read_to_string(path).unwrap();
    let above = &text[..unit_tests(&text)];
    let lines = above.lines().map(|line| line.split("//").next().unwrap());
    let code = lines.map(|line| format!("{line}\n")).collect();
    let name = path.strip_prefix(root()).unwrap();
    File {
        name: name.to_str().unwrap().to_owned(),
        text,
        code,
    }
}

/// Where the unit tests at the foot of a file begin; its end if there are none.
fn unit_tests(text: &str) -> usize {
    let Some(at) = text.rfind("\n#[cfg(test)]\n") else {
        return text.len();
    };
    let mut lines = text[at..]
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("#["));
    match lines.next() {
        Some(line) if line.starts_with("mod ") && line.ends_with('{') => at,
        _ => text.len(),
    }
}

/// The names that follow a prefix such as `crate::`, those of `crate::{a::b, c}` included.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let after = &code[at + prefix.len()..];
        let Some(group) = after.strip_prefix('{') else {
            names.push(word(after));
            continue;
        };
        let mut depth = 0;
        let mut start = 0;
        for (index, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' if depth == 0 => {
                    names.push(word(&group[start..index]));
                    break;
                }
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    names.push(word(&group[start..index]));
                    start = index + 1;
                }
                _ => {}
            }
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn word(text: &str) -> String {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    text[..end.unwrap_or(text.len())].to_owned()
}

fn root() -> &'static Path {
    testkit::built::root()
}

#[allow(clippy::panic)]
fn panic_unknown(file: &str, module: &str) -> ! {
    panic!("{file}: say in LAYERS what the module {module} may import")
}

#[test]
fn names_in_groups_are_seen() {
    let code = "use crate::wire::x;\nuse crate::{engine::{A, B}, net, conn::C};\npub(in crate::rows) fn f() {}";
    let expected = ["wire", "engine", "net", "conn", "rows"];
    assert_eq!(names_after(code, "crate::"), expected);
}
