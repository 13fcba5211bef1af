//! The traces of the cases, beside what is expected of them and beside those of PostgreSQL's own program. Knows lines, no messages.

use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use pgpoll_capi::*;

use crate::session::Session;

/// Lines that we have and PostgreSQL's program has not, in each case, and why.
const OURS: [(&str, &str, &[&str]); 2] = [
    (
        "disallowed_in_pipeline",
        "a group begins with its first operation: there is no mode to be entered",
        &[
            "F\t16\tParse\t \"\" \"SELECT 0\" 0",
            "F\t14\tBind\t \"\" \"\" 0 0 1 0",
            "F\t6\tDescribe\t P \"\"",
            "F\t9\tExecute\t \"\" 0",
            "F\t4\tSync",
            "B\t4\tParseComplete",
            "B\t4\tBindComplete",
            "B\t33\tRowDescription\t 1 \"?column?\" NNNN 0 NNNN 4 -1 0",
            "B\t11\tDataRow\t 1 1 '0'",
            "B\t13\tCommandComplete\t \"SELECT 1\"",
            "B\t5\tReadyForQuery\t I",
        ],
    ),
    (
        "transaction",
        "preparing describes, so that executing need not",
        &[
            "F\t14\tDescribe\t S \"rollback\"",
            "B\t6\tParameterDescription\t 0",
            "B\t4\tNoData",
        ],
    ),
];

/// A file of PostgreSQL's test, where its sources are at hand.
pub(crate) fn source(name: &str) -> Option<String> {
    let chosen = std::env::var("PG18_SRC").unwrap_or_else(|_| String::from("/tmp/pg18-src"));
    let folder = Path::new(&chosen).join("src/test/modules/libpq_pipeline");
    match fs::read_to_string(folder.join(name)) {
        Ok(text) => Some(text),
        Err(_) => {
            eprintln!("SKIPPED: no PostgreSQL 18 sources at {chosen}; set PG18_SRC");
            None
        }
    }
}

/// A trace that is being written.
pub(crate) struct Traced {
    name: String,
    path: PathBuf,
}

impl Traced {
    pub(crate) fn begin(session: &Session, name: &str) -> Traced {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.trace"));
        let file = fs::File::create(&path).unwrap();
        let flags = CONN_TRACE_SUPPRESS_TIMESTAMPS | CONN_TRACE_REGRESS_MODE;
        // SAFETY: an open connection and an open descriptor, which is duplicated.
        let begun = unsafe { conn_trace(session.0, file.as_raw_fd(), flags) };
        assert_eq!(begun, 1, "{:?}", session.error());
        let name = name.to_owned();
        Traced { name, path }
    }

    /// The connection is closed: the trace is as it should be.
    pub(crate) fn compare(&self) {
        let ours = fs::read_to_string(&self.path).unwrap();
        let file = format!("{}.trace", self.name);
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pipelines/traces");
        let expected = fs::read_to_string(kept.join(&file)).unwrap_or_default();
        self.same(&ours.lines().collect::<Vec<_>>(), &expected);
        if let Some(theirs) = source(&format!("traces/{file}")) {
            self.same(&self.without_our_own(&ours), &theirs);
        }
    }

    /// The lines that PostgreSQL's program should have too.
    fn without_our_own<'a>(&self, ours: &'a str) -> Vec<&'a str> {
        let mut lines: Vec<&str> = ours.lines().collect();
        for (_, why, own) in OURS.iter().filter(|own| own.0 == self.name) {
            for line in *own {
                let at = lines.iter().position(|found| found == line);
                lines.remove(at.unwrap_or_else(|| panic!("no {line:?}, although {why}")));
            }
        }
        lines
    }

    fn same(&self, ours: &[&str], expected: &str) {
        for (number, (found, expected)) in ours.iter().zip(expected.lines()).enumerate() {
            let at = number + 1;
            assert_eq!(*found, expected, "line {at} of {}", self.path.display());
        }
        let path = self.path.display();
        assert_eq!(ours.len(), expected.lines().count(), "{path}");
    }
}
