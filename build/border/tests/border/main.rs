//! What C programs see: the header, the names that the libraries export, and what they need of the system.
#![allow(clippy::unwrap_used, clippy::panic)]

mod install_libpq;
mod names;
mod tools;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use testkit::built::{libraries, make, root, target};

use crate::names::{dynamic, exported, functions, header, list, unmangled, visible};
use crate::tools::{Scratch, run, text};

#[test]
fn header_is_what_the_source_says() {
    let border = env!("CARGO_BIN_EXE_border");
    let said = Command::new(border).arg("check").output().unwrap();
    assert!(said.status.success(), "{}", text(&said.stderr));
}

#[test]
fn header_compiles_alone_as_c99_and_cpp11() {
    let folder = Scratch::new("header");
    let twice = "#include <pgpoll.h>\n#include <pgpoll.h>\nint main(void) { return 0; }\n";
    let include = format!("-I{}", root().join("include").display());
    for (compiler, standard, file) in [
        ("cc", "-std=c99", "alone.c"),
        ("c++", "-std=c++11", "alone.cpp"),
        ("clang", "-std=c99", "alone.c"),
        ("clang++", "-std=c++11", "alone.cpp"),
    ] {
        let source = folder.write(file, twice);
        let mut command = Command::new(compiler);
        command.args([
            standard,
            "-Wall",
            "-Wextra",
            "-Wpedantic",
            "-Werror",
            "-fsyntax-only",
            &include,
        ]);
        run(command.arg(source));
    }
}

#[test]
fn header_names_start_with_conn() {
    let header = header();
    for name in functions(&header) {
        assert!(name.starts_with("conn_"), "function {name}");
    }
    for line in header.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            // The two structs of the Arrow C data interface have the names that its specification gives them.
            ["#define", name, ..] if name.starts_with("ARROW_") => {}
            ["#define", name, ..] => {
                assert!(
                    name.starts_with("CONN_") || *name == "PGPOLL_H",
                    "constant {name}"
                );
            }
            ["typedef", "struct" | "union", name, ..] => {
                assert!(name.starts_with("Conn"), "type {name}");
            }
            ["typedef", ..] if line.contains("(*") => {
                assert!(line.contains("(*Conn"), "callback {line}");
            }
            ["typedef", .., name] => assert!(name.starts_with("Conn"), "type {name}"),
            ["enum", ..] => panic!("C programs pass integers, not enums: {line}"),
            _ => {}
        }
    }
}

#[test]
fn libpgpoll_exports_what_the_header_declares() {
    let declared = functions(&header());
    assert_eq!(
        declared,
        list("build/pgpoll.exports"),
        "header against export list"
    );
    assert_eq!(
        declared,
        exported("libpgpoll.so"),
        "header against libpgpoll.so"
    );
    assert_eq!(
        declared,
        visible("libpgpoll.a"),
        "header against libpgpoll.a"
    );
}

#[test]
fn nothing_for_c_is_missing_in_the_header() {
    libraries();
    let written = unmangled(&target().join("release/libpgpoll_capi.a"), "conn_");
    assert_eq!(written, functions(&header()));
}

#[test]
fn libpq_exports_what_libpq_18_does() {
    let listed = list("build/libpq.exports");
    let exported = exported("libpq.so.5");
    let missing: Vec<&String> = listed.difference(&exported).collect();
    let more: Vec<&String> = exported.difference(&listed).collect();
    assert!(
        missing.is_empty() && more.is_empty(),
        "{missing:?} are missing, {more:?} are too many"
    );
    assert_eq!(exported, visible("libpq.a"));
    for prefix in ["PQ", "pq", "lo_"] {
        let written = unmangled(&target().join("release/libpq.a"), prefix);
        let unlisted: Vec<&String> = written.difference(&listed).collect();
        assert!(unlisted.is_empty(), "no libpq has {unlisted:?}");
    }
}

/// Trap 33, a drop-in is more than PQ*: the list is that of the real one, the names without PQ included.
#[test]
fn export_list_is_that_of_libpq_18() {
    let theirs = testkit::postgres18().join("lib/libpq.so.5");
    let ours = list("build/libpq.exports");
    assert_eq!(ours.len(), 210);
    if theirs.exists() {
        assert_eq!(ours, dynamic(&theirs));
    } else {
        testkit::say!("SKIPPED: no libpq 18 at {}", theirs.display());
    }
}

/// Trap 32, two cryptographic libraries in one process: no other library is needed, or loaded.
#[test]
fn libraries_need_libc_alone_and_say_who_they_are() {
    for (library, soname) in [
        ("libpgpoll.so", "libpgpoll.so.0"),
        ("libpq.so", "libpq.so.5"),
    ] {
        let path = libraries().join(library);
        let said = run(Command::new("objdump").arg("-p").arg(&path));
        for line in said.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["NEEDED", name] => {
                    let ours = ["libc.so.6", "libm.so.6", "libgcc_s.so.1"].contains(name);
                    // The dynamic loader is a part of libc with a file of its own.
                    assert!(
                        ours || name.starts_with("ld-linux"),
                        "{library} needs {name}"
                    );
                }
                ["SONAME", name] => assert_eq!(*name, soname),
                _ => {}
            }
        }
        assert!(said.contains(soname), "{library} has no soname");
        let flags = run(Command::new("readelf").arg("-d").arg(&path));
        let flags = flags.lines().find(|line| line.contains("FLAGS_1")).unwrap();
        // NODELETE: threads and fork handlers survive dlclose.
        assert!(
            flags.contains("NOW") && flags.contains("NODELETE"),
            "{flags}"
        );
        assert!(
            fs::canonicalize(libraries().join(soname)).is_ok(),
            "no link {soname}"
        );
    }
}

#[test]
fn the_version_has_one_home() {
    let version = env!("CARGO_PKG_VERSION");
    for file in [
        format!("libpgpoll.so.{version}"),
        "libpq.so.5.18".to_owned(),
    ] {
        assert!(libraries().join(&file).is_file(), "{file}");
    }
    let pc = fs::read_to_string(libraries().join("pgpoll.pc")).unwrap();
    assert!(pc.contains(&format!("Version: {version}\n")), "{pc}");
}

#[test]
fn symbols_carry_no_version_as_in_debians_libpq() {
    let path = libraries().join("libpq.so.5");
    let said = run(Command::new("readelf").arg("-V").arg(path));
    assert!(!said.contains("Version definition"), "{said}");
}

/// Trap 32, exported symbols clash: no name is visible but the interface's.
#[test]
fn both_static_libraries_fit_into_one_program_in_either_order() {
    let folder = Scratch::new("both");
    let (ours, theirs) = (libraries().join("libpgpoll.a"), libraries().join("libpq.a"));
    let names: Vec<String> = visible("libpgpoll.a")
        .into_iter()
        .chain(visible("libpq.a"))
        .collect();
    let mut source = String::from("#include <stdio.h>\n");
    for name in &names {
        writeln!(source, "extern void {name}(void);").unwrap();
    }
    source += "static void (*const all[])(void) = {\n";
    for name in &names {
        writeln!(source, "    {name},").unwrap();
    }
    source += "    0\n};\nint main(void) {\n    int n = 0;\n    while (all[n]) n++;\n    printf(\"%d\\n\", n);\n    return 0;\n}\n";
    let file = folder.write("both.c", &source);
    for (first, second) in [(&ours, &theirs), (&theirs, &ours)] {
        for gc in ["-Wl,--no-gc-sections", "-Wl,--gc-sections"] {
            let program = folder.0.join("both");
            let mut cc = Command::new("cc");
            cc.args(["-Werror", gc, "-o"])
                .arg(&program)
                .arg(&file)
                .arg(first)
                .arg(second);
            run(cc.args(["-Wno-builtin-declaration-mismatch", "-lm"]));
            assert_eq!(
                run(&mut Command::new(&program)).trim(),
                names.len().to_string()
            );
        }
    }
}

#[test]
fn install_gives_what_pkg_config_says() {
    let folder = Scratch::new("install");
    libraries();
    let destination = format!("DESTDIR={}", folder.0.display());
    run(make().args(["install", "PREFIX=/opt/pg", &destination]));
    let prefix = folder.0.join("opt/pg");
    for file in [
        "include/pgpoll.h",
        "lib/libpgpoll.so",
        "lib/libpgpoll.so.0",
        "lib/libpgpoll.a",
    ] {
        assert!(
            fs::canonicalize(prefix.join(file))
                .unwrap()
                .starts_with(&prefix),
            "{file}"
        );
    }
    let flags = run(Command::new("pkg-config")
        .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
        .env("PKG_CONFIG_SYSROOT_DIR", &folder.0)
        .args(["--cflags", "--libs", "pgpoll"]));
    let source = folder.write(
        "use.c",
        "#include <pgpoll.h>\nint main(void) { return 0; }\n",
    );
    let mut cc = Command::new("cc");
    cc.arg(source).args(flags.split_whitespace());
    run(cc
        .args(["-Wl,--no-as-needed", "-o"])
        .arg(folder.0.join("use")));
}
