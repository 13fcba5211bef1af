//! The table of traps in ARCHITECTURE.md: complete, and every test that it names is there and names its trap.
#![allow(clippy::unwrap_used)]

use std::fs;

use testkit::built::root;

#[test]
fn every_trap_has_a_test_that_names_it() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, table) = text.split_once("\n## Traps").unwrap();
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let mut expected = 1;
    for row in rows.skip(1) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [number, _, tests] = cells[..] else {
            unreachable!("three cells: {row}")
        };
        assert_eq!(number, expected.to_string(), "{row}");
        expected += 1;
        let files: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!files.is_empty() || tests.starts_with("none: "), "{row}");
        for file in files {
            let code = fs::read_to_string(root().join(file)).unwrap();
            assert!(names(&code, number), "{file} does not name trap {number}");
        }
    }
    assert_eq!(expected, 37);
}

/// Whether a test's name or what stands above it names the trap.
fn names(code: &str, number: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '\n')
        .collect::<Vec<_>>()
        .windows(2)
        .any(|pair| pair[0].trim().eq_ignore_ascii_case("trap") && pair[1].trim() == number)
        || code.contains(&format!("fn trap_{number}_"))
}

#[test]
fn numbers_are_not_taken_for_longer_ones() {
    assert!(names("/// Trap 2, plaintext", "2") && names("fn trap_2_plaintext()", "2"));
    assert!(!names("/// Trap 21, fork", "2") && !names("fn trap_21_fork()", "2"));
}
