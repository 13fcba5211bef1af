//! Tries the cases of the suite on each server, and holds that none is left out. Knows no certificate.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{GROUPS, Twin};
use crate::servers::{conninfo, servers};
use crate::session::Session;

#[test]
fn every_case_is_as_it_is_with_libpq() {
    let mut wrong = Vec::new();
    for server in servers() {
        for group in GROUPS {
            if !group.cases.iter().any(|(_, _, twin)| is_tried(twin)) {
                continue;
            }
            let server = server.with(&(group.tls)());
            for (file, line, twin) in group.cases {
                let (what, expected) = match twin {
                    Twin::Up(what) => (what, None),
                    Twin::Down(what, text) => (what, Some(text)),
                    Twin::Test(_) | Twin::None(_) => continue,
                };
                let conninfo = conninfo(&server, &format!("{} {what}", group.common));
                let said = match Session::try_open(&conninfo) {
                    Ok(mut session) => {
                        assert_eq!(session.query("select 1").len(), 3);
                        None
                    }
                    Err(error) => Some(error.message().to_owned()),
                };
                let right = match (&said, expected) {
                    (None, None) => true,
                    (Some(said), Some(expected)) => said.contains(*expected),
                    _ => false,
                };
                if !right {
                    let version = &server.server().version;
                    wrong.push(format!("{version} {file}.{line}: {what}\n  expected {expected:?}\n  found    {said:?}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_tried(twin: &Twin) -> bool {
    matches!(twin, Twin::Up(_) | Twin::Down(..))
}

#[test]
fn tests_that_are_named_exist() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    for (file, line, twin) in GROUPS.iter().flat_map(|group| group.cases) {
        if let Twin::Test(name) = twin {
            let (module, function) = name.split_once("::").unwrap();
            let source = fs::read_to_string(sources.join(format!("{module}.rs"))).unwrap();
            assert!(
                source.contains(&format!("fn {function}()")),
                "{file}.{line}: {name}"
            );
        }
    }
}

/// Where the sources of PostgreSQL 18 are at hand (`PG18_SRC`), each of their cases must be in the table, and nothing else.
#[test]
fn no_case_is_left_out() {
    let chosen = std::env::var("PG18_SRC").unwrap_or_else(|_| String::from("/tmp/pg18-src"));
    let folder = Path::new(&chosen).join("src/test/ssl/t");
    let mut theirs = BTreeSet::new();
    for (number, name) in [
        (1, "001_ssltests.pl"),
        (2, "002_scram.pl"),
        (3, "003_sslinfo.pl"),
    ] {
        let Ok(source) = fs::read_to_string(folder.join(name)) else {
            eprintln!("SKIPPED: no PostgreSQL 18 sources at {chosen}; set PG18_SRC");
            return;
        };
        let begins = [
            "$node->connect_ok(",
            "$node->connect_fails(",
            "command_like(",
            "ok(",
            "is(",
        ];
        for (line, text) in source.lines().enumerate() {
            if begins
                .iter()
                .any(|begin| text.trim_start().starts_with(begin))
            {
                theirs.insert((number, u32::try_from(line).unwrap() + 1));
            }
        }
    }
    let ours: BTreeSet<(u8, u32)> = GROUPS
        .iter()
        .flat_map(|group| group.cases)
        .map(|(file, line, _)| (*file, *line))
        .collect();
    let missing: Vec<_> = theirs.difference(&ours).collect();
    let invented: Vec<_> = ours.difference(&theirs).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "missing {missing:?}, invented {invented:?}"
    );
    let mut counts = [0, 0];
    for (file, line, twin) in GROUPS.iter().flat_map(|group| group.cases) {
        match twin {
            Twin::None(reason) => println!("{file}.{line} has no twin: {reason}"),
            twin => counts[usize::from(is_tried(twin))] += 1,
        }
    }
    let [tests, tried] = counts;
    println!(
        "{} cases: {tried} tried from the table, {tests} in tests of their own",
        ours.len()
    );
}
