//! libpq's headers, ours and PostgreSQL's, taken apart into declarations. Knows C as far as these headers use it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::built::root;

pub(crate) const HEADERS: [&str; 5] = [
    "libpq-fe.h",
    "libpq-events.h",
    "postgres_ext.h",
    "libpq/libpq-fs.h",
    "pqexpbuffer.h",
];

/// PostgreSQL's pqexpbuffer.h stands on the server's c.h; ours on nothing.
const PRELUDE: &str = "#include <limits.h>\n#include <stdarg.h>\n#include <stdbool.h>\n#include <stddef.h>\n\
    #include <stdio.h>\n#include <stdlib.h>\n#define pg_attribute_printf(format, first)\n";

/// A set of headers.
pub(crate) struct Headers {
    pub(crate) folders: Vec<PathBuf>,
}

impl Headers {
    pub(crate) fn ours() -> Self {
        let folders = vec![root().join("include")];
        Self { folders }
    }

    /// PostgreSQL's own: those of 18, or what the system has.
    pub(crate) fn theirs() -> Option<Self> {
        let system = Command::new("pkg-config")
            .args(["--variable=includedir", "libpq"])
            .output();
        let system = system.map_or_else(|_| String::new(), |said| text(&said.stdout));
        [testkit::postgres18().join("include"), system.trim().into()]
            .into_iter()
            .map(|folder| Self {
                folders: vec![
                    folder.join("internal"),
                    folder.join("postgresql/internal"),
                    folder,
                ],
            })
            .find(|found| HEADERS.iter().all(|header| found.file(header).is_some()))
    }

    pub(crate) fn file(&self, header: &str) -> Option<PathBuf> {
        let mut files = self.folders.iter().map(|folder| folder.join(header));
        files.find(|file| file.is_file())
    }

    pub(crate) fn includes(&self) -> String {
        let files = HEADERS.map(|header| format!("#include <{header}>\n"));
        format!("{PRELUDE}{}", files.concat())
    }

    pub(crate) fn compiler(&self) -> Command {
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu11", "-Wall", "-Werror", "-Wno-unused-function"]);
        for folder in &self.folders {
            cc.arg("-I").arg(folder);
        }
        cc
    }

    /// What stands in the headers themselves, preprocessed, and the macros that they define.
    pub(crate) fn read(&self) -> (Vec<String>, Vec<Macro>) {
        let mut cc = self.compiler();
        let said = fed(cc.args(["-E", "-dD", "-x", "c", "-"]), &self.includes());
        let (mut source, mut macros) = (String::new(), Vec::new());
        let mut own = false;
        for line in said.lines() {
            if let Some(mark) = line.strip_prefix("# ") {
                let file = mark.split('"').nth(1).unwrap_or_default();
                own = HEADERS.iter().any(|header| {
                    let known = self.file(header);
                    known.is_some_and(|known| known == Path::new(file))
                });
            } else if let Some(defined) = line.strip_prefix("#define ").filter(|_| own) {
                macros.extend(Macro::new(defined));
            } else if let Some(name) = line.strip_prefix("#undef ") {
                macros.retain(|known: &Macro| known.name != name);
            } else if own {
                source += line;
                source.push(' ');
            }
        }
        (pieces(&source, ';'), macros)
    }
}

/// A macro that stands for something.
pub(crate) struct Macro {
    pub(crate) name: String,
    pub(crate) takes: bool,
}

impl Macro {
    pub(crate) fn new(defined: &str) -> Option<Self> {
        let end = defined.find([' ', '(']).unwrap_or(defined.len());
        let (name, body) = defined.split_at(end);
        let ours_alone = ["PQEXPBUFFER_FORMAT", "pg_attribute_printf"];
        // One without a value keeps a header from being read twice.
        (!body.trim().is_empty() && !ours_alone.contains(&name)).then(|| Self {
            name: name.to_owned(),
            takes: body.starts_with('('),
        })
    }
}

/// The name that a declaration declares, and the type that is left without it.
pub(crate) fn without_name(declaration: &str) -> (&str, String) {
    let declaration = declaration.trim();
    // RESULT (*NAME)(...), RESULT NAME(...), TYPE NAME
    let pointer = declaration.find("(*").map(|at| at + 2);
    let is_pointer = pointer.is_some_and(|at| !declaration[..at - 2].contains('('));
    let (begin, end) = match pointer.filter(|_| is_pointer) {
        Some(at) => {
            let len = declaration[at..].find(')').unwrap();
            (at, at + len)
        }
        None => {
            let braced = declaration.rfind('}').unwrap_or_default();
            let open = declaration[braced..].find('(');
            let end = open.map_or(declaration.len(), |at| braced + at);
            let head = declaration[..end].trim_end();
            let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
            (head.rfind(word).map_or(0, |at| at + 1), head.len())
        }
    };
    let (before, after) = (&declaration[..begin], &declaration[end..]);
    let name = declaration[begin..end].trim();
    match after.trim_start().starts_with('(') && !is_pointer {
        true => (name, format!("{before} (*){after}")),
        false => (name, format!("{before}{after}")),
    }
}

pub(crate) fn cut_attribute(declaration: &str) -> &str {
    let end = declaration.find("__attribute__");
    &declaration[..end.unwrap_or(declaration.len())]
}

/// Parts a text where `at` stands outside of braces and parentheses; empty pieces are none.
pub(crate) fn pieces(source: &str, at: char) -> Vec<String> {
    let (mut pieces, mut depth) = (vec![String::new()], 0);
    for c in source.chars() {
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            _ => {}
        }
        if c == at && depth == 0 {
            pieces.push(String::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}

pub(crate) fn fed(command: &mut Command, input: &str) -> String {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let said = child.wait_with_output().unwrap();
    assert!(said.status.success(), "{command:?}\n{}", text(&said.stderr));
    text(&said.stdout)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
