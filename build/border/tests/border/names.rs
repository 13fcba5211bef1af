//! Names of C functions, as headers, libraries and lists have them. Knows `nm` and `ar`, judges nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use testkit::built::{libraries, root};

use crate::tools::run;

pub(crate) type Names = BTreeSet<String>;

pub(crate) fn header() -> String {
    fs::read_to_string(root().join("include/pgpoll.h")).unwrap()
}

/// The functions that a header declares: outside of comments, the word before the first `(` of a declaration.
pub(crate) fn functions(header: &str) -> Names {
    let mut names = Names::new();
    let mut rest = header;
    let mut code = String::new();
    while let Some((before, after)) = rest.split_once("/*") {
        code += before;
        rest = after.split_once("*/").unwrap().1;
    }
    code += rest;
    let lines = code
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code));
    let lines = lines.filter(|line| !line.starts_with('#') && !line.contains("extern \"C\""));
    let code: String = lines.map(|line| format!("{line}\n")).collect();
    for declaration in code.split(';').filter(|part| !part.contains("typedef")) {
        if let Some((before, _)) = declaration.split_once('(') {
            let word = before
                .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
                .next();
            names.extend(word.filter(|word| !word.is_empty()).map(str::to_owned));
        }
    }
    names
}

pub(crate) fn list(path: &str) -> Names {
    let text = fs::read_to_string(root().join(path)).unwrap();
    text.lines().map(str::to_owned).collect()
}

pub(crate) fn exported(library: &str) -> Names {
    dynamic(&libraries().join(library))
}

pub(crate) fn dynamic(path: &Path) -> Names {
    symbols(run(Command::new("nm")
        .args(["-D", "--defined-only"])
        .arg(path)))
}

/// The global names of a static library, which has to be one object.
pub(crate) fn visible(library: &str) -> Names {
    let path = libraries().join(library);
    let members = run(Command::new("ar").arg("t").arg(&path));
    assert_eq!(members.lines().count(), 1, "{library}: {members}");
    symbols(run(Command::new("nm")
        .args(["-g", "--defined-only"])
        .arg(path)))
}

/// The names with this prefix that a Rust archive defines, whether a list knows them or not.
pub(crate) fn unmangled(archive: &Path, prefix: &str) -> Names {
    let mut names = symbols(run(Command::new("nm")
        .args(["-g", "--defined-only"])
        .arg(archive)));
    names.retain(|name| name.starts_with(prefix));
    names
}

pub(crate) fn symbols(said: String) -> Names {
    let lines = said.lines().filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [_, _, name] => Some((*name).to_owned()),
            _ => None,
        }
    });
    lines.collect()
}
